//! Admission policies while others get in the way: rights that are withdrawn, deletions without end, a probe namespace
//! that goes or belongs to somebody else.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    Cluster, Failure, Result, SOON, Subsystem, audit, condition, eventually, repository,
};

use crate::{
    policies::{BINDING, POLICY, bad, denying, enforced, good, images, names, refusal},
    scene::Scene,
};

/// A revision that failed is tried again after half a minute.
const LATER: Duration = Duration::from_mins(2);

fn rights() -> PathBuf {
    repository().join("config/rbac/policies.yaml")
}

async fn refused(cluster: &Cluster, ns: &str) -> Result<()> {
    eventually(SOON, "the bad pod is refused", || async {
        let why = refusal(cluster, &bad(ns)).await?.unwrap_or_default();
        if why.contains("hardening baseline") { Ok(()) } else { Err(Failure::new(why)) }
    })
    .await
}

#[tokio::test]
async fn rights_that_are_withdrawn_leave_the_policies_in_force_and_are_named() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "withdrawn").await?;
    scene.baseline("withdrawn", images()).await?;
    enforced(&scene, "withdrawn").await?;
    env.plane().kubectl(&["delete", "clusterrolebinding", "gabion-policies"])?;
    // A new revision cannot be written; the one before it refuses as before.
    let other =
        json!({"images": {"allowedRegistries": ["registry.example.com/prod", "b.example"]}});
    eventually(SOON, "the API server forbids it", || async {
        let denied = env.plane().kubectl(&[
            "auth",
            "can-i",
            "create",
            "validatingadmissionpolicies",
            "--as=system:serviceaccount:gabion-system:gabion",
        ]);
        if denied.is_err() { Ok(()) } else { Err(Failure::new("it may")) }
    })
    .await?;
    scene.change("withdrawn", other).await?;
    let reported = scene.baseline_says("withdrawn", "Compiled", "False", "Forbidden").await?;
    let words = reported["message"].as_str().unwrap_or_default();
    assert!(words.contains("create on ValidatingAdmissionPolicy/"), "{words}");
    scene.baseline_says("withdrawn", "Enforced", "False", "ProbeNotDenied").await?;
    refused(&scene.cluster, "withdrawn").await?;
    let policies = names(&scene.cluster, POLICY, "withdrawn").await?;
    env.plane().admin()?.apply_path(&rights())?;
    eventually(LATER, "the new revision takes over", || async {
        let now = names(&scene.cluster, POLICY, "withdrawn").await?;
        if now.is_disjoint(&policies) && !now.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!("{now:?}")))
        }
    })
    .await?;
    enforced(&scene, "withdrawn").await?;
    refused(&scene.cluster, "withdrawn").await
}

#[tokio::test]
async fn whoever_deletes_a_binding_every_second_gets_it_back_every_time() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "deleted").await?;
    let cluster = &scene.cluster;
    scene.baseline("deleted", images()).await?;
    enforced(&scene, "deleted").await?;
    let binding = denying(cluster, "deleted").await?;
    let before = audit::requests(env.plane()).len();
    let rounds = 10;
    for _ in 0..rounds {
        let begun = Instant::now();
        cluster.delete(BINDING, "", &binding).await?;
        cluster
            .until(BINDING, "", &binding, |object| {
                let acts = &object["spec"]["validationActions"];
                if acts[0] == "Deny" { Ok(()) } else { Err(acts.to_string()) }
            })
            .await?;
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed())).await;
    }
    enforced(&scene, "deleted").await?;
    refused(cluster, "deleted").await?;
    let requests = audit::requests(env.plane());
    let ours: Vec<_> = requests.iter().skip(before).filter(|r| r.is_write()).collect();
    let created = ours.iter().filter(|r| r.verb == "create" && r.name == binding).count();
    assert_eq!(created, rounds, "as often as it was deleted");
    // A probe binding for each proof, events, the baseline's own status: a few writes for each deletion.
    let policies = ours.iter().filter(|r| r.resource.starts_with("validatingadmission")).count();
    assert!(policies <= 5 * rounds, "{policies} writes for {rounds} deletions");
    assert!(env.counter("gabion_tampers_total").await? >= 10);
    Ok(())
}

#[tokio::test]
async fn a_baseline_that_is_deleted_while_it_is_proved_leaves_nothing() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "hasty").await?;
    // From before the first write to when the bindings are there.
    for pause in [Some(0), Some(50), Some(150), Some(300), Some(600), Some(1_000), None] {
        scene.baseline("hasty", images()).await?;
        if let Some(pause) = pause {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        } else {
            let there = || denying(&scene.cluster, "hasty");
            eventually(SOON, "the binding is there", there).await?;
        }
        scene.take_back("hasty").await?;
        eventually(SOON, "nothing is left", || async {
            let mut left = names(&scene.cluster, BINDING, "hasty").await?;
            left.extend(names(&scene.cluster, POLICY, "hasty").await?);
            if left.is_empty() {
                Ok(())
            } else {
                Err(Failure::new(format!("after {pause:?} ms: {left:?}")))
            }
        })
        .await?;
    }
    // It must not come back by a probe that was under way.
    scene.settle().await?;
    assert_eq!(names(&scene.cluster, BINDING, "hasty").await?, BTreeSet::new());
    assert_eq!(names(&scene.cluster, POLICY, "hasty").await?, BTreeSet::new());
    Ok(())
}

