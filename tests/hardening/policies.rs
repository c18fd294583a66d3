//! A baseline's admission policies: in force only after they proved themselves, put back when somebody changes
//! them, gone before anything else is.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use support::{Cluster, Failure, Result, SOON, Subsystem, audit, eventually, path};

use crate::scene::{Scene, pod};

/// The kind of policies.
pub const POLICY: &str = "ValidatingAdmissionPolicy";
/// The kind of their bindings.
pub const BINDING: &str = "ValidatingAdmissionPolicyBinding";

/// What a baseline of these tests asks for: nothing that Pod Security labels could do.
pub fn images() -> Value {
    json!({"images": {"allowedRegistries": ["registry.example.com/prod"]}})
}

/// A pod that holds it.
pub fn good(ns: &str) -> Value {
    pod(ns, "good", json!({}))
}

/// A pod that does not.
pub fn bad(ns: &str) -> Value {
    let mut pod = pod(ns, "bad", json!({}));
    pod["spec"]["containers"][0]["image"] = "evil.example.com/app:1".into();
    pod
}

/// What the API server would say to a pod: nothing, or why not.
pub async fn refusal(cluster: &Cluster, pod: &Value) -> Result<Option<String>> {
    let mut pod = pod.clone();
    pod["apiVersion"] = "v1".into();
    let ns = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let url = format!("{}?dryRun=All", path("Pod", ns, ""));
    match cluster.send("POST", &url, "application/json", &pod).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// Names of the policies, or bindings, of a baseline.
pub async fn names(cluster: &Cluster, kind: &str, baseline: &str) -> Result<BTreeSet<String>> {
    let prefix = format!("gabion-{baseline}-");
    let all = cluster.list(kind, "").await?;
    let names = all.iter().filter_map(|object| object["metadata"]["name"].as_str());
    Ok(names.filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect())
}

/// The name of the binding that denies.
pub async fn denying(cluster: &Cluster, baseline: &str) -> Result<String> {
    for name in names(cluster, BINDING, baseline).await? {
        let binding = cluster.get(BINDING, "", &name).await?.unwrap_or_default();
        if !name.ends_with("-probe") && binding["spec"]["validationActions"][0] == "Deny" {
            return Ok(name);
        }
    }
    Err(Failure::new(format!("{baseline} has no binding that denies")))
}

/// Waits until a baseline is proved and enforced.
pub async fn enforced(scene: &Scene<'_>, baseline: &str) -> Result<()> {
    scene.baseline_says(baseline, "Compiled", "True", "Proved").await?;
    scene.baseline_says(baseline, "Enforced", "True", "ProbeDenied").await?;
    Ok(())
}

#[tokio::test]
async fn a_bad_pod_is_refused_as_soon_as_the_baseline_says_enforced() -> Result<()> {
    let scene = Scene::new("refused").await?;
    scene.baseline("refused", images()).await?;
    enforced(&scene, "refused").await?;
    let why = refusal(&scene.cluster, &bad("refused")).await?.unwrap_or_default();
    assert!(why.contains("hardening baseline refused") && why.contains("HB-IMG"), "{why}");
    assert_eq!(refusal(&scene.cluster, &good("refused")).await?, None);
    // A namespace that is made now is under it at once.
    scene.create_namespace("refused-later", json!({})).await?;
    let account = json!({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "refused-later"}});
    let _ = scene.cluster.create(account).await;
    assert!(refusal(&scene.cluster, &bad("refused-later")).await?.is_some());
    // Others are not concerned, nor is what is protected.
    for elsewhere in ["default", "kube-system", "gabion-probe"] {
        let why = refusal(&scene.cluster, &bad(elsewhere)).await?.unwrap_or_default();
        assert!(!why.contains("hardening baseline"), "{elsewhere}: {why}");
    }
    let object = scene.cluster.get("HardeningBaseline", "", "refused").await?.unwrap_or_default();
    let revision = object["status"]["policyRevision"].as_str().unwrap_or_default();
    let policies = names(&scene.cluster, POLICY, "refused").await?;
    assert!(
        !revision.is_empty() && policies.iter().all(|name| name.ends_with(revision)),
        "{policies:?}"
    );
    scene.take_back("refused").await?;
    assert_eq!(names(&scene.cluster, POLICY, "refused").await?, BTreeSet::new());
    assert_eq!(names(&scene.cluster, BINDING, "refused").await?, BTreeSet::new());
    eventually(SOON, "the bad pod is taken again", || async {
        let why = refusal(&scene.cluster, &bad("refused")).await?;
        why.map_or(Ok(()), |why| Err(Failure::new(why)))
    })
    .await
}

