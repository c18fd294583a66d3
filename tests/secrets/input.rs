//! What people write into secrets and manifests: each with a clear message, and nothing lost.

use serde_json::{Value, json};
use support::Result;

use crate::scene::{Scene, value};

fn property(scene: &Scene<'_>, name: &str, property: &str) -> Value {
    let remote = json!({"key": scene.remote(name), "property": property});
    json!({"data": [{"secretKey": "value", "remoteRef": remote}]})
}

fn extract(scene: &Scene<'_>, name: &str, more: Value) -> Value {
    let mut remote = json!({"key": scene.remote(name)});
    for (field, value) in more.as_object().into_iter().flatten() {
        remote[field] = value.clone();
    }
    json!({"data": [], "dataFrom": [{"extract": remote}]})
}

#[tokio::test]
async fn properties_are_found_by_path_index_and_literal_name() -> Result<()> {
    let scene = Scene::new("in-property").await?;
    let secret = json!({"a.b": value("literal"), "a": {"b": "nested", "list": [1, {"c": true}]},
        "big": 1_234_567_890_123_456_789_u64, "none": null});
    scene.put("db", &secret.to_string());
    let paths = ["a.b", "a.list.0", "a.list.1", "a.list.#", "big", "none"];
    let data: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(nth, path)| {
            json!({"secretKey": format!("k{nth}"),
                "remoteRef": {"key": scene.remote("db"), "property": path}})
        })
        .collect();

    scene.synced("db", json!({"data": data})).await?;

    let expected = json!({"k0": value("literal"), "k1": "1", "k2": "{\"c\":true}", "k3": "2",
        "k4": "1234567890123456789", "k5": ""});
    scene.data_is("db", expected).await?;
    let calls = scene.env.aws.received();
    let asked: Vec<_> = calls.iter().filter(|c| c.ids.contains(&scene.remote("db"))).collect();
    assert_eq!(asked.len(), 1, "six entries of one secret are one read");
    Ok(())
}

#[tokio::test]
async fn a_property_that_is_not_there_is_named() -> Result<()> {
    let scene = Scene::new("in-absent").await?;
    scene.put("db", &json!({"user": value("x")}).to_string());
    scene.create(scene.external("db", property(&scene, "db", "password"))).await?;

    let message = scene.fails("db", "key \"password\" does not exist in secret").await?;
    assert!(message.contains("data[0].remoteRef") && message.contains("in-absent/db"), "{message}");

    // Deletion policies do not excuse it: the secret is there.
    let policy = json!({"spec": {"target": {"deletionPolicy": "Delete"}}});
    scene.patch("ExternalSecret", "db", policy).await?;
    scene.fails("db", "key \"password\" does not exist in secret").await?;

    scene.put("db", &json!({"password": value("y")}).to_string());
    scene.holds("db", &value("y")).await
}

