//! The rights that are granted are those that are used: no verb is denied, and none is unused.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use support::{Result, SOON, Subsystem, audit, repository};

use crate::{
    pull_secrets,
    scene::{Scene, full},
};

type Rights = BTreeSet<(String, String, String)>;

/// Group, resource and verb of every rule in a file of roles.
fn granted(file: &str) -> Result<Rights> {
    let text = std::fs::read_to_string(repository().join("config").join(file))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| Some(v.as_str()?.to_owned()))
            .collect()
    };
    let mut rights = Rights::new();
    for rule in documents.iter().flat_map(|role| role["rules"].as_array().into_iter().flatten()) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    Ok(rights)
}

/// Everything that hardening does, once.
async fn do_everything(scene: &Scene<'_>) -> Result<()> {
    let cluster = &scene.cluster;
    let mut sections = full();
    sections["serviceAccounts"]["pullSecrets"] = pull_secrets::asking("registry", "registry");
    pull_secrets::platform(cluster).await?;
    pull_secrets::source(cluster, "registry", "one").await?;
    scene.baseline("all", sections).await?;
    scene.hardened("all", &["all"]).await?;
    let edits = [
        ("NetworkPolicy", "gabion-default-deny", json!({"spec": {"ingress": [{}]}})),
        ("ResourceQuota", "gabion-quota", json!({"spec": {"hard": {"pods": "1"}}})),
        ("LimitRange", "gabion-limits", json!({"spec": {"limits": [{"type": "Pod"}]}})),
    ];
    for (kind, name, edit) in edits {
        let before = cluster.get(kind, "all", name).await?.unwrap_or_default();
        let mut edit = edit;
        if kind == "LimitRange" {
            edit["spec"]["limits"][0]["max"] = json!({"cpu": "1"});
        }
        cluster.patch(kind, "all", name, edit).await?;
        cluster
            .until(kind, "all", name, |object| {
                if object["spec"] == before["spec"] { Ok(()) } else { Err(object.to_string()) }
            })
            .await?;
    }
    scene.baseline_says("all", "Enforced", "True", "ProbeDenied").await?;
    for policy in cluster.list("ValidatingAdmissionPolicy", "").await? {
        let name = policy["metadata"]["name"].as_str().unwrap_or_default();
        let open = json!({"spec": {"matchConditions": [{"name": "never", "expression": "false"}]}});
        cluster.patch("ValidatingAdmissionPolicy", "", name, open).await?;
        let check = |object: &Value| {
            if object["spec"] == policy["spec"] { Ok(()) } else { Err(object.to_string()) }
        };
        cluster.until("ValidatingAdmissionPolicy", "", name, check).await?;
    }
    let ask = json!({
        "kind": "BaselineException", "metadata": {"name": "ask", "namespace": "all"},
        "spec": {
            "controls": ["PSS-privileged"], "target": {"kind": "Deployment", "name": "gpu"},
            "containers": [{"name": "main", "imageRepository": "registry.example.com/prod/app"}],
            "reason": "for every right", "expiresAt": "2999-01-01T00:00:00Z", "requestedBy": "dev",
        },
    });
    cluster.create(ask).await?;
    let check = |object: &Value| match &object["status"]["state"] {
        state if *state == "Rejected" => Ok(()),
        _ => Err(object.to_string()),
    };
    cluster.until("BaselineException", "all", "ask", check).await?;
    let lie = json!({"status": {"level": "privileged"}});
    cluster.patch("NamespaceHardening", "all", "effective", lie).await?;
    scene.effective("all", |status| status["level"] == "restricted").await?;
    pull_secrets::source(cluster, "registry", "two").await?;
    pull_secrets::copied(cluster, "all", "registry", "two").await?;
    scene.take_back("all").await?;
    scene.bare("all").await
}

#[tokio::test]
async fn every_right_is_used_and_nothing_is_denied() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&["--enable-leader-election"])?;
    let scene = Scene::within(&env, "all").await?;
    do_everything(&scene).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    env.operator.stop(SOON)?;

    let requests = audit::requests(env.plane());
    // OpenShift's DNS is asked for, and refused, by design; probe pods must be.
    let denied: Vec<_> = requests
        .iter()
        .filter(|r| matches!(r.code, 401 | 403) && r.namespace != "openshift-dns" && !r.dry_run)
        .collect();
    assert_eq!(denied, Vec::<&audit::Request>::new());
    let used: Rights = requests
        .into_iter()
        .filter(|r| r.code != 403 || r.dry_run)
        .map(|r| (r.group, r.resource, r.verb))
        .collect();
    let mut own = granted("rbac/hardening.yaml")?;
    own.extend(granted("rbac/dns.yaml")?);
    own.extend(granted("rbac/policies.yaml")?);
    own.extend(granted("overlays/pull-secrets/rbac.yaml")?);
    let unused: Vec<_> = own.difference(&used).collect();
    assert_eq!(unused, Vec::<&(String, String, String)>::new());
    own.extend(granted("rbac/leases.yaml")?);
    own.extend(granted("rbac/events.yaml")?);
    let more: Vec<_> = used.difference(&own).collect();
    assert_eq!(more, Vec::<&(String, String, String)>::new());
    Ok(())
}
