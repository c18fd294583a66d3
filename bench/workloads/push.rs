//! PushSecrets: all of them for the first time, and then comparisons with nothing changed.

use std::time::{Duration, Instant};

use gabion::api::external_secrets::push_secret::PushSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};
use support::{Failure, Result};
use tokio::time::sleep;

use crate::{
    machine,
    population::{Population, create, each, namespace},
    results::{Table, count, seconds},
    world::{OPERATOR, Running, World},
};

/// Every object is compared once or more in this time.
const WINDOW: Duration = Duration::from_secs(25);
const INTERVAL: &str = "20s";
const PATIENCE: Duration = Duration::from_mins(5);
/// Statuses of PushSecrets that were written.
const STATUS_WRITTEN: &str =
    r#"gabion_api_requests_total{verb="patch-status",kind="PushSecret",outcome="ok"}"#;
const SYNCED: &str = r#"gabion_reconciles_total{kind="PushSecret",reason="Synced"}"#;
/// Everything that writes, and everything that reads a value.
const WRITES: [&str; 4] = ["CreateSecret", "PutSecretValue", "UpdateSecret", "TagResource"];
const READS: [&str; 2] = ["GetSecretValue", "BatchGetSecretValue"];

pub async fn run(objects: usize) -> Result<()> {
    let stores = 100.min(objects);
    let population = Population { objects: 0, stores, ..Population::spread(objects) };
    let world = World::populated(&population).await?;
    each(0..objects, async |nth| {
        let space = namespace(nth % stores);
        let secrets = Api::<Secret>::namespaced(world.client.clone(), &space);
        create(&secrets, &source(nth)).await?;
        let pushes = Api::<PushSecret>::namespaced(world.client.clone(), &space);
        create(&pushes, &push(nth)).await
    })
    .await?;
    world.aws.reset_counts();
    let mark = world.mark()?;
    let operator = world.start_operator()?;
    let took = until_pushed(&world, &operator, objects).await?;
    let (requests, cpu) = (mark.since(OPERATOR)?, operator.cpu_seconds()?);
    let calls = |names: &[&str]| names.iter().map(|name| world.aws.calls(name)).sum::<usize>();

    let mut table =
        Table::new(format!("{objects} PushSecrets for the first time, {stores} stores"));
    table.plain("time from the start of the operator", seconds(took));
    table.at_most("creations per object", count(calls(&WRITES)) / count(objects), 1.0, "");
    table.at_most("reads of values", count(calls(&READS)), 0.0, "");
    table.plain("descriptions", calls(&["DescribeSecret"]).to_string());
    let statuses = requests.of(&["patch", "update"], "pushsecrets/status");
    table.at_most("status writes per object", count(statuses) / count(objects), 1.0, "");
    table.plain("operator CPU", format!("{cpu:.2} s"));
    table.plain("peak resident memory", format!("{:.1} MiB", operator.peak_mib()?));
    table.note(format!("Requests: {}. Load {}.", requests.describe(), machine::load()));
    table.print();

    unchanged(&world, &operator, objects).await?;
    operator.stop()
}

/// The same again, with nothing changed.
async fn unchanged(world: &World, operator: &Running, objects: usize) -> Result<()> {
    world.aws.reset_counts();
    let mark = world.mark()?;
    let (synced, cpu) = (operator.metric(SYNCED).await, operator.cpu_seconds()?);
    sleep(WINDOW).await;
    let compared = operator.metric(SYNCED).await - synced;
    let requests = mark.since(OPERATOR)?;
    let calls = |names: &[&str]| names.iter().map(|name| world.aws.calls(name)).sum::<usize>();
    let title = format!("{objects} PushSecrets compared every {INTERVAL}, nothing changed");
    let mut table = Table::new(title);
    table.plain("comparisons", compared.to_string());
    table.at_most("writes at the provider", count(calls(&WRITES)), 0.0, "");
    table.at_most("reads of values", count(calls(&READS)), 0.0, "");
    let described = count(calls(&["DescribeSecret"])) / count(compared.max(1));
    table.at_most("descriptions per comparison", described, 1.05, "");
    table.at_most("writes", count(requests.writes()), 0.0, "");
    table.plain("operator CPU", format!("{:.2} s", operator.cpu_seconds()? - cpu));
    table.note(format!("Requests: {}. Load {}.", requests.describe(), machine::load()));
    table.print();
    Ok(())
}

/// Waits until every object is Ready. Returns the time since the operator's start.
async fn until_pushed(world: &World, operator: &Running, objects: usize) -> Result<Duration> {
    let deadline = Instant::now() + PATIENCE;
    let pushes = Api::<PushSecret>::all(world.client.clone());
    loop {
        let written = operator.metric(STATUS_WRITTEN).await;
        let elapsed = operator.started.elapsed();
        if written >= objects as u64 {
            let list = pushes.list(&ListParams::default()).await?;
            if list.items.iter().filter(|object| is_ready(object)).count() >= objects {
                return Ok(elapsed);
            }
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("{written} of {objects} after {elapsed:?}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_ready(object: &PushSecret) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

fn source(nth: usize) -> Value {
    json!({
        "metadata": {"name": format!("source-{nth}")},
        "stringData": {"password": format!("not-a-real-one-{nth}")},
    })
}

fn push(nth: usize) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1alpha1",
        "kind": "PushSecret",
        "metadata": {"name": format!("push-{nth}")},
        "spec": {
            "refreshInterval": INTERVAL,
            "secretStoreRefs": [{"name": "store"}],
            "selector": {"secret": {"name": format!("source-{nth}")}},
            "data": [{"match": {
                "secretKey": "password",
                "remoteRef": {"remoteKey": format!("bench/pushed/{nth}")},
            }}],
        },
    })
}