/// Tells apart what the condition may be: the namespace goes together with our right to use it.
async fn no_place_for_probes(scene: &Scene<'_>, baseline: &str) -> Result<String> {
    let object = scene
        .cluster
        .until("HardeningBaseline", "", baseline, |object| {
            let found = condition(object, "Compiled");
            let current = found["observedGeneration"] == object["metadata"]["generation"];
            let reasons = [json!("NoProbeNamespace"), json!("Forbidden")];
            if current && reasons.contains(&found["reason"]) {
                Ok(())
            } else {
                Err(found.to_string())
            }
        })
        .await?;
    Ok(condition(&object, "Compiled")["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_probe_namespace_that_is_being_deleted_keeps_the_revision_that_is_in_force() -> Result<()>
{
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "homeless").await?;
    let cluster = &scene.cluster;
    scene.baseline("homeless", images()).await?;
    enforced(&scene, "homeless").await?;
    let before = names(cluster, BINDING, "homeless").await?;
    let held = json!({"kind": "ConfigMap", "metadata": {"name": "held", "namespace": "gabion-probe",
        "finalizers": ["example.com/hold"]}});
    cluster.create(held).await?;
    cluster.delete("Namespace", "", "gabion-probe").await?;
    let changed =
        json!({"images": {"allowedRegistries": ["registry.example.com/prod", "b.example"]}});
    scene.change("homeless", changed).await?;
    let words = no_place_for_probes(&scene, "homeless").await?;
    assert!(words.contains("gabion-probe"), "{words}");
    let now = names(cluster, BINDING, "homeless").await?;
    assert!(now.is_superset(&before), "{now:?}");
    refused(cluster, "homeless").await?;

    let release = json!({"metadata": {"finalizers": null}});
    cluster.patch("ConfigMap", "gabion-probe", "held", release).await?;
    cluster.gone("Namespace", "", "gabion-probe").await?;
    no_place_for_probes(&scene, "homeless").await?;
    refused(cluster, "homeless").await?;
    env.plane().admin()?.apply_path(&rights())?;
    eventually(LATER, "the new revision takes over", || async {
        let now = names(cluster, BINDING, "homeless").await?;
        if now.is_disjoint(&before) { Ok(()) } else { Err(Failure::new(format!("{now:?}"))) }
    })
    .await?;
    enforced(&scene, "homeless").await?;
    assert_eq!(refusal(cluster, &good("homeless")).await?, None);
    Ok(())
}

/// A policy of somebody else that refuses every pod in the probe namespace.
async fn occupy(cluster: &Cluster) -> Result<()> {
    let group = "/apis/admissionregistration.k8s.io/v1";
    let pods = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": POLICY,
        "metadata": {"name": "occupier"}, "spec": {"failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": pods},
            "validations": [{"expression": "false", "message": "this namespace is taken"}]}});
    let there = json!([{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["gabion-probe"]}]);
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": BINDING,
        "metadata": {"name": "occupier"}, "spec": {"policyName": "occupier", "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchExpressions": there}}}});
    for (plural, object) in
        [("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)]
    {
        cluster.send("POST", &format!("{group}/{plural}"), "application/json", &object).await?;
    }
    let probe =
        json!({"metadata": {"name": "x", "namespace": "gabion-probe"}, "spec": good("x")["spec"]});
    eventually(SOON, "it is taken", || async {
        let why = refusal(cluster, &kind_of_pod(&probe)).await?.unwrap_or_default();
        if why.contains("is taken") { Ok(()) } else { Err(Failure::new(why)) }
    })
    .await
}

fn kind_of_pod(object: &Value) -> Value {
    let mut pod = object.clone();
    pod["kind"] = "Pod".into();
    pod
}

#[tokio::test]
async fn a_probe_namespace_that_somebody_else_took_binds_nothing_and_says_who_refuses() -> Result<()>
{
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "occupied").await?;
    let cluster = &scene.cluster;
    occupy(cluster).await?;
    scene.baseline("occupied", images()).await?;
    let reported = scene.baseline_says("occupied", "Compiled", "False", "ProbeFailed").await?;
    let words = reported["message"].as_str().unwrap_or_default();
    assert!(words.contains("this namespace is taken"), "{words}");
    let bindings = names(cluster, BINDING, "occupied").await?;
    assert!(bindings.iter().all(|name| name.ends_with("-probe")), "{bindings:?}");
    assert_eq!(refusal(cluster, &bad("occupied")).await?, None);
    cluster.delete(BINDING, "", "occupier").await?;
    eventually(LATER, "it is in force after all", || async {
        let object = cluster.get("HardeningBaseline", "", "occupied").await?.unwrap_or_default();
        let found = condition(&object, "Enforced");
        if found["status"] == "True" { Ok(()) } else { Err(Failure::new(found.to_string())) }
    })
    .await?;
    refused(cluster, "occupied").await?;
    // A baseline can select the namespace, and still does not reach it.
    let all = json!({"allNamespaces": true, "namespaceSelector": null});
    scene.change("occupied", all).await?;
    enforced(&scene, "occupied").await?;
    let mut probe = bad("gabion-probe");
    probe["metadata"]["name"] = "x".into();
    let why = refusal(cluster, &probe).await?.unwrap_or_default();
    assert!(!why.contains("hardening baseline"), "{why}");
    Ok(())
}
