//! W3: refreshes with nothing changed.

use std::time::Duration;

use support::Result;
use tokio::time::sleep;

use crate::{
    machine,
    population::Population,
    results::{Table, count},
    world::{OPERATOR, SYNCED, World},
};

const WINDOW: Duration = Duration::from_mins(3);
/// The end of the cold start is not part of it.
const SETTLING: Duration = Duration::from_secs(5);

pub async fn run(objects: usize, sharing: usize) -> Result<()> {
    let stores = if sharing == 1 { 100 } else { 10 };
    let population = Population { stores, sharing, interval: "30s", ..Population::spread(objects) };
    let (world, operator) = World::synced(&population).await?;
    sleep(SETTLING).await;

    let mark = world.mark()?;
    world.aws.reset_counts();
    let (refreshed, cpu) = (operator.metric(SYNCED).await, operator.cpu_seconds()?);
    sleep(WINDOW).await;
    let refreshes = operator.metric(SYNCED).await - refreshed;
    let cpu = operator.cpu_seconds()? - cpu;
    let requests = mark.since(OPERATOR)?;
    let [batches, singles] =
        ["BatchGetSecretValue", "GetSecretValue"].map(|name| world.aws.calls(name));

    let title = format!(
        "{objects} objects refreshed every 30 s for 3 minutes, {sharing} per remote secret, {stores} stores"
    );
    let mut table = Table::new(title);
    let promised = objects * 6;
    table.plain("refreshes (promised)", format!("{refreshes} ({promised})"));
    table.at_most("writes", count(requests.writes()), 0.0, "");
    table.at_most("reads", count(requests.gets()), 0.0, "");
    let per_refresh = count(batches + singles) / count(refreshes);
    let goal = if sharing == 1 { 1.0 } else { 0.05 };
    table.at_most("provider calls per refresh", per_refresh, goal, "");
    table.plain("provider calls", format!("{batches} batches, {singles} single reads"));
    table.at_most("operator CPU", cpu, 1.5, " s");
    table.plain(
        "resident memory at the end",
        format!("{:.1} MiB", machine::resident_mib(operator.pid)?),
    );
    table.plain("peak resident memory", format!("{:.1} MiB", operator.peak_mib()?));
    table.note(format!("Requests: {}. Load {}.", requests.describe(), machine::load()));
    table.print();
    operator.stop()
}
