//! Scenario 18: deletion reverts, with a seat belt.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use support::{
    Cluster, Failure, Options, Result, SOON, Subsystem, answers,
    api_proxy::{self, Faults},
    audit, condition, eventually, path, repository,
};

use crate::{
    recorder::Recorder,
    scene::{FULL_SET, PSS, Scene, full, merge},
};

fn enforce() -> String {
    format!("{PSS}enforce")
}

/// A namespace whose enforce label is `baseline`, and its default ServiceAccount.
async fn lax_namespace(scene: &Scene<'_>, name: &str) -> Result<()> {
    let mut labels = json!({});
    labels[enforce()] = json!("baseline");
    scene.create_namespace(name, labels).await?;
    scene.cluster.until("ServiceAccount", name, "default", |_| Ok(())).await?;
    Ok(())
}

/// Everything is as it was before there was a baseline.
async fn as_before(scene: &Scene<'_>, ns: &str) -> Result<()> {
    scene.bare(ns).await?;
    scene.automount(ns, "default", Value::Null).await?;
    let labels = scene.labels(ns).await?;
    let security: Vec<_> =
        labels.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with(PSS)).collect();
    assert_eq!(security, [(&enforce(), &json!("baseline"))]);
    Ok(())
}

#[tokio::test]
async fn deletion_gives_back_what_was_there_before_in_order() -> Result<()> {
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, "reverted").await?;
    lax_namespace(&scene, "reverted").await?;
    scene.baseline("reverted", full()).await?;
    scene.hardened("reverted", &["reverted"]).await?;
    scene.label_is("reverted", &enforce(), json!("restricted")).await?;
    let before = scene.writes("reverted").len();

    scene.take_back("reverted").await?;

    as_before(&scene, "reverted").await?;
    let steps: Vec<String> =
        scene.writes("reverted").split_off(before).iter().map(audit::Request::text).collect();
    let wanted = [
        "delete networkpolicies gabion-default-deny",
        "delete networkpolicies gabion-allow-dns",
        "delete networkpolicies gabion-allow-frontend-to-backend",
        "delete networkpolicies gabion-egress-frontend-to-backend",
        "delete resourcequotas gabion-quota",
        "delete limitranges gabion-limits",
        "patch serviceaccounts default",
        "patch namespaces reverted",
        "delete namespacehardenings effective",
    ];
    assert_eq!(steps, wanted);
    Ok(())
}

#[tokio::test]
async fn a_process_that_is_killed_between_any_two_steps_is_followed_by_one_that_ends_it()
-> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&Options::default())?;
    let kubeconfig = plane.service_account_kubeconfig("gabion-system", "gabion")?;
    let mut env = Subsystem::Hardening.start_on(plane, &[])?;
    // The baseline's own writes are its status, once or twice, and its finalizer at the end.
    let mut reached_the_end = false;
    for writes in 1..=30 {
        let name = format!("killed-{writes}");
        let cluster = Cluster::new(env.plane()).await?;
        let scene = Scene { env: &env, name: name.clone(), cluster: cluster.clone() };
        lax_namespace(&scene, &name).await?;
        let mut sections = full();
        // One policy instead of two: each object is a step.
        merge(&mut sections, json!({"pods": {"templates": "Ignore"}}));
        scene.baseline(&name, sections).await?;
        scene.hardened(&name, &[&name]).await?;
        scene.baseline_says(&name, "Enforced", "True", "ProbeDenied").await?;
        assert_eq!(scene.owned(&name).await?, FULL_SET);
        let recorder = Recorder::start(&cluster, "NetworkPolicy", &name).await?;
        env.operator.kill();

        let faults = Arc::new(Faults::default());
        let through = api_proxy::start(&kubeconfig, faults.clone())?;
        let (mut doomed, health) = env.another_with(&through, &[])?;
        answers(&health, "/readyz", "200 OK").await?;
        faults.cut_after(writes);
        let scene = Scene { env: &env, name: name.clone(), cluster: cluster.clone() };
        // The confirmation is a write of ours, not of the operator.
        scene.delete_baseline(&name).await?;
        let cut = tokio::select! {
            () = faults.is_cut() => true,
            gone = cluster.gone("HardeningBaseline", "", &name) => gone.map(|()| false)?,
        };
        doomed.kill();

        env.start_again(&[])?;
        let scene = Scene { env: &env, name: name.clone(), cluster };
        scene.cluster.gone("HardeningBaseline", "", &name).await?;
        as_before(&scene, &name).await?;
        let texts = recorder.texts();
        assert_eq!(texts.len(), 4, "after {writes} writes something came back: {texts:?}");
        assert!(texts[0] == "DELETED gabion-default-deny", "{texts:?}");
        if !cut {
            reached_the_end = true;
            break;
        }
    }
    assert!(reached_the_end, "a teardown has more steps than were tried");
    Ok(())
}

