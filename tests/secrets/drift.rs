//! Contract 2.3: a Secret that somebody changes is as it was a moment later.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, eventually};

use crate::scene::{Scene, value};

const MANAGED: &str = "reconcile.external-secrets.io/managed";

#[tokio::test]
async fn edited_data_is_put_right() -> Result<()> {
    let scene = Scene::new("drift-edit").await?;
    scene.put("db", &value("x"));
    for (name, policy) in [("owner", "Owner"), ("merge", "CreateOrMerge")] {
        let data = json!([scene.entry("value", "db")]);
        let spec = json!({"target": {"creationPolicy": policy}, "data": data});
        scene.synced(name, spec).await?;

        let change = json!({"stringData": {"value": "tampered"}});
        scene.patch("Secret", name, change).await?;
        scene.holds(name, &value("x")).await?;

        scene.patch("Secret", name, json!({"data": {"value": null}})).await?;
        scene.holds(name, &value("x")).await?;
        scene.ready(name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_key_goes_under_owner_and_stays_under_a_merging_policy() -> Result<()> {
    let scene = Scene::new("drift-foreign").await?;
    scene.put("db", &value("x"));
    let data = json!([scene.entry("value", "db")]);
    scene.synced("own", json!({"data": data})).await?;
    let target = json!({"creationPolicy": "CreateOrMerge"});
    scene.synced("shared", json!({"data": data, "target": target})).await?;

    for name in ["own", "shared"] {
        scene.patch("Secret", name, json!({"stringData": {"foreign": "f"}})).await?;
    }

    scene.data_is("own", json!({"value": value("x")})).await?;
    scene.settle().await?;
    scene.data_is("shared", json!({"value": value("x"), "foreign": "f"})).await
}

#[tokio::test]
async fn a_deleted_secret_is_back_at_once() -> Result<()> {
    let scene = Scene::new("drift-delete").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    let uid = |secret: Option<Value>| secret.map(|secret| secret["metadata"]["uid"].clone());
    let before = uid(scene.get("Secret", "db").await?);

    scene.delete("Secret", "db").await?;

    eventually(SOON, "another Secret", || async {
        let now = uid(scene.get("Secret", "db").await?);
        if now.is_some() && now != before { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn stripped_marks_are_put_back_even_with_an_edit_in_the_same_write() -> Result<()> {
    let scene = Scene::new("drift-label").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;

    let strip = json!({"metadata": {"labels": null}});
    scene.patch("Secret", "db", strip).await?;
    labelled(&scene).await?;

    let both = json!({"metadata": {"labels": null, "annotations": null},
        "stringData": {"value": "tampered"}});
    scene.patch("Secret", "db", both).await?;
    scene.holds("db", &value("x")).await?;
    labelled(&scene).await?;
    scene.ready("db").await?;
    Ok(())
}

#[tokio::test]
async fn a_repair_brings_the_present_value() -> Result<()> {
    let scene = Scene::new("drift-new").await?;
    scene.put("db", &value("old"));
    scene.synced("db", json!({"refreshInterval": "0"})).await?;
    scene.put("db", &value("new"));

    scene.patch("Secret", "db", json!({"stringData": {"value": "tampered"}})).await?;

    scene.holds("db", &value("new")).await
}

#[tokio::test]
async fn an_edit_that_changes_nothing_of_ours_costs_no_write() -> Result<()> {
    let scene = Scene::new("drift-none").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    let (reads, writes) = (scene.reads("db"), writes(&scene));

    scene.patch("Secret", "db", json!({"metadata": {"labels": {"team": "shop"}}})).await?;
    scene.settle().await?;

    assert_eq!((scene.reads("db"), self::writes(&scene)), (reads, writes));
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert_eq!(secret["metadata"]["labels"]["team"], "shop");
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_tampered_with_while_the_provider_is_away_is_repaired_when_it_is_back()
-> Result<()> {
    let scene = Scene::new("drift-outage").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    let key = scene.access_key.clone();
    scene.env.aws.fault_of_key(&key, Some(support::secrets_manager::Fault::Broken));

    scene.patch("Secret", "db", json!({"stringData": {"value": "tampered"}})).await?;
    scene.fails("db", "could not get secret data from provider").await?;
    scene.env.aws.fault_of_key(&key, None);

    scene.holds("db", &value("x")).await?;
    scene.ready("db").await?;
    Ok(())
}

async fn labelled(scene: &Scene<'_>) -> Result<()> {
    eventually(SOON, "the label is back", || async {
        let secret = scene.get("Secret", "db").await?.unwrap_or_default();
        if secret["metadata"]["labels"][MANAGED] == "true" {
            Ok(())
        } else {
            Err(Failure::new(format!("{}", secret["metadata"]["labels"])))
        }
    })
    .await
}

fn writes(scene: &Scene<'_>) -> usize {
    scene.requests().iter().filter(|r| r.is_write() && r.name == "db").count()
}
