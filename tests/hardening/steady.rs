//! A steady cluster, a missing right, two replicas, and what a person reads.

use std::time::Duration;

use serde_json::json;
use support::{
    Cluster, ControlPlane, Failure, Options, Result, SOON, Signal, Subsystem, TestEnv, answers,
    at_rest, audit, condition,
};

use crate::scene::{FULL_SET, Scene, full};

fn writes(plane: &ControlPlane) -> Vec<String> {
    let all = audit::requests(plane);
    all.iter().filter(|request| request.is_write()).map(audit::Request::text).collect()
}

#[tokio::test]
async fn a_steady_cluster_gets_no_write_and_neither_does_a_restart() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "calm").await?;
    let cluster = scene.cluster.clone();
    scene.baseline("calm", full()).await?;
    for index in 0..5 {
        scene.create_namespace(&format!("calm-{index}"), json!({})).await?;
        scene.hardened(&format!("calm-{index}"), &["calm"]).await?;
    }
    scene.hardened("calm", &["calm"]).await?;
    scene.counted("calm", 6).await?;
    at_rest(|| writes(env.plane()).len()).await;

    let before = writes(env.plane());
    // Longer than every pause of the operator.
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(writes(env.plane()), before);

    env.operator.stop(SOON)?;
    env.start_again(&[])?;
    answers(&env.health, "/readyz", "200 OK").await?;
    at_rest(|| writes(env.plane()).len()).await;
    assert_eq!(writes(env.plane()), before);
    // It is awake all the same.
    cluster.delete("LimitRange", "calm-3", "gabion-limits").await?;
    cluster.until("LimitRange", "calm-3", "gabion-limits", |_| Ok(())).await?;
    Ok(())
}

#[tokio::test]
async fn without_one_right_the_rest_is_applied_and_the_right_is_named() -> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&Options::default())?;
    let cluster = Cluster::new(&plane).await?;
    let role = cluster.get("ClusterRole", "", "gabion-hardening").await?.unwrap_or_default();
    let rules = role["rules"].clone();
    let mut fewer = rules.clone();
    for rule in fewer.as_array_mut().into_iter().flatten() {
        if rule["resources"] == json!(["networkpolicies"]) {
            rule["verbs"] = json!(["get", "list", "watch", "update", "delete"]);
        }
    }
    assert_ne!(fewer, rules);
    cluster.patch("ClusterRole", "", "gabion-hardening", json!({"rules": fewer})).await?;
    let env = Subsystem::Hardening.start_on(plane, &[])?;
    let scene = Scene::within(&env, "poor").await?;
    scene.baseline("poor", full()).await?;

    let status = scene.effective_says("poor", "False", "Forbidden").await?;
    let message = condition(&json!({"status": status}), "Ready")["message"].to_string();
    for word in [
        "create",
        "NetworkPolicy/gabion-allow-frontend-to-backend",
        "ServiceAccount",
        "Tried again",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
    scene.automount("poor", "default", json!(false)).await?;
    let wanted =
        ["LimitRange/gabion-limits", "NamespaceHardening/effective", "ResourceQuota/gabion-quota"];
    assert_eq!(scene.owned("poor").await?, wanted);
    let reported = scene.baseline_says("poor", "Ready", "False", "NamespaceErrors").await?;
    assert!(reported["message"].to_string().contains("1 of 1 namespaces"), "{reported}");

    cluster.patch("ClusterRole", "", "gabion-hardening", json!({"rules": rules})).await?;
    scene.hardened("poor", &["poor"]).await?;
    assert_eq!(scene.owned("poor").await?, FULL_SET);
    scene.baseline_says("poor", "Ready", "True", "Applied").await?;

    // Without reading what is in use, only the quota waits.
    let mut fewer = rules.clone();
    fewer.as_array_mut().into_iter().flatten().for_each(|rule| {
        if rule["resources"] == json!(["pods"]) {
            rule["resources"] = json!(["nothing"]);
        }
    });
    cluster.patch("ClusterRole", "", "gabion-hardening", json!({"rules": fewer})).await?;
    scene.create_namespace("poor-two", json!({})).await?;
    let status = scene.effective_says("poor-two", "False", "Forbidden").await?;
    let message = condition(&json!({"status": status}), "Ready")["message"].to_string();
    assert!(message.contains("forbids list on Pod"), "{message}");
    scene.automount("poor-two", "default", json!(false)).await?;
    let mut wanted = FULL_SET.to_vec();
    wanted.retain(|name| *name != "ResourceQuota/gabion-quota");
    assert_eq!(scene.owned("poor-two").await?, wanted);
    Ok(())
}

/// A second ServiceAccount with the same rights, so that the audit log tells two processes apart.
fn second_account(plane: &ControlPlane) -> Result<std::path::PathBuf> {
    plane.kubectl(&["create", "serviceaccount", "second", "-n", "gabion-system"])?;
    let account = "--serviceaccount=gabion-system:second";
    for role in ["gabion-hardening", "gabion-events"] {
        let (name, role) = (format!("second-{role}"), format!("--clusterrole={role}"));
        plane.kubectl(&["create", "clusterrolebinding", &name, &role, account])?;
    }
    for (role, ns) in [("gabion-leases", "gabion-system"), ("gabion-dns", "kube-system")] {
        let role = format!("--role={role}");
        plane.kubectl(&["create", "rolebinding", "second", "-n", ns, &role, account])?;
    }
    plane.service_account_kubeconfig("gabion-system", "second")
}