#[tokio::test]
async fn retain_leaves_everything_and_takes_only_our_marks_off() -> Result<()> {
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, "retained").await?;
    lax_namespace(&scene, "retained").await?;
    let mut sections = full();
    merge(&mut sections, json!({"deletionPolicy": "Retain"}));
    scene.baseline("retained", sections).await?;
    scene.hardened("retained", &["retained"]).await?;
    let quota = scene.cluster.get("ResourceQuota", "retained", "gabion-quota").await?;
    // Another one that ends at the same time, elsewhere and otherwise, changes nothing about it.
    let elsewhere = json!({"namespaceSelector": {"matchLabels": {"set": "nowhere"}}});
    scene.baseline("elsewhere", elsewhere).await?;
    scene.baseline_says("elsewhere", "Ready", "True", "Applied").await?;
    let stuck = json!({"metadata": {"finalizers": ["example.com/stuck", "gabion.dev/teardown"]}});
    scene.cluster.patch("HardeningBaseline", "", "elsewhere", stuck).await?;
    scene.delete_baseline("elsewhere").await?;

    scene.take_back("retained").await?;

    scene.bare("retained").await?;
    scene.settle().await?;
    for name in FULL_SET.iter().filter(|name| !name.starts_with("NamespaceHardening")) {
        let (kind, name) = name.split_once('/').unwrap_or_default();
        let left = scene.cluster.get(kind, "retained", name).await?;
        let left = left.ok_or_else(|| Failure::new(format!("{kind}/{name} is gone")))?;
        assert_eq!(left["metadata"]["ownerReferences"], Value::Null, "{left}");
        assert!(!left["metadata"].to_string().contains("gabion.dev"), "{left}");
    }
    let left = scene.cluster.get("ResourceQuota", "retained", "gabion-quota").await?;
    assert_eq!(left.unwrap_or_default()["spec"], quota.unwrap_or_default()["spec"]);
    scene.label_is("retained", &enforce(), json!("restricted")).await?;
    scene.automount("retained", "default", json!(false)).await?;
    let free = json!({"metadata": {"finalizers": null}});
    scene.cluster.patch("HardeningBaseline", "", "elsewhere", free).await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_blocks_nothing_and_is_not_blocked() -> Result<()> {
    let scene = Scene::new("dying").await?;
    let cluster = &scene.cluster;
    scene.baseline("dying", full()).await?;
    scene.hardened("dying", &["dying"]).await?;
    // Somebody's finalizer keeps the namespace in Terminating.
    let stuck = json!({"kind": "ConfigMap", "metadata": {
        "name": "stuck", "namespace": "dying", "finalizers": ["example.com/stuck"]}});
    cluster.create(stuck).await?;
    cluster.delete("Namespace", "", "dying").await?;
    cluster.gone("NetworkPolicy", "dying", "gabion-default-deny").await?;
    cluster.gone("NamespaceHardening", "dying", "effective").await?;
    scene.settle().await?;
    assert_eq!(scene.owned("dying").await?, Vec::<String>::new(), "nothing is made anew");
    let object = cluster.get("HardeningBaseline", "", "dying").await?.unwrap_or_default();
    assert_eq!(object["status"]["namespaces"]["selected"], 0, "{object}");

    scene.take_back("dying").await?;

    let free = json!({"metadata": {"finalizers": null}});
    cluster.patch("ConfigMap", "dying", "stuck", free).await?;
    cluster.gone("Namespace", "", "dying").await
}

