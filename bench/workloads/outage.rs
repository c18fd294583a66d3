//! W7: the provider is unavailable, and recovers.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use support::{Result, secrets_manager::Fault};
use tokio::time::sleep;

use crate::{
    machine,
    observer::{Observer, Seen},
    population::Population,
    results::{Table, count},
    world::{OPERATOR, World},
};

const OUTAGE: Duration = Duration::from_mins(1);
const LIMIT: Duration = Duration::from_mins(6);
const OPERATIONS: [&str; 2] = ["BatchGetSecretValue", "GetSecretValue"];

type State = HashMap<(String, String), Seen>;

pub async fn run(objects: usize) -> Result<()> {
    let population = Population { interval: "10s", ..Population::spread(objects) };
    let (world, operator) = World::synced(&population).await?;
    let readiness = Observer::readiness(&world.client);
    let secrets = Observer::secrets(&world.client, None);
    readiness.until("all Ready", LIMIT, |seen| in_state(seen, "true") >= objects).await?;

    let (mark, cpu) = (world.mark()?, operator.cpu_seconds()?);
    world.aws.reset_counts();
    for operation in OPERATIONS {
        world.aws.standing_fault(operation, Some(Fault::Drop));
    }
    sleep(OUTAGE).await;
    let unready = in_state(&readiness.seen(), "false");
    let calls: usize = OPERATIONS.iter().map(|name| world.aws.calls(name)).sum();
    let during = mark.since(OPERATOR)?;
    let cpu = operator.cpu_seconds()? - cpu;
    for operation in OPERATIONS {
        world.aws.standing_fault(operation, None);
    }
    let back = Instant::now();
    readiness.until("all Ready again", LIMIT, |seen| in_state(seen, "true") >= objects).await?;
    let recovered = back.elapsed();
    let lost = objects - in_state(&secrets.seen(), "first");

    let mut table =
        Table::new(format!("Provider unavailable for 60 s, {objects} objects read every 10 s"));
    table.plain("objects not Ready at the end of the outage", unready.to_string());
    table.at_most("all Ready again after", recovered.as_secs_f64(), 3.0, " s");
    table.at_most("Secrets deleted or emptied", count(lost), 0.0, "");
    table.plain("provider calls during the outage", calls.to_string());
    table.plain(
        "writes per object during the outage",
        format!("{:.2}", count(during.writes()) / count(objects)),
    );
    table.plain("operator CPU during the outage", format!("{cpu:.2} s"));
    table.plain("peak resident memory", format!("{:.1} MiB", operator.peak_mib()?));
    table.note(format!(
        "Requests during the outage: {}. Load {}.",
        during.describe(),
        machine::load()
    ));
    table.print();
    operator.stop()
}

fn in_state(seen: &State, state: &str) -> usize {
    seen.values().filter(|seen| seen.state.as_deref() == Some(state)).count()
}