#[tokio::test]
async fn of_two_replicas_one_writes_and_one_that_slept_does_not_wake_up_writing() -> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&Options::default())?;
    let second = second_account(&plane)?;
    let flags = [
        "--enable-leader-election",
        "--leader-election-lease-duration=3s",
        "--leader-election-renew-deadline=2s",
        "--leader-election-retry-period=500ms",
    ];
    let mut env = Subsystem::Hardening.start_on(plane, &flags)?;
    let scene = Scene::within(&env, "led").await?;
    let cluster = scene.cluster.clone();
    scene.baseline("led", full()).await?;
    scene.hardened("led", &["led"]).await?;

    let (mut other, _) = env.another_with(&second, &flags)?;
    let user = "system:serviceaccount:gabion-system:second";
    let of_other = |env: &TestEnv| -> Vec<String> {
        let all = audit::requests_of(env.plane(), user);
        let writes = all.iter().filter(|r| r.is_write() && r.resource != "leases");
        writes.map(audit::Request::text).collect()
    };
    scene.settle().await?;
    scene.create_namespace("led-two", json!({})).await?;
    scene.hardened("led-two", &["led"]).await?;
    assert_eq!(of_other(&env), Vec::<String>::new());

    // The leader falls asleep, with no request half sent; what happens then is for the other one.
    let of_first = |env: &TestEnv| -> Vec<String> {
        let all = audit::requests(env.plane());
        let writes = all.iter().filter(|r| r.is_write() && r.resource != "leases");
        writes.map(audit::Request::text).collect()
    };
    at_rest(|| of_first(&env).len()).await;
    env.operator.signal(Signal::STOP)?;
    scene.create_namespace("led-three", json!({})).await?;
    scene.hardened("led-three", &["led"]).await?;
    let before = of_first(&env);
    assert!(!of_other(&env).is_empty());
    env.operator.signal(Signal::CONT)?;
    cluster.delete("NetworkPolicy", "led", "gabion-default-deny").await?;
    cluster.until("NetworkPolicy", "led", "gabion-default-deny", |_| Ok(())).await?;
    env.operator.wait(SOON)?;
    assert_eq!(of_first(&env), before, "it woke up and wrote");
    other.stop(SOON)?;
    Ok(())
}

#[tokio::test]
async fn a_person_sees_why_a_quota_is_what_it_is() -> Result<()> {
    let scene = Scene::new("explained").await?;
    let quota = |pods: &str| json!({"resources": {"quota": {"hard": {"pods": pods}}}});
    scene.baseline("explained-org", quota("100")).await?;
    let mut strict = quota("20");
    strict["priority"] = json!(50);
    scene.baseline("explained-pci", strict).await?;
    scene.hardened("explained", &["explained-pci", "explained-org"]).await?;
    scene.baseline_says("explained-pci", "Ready", "True", "Applied").await?;
    let kubectl = scene.env.plane().admin()?;

    let text = kubectl.run(&["describe", "nsh", "effective", "-n", "explained"])?;
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.ends_with("resources.quota.hard[pods]"));
    let at = at.ok_or_else(|| Failure::new(text.clone()))?;
    let row = lines[at.saturating_sub(2)..at + 3].join(" | ");
    for word in ["explained-pci", "minimum of 2 baselines", "20"] {
        assert!(row.contains(word), "{word}: {row}");
    }

    let table = kubectl.run(&["get", "nsh", "-n", "explained"])?;
    let columns: Vec<_> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        columns,
        ["NAME", "LEVEL", "STAGE", "BASELINES", "HELD", "CONFLICTS", "READY", "AGE"]
    );
    assert!(table.contains("explained-pci,explained-org"), "{table}");
    let table = kubectl.run(&["get", "hb", "explained-pci"])?;
    let cells: Vec<_> = table.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert!(cells.contains(&"Enforce") && cells.contains(&"True"), "{table}");
    Ok(())
}

#[tokio::test]
async fn a_problem_is_told_in_an_event_once() -> Result<()> {
    let scene = Scene::new("warned").await?;
    let taken = json!({
        "kind": "ResourceQuota",
        "metadata": {"name": "gabion-quota", "namespace": "warned"},
        "spec": {"hard": {"pods": "3"}},
    });
    scene.cluster.create(taken).await?;
    scene.baseline("warned", full()).await?;
    scene.effective_says("warned", "False", "NameTaken").await?;
    for value in ["a", "b", "c"] {
        let change = json!({"metadata": {"labels": {"team": value}}});
        scene.cluster.patch("Namespace", "", "warned", change).await?;
        scene.settle().await?;
    }
    let events = scene.cluster.list("Event", "warned").await?;
    let warnings: Vec<_> = events.iter().filter(|event| event["reason"] == "NameTaken").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["regarding"]["name"], "effective");
    assert!(warnings[0]["note"].to_string().contains("gabion.dev/adopt"), "{warnings:?}");
    Ok(())
}
