//! Contract 3.4: Parameter Store.

use serde_json::{Value, json};
use support::{Result, secrets_manager::Denial};

use crate::scene::{Scene, aws_provider, value};

/// A store `parameters` with the credentials of the scene.
async fn store(scene: &Scene<'_>, more: Value) -> Result<()> {
    let mut provider = aws_provider("aws-keys", None);
    provider["service"] = json!("ParameterStore");
    for (field, value) in more.as_object().into_iter().flatten() {
        provider[field] = value.clone();
    }
    let store = json!({"kind": "SecretStore", "metadata": {"name": "parameters"},
        "spec": {"provider": {"aws": provider}}});
    scene.create(store).await?;
    Ok(())
}

/// Full name of a parameter of this scene.
fn name(scene: &Scene<'_>, name: &str) -> String {
    format!("/{}/{name}", scene.ns)
}

fn put(scene: &Scene<'_>, short: &str, text: &str, labels: &[&str]) {
    scene.env.aws.put_parameter(&name(scene, short), text, labels);
}

/// Spec of an ExternalSecret that reads these keys, each from one `remoteRef`.
fn reads(entries: &[(&str, Value)]) -> Value {
    let data: Vec<_> = entries
        .iter()
        .map(|(key, remote)| json!({"secretKey": key, "remoteRef": remote}))
        .collect();
    json!({"secretStoreRef": {"name": "parameters"}, "data": data})
}

fn finds(find: Value, strip: &str) -> Value {
    let rewrite = json!([{"regexp": {"source": format!("^{strip}"), "target": ""}}]);
    json!({"secretStoreRef": {"name": "parameters"}, "data": [],
        "dataFrom": [{"find": find, "rewrite": rewrite}]})
}

#[tokio::test]
async fn parameters_are_read_in_tens_by_version_label_property_and_tag() -> Result<()> {
    let scene = Scene::new("ps-read").await?;
    store(&scene, json!({})).await?;
    put(&scene, "db", &json!({"user": value("old")}).to_string(), &["stable"]);
    put(&scene, "db", &json!({"user": value("new")}).to_string(), &[]);
    scene.env.aws.tag_parameter(&name(&scene, "db"), "team", "data");
    let key = name(&scene, "db");
    let spec = reads(&[
        ("current", json!({"key": key, "property": "user"})),
        ("first", json!({"key": key, "property": "user", "version": "1"})),
        ("stable", json!({"key": key, "property": "user", "version": "stable"})),
        ("team", json!({"key": key, "metadataPolicy": "Fetch", "property": "team"})),
    ]);
    scene.synced("db", spec).await?;
    let expected = json!({"current": value("new"), "first": value("old"), "stable": value("old"),
        "team": "data"});
    scene.data_is("db", expected).await?;

    let mut entries = Vec::new();
    for nth in 0..25 {
        let short = format!("many/{nth:02}");
        put(&scene, &short, &value(&short), &[]);
        entries.push((format!("k{nth:02}"), json!({"key": name(&scene, &short)})));
    }
    let entries: Vec<_> = entries.iter().map(|(key, remote)| (&**key, remote.clone())).collect();
    let calls = |operation| scene.env.aws.calls_of(operation, &scene.access_key);
    let before = (calls("GetParameters"), calls("GetParameter"));
    scene.synced("many", reads(&entries)).await?;
    let after = (calls("GetParameters"), calls("GetParameter"));
    assert_eq!((after.0 - before.0, after.1 - before.1), (3, 0));

    // A rotation arrives, and one of a property is seen.
    put(&scene, "db", &json!({"user": value("newest")}).to_string(), &["stable"]);
    scene.force("db", "1").await?;
    let expected = json!({"current": value("newest"), "first": value("old"),
        "stable": value("newest"), "team": "data"});
    scene.data_is("db", expected).await
}

