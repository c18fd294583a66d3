//! Scenario 1: the full set appears, and every drift heals.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Subsystem, eventually};

use crate::scene::{FULL_SET, PSS, Scene, full, pod};

/// The generated objects, each with an edit that changes what it means.
fn edits() -> Vec<(&'static str, &'static str, Value)> {
    let open = json!({"spec": {"ingress": [{}], "egress": [{}]}});
    vec![
        ("NetworkPolicy", "gabion-default-deny", open),
        ("NetworkPolicy", "gabion-allow-dns", json!({"spec": {"egress": []}})),
        (
            "NetworkPolicy",
            "gabion-allow-frontend-to-backend",
            json!({"spec": {"podSelector": {"matchLabels": {"app": "other"}}}}),
        ),
        ("NetworkPolicy", "gabion-egress-frontend-to-backend", json!({"spec": {"egress": [{}]}})),
        ("ResourceQuota", "gabion-quota", json!({"spec": {"hard": {"pods": "100000"}}})),
        (
            "LimitRange",
            "gabion-limits",
            json!({"spec": {"limits": [{"type": "Container", "default": {"memory": "1Ti"}}]}}),
        ),
    ]
}

#[tokio::test]
async fn the_full_set_appears_in_a_new_namespace_and_every_drift_heals() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::without_namespace(&env, "shop").await?;
    scene.baseline("prod", full()).await?;
    scene.baseline_says("prod", "Ready", "True", "Applied").await?;

    scene.create_namespace("shop", json!({"team": "a"})).await?;
    scene.hardened("shop", &["prod"]).await?;

    assert_eq!(scene.owned("shop").await?, FULL_SET);
    let labels = scene.labels("shop").await?;
    let security: Vec<_> =
        labels.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with(PSS)).collect();
    assert_eq!(security.len(), 6, "{labels}");
    assert_eq!(labels[format!("{PSS}enforce")], "restricted");
    admits_good_pods_only(&scene).await?;

    let before = env.counter("gabion_drift_repairs_total").await?;
    let mut changes = edit_everything(&scene).await?;
    changes += delete_everything(&scene).await?;
    eventually(SOON, "every repair is counted", || async {
        let repairs = env.counter("gabion_drift_repairs_total").await? - before;
        if repairs == changes {
            Ok(())
        } else {
            Err(Failure::new(format!("{repairs} of {changes}")))
        }
    })
    .await?;
    assert_eq!(scene.owned("shop").await?, FULL_SET);
    Ok(())
}

async fn admits_good_pods_only(scene: &Scene<'_>) -> Result<()> {
    scene.cluster.create(pod("shop", "good", json!({}))).await?;
    let mut bad = pod("shop", "bad", json!({}));
    bad["spec"]["hostNetwork"] = json!(true);
    match scene.cluster.create(bad).await {
        Err(kube::Error::Api(status)) => {
            assert!(status.message.contains("PodSecurity"), "{}", status.message);
            Ok(())
        }
        other => {
            Err(Failure::new(format!("a pod in the host's network is not refused: {other:?}")))
        }
    }
}

/// Edits each object, and waits until it is repaired. How many edits that were.
async fn edit_everything(scene: &Scene<'_>) -> Result<u64> {
    let cluster = &scene.cluster;
    let mut changes = 0;
    for (kind, name, edit) in edits() {
        let note = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"note": "mine"}}});
        let before = cluster.patch(kind, "shop", name, note).await?;
        let edited = cluster.patch(kind, "shop", name, edit).await?;
        assert_ne!(edited["spec"], before["spec"], "{kind}/{name}");
        changes += 1;
        let repaired = cluster
            .until(kind, "shop", name, |object| {
                if object["spec"] == before["spec"] { Ok(()) } else { Err(object.to_string()) }
            })
            .await?;
        assert_eq!(repaired["metadata"]["labels"]["team"], "a", "{kind}/{name}");
        assert_eq!(repaired["metadata"]["annotations"]["note"], "mine", "{kind}/{name}");
        // A mark that is taken off is drift like any other.
        let bare = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
        cluster.patch(kind, "shop", name, bare).await?;
        changes += 1;
        cluster
            .until(kind, "shop", name, |object| {
                let mark = &object["metadata"]["labels"]["app.kubernetes.io/managed-by"];
                if mark == "gabion" { Ok(()) } else { Err(object.to_string()) }
            })
            .await?;
    }

    let key = format!("{PSS}enforce");
    for value in [json!("privileged"), Value::Null] {
        let mut change = json!({"metadata": {"labels": {}}});
        change["metadata"]["labels"][&key] = value;
        cluster.patch("Namespace", "", "shop", change).await?;
        changes += 1;
        scene.label_is("shop", &key, json!("restricted")).await?;
    }

    let secrets = json!([{"name": "team-own"}]);
    let mount = json!({"automountServiceAccountToken": true, "imagePullSecrets": secrets});
    cluster.patch("ServiceAccount", "shop", "default", mount).await?;
    changes += 1;
    let account = scene.automount("shop", "default", json!(false)).await?;
    assert_eq!(account["imagePullSecrets"], secrets);

    let lie = json!({"status": {"level": "privileged", "values": []}});
    cluster.patch("NamespaceHardening", "shop", "effective", lie).await?;
    changes += 1;
    scene.effective("shop", |status| status["level"] == "restricted").await?;
    Ok(changes)
}

/// Deletes each object, and waits until it is back. How many deletions that were.
async fn delete_everything(scene: &Scene<'_>) -> Result<u64> {
    let cluster = &scene.cluster;
    let mut changes = 0;
    for (kind, name, _) in edits() {
        let before = cluster.get(kind, "shop", name).await?.unwrap_or_default();
        cluster.delete(kind, "shop", name).await?;
        changes += 1;
        cluster
            .until(kind, "shop", name, |object| {
                let back = object["spec"] == before["spec"]
                    && object["metadata"]["uid"] != before["metadata"]["uid"];
                if back { Ok(()) } else { Err(object.to_string()) }
            })
            .await?;
    }
    let before = cluster.get("NamespaceHardening", "shop", "effective").await?.unwrap_or_default();
    cluster.delete("NamespaceHardening", "shop", "effective").await?;
    changes += 1;
    scene.effective("shop", |status| status["values"] == before["status"]["values"]).await?;
    // A ServiceAccount that is deleted is made anew by the cluster; hardening that one is no repair.
    let old = cluster.get("ServiceAccount", "shop", "default").await?.unwrap_or_default();
    cluster.delete("ServiceAccount", "shop", "default").await?;
    cluster
        .until("ServiceAccount", "shop", "default", |object| {
            let back = object["metadata"]["uid"] != old["metadata"]["uid"]
                && object["automountServiceAccountToken"] == false;
            if back { Ok(()) } else { Err(object.to_string()) }
        })
        .await?;
    Ok(changes)
}
