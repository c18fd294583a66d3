//! What `/healthz` and `/readyz` say for longer than a liveness probe waits, while watches fail in every way that a
//! restart does not mend, and what goes on meanwhile.

use std::fmt::Write as _;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    Cluster, ControlPlane, Failure, Options, Result, SOON, Subsystem, TestEnv, answers, eventually,
    fetch, repository,
};

use support::api_proxy::{self, Faults, Reading};

use crate::scene::{Scene, value};

/// After this time work that stands still is stuck; all other deadlines are parts of it.
const STALL: &str = "--stall-timeout=20s";
/// Longer than that, with the start of the process and what notices a dead connection first.
const PATIENCE: Duration = Duration::from_secs(35);
/// A watch that fails for longer makes the process unready (half of it).
const HICCUP: Duration = Duration::from_secs(20);

/// Installs every definition but that of baselines.
fn install_but_one(plane: &ControlPlane) -> Result<PathBuf> {
    let crds = repository().join("crds");
    let missing = crds.join("hardeningbaselines.gabion.dev.yaml");
    let kubectl = plane.admin()?;
    for name in [
        "clusterexternalsecrets.external-secrets.io",
        "clustersecretstores.external-secrets.io",
        "externalsecrets.external-secrets.io",
        "namespacehardenings.gabion.dev",
        "secretstores.external-secrets.io",
    ] {
        kubectl.apply_path(&crds.join(format!("{name}.yaml")))?;
        kubectl.run(&["wait", "--for=condition=Established", &format!("crd/{name}")])?;
    }
    Ok(missing)
}

/// Takes the right to list and watch LimitRanges away.
fn take_limit_ranges(plane: &ControlPlane) -> Result<()> {
    let kubectl = plane.admin()?;
    let text = kubectl.run(&["get", "clusterrole", "gabion-hardening", "-o", "json"])?;
    let mut role: Value = serde_json::from_str(&text)?;
    for rule in role["rules"].as_array_mut().into_iter().flatten() {
        if let Some(resources) = rule["resources"].as_array_mut() {
            resources.retain(|resource| resource != "limitranges");
        }
    }
    if let Some(rules) = role["rules"].as_array_mut() {
        rules.retain(|rule| rule["resources"] != json!([]));
    }
    kubectl.run_with_input(&["replace", "-f", "-"], &role.to_string())?;
    Ok(())
}

/// Looks at both pages until `end`; what `/readyz` says after `from`.
async fn watch_probes(health: &str, from: Instant, end: Instant) -> Result<String> {
    let mut said = String::new();
    while Instant::now() < end {
        let (code, page) = fetch(health, "/healthz").await?;
        if code != 200 {
            return Err(Failure::new(format!("/healthz {code}: {page}")));
        }
        let (code, page) = fetch(health, "/readyz").await?;
        if Instant::now() > from {
            let _ = writeln!(said, "{code} {page}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(said)
}

/// The dead connection of one watch is noticed, and another one is opened, which nobody has to ask for.
async fn a_silent_watch(env: &TestEnv, plan: &Faults) -> Result<()> {
    let scene = Scene::within(env, "silent-watch").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    plan.reading("externalsecrets", Reading::Late(Duration::from_hours(1)));
    for name in ["later", "latest"] {
        scene.put(name, &value(name));
        scene.create(scene.external(name, json!({}))).await?;
    }
    // One event is under way now, and holds up all others of its watch.
    tokio::time::sleep(Duration::from_secs(2)).await;
    plan.reading("externalsecrets", Reading::Normal);
    for name in ["later", "latest"] {
        eventually(SOON * 3, &format!("{name} is synced"), || async {
            match scene.data(name).await? {
                Some(_) => Ok(()),
                None => Err(Failure::new("not yet")),
            }
        })
        .await?;
    }
    Ok(())
}

async fn mended(env: &TestEnv, plan: &Faults, missing: &Path) -> Result<()> {
    let kubectl = env.plane().admin()?;
    kubectl.apply_path(missing)?;
    kubectl.apply_path(&repository().join("config/rbac/hardening.yaml"))?;
    plan.reading("resourcequotas", Reading::Normal);
    answers(&env.health, "/readyz", "200 OK").await?;
    let cluster = Cluster::new(env.plane()).await?;
    let labels = json!({"mended": "yes"});
    let namespace = json!({"kind": "Namespace", "metadata": {"name": "mended", "labels": labels}});
    cluster.create(namespace).await?;
    let spec = json!({"namespaceSelector": {"matchLabels": labels}, "network": {},
        "rollout": {"target": "Enforce"}});
    let baseline = json!({"kind": "HardeningBaseline", "metadata": {"name": "mended"},
        "spec": spec});
    eventually(SOON, "the definition is served", || cluster.create(baseline.clone())).await?;
    cluster.until("NetworkPolicy", "mended", "gabion-default-deny", |_| Ok(())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q3_q5_what_no_restart_mends_is_said_and_ends_nothing() -> Result<()> {
    let plane = Subsystem::Secrets.control_plane(&Options { crds: None, ..Options::default() })?;
    let missing = install_but_one(&plane)?;
    take_limit_ranges(&plane)?;
    let plan = Arc::new(Faults::default());
    plan.reading("resourcequotas", Reading::Silent);
    // Once, and then nothing happens in that kind.
    plan.refuse_watches("clustersecretstores", 1, 500);
    let through = plan.clone();
    let env = Subsystem::Secrets.start_through(
        plane,
        move |direct| api_proxy::start(&direct, through),
        &["--enable-hardening=true", STALL],
    )?;
    for text in [
        "the API server does not serve HardeningBaseline: install",
        "RBAC does not let Gabion list and watch LimitRange",
        "the watch on ResourceQuota",
    ] {
        answers(&env.health, "/readyz", text).await?;
    }
    // A second process, whose API server stops to answer anything once it is up.
    let dead = Arc::new(Faults::default());
    let direct = env.plane().service_account_kubeconfig("gabion-system", "gabion")?;
    let kubeconfig = api_proxy::start(&direct, dead.clone())?;
    let (_other, other_health) =
        env.another_with(&kubeconfig, &["--enable-hardening=false", STALL])?;
    answers(&other_health, "/readyz", "200 OK").await?;
    dead.reading("", Reading::Silent);

    let start = Instant::now();
    let (from, end) = (start + HICCUP, start + PATIENCE);
    let (said, of_other, silent) = tokio::join!(
        watch_probes(&env.health, from, end),
        watch_probes(&other_health, from, end),
        Box::pin(a_silent_watch(&env, &plan)),
    );
    silent?;
    let said = said?;
    for kind in ["HardeningBaseline", "LimitRange", "ResourceQuota"] {
        assert!(said.lines().any(|line| line.contains(kind)), "{kind}: {said}");
    }
    assert_eq!(plan.refusals_left("clustersecretstores"), 0, "the fault was met");
    assert!(!said.contains("ClusterSecretStore"), "a hiccup is no standing fault: {said}");
    assert!(of_other?.contains("503"), "an API server that is silent is said");
    mended(&env, &plan, &missing).await?;
    dead.reading("", Reading::Normal);
    answers(&other_health, "/readyz", "200 OK").await
}
