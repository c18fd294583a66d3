//! Scenario 2: protected namespaces never change.

use serde_json::{Value, json};
use support::{Cluster, Options, Result, Subsystem};

use crate::scene::{Scene, full, merge};

const PROTECTED: [&str; 5] =
    ["kube-system", "kube-public", "kube-node-lease", "gabion-system", "platform"];

#[tokio::test]
async fn protected_namespaces_are_byte_for_byte_what_they_were() -> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&Options::default())?;
    let cluster = Cluster::new(&plane).await?;
    for name in ["platform", "ordinary", "ordinary-too"] {
        cluster.create(json!({"kind": "Namespace", "metadata": {"name": name}})).await?;
    }
    for name in PROTECTED {
        cluster.until("ServiceAccount", name, "default", |_| Ok(())).await?;
        cluster.until("ConfigMap", name, "kube-root-ca.crt", |_| Ok(())).await?;
    }
    let before = snapshot(&cluster).await?;

    let env = Subsystem::Hardening.start_on(plane, &["--protected-namespaces=platform"])?;
    let scene = Scene::without_namespace(&env, "ordinary").await?;
    let mut sections = full();
    merge(&mut sections, json!({"namespaceSelector": null, "allNamespaces": true}));
    scene.baseline("all", sections).await?;
    for name in ["ordinary", "ordinary-too", "default"] {
        scene.hardened(name, &["all"]).await?;
    }
    scene.counted("all", 3).await?;
    // Someone who labels such a namespace, or works in it, changes nothing either.
    let account = json!({"kind": "ServiceAccount",
        "metadata": {"name": "late", "namespace": "kube-system"}});
    scene.cluster.create(account).await?;
    scene.create_namespace("ordinary-three", json!({})).await?;
    scene.hardened("ordinary-three", &["all"]).await?;
    let late = scene.automount("kube-system", "late", Value::Null).await?;
    assert!(!late.to_string().contains("gabion"), "{late}");
    scene.cluster.delete("ServiceAccount", "kube-system", "late").await?;

    assert_eq!(snapshot(&scene.cluster).await?, before);
    Ok(())
}

/// The protected namespaces and all in them that a baseline could change.
async fn snapshot(cluster: &Cluster) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for name in PROTECTED {
        texts.push(cluster.get("Namespace", "", name).await?.unwrap_or_default().to_string());
        let kinds = [
            "ServiceAccount",
            "NetworkPolicy",
            "ResourceQuota",
            "LimitRange",
            "NamespaceHardening",
        ];
        for kind in kinds {
            texts.extend(cluster.list(kind, name).await?.iter().map(Value::to_string));
        }
    }
    Ok(texts)
}
