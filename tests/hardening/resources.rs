//! Scenario 4: a quota cannot strangle a namespace.

use serde_json::json;
use support::{Result, audit};

use crate::scene::{Scene, merge, pod};

fn sections() -> serde_json::Value {
    json!({"resources": {
        "quota": {"hard": {"limits.memory": "64Gi"}},
        "containerDefaults": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
    }})
}

#[tokio::test]
async fn a_quota_waits_until_usage_allows_it_and_comes_after_the_defaults() -> Result<()> {
    let scene = Scene::new("strangled").await?;
    let cluster = &scene.cluster;
    cluster.until("ServiceAccount", "strangled", "default", |_| Ok(())).await?;
    for (name, memory) in [("a", "50Gi"), ("b", "30Gi")] {
        let resources = json!({"limits": {"memory": memory}});
        cluster.create(pod("strangled", name, resources)).await?;
    }
    cluster.create(pod("strangled", "unlimited", json!({}))).await?;
    scene.create_namespace("strangled-not", json!({})).await?;

    scene.baseline("strangled", sections()).await?;

    let status = scene.effective_says("strangled", "False", "QuotaBelowUsage").await?;
    assert_eq!(status["held"], json!(["Held: QuotaBelowUsage limits.memory used=80Gi hard=64Gi"]));
    assert_eq!(cluster.get("ResourceQuota", "strangled", "gabion-quota").await?, None);
    assert!(cluster.get("LimitRange", "strangled", "gabion-limits").await?.is_some());
    // Others go on, and the baseline says where it is held.
    scene.hardened("strangled-not", &["strangled"]).await?;
    let ready = scene.baseline_says("strangled", "Ready", "False", "Held").await?;
    assert_eq!(ready["message"], "Something is held back in 1 of 2 namespaces.");
    let object = cluster.get("HardeningBaseline", "", "strangled").await?.unwrap_or_default();
    assert_eq!(object["status"]["namespaces"]["held"], 1);

    cluster.delete("Pod", "strangled", "b").await?;
    scene.hardened("strangled", &["strangled"]).await?;

    let quota = cluster.get("ResourceQuota", "strangled", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"], json!({"limits.memory": "64Gi"}));
    scene.baseline_says("strangled", "Ready", "True", "Applied").await?;
    // A pod that states nothing has the defaults filled in; the quota alone would refuse it.
    let filled = cluster.create(pod("strangled", "plain", json!({}))).await?;
    let wanted = json!({
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    });
    assert_eq!(filled["spec"]["containers"][0]["resources"], wanted);
    Ok(())
}

#[tokio::test]
async fn the_defaults_come_before_the_quota_and_go_after_it() -> Result<()> {
    let scene = Scene::new("both").await?;
    scene.baseline("both", sections()).await?;
    scene.hardened("both", &["both"]).await?;
    scene.take_back("both").await?;
    scene.bare("both").await?;

    let all = audit::requests(scene.env.plane());
    let steps: Vec<String> = all
        .iter()
        .filter(|request| {
            request.namespace == "both"
                && matches!(request.resource.as_str(), "resourcequotas" | "limitranges")
                && matches!(request.verb.as_str(), "create" | "update" | "delete")
        })
        .map(audit::Request::text)
        .collect();
    let wanted = [
        "create limitranges gabion-limits",
        "create resourcequotas gabion-quota",
        "delete resourcequotas gabion-quota",
        "delete limitranges gabion-limits",
    ];
    assert_eq!(steps, wanted);
    Ok(())
}

#[tokio::test]
async fn a_quota_in_force_is_not_lowered_below_usage() -> Result<()> {
    let scene = Scene::new("lowered").await?;
    let cluster = &scene.cluster;
    scene.baseline("lowered", sections()).await?;
    scene.hardened("lowered", &["lowered"]).await?;
    cluster.until("ServiceAccount", "lowered", "default", |_| Ok(())).await?;
    cluster.create(pod("lowered", "a", json!({"limits": {"memory": "32Gi"}}))).await?;

    let mut lower = sections();
    merge(&mut lower["resources"]["quota"]["hard"], json!({"limits.memory": "16Gi"}));
    scene.change("lowered", lower).await?;

    scene.effective_says("lowered", "False", "QuotaBelowUsage").await?;
    let quota = cluster.get("ResourceQuota", "lowered", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"], json!({"limits.memory": "64Gi"}));
    Ok(())
}
