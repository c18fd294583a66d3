//! Contract 2.9: what an ExternalSecret says about itself.

use serde_json::{Value, json};
use support::Result;

use crate::scene::{Scene, ready_of, value};

#[tokio::test]
async fn a_synced_object_says_what_dashboards_know() -> Result<()> {
    let scene = Scene::new("says-synced").await?;
    scene.put("db", &value("x"));
    let object = scene.synced("db", json!({})).await?;

    let ready = ready_of(&object);
    assert_eq!(
        (&ready["status"], &ready["reason"], &ready["message"]),
        (&json!("True"), &json!("SecretSynced"), &json!("secret synced"))
    );
    assert_eq!(ready["observedGeneration"], 1);
    let status = &object["status"];
    assert_eq!(status["binding"], json!({"name": "db"}));
    let version = status["syncedResourceVersion"].as_str().expect("a version");
    let (generation, hash) = version.split_once('-').expect("generation and hash");
    assert_eq!((generation, hash.len()), ("1", 56));
    let time = status["refreshTime"].as_str().expect("a time");
    assert!(time.ends_with('Z') && !time.contains('.'), "seconds only: {time}");
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(
        status["gabion"]["target"],
        json!({"uid": secret["metadata"]["uid"],
            "resourceVersion": secret["metadata"]["resourceVersion"]})
    );
    Ok(())
}

#[tokio::test]
async fn the_columns_of_kubectl_show_store_interval_and_state() -> Result<()> {
    let scene = Scene::new("says-columns").await?;
    scene.put("db", &value("x"));
    let store = json!({"name": "aws", "kind": "SecretStore"});
    scene.synced("db", json!({"secretStoreRef": store})).await?;

    let shown = scene.env.plane().kubectl(&["get", "es", "-n", &scene.ns])?;

    for word in ["STORETYPE", "SecretStore", "aws", "1h", "SecretSynced", "True"] {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    let stores = scene.env.plane().kubectl(&["get", "ss", "-n", &scene.ns])?;
    assert!(stores.contains("Valid") && stores.contains("True"), "{stores}");
    Ok(())
}

#[tokio::test]
async fn reports_4_an_object_with_a_long_name_has_events() -> Result<()> {
    let scene = Scene::new("long-names").await?;
    for length in [236, 237, 240, 253] {
        let name = "n".repeat(length);
        let mut object = scene.external(&name, json!({"target": {"name": "made"}}));
        object["spec"]["data"] = json!([scene.entry("value", "absent")]);
        scene.create(object).await?;
        let note = scene.event(&name, "UpdateFailed").await?;
        assert!(note.contains("long-names/absent"), "{length}: {note}");
    }
    let refused = scene.requests().into_iter().filter(|request| request.code == 422);
    assert_eq!(refused.map(|request| request.text()).collect::<Vec<_>>(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_failure_says_the_cause_the_object_and_what_happens_next() -> Result<()> {
    let scene = Scene::new("says-failure").await?;
    scene.create(scene.external("db", json!({}))).await?;

    let message = scene.fails("db", "").await?;

    assert!(message.starts_with("could not get secret data from provider: "), "{message}");
    assert!(message.contains("data[0]") && message.contains("says-failure/db"), "{message}");
    assert!(message.ends_with("it is tried again by itself"), "{message}");
    let object = scene.reason("db", "False", "SecretSyncedError").await?;
    assert!(object["status"]["refreshTime"].is_null());
    assert!(object["status"]["syncedResourceVersion"].is_null());
    let note = scene.event("db", "UpdateFailed").await?;
    assert_eq!(note, message);
    Ok(())
}

#[tokio::test]
async fn a_failure_keeps_what_is_known_of_the_last_success() -> Result<()> {
    let scene = Scene::new("says-last").await?;
    scene.put("db", &value("x"));
    let good = scene.synced("db", json!({})).await?;
    scene.env.aws.remove(&scene.remote("db"));
    scene.force("db", "1").await?;

    scene.fails("db", "does not exist").await?;

    let bad = scene.get("ExternalSecret", "db").await?.expect("the object");
    for field in ["refreshTime", "syncedResourceVersion", "binding", "gabion"] {
        assert_eq!(good["status"][field], bad["status"][field], "{field}");
    }
    Ok(())
}

#[tokio::test]
async fn the_transition_time_moves_only_when_the_status_flips() -> Result<()> {
    let scene = Scene::new("says-time").await?;
    scene.put("db", &value("x"));
    let since = |object: &Value| ready_of(object)["lastTransitionTime"].clone();
    let first = scene.synced("db", json!({})).await?;
    support::next_second().await;

    // Another success: the same time.
    let change = json!({"spec": {"target": {"immutable": false}}});
    scene.patch("ExternalSecret", "db", change).await?;
    let second = scene.ready("db").await?;
    assert_eq!(since(&first), since(&second));

    // Failure after failure with another message: the same time again.
    scene.env.aws.remove(&scene.remote("db"));
    scene.force("db", "1").await?;
    scene.fails("db", "does not exist").await?;
    let third = scene.get("ExternalSecret", "db").await?.expect("the object");
    assert_ne!(since(&second), since(&third));
    support::next_second().await;
    let store = json!({"spec": {"secretStoreRef": {"name": "absent"}}});
    scene.patch("ExternalSecret", "db", store).await?;
    scene.fails("db", "SecretStore \"absent\"").await?;
    let fourth = scene.get("ExternalSecret", "db").await?.expect("the object");
    assert_eq!(since(&third), since(&fourth));
    Ok(())
}

#[tokio::test]
async fn a_new_secret_and_a_rotation_are_events_and_an_unchanged_refresh_is_none() -> Result<()> {
    let scene = Scene::new("says-events").await?;
    scene.put("db", &value("old"));
    scene.synced("db", json!({})).await?;
    scene.settle().await?;
    let events = |scene: &Scene<'_>| {
        let kubectl = scene.env.plane().kubectl(&[
            "get",
            "events",
            "-n",
            &scene.ns,
            "--field-selector=involvedObject.name=db",
            "-o=jsonpath={.items[*].reason}",
        ]);
        kubectl.expect("events")
    };
    let about = scene.event("db", "Created").await?;
    assert_eq!(about, "Secret \"db\" created");
    scene.event("aws", "Valid").await?;
    assert_eq!(events(&scene), "Created");

    scene.force("db", "1").await?;
    scene.settle().await?;
    assert_eq!(events(&scene), "Created");

    scene.put("db", &value("new"));
    scene.force("db", "2").await?;
    scene.event("db", "Updated").await?;
    Ok(())
}

#[tokio::test]
async fn a_new_object_costs_two_writes_and_no_read() -> Result<()> {
    let scene = Scene::new("says-cost").await?;
    scene.put("db", &value("x"));
    scene.settle().await?;
    scene.synced("db", json!({})).await?;
    scene.settle().await?;

    let about: Vec<_> = scene.requests().into_iter().filter(|r| r.name == "db").collect();

    let short: Vec<_> = about.iter().map(|r| (r.verb.as_str(), r.resource.as_str())).collect();
    assert_eq!(short, [("create", "secrets"), ("patch", "externalsecrets/status")]);
    Ok(())
}
