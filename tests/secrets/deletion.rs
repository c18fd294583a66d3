//! Contract 2.7: what happens when the provider has nothing any more.

use serde_json::json;
use support::{Result, SOON, eventually};

use crate::scene::{Scene, ready_of, value};

#[tokio::test]
async fn retain_reports_a_missing_secret_and_keeps_the_data() -> Result<()> {
    let scene = Scene::new("retain").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.env.aws.remove(&scene.remote("db"));
    scene.force("db", "1").await?;

    let message = scene.fails("db", "does not exist").await?;
    assert!(message.starts_with("could not get secret data from provider"), "{message}");
    scene.holds("db", &value("x")).await?;

    // It comes back by itself.
    scene.put("db", &value("y"));
    scene.holds("db", &value("y")).await?;
    scene.ready("db").await?;
    Ok(())
}

#[tokio::test]
async fn retain_keeps_the_secret_when_an_extract_yields_nothing() -> Result<()> {
    let scene = Scene::new("retain-empty").await?;
    scene.put("db", &json!({"a": value("x")}).to_string());
    let from = json!([{"extract": {"key": scene.remote("db")}}]);
    scene.synced("db", json!({"data": [], "dataFrom": from})).await?;
    scene.data_is("db", json!({"a": value("x")})).await?;

    scene.put("db", "{}");
    scene.force("db", "1").await?;

    let retained = "secret retained due to DeletionPolicy=Retain";
    let object = scene.says("ExternalSecret", "db", |ready| ready["message"] == retained).await?;
    let ready = ready_of(&object);
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("True"), &json!("SecretSynced")));
    scene.data_is("db", json!({"a": value("x")})).await
}