#[tokio::test]
async fn what_is_no_json_has_no_properties() -> Result<()> {
    let scene = Scene::new("in-json").await?;
    scene.put("text", &value("{not json"));
    scene.env.aws.put_binary(&scene.remote("bytes"), b"\x00\xff\xfe");
    scene.put("list", &json!([value("x")]).to_string());
    scene.create(scene.external("text", property(&scene, "text", "a"))).await?;
    scene.create(scene.external("bytes", property(&scene, "bytes", "a"))).await?;
    scene.create(scene.external("list", extract(&scene, "list", json!({})))).await?;
    scene.create(scene.external("whole", extract(&scene, "text", json!({})))).await?;

    scene.fails("text", "is not valid JSON").await?;
    scene.fails("bytes", "is not valid JSON").await?;
    scene.fails("list", "is not a JSON object").await?;
    scene.fails("whole", "JSON").await?;
    for name in ["text", "bytes", "list", "whole"] {
        assert_eq!(scene.data(name).await?, None, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn bytes_arrive_as_they_are_unless_zero_bytes_are_refused() -> Result<()> {
    let scene = Scene::new("in-bytes").await?;
    scene.env.aws.put_binary(&scene.remote("db"), b"a\x00b");
    scene.synced("db", json!({})).await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(secret["data"]["value"], "YQBi");

    let remote = json!({"key": scene.remote("db"), "nullBytePolicy": "Fail"});
    let data = json!([{"secretKey": "value", "remoteRef": remote}]);
    scene.patch("ExternalSecret", "db", json!({"spec": {"data": data}})).await?;

    scene.fails("db", "zero byte").await?;
    let kept = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(kept["metadata"]["resourceVersion"], secret["metadata"]["resourceVersion"]);
    Ok(())
}

#[tokio::test]
async fn values_are_decoded_as_asked() -> Result<()> {
    let scene = Scene::new("in-decode").await?;
    // Line breaks inside, as Go's decoder allows them.
    scene.put("std", "dkFs\ndTM6\r\ng4M=");
    scene.put("url", "dkFsdTM6g4M_");
    scene.put("plain", &value("as it is"));
    let entry = |key: &str, name: &str, strategy: &str| {
        json!({"secretKey": key,
            "remoteRef": {"key": scene.remote(name), "decodingStrategy": strategy}})
    };
    let data = json!([
        entry("a", "std", "Base64"),
        entry("b", "url", "Base64URL"),
        entry("c", "plain", "Auto"),
        entry("d", "std", "Auto"),
        entry("e", "std", "None")
    ]);
    scene.synced("db", json!({"data": data})).await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    let got = &secret["data"];
    assert_eq!((&got["a"], &got["d"]), (&json!("dkFsdTM6g4M="), &json!("dkFsdTM6g4M=")));
    assert_eq!(got["b"], "dkFsdTM6g4M/");
    assert_eq!(scene.data("db").await?.expect("data")["c"], value("as it is"));

    let data = json!([entry("a", "plain", "Base64")]);
    scene.create(scene.external("bad", json!({"data": data}))).await?;
    scene.fails("bad", "correct decodingStrategy").await?;
    Ok(())
}

#[tokio::test]
async fn a_large_value_fits_and_too_much_is_refused_with_the_number() -> Result<()> {
    let scene = Scene::new("in-large").await?;
    let large = value(&"x".repeat(65_536 - value("").len()));
    assert_eq!(large.len(), 65_536);
    let data: Vec<_> = (0..20)
        .map(|nth| {
            scene.put(&format!("s{nth}"), &large);
            scene.entry(&format!("k{nth}"), &format!("s{nth}"))
        })
        .collect();
    scene.synced("db", json!({"data": [data[0]]})).await?;
    scene.data_is("db", json!({"k0": large})).await?;

    scene.patch("ExternalSecret", "db", json!({"spec": {"data": data}})).await?;

    let message = scene.fails("db", "1310720 bytes").await?;
    assert!(message.contains("at most 1048576"), "{message}");
    scene.data_is("db", json!({"k0": large})).await
}

#[tokio::test]
async fn ten_thousand_keys_are_one_secret() -> Result<()> {
    let scene = Scene::new("in-many").await?;
    let keys: serde_json::Map<_, _> =
        (0..10_000).map(|nth| (format!("key-{nth:05}"), json!(format!("v{nth}")))).collect();
    let keys = Value::Object(keys);
    scene.put("db", &keys.to_string());

    scene.synced("db", extract(&scene, "db", json!({}))).await?;

    scene.data_is("db", keys).await
}

#[tokio::test]
async fn keys_that_a_secret_cannot_have_are_converted_or_refused() -> Result<()> {
    let scene = Scene::new("in-keys").await?;
    let odd = "quote\" new\nline \u{fc}ber/../\u{1f512}";
    scene.put("db", &json!({odd: value("x"), "plain": value("y")}).to_string());
    scene.put("two", &json!({"a b": value("x"), "a/b": value("y")}).to_string());

    scene.synced("db", extract(&scene, "db", json!({}))).await?;
    let data = scene.data("db").await?.expect("data");
    let keys: Vec<_> = data.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(
        keys,
        ["plain", "quote__new_line__ber_..__"].iter().map(ToString::to_string).collect::<Vec<_>>(),
        "{keys:?}"
    );

    let unicode = json!({"conversionStrategy": "Unicode"});
    scene.synced("unicode", extract(&scene, "two", unicode)).await?;
    let both = json!({"a_U0020_b": value("x"), "a_U002f_b": value("y")});
    scene.data_is("unicode", both).await?;

    scene.create(scene.external("two", extract(&scene, "two", json!({})))).await?;
    let message = scene.fails("two", "two keys become the same").await?;
    assert!(message.contains("position 1") && message.contains("position 2"), "{message}");

    let long = "k".repeat(254);
    scene.put("long", &json!({long: value("x")}).to_string());
    scene.create(scene.external("long", extract(&scene, "long", json!({})))).await?;
    scene.fails("long", "no valid Secret key").await?;
    Ok(())
}

#[tokio::test]
async fn arbitrary_text_in_a_manifest_comes_back_readable() -> Result<()> {
    let scene = Scene::new("in-text").await?;
    let odd = "a \"quoted\"\n{\"json\": 1} \u{1f512} %s ${x} <b> \u{7}";
    let remote = json!({"key": odd, "property": odd});
    let data = json!([{"secretKey": "value", "remoteRef": remote}]);

    scene.create(scene.external("db", json!({"data": data}))).await?;

    let message = scene.fails("db", "could not get secret data from provider").await?;
    assert!(!message.contains('\n'), "{message}");
    assert!(message.contains("\\\"quoted\\\"") && message.contains('\u{1f512}'), "{message}");
    scene.event("db", "UpdateFailed").await?;
    let log = scene.env.operator.log();
    let line = log.lines().find(|line| line.contains("in-text/db") && line.contains("not synced"));
    let line: Value = serde_json::from_str(line.expect("a line"))?;
    assert!(line["error"].as_str().is_some_and(|error| error.contains("quoted")), "{line}");

    // A long one does not make the status impossible.
    let long = "k".repeat(5000);
    let data = json!([{"secretKey": "value", "remoteRef": {"key": long}}]);
    scene.create(scene.external("long", json!({"data": data}))).await?;
    let message = scene.fails("long", "could not get secret data from provider").await?;
    assert!(message.len() <= 2100, "{}", message.len());
    Ok(())
}

#[tokio::test]
async fn versions_and_stages_are_read_and_a_missing_one_says_which_there_are() -> Result<()> {
    let scene = Scene::new("in-version").await?;
    let id = "11111111-2222-3333-4444-555555555555";
    let aws = &scene.env.aws;
    aws.put_version(&scene.remote("db"), id, &["AWSPREVIOUS"], &value("old"));
    aws.put_version(&scene.remote("db"), &id.replace('1', "6"), &["AWSCURRENT"], &value("new"));
    let entry = |key: &str, version: &str| json!({"secretKey": key, "remoteRef": {"key": scene.remote("db"), "version": version}});
    let data =
        json!([entry("a", ""), entry("b", "AWSPREVIOUS"), entry("c", &format!("uuid/{id}"))]);
    scene.synced("db", json!({"data": data})).await?;
    let all = json!({"a": value("new"), "b": value("old"), "c": value("old")});
    scene.data_is("db", all).await?;

    let data = json!([entry("a", "AWSPENDING")]);
    scene.create(scene.external("bad", json!({"data": data}))).await?;
    let message = scene.fails("bad", "has no version AWSPENDING").await?;
    assert!(message.contains("AWSPREVIOUS") && message.contains("AWSCURRENT"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_secret_is_read_by_arn_with_a_prefix_and_by_its_tags() -> Result<()> {
    let scene = Scene::new("in-forms").await?;
    let arn = scene.env.aws.put(&scene.remote("db"), &value("x"));
    scene.env.aws.tag(&scene.remote("db"), "owner", "team-a");
    let mut store = scene.store("prefixed");
    store["spec"]["provider"]["aws"]["prefix"] = json!("in-forms/");
    scene.create(store).await?;
    let mut prefixed = json!({"secretKey": "b", "remoteRef": {"key": "db"}});
    prefixed["sourceRef"] = json!({"storeRef": {"name": "prefixed"}});
    let tag = json!({"key": scene.remote("db"), "metadataPolicy": "Fetch", "property": "owner"});
    let data = json!([{"secretKey": "a", "remoteRef": {"key": arn}}, prefixed,
        {"secretKey": "c", "remoteRef": tag}]);

    scene.synced("db", json!({"data": data})).await?;

    scene.data_is("db", json!({"a": value("x"), "b": value("x"), "c": "team-a"})).await
}

#[tokio::test]
async fn the_later_source_wins_and_entries_win_over_all() -> Result<()> {
    let scene = Scene::new("in-order").await?;
    scene.put("first", &json!({"a": value("1"), "b": value("1"), "c": value("1")}).to_string());
    scene.put("second", &json!({"b": value("2"), "c": value("2")}).to_string());
    scene.put("third", &value("3"));
    let from = json!([{"extract": {"key": scene.remote("first")}},
        {"extract": {"key": scene.remote("second")}}]);
    let data = json!([scene.entry("c", "third")]);

    scene.synced("db", json!({"data": data, "dataFrom": from})).await?;

    scene.data_is("db", json!({"a": value("1"), "b": value("2"), "c": value("3")})).await
}

#[tokio::test]
async fn a_field_that_is_not_implemented_is_named_and_nothing_is_written() -> Result<()> {
    let scene = Scene::new("in-unsupported").await?;
    scene.put("db", &value("x"));
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let find = json!([{"sourceRef": {"generatorRef": {"kind": "Password", "name": "p"}}}]);
    for (name, field, spec) in [
        ("manifest", "target.manifest", json!({"target": {"manifest": manifest}})),
        ("generator", "generatorRef", json!({"data": [], "dataFrom": find})),
    ] {
        scene.create(scene.external(name, spec)).await?;
        scene.fails(name, field).await?;
        assert_eq!(scene.data(name).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_namespace_goes_with_all_its_external_secrets_while_it_works_on_them() -> Result<()> {
    let scene = Scene::new("in-going").await?;
    for nth in 0..20 {
        let name = format!("s{nth}");
        scene.put(&name, &value("x"));
        scene.create(scene.external(&name, json!({"refreshInterval": "1s"}))).await?;
    }
    scene.ready("s0").await?;

    scene.delete("Namespace", &scene.ns).await?;

    scene.gone("Namespace", &scene.ns).await
}

#[tokio::test]
async fn a_namespace_that_is_stuck_in_deletion_says_so_and_delays_nobody() -> Result<()> {
    let scene = Scene::new("in-stuck").await?;
    let other = scene.beside("other").await?;
    other.create(other.credentials("aws-keys")).await?;
    other.create(other.store("aws")).await?;
    scene.put("db", &value("x"));
    let mut object = scene.external("db", json!({"refreshInterval": "1s"}));
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    scene.create(object).await?;
    scene.ready("db").await?;
    scene.delete("Namespace", &scene.ns).await?;
    scene.gone("Secret", "db").await?;

    other.put("db", &value("y"));
    other.synced("db", json!({})).await?;

    // Nobody makes the Secret again in a namespace that goes.
    scene.env.aws.put(&scene.remote("db"), &value("z"));
    other.settle().await?;
    assert_eq!(scene.data("db").await?, None);
    scene.patch("ExternalSecret", "db", json!({"metadata": {"finalizers": null}})).await?;
    scene.gone("Namespace", &scene.ns).await
}