#[tokio::test]
async fn parameters_are_found_by_path_tags_and_name() -> Result<()> {
    let scene = Scene::new("ps-find").await?;
    store(&scene, json!({})).await?;
    for short in ["app/a", "app/deep/b", "app-old/c"] {
        put(&scene, short, &value(short), &[]);
    }
    scene.env.aws.tag_parameter(&name(&scene, "app/a"), "env", "prod");
    scene.env.aws.tag_parameter(&name(&scene, "app-old/c"), "env", "production");
    let root = name(&scene, "");
    for (object, find, expected) in [
        (
            "path",
            json!({"path": name(&scene, "app")}),
            json!({"app_a": value("app/a"), "app_deep_b": value("app/deep/b")}),
        ),
        (
            "tags",
            json!({"path": name(&scene, ""), "tags": {"env": "prod"}}),
            json!({"app_a": value("app/a")}),
        ),
        (
            "name",
            json!({"path": root, "name": {"regexp": "/[bc]$"}}),
            json!({"app_deep_b": value("app/deep/b"), "app-old_c": value("app-old/c")}),
        ),
    ] {
        let mut spec = finds(find, &root);
        let slashes = json!({"regexp": {"source": "/", "target": "_"}});
        spec["dataFrom"][0]["rewrite"].as_array_mut().expect("a list").push(slashes);
        scene.synced(object, spec).await?;
        scene.data_is(object, expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_path_with_two_slashes_is_refused_with_clear_words() -> Result<()> {
    let scene = Scene::new("ps-slashes").await?;
    store(&scene, json!({"prefix": "/ps-slashes/"})).await?;
    put(&scene, "db", &value("x"), &[]);
    scene.create(scene.external("wrong", reads(&[("value", json!({"key": "/db"}))]))).await?;
    let message = scene.fails("wrong", "two slashes in a row").await?;
    assert!(
        message.contains("data[0].remoteRef") && message.contains("/ps-slashes//db"),
        "{message}"
    );
    scene.create(scene.external("find", finds(json!({"path": "//x"}), "/"))).await?;
    scene.fails("find", "two slashes in a row").await?;
    // The one who writes it right is not concerned.
    scene.synced("right", reads(&[("value", json!({"key": "db"}))])).await?;
    scene.holds("right", &value("x")).await
}

#[tokio::test]
async fn a_parameter_that_goes_is_what_the_deletion_policy_says() -> Result<()> {
    let scene = Scene::new("ps-gone").await?;
    store(&scene, json!({})).await?;
    put(&scene, "db", &value("x"), &[]);
    let remote = json!({"key": name(&scene, "db")});
    scene.synced("kept", reads(&[("value", remote.clone())])).await?;
    let mut spec = reads(&[("value", remote)]);
    spec["target"] = json!({"deletionPolicy": "Delete"});
    scene.synced("deleted", spec).await?;
    scene.env.aws.remove_parameter(&name(&scene, "db"));
    for object in ["kept", "deleted"] {
        scene.force(object, "1").await?;
    }
    scene.gone("Secret", "deleted").await?;
    scene.reason("deleted", "True", "SecretDeleted").await?;
    scene.fails("kept", "does not exist").await?;
    scene.holds("kept", &value("x")).await
}

#[tokio::test]
async fn a_parameter_that_is_denied_is_named_and_its_neighbours_arrive() -> Result<()> {
    let scene = Scene::new("ps-denied").await?;
    store(&scene, json!({})).await?;
    put(&scene, "a", &value("a"), &[]);
    put(&scene, "b", &value("b"), &[]);
    scene.env.aws.deny(Denial {
        operation: None,
        access_key: Some(scene.access_key.clone()),
        secret: Some(name(&scene, "b")),
    });
    for short in ["a", "b"] {
        let spec = reads(&[("value", json!({"key": name(&scene, short)}))]);
        scene.create(scene.external(short, spec)).await?;
    }
    scene.ready("a").await?;
    let message = scene.fails("b", "ssm:GetParameter").await?;
    assert!(message.contains("access denied") && message.contains("/ps-denied/b"), "{message}");
    scene.holds("a", &value("a")).await
}