#[tokio::test]
async fn a_revision_is_bound_after_its_probes_and_unbound_before_all_else() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "order").await?;
    let mut sections = images();
    sections["podSecurity"] = json!({});
    scene.baseline("order", sections).await?;
    enforced(&scene, "order").await?;
    scene.hardened("order", &["order"]).await?;
    scene.take_back("order").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let ours = audit::requests(env.plane());
    let logged: Vec<_> =
        ours.iter().map(|r| format!("{} {} {}", r.verb, r.resource, r.name)).collect();
    let at = |what: &str, wanted: &dyn Fn(&str) -> bool| {
        let found = logged.iter().position(|line| wanted(line));
        found.ok_or_else(|| Failure::new(format!("no {what} in {logged:#?}")))
    };
    let policy = at("policy", &|l| l.starts_with("create validatingadmissionpolicies"))?;
    let probe = at("probe", &|l| l.starts_with("create pods"))?;
    let bindings = "validatingadmissionpolicybindings";
    let is_stage = |l: &str| l.contains(bindings) && !l.ends_with("-probe");
    let bound = at("binding", &|l| l.starts_with("create") && is_stage(l))?;
    assert!(policy < probe && probe < bound, "{logged:#?}");
    let probes = logged.iter().take(bound).filter(|l| l.starts_with("create pods")).count();
    assert!(probes >= 2, "one that is denied and one that passes: {logged:#?}");
    let unbound = at("unbinding", &|l| l.starts_with("delete") && l.contains(bindings))?;
    let removed = at("removal", &|l| l.starts_with("delete validatingadmissionpolicies"))?;
    let labels: Vec<_> = logged
        .iter()
        .enumerate()
        .filter(|(_, l)| l.starts_with("patch namespaces"))
        .map(|(position, _)| position)
        .collect();
    let reverted = labels.last().copied().unwrap_or_default();
    assert!(bound < unbound && unbound < removed && removed < reverted, "{logged:#?}");
    Ok(())
}

#[tokio::test]
async fn between_two_revisions_there_is_no_moment_without_one() -> Result<()> {
    let scene = Scene::new("gapless").await?;
    scene.baseline("gapless", images()).await?;
    enforced(&scene, "gapless").await?;
    let before = names(&scene.cluster, POLICY, "gapless").await?;
    let (done, mut asked) = (std::sync::atomic::AtomicBool::new(false), 0);
    let hammer = async {
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let why = refusal(&scene.cluster, &bad("gapless")).await?;
            if why.is_none() {
                return Err(Failure::new("a bad pod came in"));
            }
            asked += 1;
        }
        Ok(())
    };
    let change = async {
        for registries in [
            json!(["registry.example.com/prod", "b.example.com"]),
            json!(["registry.example.com/prod", "c.example.com"]),
        ] {
            scene.change("gapless", json!({"images": {"allowedRegistries": registries}})).await?;
            enforced(&scene, "gapless").await?;
        }
        eventually(SOON, "the first revision goes", || async {
            let now = names(&scene.cluster, POLICY, "gapless").await?;
            if now.is_disjoint(&before) && now.len() == before.len() {
                Ok(())
            } else {
                Err(Failure::new(format!("{now:?}")))
            }
        })
        .await?;
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, Failure>(())
    };
    tokio::try_join!(hammer, change)?;
    assert!(asked > 10, "only {asked} were asked");
    Ok(())
}