#[tokio::test]
async fn delete_removes_the_secret_and_brings_it_back_with_the_source() -> Result<()> {
    let scene = Scene::new("delete").await?;
    scene.put("db", &value("x"));
    let spec = json!({"target": {"deletionPolicy": "Delete"}, "refreshInterval": "1s"});
    scene.synced("db", spec).await?;

    scene.env.aws.remove(&scene.remote("db"));

    scene.gone("Secret", "db").await?;
    let object = scene.reason("db", "True", "SecretDeleted").await?;
    assert_eq!(ready_of(&object)["message"], "secret deleted due to DeletionPolicy=Delete");
    assert!(object["status"]["binding"].is_null());
    scene.event("db", "Deleted").await?;
    scene.event("db", "MissingProviderSecret").await?;

    scene.put("db", &value("y"));
    scene.holds("db", &value("y")).await?;
    scene.reason("db", "True", "SecretSynced").await?;
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_scheduled_for_deletion_counts_as_missing() -> Result<()> {
    let scene = Scene::new("soft-deleted").await?;
    scene.put("db", &value("x"));
    scene.put("kept", &value("y"));
    scene.synced("db", json!({"target": {"deletionPolicy": "Delete"}})).await?;
    scene.synced("kept", json!({})).await?;

    for name in ["db", "kept"] {
        scene.env.aws.schedule_deletion(&scene.remote(name));
        scene.force(name, "1").await?;
    }

    scene.gone("Secret", "db").await?;
    scene.reason("db", "True", "SecretDeleted").await?;
    scene.fails("kept", "does not exist").await?;
    scene.holds("kept", &value("y")).await?;

    scene.env.aws.restore(&scene.remote("db"));
    scene.force("db", "2").await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn one_answer_that_nothing_is_there_deletes_no_secret() -> Result<()> {
    let scene = Scene::new("flicker").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({"target": {"deletionPolicy": "Delete"}})).await?;
    let uid = scene.get("Secret", "db").await?.expect("a Secret")["metadata"]["uid"].clone();
    let reads = scene.reads("db");

    // Missing for one read only.
    scene.env.aws.remove(&scene.remote("db"));
    scene.force("db", "1").await?;
    eventually(SOON, "the read", || async {
        if scene.reads("db") > reads { Ok(()) } else { Err("none") }
    })
    .await?;
    scene.put("db", &value("x"));

    scene.reason("db", "True", "SecretSynced").await?;
    eventually(SOON, "the second reconcile", || async {
        if scene.reads("db") > reads + 1 { Ok(()) } else { Err("none") }
    })
    .await?;
    scene.settle().await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(secret["metadata"]["uid"], uid);
    Ok(())
}

#[tokio::test]
async fn merge_removes_our_keys_and_keeps_the_secret() -> Result<()> {
    let scene = Scene::new("delete-merge").await?;
    scene.put("own", &value("x"));
    scene.put("shared", &value("y"));
    scene.synced("own", json!({"target": {"deletionPolicy": "Merge"}})).await?;
    scene
        .create(json!({"kind": "Secret", "metadata": {"name": "shared"},
            "stringData": {"foreign": "kept"}}))
        .await?;
    let target = json!({"creationPolicy": "Merge", "deletionPolicy": "Merge"});
    scene.synced("shared", json!({"target": target})).await?;
    scene.data_is("shared", json!({"foreign": "kept", "value": value("y")})).await?;

    for name in ["own", "shared"] {
        scene.env.aws.remove(&scene.remote(name));
        scene.force(name, "1").await?;
    }

    scene.data_is("own", json!({})).await?;
    scene.data_is("shared", json!({"foreign": "kept"})).await?;
    scene.reason("own", "True", "SecretSynced").await?;
    scene.reason("shared", "True", "SecretSynced").await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_lost_disappears_alone() -> Result<()> {
    let scene = Scene::new("partial").await?;
    scene.put("a", &value("a"));
    scene.put("b", &value("b"));
    let data = json!([scene.entry("a", "a"), scene.entry("b", "b")]);
    scene.synced("db", json!({"data": data, "target": {"deletionPolicy": "Delete"}})).await?;

    scene.env.aws.remove(&scene.remote("b"));
    scene.force("db", "1").await?;

    scene.data_is("db", json!({"a": value("a")})).await?;
    assert!(scene.event("db", "MissingProviderSecret").await?.contains("data[1]"));
    scene.reason("db", "True", "SecretSynced").await?;
    Ok(())
}

#[tokio::test]
async fn a_lost_source_deletes_no_secret_of_somebody_else() -> Result<()> {
    let scene = Scene::new("delete-foreign").await?;
    let foreign = |name: &str| json!({"kind": "Secret", "metadata": {"name": name}, "stringData": {"a": "kept"}});
    let spec = json!({"refreshInterval": "1s", "target": {"deletionPolicy": "Delete"}});
    // There before, and made while the source is looked for again and again.
    scene.create(foreign("before")).await?;
    scene.create(scene.external("before", spec.clone())).await?;
    scene.create(scene.external("after", spec)).await?;
    eventually(SOON, "the source is looked for", || async {
        if scene.reads("after") >= 3 { Ok(()) } else { Err("not yet") }
    })
    .await?;
    scene.create(foreign("after")).await?;

    for name in ["before", "after"] {
        scene.fails(name, "was not made by this ExternalSecret").await?;
        scene.force(name, "1").await?;
    }
    scene.settle().await?;
    for name in ["before", "after"] {
        scene.data_is(name, json!({"a": "kept"})).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_policy_that_needs_ownership_is_refused_under_orphan_when_it_matters()
-> Result<()> {
    let scene = Scene::new("delete-orphan").await?;
    scene.put("db", &value("x"));
    let target = json!({"creationPolicy": "Orphan", "deletionPolicy": "Delete"});
    scene.synced("db", json!({"target": target})).await?;
    scene.env.aws.remove(&scene.remote("db"));
    scene.force("db", "1").await?;

    scene.fails("db", "could not delete secret").await?;
    scene.holds("db", &value("x")).await
}
