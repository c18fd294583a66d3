//! Scenario 15: several baselines, strictest wins, explained.

use serde_json::{Value, json};
use support::{Result, SOON, Subsystem, answers, network_evaluator::Network};

use crate::{
    recorder::Recorder,
    scene::{PSS, Scene},
};

fn rule(name: &str, app: &str) -> Value {
    json!({
        "name": name,
        "to": {"matchLabels": {"app": app}},
        "from": [{"podSelector": {"matchLabels": {"app": "frontend"}}}],
        "ports": [{"port": 8080}],
    })
}

fn org() -> Value {
    json!({
        "priority": 10,
        "podSecurity": {"level": "baseline", "version": "v1.33"},
        "resources": {"quota": {"hard": {"pods": "100", "services": "50"}}},
        "network": {"allow": [rule("x", "backend")]},
    })
}

fn pci() -> Value {
    json!({
        "priority": 50,
        "podSecurity": {"level": "restricted", "version": "v1.31"},
        "resources": {"quota": {"hard": {"pods": "20"}}},
        "network": {"allow": [rule("y", "vault")]},
        "serviceAccounts": {"automountToken": "Disabled"},
    })
}

/// What is in a namespace, apart from what differs between two creations of the same thing.
async fn content(scene: &Scene<'_>) -> Result<Vec<String>> {
    let ns = &scene.name;
    let mut all = vec![scene.labels(ns).await?.to_string()];
    for kind in ["NetworkPolicy", "ResourceQuota", "LimitRange"] {
        for object in scene.cluster.list(kind, ns).await? {
            all.push(format!("{} {}", object["metadata"]["name"], object["spec"]));
        }
    }
    let effective = scene.cluster.get("NamespaceHardening", ns, "effective").await?;
    all.push(effective.unwrap_or_default()["status"]["values"].to_string());
    Ok(all)
}

fn row<'v>(values: &'v Value, item: &str) -> &'v Value {
    let mut rows = values.as_array().into_iter().flatten();
    rows.find(|row| row["item"] == item).unwrap_or_else(|| panic!("no {item} in {values}"))
}

#[tokio::test]
async fn the_strictest_value_wins_and_says_whose_it_is_in_any_order() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "both").await?;
    scene.baseline("org", org()).await?;
    scene.hardened("both", &["org"]).await?;
    scene.baseline("pci", pci()).await?;
    let status = scene.hardened("both", &["pci", "org"]).await?;

    let labels = scene.labels("both").await?;
    assert_eq!(labels[format!("{PSS}enforce")], "restricted");
    assert_eq!(labels[format!("{PSS}enforce-version")], "v1.33");
    let quota = scene.cluster.get("ResourceQuota", "both", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"], json!({"pods": "20", "services": "50"}));
    let owned = scene.owned("both").await?;
    assert!(owned.contains(&"NetworkPolicy/gabion-allow-y".to_owned()), "{owned:?}");
    assert!(!owned.iter().any(|name| name.ends_with("-x")), "{owned:?}");
    let values = &status["values"];
    for (item, value, baseline, reason) in [
        ("podSecurity.enforce", "restricted", "pci", "strictest of 2 baselines"),
        ("podSecurity.enforce-version", "v1.33", "org", "highest pinned version of 2 baselines"),
        ("resources.quota.hard[pods]", "20", "pci", "minimum of 2 baselines"),
        ("resources.quota.hard[services]", "50", "org", "the only baseline that says so"),
        ("network.allow[y]", "open", "pci", "highest priority of 2 baselines"),
        ("serviceAccounts.automountToken", "Disabled", "pci", "the only baseline that says so"),
    ] {
        let found = row(values, item);
        assert_eq!((&found["value"], &found["baseline"]), (&json!(value), &json!(baseline)));
        assert_eq!(found["reason"], reason, "{item}");
    }
    let first = content(&scene).await?;

    // The other way round.
    scene.take_back("org").await?;
    scene.take_back("pci").await?;
    scene.bare("both").await?;
    scene.baseline("pci", pci()).await?;
    scene.hardened("both", &["pci"]).await?;
    scene.baseline("org", org()).await?;
    scene.hardened("both", &["pci", "org"]).await?;
    assert_eq!(content(&scene).await?, first);

    // A new process finds nothing to change.
    let cluster = scene.cluster.clone();
    env.operator.stop(SOON)?;
    let stopped = Scene { env: &env, name: "both".to_owned(), cluster: cluster.clone() };
    let before = stopped.writes("both").len();
    env.start_again(&[])?;
    let scene = Scene { env: &env, name: "both".to_owned(), cluster };
    answers(&scene.env.health, "/readyz", "200 OK").await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    // By the audit log: the status of a quota is the quota controller's, and moves its version.
    assert_eq!(scene.writes("both").split_off(before), []);

    without_a_gap(&scene).await
}

/// One of the two goes: the other's set takes over, and there is no instant without a deny.
async fn without_a_gap(scene: &Scene<'_>) -> Result<()> {
    let mut policies = scene.cluster.list("NetworkPolicy", "both").await?;
    let recorder = Recorder::start(&scene.cluster, "NetworkPolicy", "both").await?;
    let labels = Recorder::start(&scene.cluster, "Namespace", "").await?;
    scene.take_back("pci").await?;
    scene.hardened("both", &["org"]).await?;

    let quota = scene.cluster.get("ResourceQuota", "both", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"]["pods"], "100");
    scene.automount("both", "default", Value::Null).await?;
    let owned = scene.owned("both").await?;
    assert!(owned.contains(&"NetworkPolicy/gabion-allow-x".to_owned()), "{owned:?}");
    assert!(!owned.iter().any(|name| name.ends_with("-y")), "{owned:?}");

    let records = recorder.all();
    assert!(!records.is_empty());
    for (what, object) in records {
        policies.retain(|known| known["metadata"]["name"] != object["metadata"]["name"]);
        if what != "DELETED" {
            policies.push(object);
        }
        let network = Network { namespaces: Vec::new(), policies: policies.clone() };
        let denied = |policy: &Value| policy["metadata"]["name"] == "gabion-default-deny";
        assert!(network.policies.iter().any(denied), "an instant without a deny");
    }
    for (_, object) in labels.all() {
        if object["metadata"]["name"] == "both" {
            let level = &object["metadata"]["labels"][format!("{PSS}enforce")];
            assert!(level == "restricted" || level == "baseline", "{level}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_lower_baseline_adds_rules_only_if_it_says_so() -> Result<()> {
    let scene = Scene::new("additive").await?;
    scene
        .baseline(
            "additive-top",
            json!({"priority": 9, "network": {"allow": [rule("y", "vault")]}}),
        )
        .await?;
    let silent = json!({"network": {"allow": [rule("x", "backend")]}});
    scene.baseline("additive-low", silent).await?;
    scene.hardened("additive", &["additive-top", "additive-low"]).await?;
    let owned = scene.owned("additive").await?;
    assert!(!owned.iter().any(|name| name.contains("-x")), "{owned:?}");

    let loud = json!({"network": {"additive": true, "allow": [rule("x", "backend")]}});
    scene.change("additive-low", loud).await?;
    let name = "gabion-allow-x-additive-low";
    scene.cluster.until("NetworkPolicy", "additive", name, |_| Ok(())).await?;
    let item = "network.allow[x-additive-low]";
    let status =
        scene.effective("additive", |status| status["values"].to_string().contains(item)).await?;
    let found = row(&status["values"], item);
    assert_eq!(found["reason"], "joins because additive is true");
    Ok(())
}
