//! One baseline over many namespaces: one label patch, two NetworkPolicies, one LimitRange and one ResourceQuota
//! each, and the report `effective`.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, ResourceQuota},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::{Failure, Result};
use tokio::time::sleep;

use crate::{
    floor::CONCURRENCY,
    machine,
    population::Population,
    results::{Samples, Table, count, seconds},
    world::{OPERATOR, Running, Spent, World},
};

/// The writes that harden a namespace, each with how many there are.
const HARDENED: [(&str, u64); 4] = [
    (r#"gabion_api_requests_total{verb="create",kind="NetworkPolicy",outcome="ok"}"#, 2),
    (r#"gabion_api_requests_total{verb="create",kind="LimitRange",outcome="ok"}"#, 1),
    (r#"gabion_api_requests_total{verb="create",kind="ResourceQuota",outcome="ok"}"#, 1),
    (r#"gabion_api_requests_total{verb="patch",kind="Namespace",outcome="ok"}"#, 1),
];
/// Reports that were written for the first time.
const REPORTED: &str =
    r#"gabion_api_requests_total{verb="create",kind="NamespaceHardening",outcome="ok"}"#;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Writes per namespace without the report.
const WRITES: f64 = 5.0;
/// Changes that are timed one at a time.
const SAMPLES: usize = 50;

pub async fn run(namespaces: usize) -> Result<()> {
    let before = Floor::measure(namespaces).await?;
    let world = World::populated(&Population::spread(0)).await?;
    make_namespaces(&world.client, 0..namespaces).await?;
    let operator = world.start_operator()?;
    until(Duration::from_mins(1), async || Ok(operator.is_ready().await)).await?;
    sleep(Duration::from_secs(3)).await;
    let idle = operator.resident_mib()?;
    let spent = || world.spent("gabion", operator.pid);
    let (mark, before_spent) = (world.mark()?, spent()?);

    let start = Instant::now();
    let baselines = Api::<HardeningBaseline>::all(world.client.clone());
    create(&baselines, baseline()).await?;
    until_counted(&operator, &HARDENED, namespaces).await?;
    let hardened = start.elapsed();
    until_counted(&operator, &[(REPORTED, 1)], namespaces).await?;
    let wall = start.elapsed();
    until(Duration::from_mins(1), async || applied(&baselines, namespaces).await).await?;
    let requests = mark.since(OPERATOR)?;
    let spent = spent()?.since(&before_spent);
    let above = operator.peak_mib()? - idle;
    let after = Floor::measure(namespaces).await?;
    let both = format!("{} and {}", seconds(before.wall), seconds(after.wall));
    let floor = before.faster(after);

    let n = count(namespaces);
    let mut table = Table::new(format!("One baseline, {namespaces} namespaces"));
    table.plain("wall time until all are hardened and all reports are written", seconds(wall));
    table.plain("wall time until all are hardened", seconds(hardened));
    table.plain("floor before and after: the same five writes", both);
    let ratio = |wall: Duration| wall.as_secs_f64() / floor.wall.as_secs_f64();
    table.at_most("ratio to the faster floor, hardened", ratio(hardened), 1.3, "");
    table.at_most("ratio to the faster floor, with reports", ratio(wall), 1.3, "");
    let ratio = spent.sum() / floor.spent.sum();
    table.plain("processor time of everything, ratio to the floor's", format!("{ratio:.2}"));
    table.plain("processor time", spent.describe());
    table.plain("processor time of the floor", floor.spent.describe());
    let reported = requests.of(&["create", "patch", "delete"], "namespacehardenings")
        + requests.of(&["patch"], "hardeningbaselines")
        + requests.of(&["patch"], "hardeningbaselines/status");
    let own = requests.writes() - reported;
    table.at_most("writes per namespace beyond the five", count(own) / n - WRITES, 0.0, "");
    table.plain("writes per namespace for the report", format!("{:.2}", count(reported) / n));
    table.plain("reads per namespace", format!("{:.2}", count(requests.gets()) / n));
    let cpu = spent.by("gabion") * 1_000.0 / n;
    table.plain("operator CPU per 1,000 namespaces", format!("{cpu:.2} s"));
    table.at_most("resident memory above idle", above, 24.0, " MiB");
    table.note(format!("Idle: {idle:.0} MiB. Requests: {}.", requests.describe()));
    table.print();

    steady(&world, &operator, namespaces).await?;
    one_by_one(&world, namespaces).await?;
    while_converging(&world, &operator, namespaces).await?;
    operator.stop()
}

/// Waits until each series of requests has reached that many per namespace. Scraping costs the operator time, so it
/// happens seldom.
async fn until_counted(
    operator: &Running,
    series: &[(&str, u64)],
    namespaces: usize,
) -> Result<()> {
    let namespaces = namespaces as u64;
    let deadline = Instant::now() + Duration::from_mins(10);
    for (name, each) in series {
        while operator.metric(name).await < each * namespaces {
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{name} is too low after ten minutes")));
            }
            sleep(Duration::from_millis(namespaces / 40).clamp(FIRST_PAUSE, LONGEST_PAUSE)).await;
        }
    }
    Ok(())
}

/// Repairs while a second baseline makes every namespace change.
async fn while_converging(world: &World, operator: &Running, namespaces: usize) -> Result<()> {
    let baselines = Api::<HardeningBaseline>::all(world.client.clone());
    let mut second = baseline();
    second["metadata"]["name"] = json!("second");
    second["spec"]["resources"]["quota"]["hard"] = json!({"pods": "40", "secrets": "100"});
    create(&baselines, second).await?;
    sleep(Duration::from_millis(200)).await;
    let mut samples = Samples::default();
    let waiting = r#"gabion_queue_waiting{queue="namespace"}"#;
    // From the end: those are the last in line.
    for nth in (0..namespaces).rev().step_by((namespaces / 200).max(1)) {
        let policies = Api::<NetworkPolicy>::namespaced(world.client.clone(), &name(nth));
        if operator.metric(waiting).await == 0 {
            break;
        }
        let start = Instant::now();
        policies.delete("gabion-default-deny", &DeleteParams::default()).await?;
        until(Duration::from_mins(1), async || {
            Ok(policies.get_opt("gabion-default-deny").await?.is_some())
        })
        .await?;
        samples.push(start.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    let mut table = Table::new(format!("Repairs while {namespaces} namespaces change"));
    table.at_most("deleted policy is restored, p50", samples.quantile_ms(0.5), 50.0, " ms");
    table.at_most("deleted policy is restored, p99", samples.quantile_ms(0.99), 500.0, " ms");
    table.note(format!(
        "{}, while a second baseline changed the quota of every namespace. Load {}.",
        samples.summary(),
        machine::load()
    ));
    table.print();
    Ok(())
}

/// What it costs when nothing happens.
async fn steady(world: &World, operator: &Running, namespaces: usize) -> Result<()> {
    sleep(Duration::from_secs(5)).await;
    let (mark, cpu) = (world.mark()?, operator.cpu_seconds()?);
    let watched = Duration::from_mins(1);
    sleep(watched).await;
    let cpu = (operator.cpu_seconds()? - cpu) / watched.as_secs_f64() * 100.0;
    let requests = mark.since(OPERATOR)?;
    let mut table = Table::new(format!("Idle for a minute, {namespaces} namespaces"));
    table.at_most("share of one core", cpu, 0.3, " %");
    table.at_most("writes", count(requests.writes()), 0.0, "");
    table.print();
    Ok(())
}

/// New namespaces and repairs, one at a time.
async fn one_by_one(world: &World, namespaces: usize) -> Result<()> {
    let client = &world.client;
    let (mut new, mut edited, mut deleted) =
        (Samples::default(), Samples::default(), Samples::default());
    for nth in namespaces..namespaces + SAMPLES {
        let start = Instant::now();
        make_namespaces(client, nth..nth + 1).await?;
        let quotas = Api::<ResourceQuota>::namespaced(client.clone(), &name(nth));
        until(Duration::from_mins(1), async || Ok(quotas.get_opt("gabion-quota").await?.is_some()))
            .await?;
        new.push(start.elapsed());
    }
    for nth in 0..SAMPLES {
        let policies = Api::<NetworkPolicy>::namespaced(client.clone(), &name(nth));
        let patch = json!({"spec": {"policyTypes": ["Ingress"]}});
        let start = Instant::now();
        policies
            .patch("gabion-default-deny", &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        until(Duration::from_mins(1), async || {
            let policy = policies.get("gabion-default-deny").await?;
            let types = policy.spec.and_then(|spec| spec.policy_types).unwrap_or_default();
            Ok(types.len() == 2)
        })
        .await?;
        edited.push(start.elapsed());
    }
    for nth in 0..SAMPLES {
        let policies = Api::<NetworkPolicy>::namespaced(client.clone(), &name(nth));
        let start = Instant::now();
        policies.delete("gabion-allow-dns", &DeleteParams::default()).await?;
        until(Duration::from_mins(1), async || {
            Ok(policies.get_opt("gabion-allow-dns").await?.is_some())
        })
        .await?;
        deleted.push(start.elapsed());
    }
    let mut table = Table::new("One change at a time, from the request to the repaired object");
    table.at_most("new namespace is hardened, p99", new.quantile_ms(0.99), 1_000.0, " ms");
    for (what, samples) in
        [("edited policy is restored", &edited), ("deleted policy is restored", &deleted)]
    {
        table.at_most(&format!("{what}, p50"), samples.quantile_ms(0.5), 50.0, " ms");
        table.at_most(&format!("{what}, p99"), samples.quantile_ms(0.99), 500.0, " ms");
    }
    table.note(format!(
        "{SAMPLES} of each, seen by polling every few ms. Load {}.",
        machine::load()
    ));
    table.print();
    Ok(())
}

fn name(nth: usize) -> String {
    format!("hard-{nth}")
}

async fn make_namespaces(client: &Client, range: std::ops::Range<usize>) -> Result<()> {
    let all = Api::<Namespace>::all(client.clone());
    let one =
        |nth| create(&all, json!({"metadata": {"name": name(nth), "labels": {"bench": "hard"}}}));
    stream::iter(range).map(one).buffer_unordered(CONCURRENCY).try_collect::<()>().await
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Clone + serde::Serialize + DeserializeOwned + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object)?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn baseline() -> Value {
    json!({
        "apiVersion": "gabion.dev/v1alpha1",
        "kind": "HardeningBaseline",
        "metadata": {"name": "bench"},
        "spec": {
            "namespaceSelector": {"matchLabels": {"bench": "hard"}},
            "rollout": {"target": "Enforce"},
            "podSecurity": {"level": "restricted"},
            "network": {"defaultDeny": ["Ingress", "Egress"], "dns": "Auto"},
            "resources": {
                "quota": {"hard": {"pods": "50", "limits.memory": "16Gi"}},
                "containerDefaults": {"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}},
            },
        },
    })
}

async fn applied(baselines: &Api<HardeningBaseline>, wanted: usize) -> Result<bool> {
    let list = baselines.list(&ListParams::default()).await?;
    let counted = list.items.into_iter().filter_map(|one| one.status?.namespaces);
    Ok(counted.map(|counts| counts.applied).sum::<i64>() >= i64::try_from(wanted)?)
}

async fn until(limit: Duration, mut done: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !done().await? {
        if Instant::now() > deadline {
            return Err(Failure::new(format!("not done within {limit:?}")));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The cost of the same five writes by a plain loop, on its own control plane.
struct Floor {
    wall: Duration,
    /// By the loop and the control plane, until the control plane is idle again.
    spent: Spent,
}

impl Floor {
    async fn measure(namespaces: usize) -> Result<Self> {
        let world = World::populated(&Population::spread(0)).await?;
        make_namespaces(&world.client, 0..namespaces).await?;
        // As before the operator's run: the controllers are done with the new namespaces.
        sleep(Duration::from_secs(4)).await;
        let client = &world.as_operator().await?;
        let spent = || world.spent("loop", std::process::id());
        let (start, before) = (Instant::now(), spent()?);
        let all = stream::iter(0..namespaces).map(|nth| five_writes(client, nth));
        all.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        let wall = start.elapsed();
        sleep(Duration::from_secs(1)).await;
        Ok(Self { wall, spent: spent()?.since(&before) })
    }

    /// The one that was faster.
    fn faster(self, other: Self) -> Self {
        if self.wall <= other.wall { self } else { other }
    }
}

async fn five_writes(client: &Client, nth: usize) -> Result<()> {
    let space = name(nth);
    let labels: serde_json::Map<_, _> = ["enforce", "audit", "warn"]
        .iter()
        .flat_map(|mode| {
            let key = format!("pod-security.kubernetes.io/{mode}");
            [(format!("{key}-version"), json!("v1.37")), (key, json!("restricted"))]
        })
        .collect();
    let apply = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": labels}});
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(&space, &PatchParams::apply("floor"), &Patch::Apply(&apply)).await?;
    let policies = Api::<NetworkPolicy>::namespaced(client.clone(), &space);
    let marks = json!({"app.kubernetes.io/managed-by": "floor"});
    create(
        &policies,
        json!({
            "metadata": {"name": "allow-dns", "labels": marks},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
                "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
            }]},
        }),
    )
    .await?;
    create(
        &policies,
        json!({
            "metadata": {"name": "default-deny", "labels": marks},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        }),
    )
    .await?;
    create(
        &Api::<LimitRange>::namespaced(client.clone(), &space),
        json!({
            "metadata": {"name": "limits", "labels": marks},
            "spec": {"limits": [{"type": "Container", "default": {"memory": "256Mi"}, "defaultRequest": {"cpu": "100m"}}]},
        }),
    )
    .await?;
    create(
        &Api::<ResourceQuota>::namespaced(client.clone(), &space),
        json!({
            "metadata": {"name": "quota", "labels": marks},
            "spec": {"hard": {"pods": "50", "limits.memory": "16Gi"}},
        }),
    )
    .await
}
