//! Contract 2.2: when an ExternalSecret is read again.

use serde_json::json;
use support::Result;

use crate::scene::{Scene, value};

#[tokio::test]
async fn a_rotated_value_arrives_with_the_next_periodic_refresh() -> Result<()> {
    let scene = Scene::new("periodic").await?;
    scene.put("db", &value("old"));
    let before = scene.synced("db", json!({"refreshInterval": "1s"})).await?;
    scene.holds("db", &value("old")).await?;

    scene.put("db", &value("new"));

    scene.holds("db", &value("new")).await?;
    let after = scene.says("ExternalSecret", "db", |_| true).await?;
    assert!(
        before["status"]["refreshTime"].is_string() && after["status"]["refreshTime"].is_string()
    );
    Ok(())
}

#[tokio::test]
async fn an_unchanged_refresh_reads_the_provider_and_writes_nothing() -> Result<()> {
    let scene = Scene::new("unchanged").await?;
    scene.put("db", &value("same"));
    scene.synced("db", json!({"refreshInterval": "1s"})).await?;
    let (writes, reads) = (writes(&scene), scene.reads("db"));

    support::eventually(support::SOON, "three refreshes", || async {
        if scene.reads("db") >= reads + 3 { Ok(()) } else { Err("not yet") }
    })
    .await?;

    assert_eq!(self::writes(&scene), writes, "{:?}", scene.requests());
    assert_eq!(scene.requests().iter().filter(|r| r.is_secret_read() && r.name == "db").count(), 0);
    Ok(())
}

#[tokio::test]
async fn interval_zero_reads_once_and_still_honours_a_forced_refresh_and_an_edit() -> Result<()> {
    let scene = Scene::new("zero").await?;
    scene.put("db", &value("old"));
    scene.put("other", &value("other"));
    for (name, interval) in [("db", "0"), ("db-seconds", "0s")] {
        let data = json!([scene.entry("value", "db")]);
        scene.synced(name, json!({"refreshInterval": interval, "data": data})).await?;
    }
    scene.put("db", &value("new"));
    scene.settle().await?;
    scene.holds("db", &value("old")).await?;

    for name in ["db", "db-seconds"] {
        scene.force(name, "now").await?;
        scene.holds(name, &value("new")).await?;
    }

    let data = json!([scene.entry("value", "other")]);
    scene.patch("ExternalSecret", "db", json!({"spec": {"data": data}})).await?;
    scene.holds("db", &value("other")).await
}

#[tokio::test]
async fn created_once_ignores_intervals_edits_and_force_but_not_a_lost_secret() -> Result<()> {
    let scene = Scene::new("once").await?;
    scene.put("db", &value("old"));
    scene.synced("db", json!({"refreshPolicy": "CreatedOnce", "refreshInterval": "1s"})).await?;
    let reads = scene.reads("db");
    scene.put("db", &value("new"));

    scene.force("db", "now").await?;
    let change = json!({"spec": {"target": {"deletionPolicy": "Delete"}}});
    scene.patch("ExternalSecret", "db", change).await?;
    scene.settle().await?;
    scene.intervals(2).await?;
    scene.holds("db", &value("old")).await?;
    assert_eq!(scene.reads("db"), reads);

    scene.delete("Secret", "db").await?;
    scene.holds("db", &value("new")).await
}

#[tokio::test]
async fn on_change_follows_edits_and_annotations_and_no_interval() -> Result<()> {
    let scene = Scene::new("on-change").await?;
    scene.put("db", &value("one"));
    scene.synced("db", json!({"refreshPolicy": "OnChange", "refreshInterval": "1s"})).await?;
    let reads = scene.reads("db");
    scene.put("db", &value("two"));
    scene.settle().await?;
    scene.intervals(2).await?;
    assert_eq!(scene.reads("db"), reads);

    scene.force("db", "now").await?;
    scene.holds("db", &value("two")).await?;

    scene.put("db", &value("three"));
    let label = json!({"metadata": {"labels": {"team": "shop"}}});
    scene.patch("ExternalSecret", "db", label).await?;
    scene.holds("db", &value("three")).await?;

    scene.put("db", &value("four"));
    let change = json!({"spec": {"target": {"deletionPolicy": "Delete"}}});
    scene.patch("ExternalSecret", "db", change).await?;
    scene.holds("db", &value("four")).await
}

#[tokio::test]
async fn an_edit_is_seen_at_once_whatever_the_interval() -> Result<()> {
    let scene = Scene::new("edit").await?;
    scene.put("db", &value("a"));
    scene.put("more", &value("b"));
    let before = scene.synced("db", json!({})).await?;

    let data = json!([scene.entry("value", "db"), scene.entry("more", "more")]);
    scene.patch("ExternalSecret", "db", json!({"spec": {"data": data}})).await?;

    scene.data_is("db", json!({"value": value("a"), "more": value("b")})).await?;
    let after = scene.ready("db").await?;
    let version = |object: &serde_json::Value| object["status"]["syncedResourceVersion"].clone();
    assert_ne!(version(&before), version(&after));
    assert!(version(&after).as_str().is_some_and(|text| text.starts_with("2-")), "{after}");
    Ok(())
}

fn writes(scene: &Scene<'_>) -> usize {
    scene.requests().iter().filter(|r| r.is_write() && r.name == "db").count()
}
