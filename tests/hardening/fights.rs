//! Scenario 17: somebody else writes the same field, again and again.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Result, condition};

use crate::scene::{PSS, Scene};

fn label(key: &str, value: Value) -> Value {
    let mut change = json!({"metadata": {"labels": {}}});
    change["metadata"]["labels"][format!("{PSS}{key}")] = value;
    change
}

#[tokio::test]
async fn a_fight_over_a_label_is_given_up_and_told() -> Result<()> {
    let scene = Scene::new("fought").await?;
    let cluster = &scene.cluster;
    let tracking = json!({"metadata": {"labels": {"argocd.argoproj.io/instance": "fought"}}});
    // Field managers are dated to the second: this one must not look as old as the namespace.
    support::next_second().await;
    cluster.patch_as("Namespace", "", "fought", tracking, "argocd-controller").await?;

    scene.baseline("fought", json!({"podSecurity": {}})).await?;
    scene.hardened("fought", &["fought"]).await?;
    let before = scene.writes("fought").iter().filter(|w| w.resource == "namespaces").count();

    for sync in 0..40 {
        let mut gone = label("enforce", Value::Null);
        gone["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync": sync.to_string()});
        cluster.patch_as("Namespace", "", "fought", gone, "argocd-controller").await?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }

    let status = scene.effective_says("fought", "False", "FieldOwnedBy").await?;
    let found = condition(&json!({"status": status}), "Conflict");
    assert_eq!((&found["status"], &found["reason"]), (&json!("True"), &json!("FieldOwnedBy")));
    assert_eq!(status["conflicts"][0]["manager"], "argocd-controller");
    let writes = scene.writes("fought").iter().filter(|w| w.resource == "namespaces").count();
    assert!((1..=6).contains(&(writes - before)), "{} writes", writes - before);
    let reported = scene.baseline_says("fought", "Conflict", "True", "FieldOwnedBy").await?;
    assert!(
        reported["message"].as_str().unwrap_or_default().contains("argocd-controller"),
        "{reported}"
    );
    assert!(scene.env.counter("gabion_fights_total").await? >= 1);
    assert_eq!(scene.labels("fought").await?[format!("{PSS}enforce")], Value::Null);

    // Only that label is left alone.
    cluster.patch("Namespace", "", "fought", label("warn", Value::Null)).await?;
    scene.label_is("fought", &format!("{PSS}warn"), json!("restricted")).await?;
    Ok(())
}

#[tokio::test]
async fn a_label_that_somebody_else_declares_is_theirs_and_the_others_are_ours() -> Result<()> {
    let scene = Scene::new("declared").await?;
    let key = format!("{PSS}enforce");
    let mut manifest = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "declared", "labels": {}}});
    manifest["metadata"]["labels"][&key] = json!("privileged");
    let url = "/api/v1/namespaces/declared?fieldManager=argocd-controller&force=true";
    scene.cluster.send("PATCH", url, "application/apply-patch+yaml", &manifest).await?;

    scene.baseline("declared", json!({"podSecurity": {}})).await?;

    let status = scene.effective_says("declared", "False", "FieldOwnedBy").await?;
    assert_eq!(status["conflicts"][0]["manager"], "argocd-controller", "{status}");
    scene.label_is("declared", &key, json!("privileged")).await?;
    for other in ["enforce-version", "audit", "audit-version", "warn", "warn-version"] {
        let wanted = if other.ends_with("version") { json!("v1.37") } else { json!("restricted") };
        scene.label_is("declared", &format!("{PSS}{other}"), wanted).await?;
    }
    scene.baseline_says("declared", "Conflict", "True", "FieldOwnedBy").await?;

    scene.change("declared", json!({"conflictPolicy": "Force"})).await?;
    scene.hardened("declared", &["declared"]).await?;
    scene.label_is("declared", &key, json!("restricted")).await?;

    scene.take_back("declared").await?;
    scene.bare("declared").await?;
    scene.label_is("declared", &key, json!("privileged")).await
}

#[tokio::test]
async fn a_value_that_was_once_written_by_hand_is_taken_over_and_given_back() -> Result<()> {
    let scene = Scene::new("by-hand").await?;
    scene.cluster.patch("Namespace", "", "by-hand", label("enforce", json!("baseline"))).await?;
    scene.baseline("by-hand", json!({"podSecurity": {}})).await?;
    let status = scene.hardened("by-hand", &["by-hand"]).await?;
    let previous = status["previous"].to_string();
    assert!(previous.contains("pod-security.kubernetes.io/enforce"), "{previous}");
    scene.take_back("by-hand").await?;
    scene.bare("by-hand").await?;
    scene.label_is("by-hand", &format!("{PSS}enforce"), json!("baseline")).await
}

#[tokio::test]
async fn where_somebody_else_writes_the_labels_we_only_look() -> Result<()> {
    let scene = Scene::new("external").await?;
    scene.baseline("external", json!({"podSecurity": {"labelOwnership": "External"}})).await?;

    let status = scene.effective_says("external", "False", "LabelsDiffer").await?;
    let message = condition(&json!({"status": status}), "Ready")["message"].to_string();
    assert!(message.contains("enforce is absent, should be restricted"), "{message}");

    let mut all = json!({});
    for mode in ["enforce", "audit", "warn"] {
        all[format!("{PSS}{mode}")] = json!("restricted");
        all[format!("{PSS}{mode}-version")] = json!("v1.37");
    }
    let change = json!({"metadata": {"labels": all}});
    scene.cluster.patch_as("Namespace", "", "external", change, "flux").await?;
    scene.hardened("external", &["external"]).await?;
    let to_namespace: Vec<_> =
        scene.writes("external").into_iter().filter(|w| w.resource == "namespaces").collect();
    assert_eq!(to_namespace, []);
    Ok(())
}

#[tokio::test]
async fn an_account_that_is_switched_on_again_and_again_is_left_alone() -> Result<()> {
    let scene = Scene::new("accounts").await?;
    let disabled = json!({"serviceAccounts": {"automountToken": "Disabled"}});
    scene.baseline("accounts", disabled).await?;
    scene.hardened("accounts", &["accounts"]).await?;
    let on = json!({"automountServiceAccountToken": true});
    for _ in 0..20 {
        let change = on.clone();
        scene.cluster.patch_as("ServiceAccount", "accounts", "default", change, "flux").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = scene.effective_says("accounts", "False", "FieldOwnedBy").await?;
    // Who it is, the API server does not know: it keeps no field managers of an account made by a controller.
    let conflict = &status["conflicts"][0];
    assert_eq!(conflict["object"], "ServiceAccount/default automountServiceAccountToken");
    let writes =
        scene.writes("accounts").iter().filter(|w| w.resource == "serviceaccounts").count();
    assert!(writes <= 6, "{writes} writes");
    Ok(())
}