#[tokio::test]
async fn hardening_9_what_somebody_changes_is_put_back_told_and_proved_again() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "tamper").await?;
    scene.baseline("tamper", images()).await?;
    enforced(&scene, "tamper").await?;
    let cluster = &scene.cluster;
    let binding = denying(cluster, "tamper").await?;
    let policy =
        cluster.get(BINDING, "", &binding).await?.unwrap_or_default()["spec"]["policyName"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
    let not_in =
        json!([{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["tamper"]}]);
    let strip = json!({"metadata": {"labels": null, "annotations": null}});
    for (nth, (kind, name, edit)) in [
        (BINDING, &binding, json!({"spec": {"matchResources": {"namespaceSelector": {"matchExpressions": not_in}}}})),
        (POLICY, &policy, json!({"spec": {"failurePolicy": "Ignore"}})),
        (POLICY, &policy, json!({"spec": {"matchConditions": [{"name": "never", "expression": "false"}]}})),
        (BINDING, &binding, json!({"spec": {"validationActions": ["Audit"]}})),
        (BINDING, &binding, strip),
        (POLICY, &policy, Value::Null),
        (BINDING, &binding, Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{kind} {edit}");
        let before = cluster.get(kind, "", name).await?.unwrap_or_default();
        if edit.is_null() {
            cluster.delete(kind, "", name).await?;
        } else {
            cluster.patch_as(kind, "", name, edit, "mallory").await?;
        }
        cluster
            .until(kind, "", name, |object| {
                if object["spec"] == before["spec"] && object["metadata"]["labels"] == before["metadata"]["labels"] {
                    Ok(())
                } else {
                    Err(format!("{what}: {object}"))
                }
            })
            .await?;
        eventually(SOON, "it is counted", || async {
            let counted = env.counter("gabion_tampers_total").await?;
            if counted > u64::try_from(nth)? { Ok(()) } else { Err(Failure::new(format!("{what}: {counted}"))) }
        })
        .await?;
        eventually(SOON, "the bad pod is refused again", || async {
            let why = refusal(cluster, &bad("tamper")).await?;
            why.map(|_| ()).ok_or_else(|| Failure::new(format!("{what}: it came in")))
        })
        .await?;
        enforced(&scene, "tamper").await?;
    }
    let events = cluster.list("Event", "default").await?;
    let logged: Vec<_> = events
        .iter()
        .filter(|event| event["reason"] == "Tampered" && event["type"] == "Warning")
        .map(|e| e["note"].to_string())
        .collect();
    for kind in [POLICY, BINDING] {
        let by = |note: &&String| note.contains(&format!("{kind}/")) && note.contains("by mallory");
        assert!(logged.iter().any(|note| by(&note)), "{logged:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_the_probe_namespace_nothing_is_bound() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&["--probe-namespace=absent"])?;
    let scene = Scene::within(&env, "unproved").await?;
    scene.baseline("unproved", images()).await?;
    let reported = scene.baseline_says("unproved", "Enforced", "False", "NoProbeNamespace").await;
    // Without the right to create pods there, the API server does not say whether there is such a namespace.
    if reported.is_err() {
        scene.baseline_says("unproved", "Compiled", "False", "Forbidden").await?;
    }
    let bindings = names(&scene.cluster, BINDING, "unproved").await?;
    assert!(bindings.iter().all(|name| name.ends_with("-probe")), "{bindings:?}");
    assert_eq!(refusal(&scene.cluster, &bad("unproved")).await?, None);
    env.operator.stop(SOON)?;
    Ok(())
}

#[tokio::test]
async fn without_rights_to_policies_everything_else_is_applied() -> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&support::Options::default())?;
    plane.kubectl(&["delete", "clusterrolebinding", "gabion-policies"])?;
    let env = Subsystem::Hardening.start_on(plane, &[])?;
    let scene = Scene::within(&env, "poor").await?;
    let mut sections = images();
    sections["podSecurity"] = json!({});
    scene.baseline("poor", sections).await?;
    scene.hardened("poor", &["poor"]).await?;
    let reported = scene.baseline_says("poor", "Compiled", "False", "NeedsClusterInstall").await?;
    assert!(
        reported["message"].as_str().unwrap_or_default().contains("policies.yaml"),
        "{reported}"
    );
    scene.baseline_says("poor", "Ready", "False", "NeedsClusterInstall").await?;
    scene.take_back("poor").await
}

#[tokio::test]
async fn stages_decide_what_becomes_of_a_bad_pod() -> Result<()> {
    let scene = Scene::new("stages").await?;
    let mut sections = images();
    sections["rollout"] = json!({"target": "Audit"});
    scene.baseline("stages", sections).await?;
    for (stage, reason, actions) in [
        ("Audit", "BelowEnforce", json!(["Audit"])),
        ("Warn", "BelowEnforce", json!(["Warn", "Audit"])),
        ("Enforce", "ProbeDenied", json!(["Deny", "Audit"])),
        ("Audit", "BelowEnforce", json!(["Audit"])),
        ("Observe", "NothingToEnforce", Value::Null),
    ] {
        scene.change("stages", json!({"rollout": {"target": stage}})).await?;
        let compiled = if stage == "Observe" { "NothingToCompile" } else { "Proved" };
        scene.baseline_says("stages", "Compiled", "True", compiled).await?;
        let holds = if stage == "Enforce" { "True" } else { "False" };
        scene.baseline_says("stages", "Enforced", holds, reason).await?;
        let names: Vec<_> = names(&scene.cluster, BINDING, "stages").await?.into_iter().collect();
        let pods: Vec<_> =
            names.iter().filter(|n| n.contains("-pods-") && !n.ends_with("-probe")).collect();
        if actions.is_null() {
            assert_eq!(names, Vec::<String>::new());
        } else {
            assert_eq!(pods.len(), 1, "{stage}: {names:?}");
            let binding = scene.cluster.get(BINDING, "", pods[0]).await?.unwrap_or_default();
            assert_eq!(binding["spec"]["validationActions"], actions, "{stage}");
        }
        let why = refusal(&scene.cluster, &bad("stages")).await?;
        if stage == "Enforce" {
            assert!(why.is_some());
        } else {
            // A binding that changes is in force a moment later.
            eventually(SOON, "the pod is taken", || async {
                let why = refusal(&scene.cluster, &bad("stages")).await?;
                why.map_or(Ok(()), |why| Err(Failure::new(why)))
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_restart_finds_all_in_force_and_writes_nothing() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    {
        let scene = Scene::within(&env, "again").await?;
        scene.baseline("again", images()).await?;
        enforced(&scene, "again").await?;
        scene.counted("again", 1).await?;
    }
    env.operator.stop(SOON)?;
    let until = audit::requests(env.plane()).len();
    env.start_again(&[])?;
    let scene = Scene::within(&env, "later").await?;
    scene.settle().await?;
    let requests = audit::requests(env.plane());
    let about = |r: &&audit::Request| r.is_write() && r.name.contains("again");
    let writes: Vec<_> = requests.iter().skip(until).filter(about).collect();
    assert_eq!(writes, Vec::<&audit::Request>::new());
    Ok(())
}

#[tokio::test]
async fn policies_of_a_baseline_that_was_removed_by_force_go_as_well() -> Result<()> {
    let scene = Scene::new("finalizerless").await?;
    scene.baseline("finalizerless", images()).await?;
    enforced(&scene, "finalizerless").await?;
    scene
        .cluster
        .patch("HardeningBaseline", "", "finalizerless", json!({"metadata": {"finalizers": null}}))
        .await?;
    // Our finalizer comes back at once, so both in one go.
    for _ in 0..20 {
        let change = json!({"metadata": {"finalizers": null}});
        let _ = scene.cluster.delete("HardeningBaseline", "", "finalizerless").await;
        let _ = scene.cluster.patch("HardeningBaseline", "", "finalizerless", change).await;
        if scene.cluster.get("HardeningBaseline", "", "finalizerless").await?.is_none() {
            break;
        }
    }
    eventually(SOON, "nothing is left of it", || async {
        let left = names(&scene.cluster, BINDING, "finalizerless").await?.len()
            + names(&scene.cluster, POLICY, "finalizerless").await?.len();
        if left == 0 { Ok(()) } else { Err(Failure::new(format!("{left} are left"))) }
    })
    .await
}
