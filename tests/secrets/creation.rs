//! Contract 2.6: who creates the Secret, who owns it, and what becomes of it.

use serde_json::{Value, json};
use support::Result;

use crate::scene::{Scene, value};

const MANAGED: &str = "reconcile.external-secrets.io/managed";
const CREATED_BY: &str = "reconcile.external-secrets.io/created-by";

fn policy(creation: &str) -> Value {
    json!({"target": {"creationPolicy": creation}})
}

fn user_secret(name: &str) -> Value {
    json!({"kind": "Secret", "metadata": {"name": name}, "stringData": {"foreign": "kept"}})
}

#[tokio::test]
async fn owner_creates_owns_and_leaves_the_rest_to_the_garbage_collector() -> Result<()> {
    let scene = Scene::new("owner").await?;
    scene.put("db", &value("x"));
    let object = scene.synced("db", policy("Owner")).await?;

    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    let owner = &secret["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], object["metadata"]["uid"]);
    assert_eq!((&owner["controller"], &owner["blockOwnerDeletion"]), (&json!(true), &json!(true)));
    assert_eq!(secret["metadata"]["labels"][MANAGED], "true");
    assert!(secret["metadata"]["labels"][CREATED_BY].is_string());
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(object["status"]["binding"]["name"], "db");

    scene.delete("ExternalSecret", "db").await?;
    scene.gone("Secret", "db").await
}

#[tokio::test]
async fn orphan_creates_and_outlives_its_external_secret() -> Result<()> {
    let scene = Scene::new("orphan").await?;
    scene.put("db", &value("x"));
    scene.synced("db", policy("Orphan")).await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert!(secret["metadata"]["ownerReferences"].is_null());
    assert_eq!(secret["metadata"]["labels"][MANAGED], "true");
    assert!(secret["metadata"]["labels"][CREATED_BY].is_null());

    scene.delete("ExternalSecret", "db").await?;
    scene.gone("ExternalSecret", "db").await?;
    scene.settle().await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn orphan_under_created_once_is_not_made_again() -> Result<()> {
    let scene = Scene::new("orphan-once").await?;
    scene.put("db", &value("x"));
    let spec = json!({"refreshPolicy": "CreatedOnce", "target": {"creationPolicy": "Orphan"}});
    scene.synced("db", spec).await?;

    scene.delete("Secret", "db").await?;
    scene.settle().await?;
    assert_eq!(scene.data("db").await?, None);
    Ok(())
}

#[tokio::test]
async fn create_or_merge_creates_recreates_and_leaves_the_secret_behind() -> Result<()> {
    let scene = Scene::new("create-or-merge").await?;
    scene.put("db", &value("x"));
    scene.synced("db", policy("CreateOrMerge")).await?;
    scene.holds("db", &value("x")).await?;
    let first = scene.get("Secret", "db").await?.expect("a Secret");
    assert!(first["metadata"]["ownerReferences"].is_null());

    scene.delete("Secret", "db").await?;
    scene.holds("db", &value("x")).await?;

    scene.delete("ExternalSecret", "db").await?;
    scene.gone("ExternalSecret", "db").await?;
    scene.settle().await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn merging_policies_keep_foreign_keys_and_drop_their_own_when_they_are_gone() -> Result<()> {
    let scene = Scene::new("merging").await?;
    scene.put("one", &value("1"));
    scene.put("two", &value("2"));
    for name in ["merge", "create-or-merge"] {
        let creation = if name == "merge" { "Merge" } else { "CreateOrMerge" };
        scene.create(user_secret(name)).await?;
        let data = json!([scene.entry("one", "one"), scene.entry("two", "two")]);
        scene.synced(name, json!({"target": {"creationPolicy": creation}, "data": data})).await?;
        let all = json!({"foreign": "kept", "one": value("1"), "two": value("2")});
        scene.data_is(name, all).await?;

        let data = json!([scene.entry("two", "two")]);
        scene.patch("ExternalSecret", name, json!({"spec": {"data": data}})).await?;
        scene.data_is(name, json!({"foreign": "kept", "two": value("2")})).await?;

        scene.delete("ExternalSecret", name).await?;
        scene.gone("ExternalSecret", name).await?;
        scene.settle().await?;
        scene.data_is(name, json!({"foreign": "kept", "two": value("2")})).await?;
        let secret = scene.get("Secret", name).await?.expect("a Secret");
        assert!(secret["metadata"]["ownerReferences"].is_null());
    }
    Ok(())
}

#[tokio::test]
async fn merge_waits_for_a_secret_and_fills_it_as_soon_as_it_is_there() -> Result<()> {
    let scene = Scene::new("merge-missing").await?;
    scene.put("db", &value("x"));
    scene.create(scene.external("db", policy("Merge"))).await?;
    let object = scene.reason("db", "True", "SecretMissing").await?;
    assert_eq!(
        crate::scene::ready_of(&object)["message"],
        "secret will not be created due to CreationPolicy=Merge"
    );
    assert_eq!(scene.data("db").await?, None);

    scene.create(user_secret("db")).await?;

    scene.data_is("db", json!({"foreign": "kept", "value": value("x")})).await?;
    scene.reason("db", "True", "SecretSynced").await?;
    Ok(())
}

#[tokio::test]
async fn none_reads_and_writes_and_labels_nothing() -> Result<()> {
    let scene = Scene::new("none").await?;
    scene.put("db", &value("x"));
    scene.put("absent", &value("x"));
    let before = scene.create(user_secret("db")).await?;

    scene.create(scene.external("db", policy("None"))).await?;
    scene.create(scene.external("absent", policy("None"))).await?;

    scene.reason("db", "True", "SecretSynced").await?;
    let object = scene.reason("absent", "True", "SecretSynced").await?;
    assert!(object["status"]["binding"].is_null());
    assert!(scene.reads("db") > 0 && scene.reads("absent") > 0);
    scene.settle().await?;
    let after = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    assert_eq!(scene.data("absent").await?, None);
    assert_eq!(scene.requests().iter().filter(|r| r.is_secret_read() && r.name == "db").count(), 0);
    Ok(())
}

#[tokio::test]
async fn switching_from_owner_to_orphan_gives_ownership_up() -> Result<()> {
    let scene = Scene::new("switch").await?;
    scene.put("db", &value("x"));
    scene.synced("db", policy("Owner")).await?;

    scene.patch("ExternalSecret", "db", json!({"spec": policy("Orphan")})).await?;
    scene.ready("db").await?;

    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert!(secret["metadata"]["ownerReferences"].is_null());
    assert!(secret["metadata"]["labels"][CREATED_BY].is_null());
    scene.delete("ExternalSecret", "db").await?;
    scene.gone("ExternalSecret", "db").await?;
    scene.settle().await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn a_renamed_target_moves_and_the_old_secret_goes() -> Result<()> {
    let scene = Scene::new("rename").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({"target": {"name": "first"}})).await?;
    scene.holds("first", &value("x")).await?;

    scene.patch("ExternalSecret", "db", json!({"spec": {"target": {"name": "second"}}})).await?;

    scene.holds("second", &value("x")).await?;
    scene.gone("Secret", "first").await?;
    assert!(scene.event("db", "Deleted").await?.contains("orphaned"));
    assert_eq!(scene.ready("db").await?["status"]["binding"]["name"], "second");
    Ok(())
}

#[tokio::test]
async fn a_renamed_target_of_another_policy_leaves_the_old_secret() -> Result<()> {
    let scene = Scene::new("rename-orphan").await?;
    scene.put("db", &value("x"));
    let target = |name: &str| json!({"target": {"name": name, "creationPolicy": "Orphan"}});
    scene.synced("db", target("first")).await?;

    scene.patch("ExternalSecret", "db", json!({"spec": target("second")})).await?;

    scene.holds("second", &value("x")).await?;
    scene.settle().await?;
    scene.holds("first", &value("x")).await
}

#[tokio::test]
async fn several_merge_into_one_secret_each_with_its_own_keys() -> Result<()> {
    let scene = Scene::new("merge-many").await?;
    scene.create(user_secret("shared")).await?;
    for name in ["a", "b", "c"] {
        scene.put(name, &value(name));
        let target = json!({"name": "shared", "creationPolicy": "Merge"});
        let data = json!([scene.entry(name, name)]);
        scene.create(scene.external(name, json!({"target": target, "data": data}))).await?;
    }
    let all = |b: &str| json!({"foreign": "kept", "a": value("a"), "b": value(b), "c": value("c")});
    scene.data_is("shared", all("b")).await?;
    for name in ["a", "b", "c"] {
        scene.ready(name).await?;
    }

    scene.put("b", &value("b2"));
    scene.force("b", "1").await?;
    scene.data_is("shared", all("b2")).await?;

    // They come to rest.
    scene.settle().await?;
    let writes = || scene.requests().iter().filter(|r| r.is_write() && r.name == "shared").count();
    let before = writes();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(writes(), before);
    scene.data_is("shared", all("b2")).await
}

#[tokio::test]
async fn two_that_merge_the_same_key_come_to_rest_with_the_last_one() -> Result<()> {
    let scene = Scene::new("merge-same").await?;
    scene.create(user_secret("shared")).await?;
    for name in ["a", "b"] {
        scene.put(name, &value(name));
        let target = json!({"name": "shared", "creationPolicy": "Merge"});
        let data = json!([scene.entry("key", name)]);
        scene.synced(name, json!({"target": target, "data": data})).await?;
        scene.data_is("shared", json!({"foreign": "kept", "key": value(name)})).await?;
    }
    scene.settle().await?;
    let writes = || scene.requests().iter().filter(|r| r.is_write() && r.name == "shared").count();
    let before = writes();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(writes(), before, "they fight");
    Ok(())
}

#[tokio::test]
async fn an_immutable_secret_is_written_once_and_made_again_when_deleted() -> Result<()> {
    let scene = Scene::new("immutable").await?;
    scene.put("db", &value("old"));
    scene.synced("db", json!({"target": {"immutable": true}})).await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(secret["immutable"], true);

    scene.put("db", &value("new"));
    scene.force("db", "1").await?;
    scene.settle().await?;
    scene.ready("db").await?;
    scene.holds("db", &value("old")).await?;

    scene.delete("Secret", "db").await?;
    scene.holds("db", &value("new")).await
}

#[tokio::test]
async fn a_secret_that_somebody_made_immutable_is_reported() -> Result<()> {
    let scene = Scene::new("frozen").await?;
    scene.put("db", &value("old"));
    scene.synced("db", json!({})).await?;
    scene.patch("Secret", "db", json!({"immutable": true})).await?;
    scene.put("db", &value("new"));
    scene.force("db", "1").await?;

    scene.fails("db", "could not update secret, target is immutable").await?;
    scene.holds("db", &value("old")).await?;

    scene.delete("Secret", "db").await?;
    scene.holds("db", &value("new")).await?;
    scene.ready("db").await?;
    Ok(())
}

#[tokio::test]
async fn labels_and_annotations_are_copied_and_pruned_and_stamps_are_not() -> Result<()> {
    let scene = Scene::new("copied").await?;
    // With 40 characters, External Secrets Operator never prunes.
    let name = "a-name-of-forty-characters-for-this-test";
    scene.put(name, &value("x"));
    let mut object = scene.external(name, json!({}));
    object["metadata"]["labels"] = json!({"team": "shop", "tier": "1"});
    object["metadata"]["annotations"] = json!({
        "note": "n", "force-sync": "1", "argocd.argoproj.io/tracking-id": "t",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    });
    scene.create(object).await?;
    scene.ready(name).await?;
    let meta = |secret: Option<Value>| secret.expect("a Secret")["metadata"].clone();
    let first = meta(scene.get("Secret", name).await?);
    assert_eq!((&first["labels"]["team"], &first["labels"]["tier"]), (&json!("shop"), &json!("1")));
    let notes = first["annotations"].as_object().expect("annotations");
    assert_eq!(notes["note"], "n");
    assert_eq!(notes.len(), 2, "{notes:?}");

    // Foreign ones stay, ours go.
    scene.patch("Secret", name, json!({"metadata": {"labels": {"foreign": "f"}}})).await?;
    let change = json!({"metadata": {"labels": {"tier": null}, "annotations": {"note": null}}});
    scene.patch("ExternalSecret", name, change).await?;
    support::eventually(support::SOON, "the label goes", || async {
        let labels = meta(scene.get("Secret", name).await?)["labels"].clone();
        if labels["tier"].is_null() { Ok(labels) } else { Err(support::Failure::new("there")) }
    })
    .await?;
    let last = meta(scene.get("Secret", name).await?);
    assert_eq!(
        (&last["labels"]["team"], &last["labels"]["foreign"]),
        (&json!("shop"), &json!("f"))
    );
    assert!(last["annotations"]["note"].is_null());
    Ok(())
}

/// The status may be known later than the Secret: then it must not look as if it had to be written once more.
#[tokio::test]
async fn an_immutable_secret_that_is_read_once_never_fails_after_its_creation() -> Result<()> {
    let scene = Scene::new("immutable-once").await?;
    for nth in 0..20 {
        let name = format!("once-{nth}");
        scene.put(&name, &value("x"));
        let spec = json!({"refreshInterval": "0", "target": {"immutable": true}});
        scene.create(scene.external(&name, spec)).await?;
    }
    for nth in 0..20 {
        scene.ready(&format!("once-{nth}")).await?;
    }
    scene.settle().await?;
    let events = scene.list("Event").await?;
    let failed: Vec<_> = events.iter().filter(|event| event["reason"] == "UpdateFailed").collect();
    assert!(failed.is_empty(), "{failed:?}");
    for nth in 0..20 {
        let name = format!("once-{nth}");
        assert_eq!(scene.condition("ExternalSecret", &name).await?["status"], "True", "{name}");
        assert_eq!(scene.reads(&name), 1, "{name}");
    }
    Ok(())
}