#[tokio::test]
async fn two_at_once_are_an_accident_until_each_is_confirmed() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "pair").await?;
    let cluster = &scene.cluster;
    scene.baseline("one", json!({"network": {}})).await?;
    scene.baseline("two", json!({"resources": {"quota": {"hard": {"pods": "20"}}}})).await?;
    let status = scene.hardened("pair", &["one", "two"]).await?;
    let recorder = Recorder::start(cluster, "NetworkPolicy", "pair").await?;

    cluster.delete("HardeningBaseline", "", "one").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.delete("HardeningBaseline", "", "two").await?;

    for name in ["one", "two"] {
        let reported = scene.baseline_says(name, "Ready", "False", "MassDeletion").await?;
        let message = reported["message"].as_str().unwrap_or_default();
        assert!(message.contains("2 of 2 baselines are being deleted at once"), "{message}");
        assert!(message.contains("gabion.dev/confirm-teardown"), "{message}");
    }
    scene.settle().await?;
    assert_eq!(recorder.texts(), Vec::<String>::new());
    // What is paused is still enforced.
    cluster.delete("NetworkPolicy", "pair", "gabion-default-deny").await?;
    cluster.until("NetworkPolicy", "pair", "gabion-default-deny", |_| Ok(())).await?;

    scene.confirm("two").await?;
    cluster.gone("HardeningBaseline", "", "two").await?;
    cluster.gone("ResourceQuota", "pair", "gabion-quota").await?;
    // The other one is not confirmed by that, not even for a new process.
    scene.settle().await?;
    scene.baseline_says("one", "Ready", "False", "MassDeletion").await?;
    let left = scene.hardened("pair", &["one"]).await?;
    assert!(left["values"].to_string().len() < status["values"].to_string().len());
    assert!(cluster.get("NetworkPolicy", "pair", "gabion-default-deny").await?.is_some());

    let note = json!({"metadata": {"annotations": {"gabion.dev/confirm-teardown": "one"}}});
    cluster.patch("HardeningBaseline", "", "one", note).await?;
    cluster.gone("HardeningBaseline", "", "one").await?;
    scene.bare("pair").await
}

#[tokio::test]
async fn the_garbage_collector_takes_nothing_apart_however_a_baseline_is_deleted() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "swept").await?;
    let cluster = &scene.cluster;
    scene.baseline("one", full()).await?;
    scene.baseline("two", json!({"podSecurity": {"level": "baseline"}})).await?;
    scene.hardened("swept", &["one", "two"]).await?;
    let recorder = Recorder::start(cluster, "NetworkPolicy", "swept").await?;
    // As GitOps tools prune: the collector deletes what the object owns, in any order.
    let body = json!({"propagationPolicy": "Foreground"});
    for name in ["one", "two"] {
        let url = path("HardeningBaseline", "", name);
        cluster.send("DELETE", &url, "application/json", &body).await?;
    }
    for name in ["one", "two"] {
        scene.baseline_says(name, "Ready", "False", "MassDeletion").await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(recorder.texts(), Vec::<String>::new());

    for name in ["one", "two"] {
        scene.confirm(name).await?;
    }
    cluster.gone("HardeningBaseline", "", "one").await?;
    scene.bare("swept").await?;
    let texts = recorder.texts();
    assert_eq!(texts[0], "DELETED gabion-default-deny", "{texts:?}");
    assert_eq!(texts.len(), 4, "{texts:?}");
    Ok(())
}

