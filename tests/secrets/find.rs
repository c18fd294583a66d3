//! Contract 2.5 and 3.2: `dataFrom[].find`.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use support::{
    Result, SOON, Subsystem, eventually,
    secrets_manager::{Denial, Fault},
};

use crate::scene::{Scene, aws_provider, ready_of, value};

/// Spec of an ExternalSecret that finds.
fn find(find: Value) -> Value {
    json!({"data": [], "dataFrom": [{"find": find}]})
}

/// A find of everything in this scene, by its path.
fn all(scene: &Scene<'_>) -> Value {
    find(json!({"path": scene.remote("")}))
}

/// Lists that were made with the credentials of this scene.
fn lists(scene: &Scene<'_>) -> usize {
    scene.env.aws.calls_of("ListSecrets", &scene.access_key)
}

/// The key that a secret of this scene has in a Secret.
fn key(scene: &Scene<'_>, name: &str) -> String {
    format!("{}_{}", scene.ns, name.replace('/', "_"))
}

fn data(scene: &Scene<'_>, pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(name, text)| (key(scene, name), json!(value(text)))).collect()
}

fn put_all(scene: &Scene<'_>, names: &[&str]) {
    for name in names {
        scene.put(name, &value(name));
    }
}

#[tokio::test]
async fn secrets_are_found_by_name_path_tags_and_all_of_them() -> Result<()> {
    let scene = Scene::new("find-forms").await?;
    put_all(&scene, &["db/user", "db/password", "web/user", "web/old"]);
    for (name, tag, text) in [
        ("db/user", "team", "data"),
        ("db/password", "team", "data"),
        ("web/user", "team", "web"),
        // What AWS's own filters would take for the above: beginnings, and keys without their values.
        ("web/old", "team", "data-platform"),
    ] {
        scene.env.aws.tag(&scene.remote(name), tag, text);
    }
    scene.env.aws.tag(&scene.remote("web/user"), "owner", "data");
    let regexp = |pattern: &str| json!({"regexp": format!("^{}/{pattern}$", scene.ns)});

    for (name, asked, found) in [
        ("name", json!({"name": regexp(".*/user")}), &["db/user", "web/user"][..]),
        ("path", json!({"path": scene.remote("db/")}), &["db/password", "db/user"]),
        (
            "name-and-path",
            json!({"name": {"regexp": "user$"}, "path": scene.remote("web")}),
            &["web/user"],
        ),
        (
            "tags",
            json!({"path": scene.remote(""), "tags": {"team": "data"}}),
            &["db/password", "db/user"],
        ),
        (
            "all",
            json!({"name": {"regexp": "user"}, "path": scene.remote("db"),
                "tags": {"team": "data"}}),
            &["db/user"],
        ),
        (
            "two-tags",
            json!({"path": scene.remote(""), "tags": {"team": "web", "owner": "data"}}),
            &["web/user"],
        ),
    ] {
        scene.synced(name, find(asked)).await?;
        let pairs: Vec<_> = found.iter().map(|name| (*name, *name)).collect();
        scene.data_is(name, data(&scene, &pairs)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_objects_with_equal_filters_cost_one_list() -> Result<()> {
    let scene = Scene::new("find-shared").await?;
    put_all(&scene, &["a", "b"]);
    scene.synced("first", all(&scene)).await?;
    // Both are to be under way at once: the list that both wait for takes its time.
    scene
        .env
        .aws
        .fault_of_key(&scene.access_key, Some(Fault::Delay(std::time::Duration::from_millis(500))));
    let before = lists(&scene);
    for (name, pattern) in [("second", "a$"), ("third", "b$")] {
        let asked = json!({"path": scene.remote(""), "name": {"regexp": pattern}});
        scene.create(scene.external(name, find(asked))).await?;
    }
    scene.ready("second").await?;
    scene.ready("third").await?;
    assert_eq!(lists(&scene) - before, 1, "expressions are ours, filters are the provider's");
    scene.data_is("second", data(&scene, &[("a", "a")])).await?;
    scene.data_is("third", data(&scene, &[("b", "b")])).await
}

#[tokio::test]
async fn what_two_identities_list_is_not_shared() -> Result<()> {
    let scene = Scene::new("find-tenants").await?;
    put_all(&scene, &["a"]);
    let other = scene.beside("other").await?;
    other.create(other.credentials("aws-keys")).await?;
    other.create(other.store("aws")).await?;
    scene.synced("db", all(&scene)).await?;
    // The same path, with keys that may not list.
    scene.env.aws.deny(Denial {
        operation: Some("ListSecrets"),
        access_key: Some(other.access_key.clone()),
        secret: None,
    });
    other.create(other.external("db", all(&scene))).await?;
    let message = other.fails("db", "secretsmanager:ListSecrets").await?;
    assert!(message.contains("dataFrom[0].find: access denied"), "{message}");
    assert_eq!(other.data("db").await?, None);
    scene.data_is("db", data(&scene, &[("a", "a")])).await
}

#[tokio::test]
async fn all_pages_are_found_and_batches_are_used() -> Result<()> {
    let scene = Scene::new("find-pages").await?;
    let names: Vec<_> = (0..230).map(|nth| format!("s{nth:03}")).collect();
    put_all(&scene, &names.iter().map(String::as_str).collect::<Vec<_>>());
    scene.synced("db", all(&scene)).await?;
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    scene.data_is("db", data(&scene, &pairs)).await?;
    let calls = |operation| scene.env.aws.calls_of(operation, &scene.access_key);
    assert_eq!(calls("ListSecrets"), 3);
    assert_eq!(calls("BatchGetSecretValue"), 12);
    assert_eq!(calls("GetSecretValue"), 0);
    Ok(())
}

#[tokio::test]
async fn bytes_keys_and_values_are_treated_as_asked() -> Result<()> {
    let scene = Scene::new("find-bytes").await?;
    scene.env.aws.put_binary(&scene.remote("bytes"), b"\x00\xff");
    scene.put("text", &BASE64.encode(value("x")));
    scene.synced("plain", all(&scene)).await?;
    let secret = scene.get("Secret", "plain").await?.expect("a Secret");
    assert_eq!(secret["data"][key(&scene, "bytes")], "AP8=");

    let asked = json!({"path": scene.remote("t"), "conversionStrategy": "Unicode",
        "decodingStrategy": "Base64"});
    scene.synced("decoded", find(asked)).await?;
    scene.data_is("decoded", json!({"find-bytes_U002f_text": value("x")})).await?;

    let mut rewritten = all(&scene);
    rewritten["dataFrom"][0]["rewrite"] =
        json!([{"regexp": {"source": "^find-bytes/", "target": ""}}]);
    scene.synced("rewritten", rewritten).await?;
    let secret = scene.get("Secret", "rewritten").await?.expect("a Secret");
    let keys: Vec<_> = secret["data"].as_object().expect("data").keys().collect();
    assert_eq!(keys, ["bytes", "text"]);

    let asked = json!({"path": scene.remote(""), "nullBytePolicy": "Fail"});
    scene.create(scene.external("refused", find(asked))).await?;
    scene.fails("refused", "zero byte").await?;
    Ok(())
}

#[tokio::test]
async fn a_store_with_a_prefix_finds_and_reads_below_it() -> Result<()> {
    let scene = Scene::new("find-prefix").await?;
    put_all(&scene, &["in/a", "in/b", "out/a"]);
    let mut provider = aws_provider("aws-keys", None);
    provider["prefix"] = json!(scene.remote("in/"));
    let store = json!({"kind": "SecretStore", "metadata": {"name": "prefixed"},
        "spec": {"provider": {"aws": provider}}});
    scene.create(store).await?;
    for (name, asked) in [
        ("by-name", json!({"name": {"regexp": "a$"}})),
        ("by-path", json!({"path": "a"})),
        ("by-full-path", json!({"path": scene.remote("in/a")})),
    ] {
        let mut spec = find(asked);
        spec["secretStoreRef"] = json!({"name": "prefixed"});
        scene.synced(name, spec).await?;
        scene.data_is(name, data(&scene, &[("in/a", "in/a")])).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_item_that_is_denied_fails_the_object_and_loses_nothing() -> Result<()> {
    let scene = Scene::new("find-denied").await?;
    put_all(&scene, &["a", "b"]);
    scene.synced("db", all(&scene)).await?;
    scene.env.aws.deny(Denial {
        operation: Some("GetSecretValue"),
        access_key: Some(scene.access_key.clone()),
        secret: Some(scene.remote("b")),
    });
    scene.put("a", &value("rotated"));
    scene.force("db", "1").await?;

    let message = scene.fails("db", "find-denied/b").await?;
    assert!(
        message.contains("dataFrom[0].find: access denied")
            && message.contains("secretsmanager:GetSecretValue"),
        "{message}"
    );
    scene.data_is("db", data(&scene, &[("a", "a"), ("b", "b")])).await
}

#[tokio::test]
async fn without_the_right_to_batch_every_secret_is_read_alone() -> Result<()> {
    let scene = Scene::new("find-single").await?;
    put_all(&scene, &["a", "b", "c"]);
    scene.env.aws.deny(Denial {
        operation: Some("BatchGetSecretValue"),
        access_key: Some(scene.access_key.clone()),
        secret: None,
    });
    scene.synced("db", all(&scene)).await?;
    scene.data_is("db", data(&scene, &[("a", "a"), ("b", "b"), ("c", "c")])).await?;
    assert_eq!(scene.env.aws.calls_of("GetSecretValue", &scene.access_key), 3);
    scene.store_says("SecretStore", "aws", "True", "secretsmanager:BatchGetSecretValue").await?;
    Ok(())
}

#[tokio::test]
async fn new_changed_and_gone_secrets_arrive_with_the_next_refresh() -> Result<()> {
    let scene = Scene::new("find-rotation").await?;
    put_all(&scene, &["a", "b"]);
    let mut spec = all(&scene);
    spec["refreshInterval"] = json!("1s");
    scene.synced("db", spec).await?;
    scene.put("a", &value("rotated"));
    scene.put("c", &value("c"));
    scene.env.aws.remove(&scene.remote("b"));
    scene.data_is("db", data(&scene, &[("a", "rotated"), ("c", "c")])).await?;
    scene.env.aws.schedule_deletion(&scene.remote("c"));
    scene.data_is("db", data(&scene, &[("a", "rotated")])).await
}

#[tokio::test]
async fn nothing_found_is_what_the_deletion_policy_says() -> Result<()> {
    let scene = Scene::new("find-nothing").await?;
    put_all(&scene, &["a"]);
    for (name, policy) in [("retained", "Retain"), ("deleted", "Delete"), ("merged", "Merge")] {
        let mut spec = all(&scene);
        spec["target"] = json!({"deletionPolicy": policy});
        scene.synced(name, spec).await?;
    }
    scene.env.aws.remove(&scene.remote("a"));
    for name in ["retained", "deleted", "merged"] {
        scene.force(name, "1").await?;
    }
    let retained = "secret retained due to DeletionPolicy=Retain";
    scene.says("ExternalSecret", "retained", |ready| ready["message"] == retained).await?;
    scene.data_is("retained", data(&scene, &[("a", "a")])).await?;
    scene.gone("Secret", "deleted").await?;
    let deleted = scene.reason("deleted", "True", "SecretDeleted").await?;
    assert_eq!(ready_of(&deleted)["message"], "secret deleted due to DeletionPolicy=Delete");
    scene.data_is("merged", json!({})).await?;
    // All of them come back.
    scene.put("a", &value("again"));
    for name in ["retained", "deleted", "merged"] {
        scene.force(name, "2").await?;
        scene.data_is(name, data(&scene, &[("a", "again")])).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_refused_deletes_nothing() -> Result<()> {
    let scene = Scene::new("find-outage").await?;
    put_all(&scene, &["a"]);
    let mut spec = all(&scene);
    spec["target"] = json!({"deletionPolicy": "Delete"});
    spec["refreshInterval"] = json!("1s");
    scene.synced("db", spec).await?;
    scene.env.aws.deny(Denial {
        operation: Some("ListSecrets"),
        access_key: Some(scene.access_key.clone()),
        secret: None,
    });
    scene.fails("db", "secretsmanager:ListSecrets").await?;
    let before = lists(&scene);
    eventually(SOON, "it is tried again", || async {
        if lists(&scene) > before { Ok(()) } else { Err("not yet") }
    })
    .await?;
    scene.data_is("db", data(&scene, &[("a", "a")])).await
}

#[tokio::test]
async fn what_cannot_be_found_within_bounds_is_said_and_costs_nobody_else() -> Result<()> {
    let scene = Scene::new("find-bounds").await?;
    for nth in 0..10_000 {
        scene.put(&format!("many/{nth:05}"), "v");
    }
    let large = "x".repeat(60_000);
    for nth in 0..40 {
        scene.put(&format!("large/{nth}"), &large);
    }
    scene.put("one", &value("one"));
    let tags: serde_json::Map<_, _> = (0..100).map(|n| (format!("t{n}"), json!("v"))).collect();
    for (name, asked, text) in [
        (
            "explodes",
            json!({"path": scene.remote(""), "name": {"regexp": "(((x{100}){100}){100})"}}),
            "too costly a regular expression",
        ),
        ("broken", json!({"name": {"regexp": "("}}), "is no regular expression"),
        ("many", json!({"path": scene.remote("many/")}), "matches 10000 secrets"),
        ("large", json!({"path": scene.remote("large/")}), "more than 2097152 bytes"),
        ("tags", json!({"tags": tags}), "has 100 tags, and no secret has more than 50"),
        ("empty", json!({}), "names nothing to find"),
    ] {
        scene.create(scene.external(name, find(asked))).await?;
        let message = scene.fails(name, text).await?;
        assert!(message.contains("spec.dataFrom[0].find"), "{message}");
    }
    // Each of six entries is within the bound, and together they are not.
    let six: Vec<_> = (0..6)
        .map(|nth| json!({"find": {"path": scene.remote(&format!("many/0{nth}"))}}))
        .collect();
    scene.create(scene.external("sum", json!({"data": [], "dataFrom": six}))).await?;
    scene.fails("sum", "one ExternalSecret finds at most 5000").await?;
    // One of ten thousand is no trouble.
    let asked = json!({"path": scene.remote(""), "name": {"regexp": "/one$"}});
    scene.synced("one", find(asked)).await?;
    scene.data_is("one", data(&scene, &[("one", "one")])).await
}

#[tokio::test]
async fn the_fake_provider_finds_by_name_and_path() -> Result<()> {
    let scene = Scene::new("find-fake").await?;
    let entry = |key: &str, text: &str, version: &str| json!({"key": key, "value": value(text), "version": version});
    let entries = [
        entry("app/a", "old", "v1"),
        entry("app/a", "new", "v2"),
        entry("app/b", "b", ""),
        entry("other", "x", ""),
    ];
    let store = json!({"kind": "SecretStore", "metadata": {"name": "fake"},
        "spec": {"provider": {"fake": {"data": entries}}}});
    scene.create(store).await?;
    let of_fake = |asked: Value| {
        let mut spec = find(asked);
        spec["secretStoreRef"] = json!({"name": "fake"});
        spec
    };
    scene.synced("name", of_fake(json!({"name": {"regexp": "^app/"}}))).await?;
    scene.data_is("name", json!({"app_a": value("new"), "app_b": value("b")})).await?;
    scene.synced("path", of_fake(json!({"path": "app/b"}))).await?;
    scene.data_is("path", json!({"app_b": value("b")})).await?;
    scene.create(scene.external("tags", of_fake(json!({"tags": {"a": "b"}})))).await?;
    scene.fails("tags", "the fake provider has no tags").await?;
    Ok(())
}

#[tokio::test]
async fn entries_are_merged_in_their_order_and_a_lost_list_fails_all() -> Result<()> {
    let scene = Scene::new("find-merge").await?;
    put_all(&scene, &["a", "b"]);
    scene.put("json", &json!({key(&scene, "a"): value("extracted"), "c": value("c")}).to_string());
    let asked = json!({"path": scene.remote(""), "name": {"regexp": "/[ab]$"}});
    let entry = json!([{"secretKey": key(&scene, "b"), "remoteRef": {"key": scene.remote("a")}}]);
    let from = json!([{"find": asked}, {"extract": {"key": scene.remote("json")}}]);
    scene.synced("db", json!({"data": entry, "dataFrom": from})).await?;
    let expected = json!({key(&scene, "a"): value("extracted"), key(&scene, "b"): value("a"),
        "c": value("c")});
    scene.data_is("db", expected).await
}

/// Most memory that a process has had, in MiB.
fn peak(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()).expect("a size").parse()?;
    Ok(kib / 1024)
}

#[tokio::test]
async fn a_sweep_of_ten_thousand_secrets_is_small_in_memory_and_calls() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "find-sweep").await?;
    for nth in 0..5_000 {
        scene.put(&format!("wanted/{nth:04}"), &value("x"));
        scene.put(&format!("others/{nth:04}"), &value("y"));
    }
    // What it needs anyway.
    scene.synced("first", find(json!({"path": scene.remote("wanted/000")}))).await?;
    let before = (peak(env.operator.pid()?)?, lists(&scene));
    let batches = env.aws.calls("BatchGetSecretValue");

    scene.synced("db", find(json!({"name": {"regexp": "/wanted/"}}))).await?;

    let data = scene.data("db").await?.expect("data");
    assert_eq!(data.as_object().expect("an object").len(), 5_000);
    assert_eq!(lists(&scene) - before.1, 100, "pages of a hundred names");
    let batches = env.aws.calls("BatchGetSecretValue") - batches;
    // Twenty each; one that is sent while others are still asked for may be smaller.
    assert!((250..=260).contains(&batches), "{batches} batches");
    let grown = peak(env.operator.pid()?)? - before.0;
    assert!(grown <= 64, "{grown} MiB");
    Ok(())
}
