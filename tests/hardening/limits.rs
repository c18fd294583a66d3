//! Baselines at and above what the API server can evaluate a pod of 100 containers by.

use serde_json::{Value, json};
use support::Result;

use crate::{
    policies::{POLICY, enforced, names, refusal},
    scene::{Scene, pod},
};

/// So many paths, no two with the same number of parts: each costs a look-up of its own.
fn deep(count: usize, host: &str) -> Vec<String> {
    (1..=count).map(|parts| format!("{host}.example{}", "/a".repeat(parts))).collect()
}

fn lists(allowed: usize, denied: usize) -> Value {
    json!({"images": {"allowedRegistries": deep(allowed, "r"), "deniedRepositories": deep(denied, "d")}})
}

/// 100 containers, each with all that the documented one has.
fn documented(ns: &str) -> Value {
    let check = json!({"httpGet": {"path": "/healthz", "port": 8080}});
    let image = format!("r.example{}/app:1.2", "/a".repeat(40));
    assert!((90..=100).contains(&image.len()));
    let mut pod = pod(ns, "documented", json!({"limits": {"cpu": "1m"}}));
    let mut container = pod["spec"]["containers"][0].clone();
    container["image"] = image.into();
    container["env"] = (0..20)
        .map(|nth| json!({"name": format!("SOME_VARIABLE_{nth}"), "value": "https://service.shop.svc:8443/path"}))
        .collect();
    container["ports"] = (0..4).map(|nth| json!({"containerPort": 8080 + nth})).collect();
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        container[field] = check.clone();
    }
    container["lifecycle"] = json!({"postStart": check, "preStop": check});
    let named = |nth| {
        let mut container = container.clone();
        container["name"] = format!("c{nth}").into();
        container
    };
    pod["spec"]["containers"] = (0..100).map(named).collect();
    pod
}

#[tokio::test]
async fn a_baseline_at_the_limit_is_used_and_one_above_is_told_which_field_to_shorten() -> Result<()>
{
    let scene = Scene::new("limit").await?;
    let mut sections = lists(40, 12);
    sections["podSecurity"] = json!({});
    scene.baseline("limit", sections).await?;
    enforced(&scene, "limit").await?;
    assert_eq!(refusal(&scene.cluster, &documented("limit")).await?, None);
    let mut broken = documented("limit");
    broken["spec"]["containers"][99]["image"] = "d.example/a/b:1".into();
    let why = refusal(&scene.cluster, &broken).await?.unwrap_or_default();
    assert!(why.contains("HB-IMG-BASE"), "{why}");
    let before = names(&scene.cluster, POLICY, "limit").await?;

    for (change, field) in
        [(lists(64, 37), "images.allowedRegistries"), (lists(40, 64), "images.deniedRepositories")]
    {
        scene.change("limit", change).await?;
        let reported = scene.baseline_says("limit", "Compiled", "False", "BudgetExceeded").await?;
        let words = reported["message"].as_str().unwrap_or_default();
        assert!(words.contains(&format!("shorten {field}")), "{words}");
        assert!(words.contains("100 containers"), "{words}");
    }
    let profiles: Vec<_> = (10..74).map(|nth| format!("{nth}{}", "'".repeat(253))).collect();
    let mut change = lists(1, 1);
    change["pods"] = json!({"localhostSeccompProfiles": profiles});
    scene.change("limit", change).await?;
    let reported = scene.baseline_says("limit", "Compiled", "False", "BudgetExceeded").await?;
    let words = reported["message"].as_str().unwrap_or_default();
    assert!(words.contains("shorten pods.localhostSeccompProfiles"), "{words}");

    // Nothing of them was written, and what was in force still is.
    assert_eq!(names(&scene.cluster, POLICY, "limit").await?, before);
    assert!(refusal(&scene.cluster, &broken).await?.is_some());
    scene
        .change("limit", json!({"images": {"allowedRegistries": ["r.example"]}, "pods": null}))
        .await?;
    enforced(&scene, "limit").await
}