#[tokio::test]
async fn one_of_many_goes_without_a_word() -> Result<()> {
    let scene = Scene::new("single").await?;
    scene.baseline("single", json!({"network": {}})).await?;
    scene.hardened("single", &["single"]).await?;
    scene.cluster.delete("HardeningBaseline", "", "single").await?;
    scene.cluster.gone("HardeningBaseline", "", "single").await?;
    scene.bare("single").await
}

#[tokio::test]
async fn deleting_the_definition_opens_nothing() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "shop").await?;
    let cluster = scene.cluster.clone();
    scene.baseline("prod", full()).await?;
    scene.hardened("shop", &["prod"]).await?;
    let recorder = Recorder::start(&cluster, "NetworkPolicy", "shop").await?;

    let definition = "hardeningbaselines.gabion.dev";
    cluster.delete("CustomResourceDefinition", "", definition).await?;

    let reported = scene.baseline_says("prod", "Ready", "False", "MassDeletion").await?;
    let message = reported["message"].as_str().unwrap_or_default();
    assert!(message.contains("the CustomResourceDefinition is being deleted"), "{message}");
    // A confirmation that a manifest carries all the time says nothing about this.
    scene.confirm("prod").await?;
    // Nor does a new process.
    env.operator.kill();
    env.start_again(&[])?;
    let scene = Scene { env: &env, name: "shop".to_owned(), cluster: cluster.clone() };
    answers(&env.health, "/readyz", "200 OK").await?;
    cluster.delete("NetworkPolicy", "shop", "gabion-allow-dns").await?;
    cluster.until("NetworkPolicy", "shop", "gabion-allow-dns", |_| Ok(())).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.owned("shop").await?, FULL_SET);
    assert_eq!(recorder.texts(), ["DELETED gabion-allow-dns", "ADDED gabion-allow-dns"]);
    let object = cluster.get("HardeningBaseline", "", "prod").await?.unwrap_or_default();
    assert_eq!(condition(&object, "Ready")["reason"], "MassDeletion");

    // A person restores it: lets it go by force, and applies definition and baseline again.
    recorder.clear();
    let free = json!({"metadata": {"finalizers": null}});
    cluster.patch("HardeningBaseline", "", "prod", free).await?;
    cluster.gone("CustomResourceDefinition", "", definition).await?;
    let file = repository().join(format!("crds/{definition}.yaml"));
    env.plane().admin()?.apply_path(&file)?;
    let again = || async { scene.baseline("prod", full()).await };
    eventually(SOON, "the definition is served", again).await?;
    scene.baseline_says("prod", "Ready", "True", "Applied").await?;
    let object = cluster.get("HardeningBaseline", "", "prod").await?.unwrap_or_default();
    cluster
        .until("NetworkPolicy", "shop", "gabion-default-deny", |policy| {
            let owner = &policy["metadata"]["annotations"]["gabion.dev/owner"];
            if *owner == object["metadata"]["uid"] { Ok(()) } else { Err(owner.to_string()) }
        })
        .await?;
    scene.hardened("shop", &["prod"]).await?;
    let texts = recorder.texts();
    assert!(texts.iter().all(|text| text.starts_with("MODIFIED")), "{texts:?}");
    assert_eq!(scene.owned("shop").await?, FULL_SET);
    Ok(())
}

#[tokio::test]
async fn a_deleted_definition_goes_when_each_baseline_is_confirmed() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "shop").await?;
    let cluster = &scene.cluster;
    scene.baseline("prod", full()).await?;
    scene.hardened("shop", &["prod"]).await?;
    let definition = "hardeningbaselines.gabion.dev";
    cluster.delete("CustomResourceDefinition", "", definition).await?;
    scene.baseline_says("prod", "Ready", "False", "MassDeletion").await?;

    let note = json!({"metadata": {"annotations": {"gabion.dev/confirm-teardown": "prod"}}});
    cluster.patch("HardeningBaseline", "", "prod", note).await?;

    cluster.gone("CustomResourceDefinition", "", definition).await?;
    scene.bare("shop").await
}
