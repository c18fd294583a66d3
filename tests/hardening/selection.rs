//! Which namespaces a baseline reaches as they and it change, and how far it goes at each stage.

use serde_json::{Value, json};
use support::{Result, Subsystem, condition};

use crate::scene::{FULL_SET, PSS, Scene, full, merge};

fn relabelled(value: &str) -> Value {
    json!({"metadata": {"labels": {"set": value}}})
}

fn at_stage(stage: &str) -> Value {
    let mut sections = full();
    merge(&mut sections, json!({"rollout": {"target": stage}}));
    sections
}

#[tokio::test]
async fn a_namespace_that_loses_the_label_is_as_it_was_and_one_that_gains_it_is_hardened()
-> Result<()> {
    let scene = Scene::new("label").await?;
    scene.create_namespace("label-two", json!({"set": "nobody"})).await?;
    scene.baseline("label", full()).await?;
    scene.hardened("label", &["label"]).await?;

    scene.cluster.patch("Namespace", "", "label", relabelled("nobody")).await?;
    scene.cluster.patch("Namespace", "", "label-two", relabelled("label")).await?;

    scene.bare("label").await?;
    scene.automount("label", "default", Value::Null).await?;
    assert!(!scene.labels("label").await?.to_string().contains(PSS));
    scene.hardened("label-two", &["label"]).await?;
    assert_eq!(scene.owned("label-two").await?, FULL_SET);
    scene.counted("label", 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_selector_that_changes_leaves_no_stray_object() -> Result<()> {
    let scene = Scene::new("selector").await?;
    scene.create_namespace("selector-two", json!({"set": "selector-b"})).await?;
    scene.create_namespace("selector-not", json!({"set": "selector-b"})).await?;
    scene.baseline("selector", full()).await?;
    scene.hardened("selector", &["selector"]).await?;

    let change = json!({
        "namespaceSelector": {"matchLabels": {"set": "selector-b"}},
        "excludeNames": ["selector-not"],
    });
    scene.change("selector", change).await?;

    scene.bare("selector").await?;
    scene.hardened("selector-two", &["selector"]).await?;
    scene.settle().await?;
    assert_eq!(scene.owned("selector-not").await?, Vec::<String>::new());
    // A section that goes takes its objects with it.
    scene.change("selector", json!({"network": null, "podSecurity": null})).await?;
    scene.cluster.gone("NetworkPolicy", "selector-two", "gabion-allow-dns").await?;
    scene.label_is("selector-two", &format!("{PSS}enforce"), Value::Null).await?;
    scene.hardened("selector-two", &["selector"]).await?;
    let left = scene.owned("selector-two").await?;
    let wanted =
        ["LimitRange/gabion-limits", "NamespaceHardening/effective", "ResourceQuota/gabion-quota"];
    assert_eq!(left, wanted);
    assert!(!scene.labels("selector-two").await?.to_string().contains(PSS));
    Ok(())
}

#[tokio::test]
async fn namespaces_that_go_while_they_are_hardened_trouble_nobody() -> Result<()> {
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, "brief").await?;
    scene.baseline("brief", full()).await?;
    scene.baseline_says("brief", "Ready", "True", "Applied").await?;
    for index in 0..12 {
        let name = format!("brief-{index}");
        scene.create_namespace(&name, json!({})).await?;
        tokio::time::sleep(std::time::Duration::from_millis(index * 4)).await;
        scene.cluster.delete("Namespace", "", &name).await?;
    }
    for index in 0..12 {
        scene.cluster.gone("Namespace", "", &format!("brief-{index}")).await?;
    }
    // The same name again is another namespace.
    scene.create_namespace("brief-3", json!({})).await?;
    scene.hardened("brief-3", &["brief"]).await?;
    scene.counted("brief", 1).await?;
    Ok(())
}

#[tokio::test]
async fn observe_writes_nothing_but_status_and_says_what_enforce_would_do() -> Result<()> {
    let scene = Scene::new("observed").await?;
    scene.baseline("observed", at_stage("Observe")).await?;
    let status = scene.effective_says("observed", "True", "Applied").await?;
    scene.settle().await?;

    let writes: Vec<_> = scene.writes("observed").iter().map(|w| w.resource.clone()).collect();
    assert!(!writes.is_empty());
    assert!(writes.iter().all(|what| what.starts_with("namespacehardenings")), "{writes:?}");
    assert_eq!(status["stage"], "Observe");
    assert_eq!(status["values"], Value::Null);
    let preview = status["preview"].to_string();
    for item in [
        "podSecurity.enforce",
        "network.defaultDeny[Egress]",
        "network.allow[frontend-to-backend]",
        "resources.quota.hard[pods]",
        "resources.containerDefaults.limits[memory]",
        "serviceAccounts.automountToken",
    ] {
        assert!(preview.contains(item), "{item}: {preview}");
    }
    Ok(())
}

#[tokio::test]
async fn each_stage_adds_to_the_one_before_and_going_back_takes_away() -> Result<()> {
    let scene = Scene::new("staged").await?;
    let modes = |labels: &Value| -> Vec<&str> {
        let all = ["enforce", "audit", "warn"];
        all.into_iter().filter(|mode| !labels[format!("{PSS}{mode}")].is_null()).collect()
    };
    let report = "NamespaceHardening/effective";
    let limits = "LimitRange/gabion-limits";
    scene.baseline("staged", at_stage("Observe")).await?;
    for (stage, labels, owned) in [
        ("Audit", vec!["audit"], vec![report]),
        ("Warn", vec!["audit", "warn"], vec![limits, report]),
        ("Enforce", vec!["enforce", "audit", "warn"], FULL_SET.to_vec()),
        ("Warn", vec!["audit", "warn"], vec![limits, report]),
        ("Observe", vec![], vec![report]),
    ] {
        scene.change("staged", json!({"rollout": {"target": stage}})).await?;
        scene
            .effective("staged", |status| {
                let ready = condition(&json!({"status": status}), "Ready");
                status["stage"] == stage && ready["status"] == "True"
            })
            .await?;
        let object = scene.cluster.get("HardeningBaseline", "", "staged").await?;
        assert_eq!(modes(&scene.labels("staged").await?), labels, "{stage} {object:?}");
        assert_eq!(scene.owned("staged").await?, owned, "{stage}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_acted_on_yet_is_said() -> Result<()> {
    let scene = Scene::new("partly").await?;
    let sections = json!({
        "podSecurity": {},
        "images": {"trustPolicies": ["corp-release"]},
        "serviceAccounts": {"automountToken": "Disabled"},
        "network": {"mesh": "IstioAmbient"},
    });
    scene.baseline("partly", sections).await?;
    let reported =
        scene.baseline_says("partly", "FullyImplemented", "False", "NotImplemented").await?;
    let message = reported["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("spec.images.trustPolicies") && message.contains("spec.network.mesh"),
        "{message}"
    );
    scene.hardened("partly", &["partly"]).await?;
    let reported = scene.baseline_says("partly", "Ready", "True", "Applied").await?;
    assert!(
        reported["message"].as_str().unwrap_or_default().contains("FullyImplemented"),
        "{reported}"
    );
    Ok(())
}
