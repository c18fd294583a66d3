//! Scenario 16: a name that the user took.

use serde_json::{Value, json};
use support::{Result, condition};

use crate::scene::{Scene, full};

fn users_policy(ns: &str) -> Value {
    json!({
        "kind": "NetworkPolicy",
        "metadata": {"name": "gabion-default-deny", "namespace": ns, "labels": {"team": "a"}},
        "spec": {"podSelector": {"matchLabels": {"app": "own"}}, "policyTypes": ["Ingress"]},
    })
}

#[tokio::test]
async fn an_object_that_somebody_else_made_is_left_alone_until_it_is_handed_over() -> Result<()> {
    let scene = Scene::new("taken").await?;
    let cluster = &scene.cluster;
    let made = cluster.create_as(users_policy("taken"), "kubectl-client-side-apply").await?;

    scene.baseline("taken", full()).await?;

    let status = scene.effective_says("taken", "False", "NameTaken").await?;
    let conflict = condition(&json!({"status": status}), "Conflict");
    assert_eq!((&conflict["status"], &conflict["reason"]), (&json!("True"), &json!("NameTaken")));
    assert_eq!(status["conflicts"][0]["object"], "NetworkPolicy/gabion-default-deny");
    assert_eq!(status["conflicts"][0]["manager"], "kubectl-client-side-apply");
    let reported = scene.baseline_says("taken", "Conflict", "True", "NameTaken").await?;
    let message = reported["message"].as_str().unwrap_or_default();
    for word in ["NetworkPolicy/gabion-default-deny", "kubectl-client-side-apply", "taken"] {
        assert!(message.contains(word), "{message}");
    }
    // The rest is there, and no second deny under another name.
    scene.automount("taken", "default", json!(false)).await?;
    let owned = scene.owned("taken").await?;
    let wanted = [
        "LimitRange/gabion-limits",
        "NamespaceHardening/effective",
        "NetworkPolicy/gabion-allow-dns",
        "NetworkPolicy/gabion-allow-frontend-to-backend",
        "NetworkPolicy/gabion-egress-frontend-to-backend",
        "ResourceQuota/gabion-quota",
    ];
    assert_eq!(owned, wanted);
    let now = cluster.get("NetworkPolicy", "taken", "gabion-default-deny").await?;
    assert_eq!(now, Some(made.clone()), "its bytes");

    let hand_over = json!({"metadata": {"annotations": {"gabion.dev/adopt": "true"}}});
    cluster.patch("NetworkPolicy", "taken", "gabion-default-deny", hand_over).await?;
    scene.hardened("taken", &["taken"]).await?;
    let ours = cluster.get("NetworkPolicy", "taken", "gabion-default-deny").await?;
    let ours = ours.unwrap_or_default();
    assert_eq!(ours["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(ours["metadata"]["labels"]["team"], "a");
    assert_eq!(ours["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    scene.baseline_says("taken", "Conflict", "False", "NoConflict").await?;

    scene.take_back("taken").await?;
    scene.bare_but("taken", &["gabion.dev/adopt"]).await?;
    // It stays: nothing about it says that it was ours.
    scene.settle().await?;
    let left = cluster.get("NetworkPolicy", "taken", "gabion-default-deny").await?;
    let left = left.expect("it is not deleted");
    assert_eq!(left["spec"], made["spec"]);
    assert_eq!(left["metadata"]["labels"], made["metadata"]["labels"]);
    assert_eq!(left["metadata"]["annotations"], json!({"gabion.dev/adopt": "true"}));
    assert_eq!(left["metadata"]["ownerReferences"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn adopt_takes_what_says_the_same_already_and_nothing_else() -> Result<()> {
    let scene = Scene::new("adopting").await?;
    let cluster = &scene.cluster;
    let mut same = users_policy("adopting");
    same["spec"] = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let same = cluster.create(same).await?;
    let quota = json!({
        "kind": "ResourceQuota",
        "metadata": {"name": "gabion-quota", "namespace": "adopting"},
        "spec": {"hard": {"pods": "3"}},
    });
    cluster.create(quota).await?;

    let sections = json!({
        "conflictPolicy": "Adopt",
        "network": {},
        "resources": {"quota": {"hard": {"pods": "20"}}},
    });
    scene.baseline("adopting", sections).await?;

    let status = scene.effective_says("adopting", "False", "NameTaken").await?;
    assert_eq!(status["conflicts"][0]["object"], "ResourceQuota/gabion-quota");
    assert_eq!(status["conflictCount"], 1);
    let deny = cluster.get("NetworkPolicy", "adopting", "gabion-default-deny").await?;
    let deny = deny.unwrap_or_default();
    assert_eq!(deny["metadata"]["uid"], same["metadata"]["uid"]);
    assert_eq!(deny["metadata"]["labels"]["app.kubernetes.io/managed-by"], "gabion");
    let quota = cluster.get("ResourceQuota", "adopting", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"], json!({"pods": "3"}));
    Ok(())
}

#[tokio::test]
async fn a_deny_is_held_while_a_policy_that_it_needs_has_its_name_taken() -> Result<()> {
    let scene = Scene::new("missing").await?;
    let mut taken = users_policy("missing");
    taken["metadata"]["name"] = json!("gabion-allow-dns");
    scene.cluster.create(taken).await?;
    scene.baseline("missing", full()).await?;

    let status = scene
        .effective("missing", |status| status["held"].to_string().contains("AllowMissing"))
        .await?;
    assert_eq!(status["held"], json!(["Held: AllowMissing NetworkPolicy/gabion-allow-dns"]));
    let deny = scene.cluster.get("NetworkPolicy", "missing", "gabion-default-deny").await?;
    assert_eq!(deny, None);

    scene.cluster.delete("NetworkPolicy", "missing", "gabion-allow-dns").await?;
    scene.hardened("missing", &["missing"]).await?;
    Ok(())
}
