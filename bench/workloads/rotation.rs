//! W4: all remote secrets change.

use std::time::{Duration, Instant};

use support::{Result, Signal};
use tokio::time::sleep;

use crate::{
    floor::{CONCURRENCY, Floor, Write},
    machine,
    observer::Observer,
    population::Population,
    results::{Samples, Table, count, seconds},
    world::{OPERATOR, Running, STATUS_WRITTEN, World},
};

const LIMIT: Duration = Duration::from_mins(3);
/// Longer than the interval: after that every refresh is due.
const PAUSE: Duration = Duration::from_secs(12);

pub async fn run(objects: usize) -> Result<()> {
    let before = floor(objects).await?;
    let population = Population { interval: "10s", ..Population::spread(objects) };
    let (world, operator) = World::synced(&population).await?;
    let observer = Observer::secrets(&world.client, None);
    all_hold(&observer, objects, "first").await?;

    // As it comes: each object at its own time within the interval.
    let (mark, cpu) = (world.mark()?, operator.cpu_seconds()?);
    let statuses = operator.metric(STATUS_WRITTEN).await;
    let start = Instant::now();
    population.fill(&world.aws, "second");
    let latency = rotated(&observer, objects, "second", start).await?;
    until_written(&operator, statuses + objects as u64).await;
    let cpu = operator.cpu_seconds()? - cpu;
    let requests = mark.since(OPERATOR)?;

    // All due in one moment: the operator sleeps until every interval is over.
    let statuses = operator.metric(STATUS_WRITTEN).await;
    operator.signal(Signal::STOP)?;
    population.fill(&world.aws, "third");
    sleep(PAUSE).await;
    let start = Instant::now();
    operator.signal(Signal::CONT)?;
    let burst = rotated(&observer, objects, "third", start).await?;
    until_written(&operator, statuses + objects as u64).await;
    let wall = start.elapsed();
    let peak = operator.peak_mib()?;
    operator.stop()?;
    drop((observer, world));
    let after = floor(objects).await?;

    let n = count(objects);
    let floor = before.min(after);
    let mut table = Table::new(format!("Rotation of all {objects} values, refreshInterval 10 s"));
    table.plain("until the Secret has the new value, p50 / p99 / max", latency.summary());
    table.plain(
        "writes per rotation, events among them",
        format!("{:.2}", count(requests.writes()) / n),
    );
    let events = requests.of(&["create", "patch"], "events");
    table.at_most(
        "writes per rotation without events",
        count(requests.writes() - events) / n,
        2.0,
        "",
    );
    table.at_most("reads per rotation", count(requests.gets()) / n, 0.0, "");
    table.plain("operator CPU", format!("{cpu:.2} s"));
    table.plain("all due at once: until the Secret has it", burst.summary());
    table.plain("all due at once: wall time until every status is written", seconds(wall));
    table.plain("floor before and after", format!("{} and {}", seconds(before), seconds(after)));
    table.at_most("ratio to the floor", wall.as_secs_f64() / floor.as_secs_f64(), 1.3, "");
    table.plain("peak resident memory", format!("{peak:.1} MiB"));
    table.note(format!("Requests: {}. Load {}.", requests.describe(), machine::load()));
    table.print();
    Ok(())
}

/// One patch of the Secret and one of the status for each object, by a plain loop.
async fn floor(objects: usize) -> Result<Duration> {
    let floor = Floor::prepare(objects).await?;
    floor.run(0..objects, CONCURRENCY, Write::Create).await?;
    floor.run(0..objects, CONCURRENCY, Write::Replace).await
}

async fn all_hold(observer: &Observer, objects: usize, password: &str) -> Result<()> {
    let hold = |state: &Option<String>| state.as_deref() == Some(password);
    let enough = |seen: &std::collections::HashMap<_, crate::observer::Seen>| {
        seen.values().filter(|seen| hold(&seen.state)).count() >= objects
    };
    observer.until(password, LIMIT, enough).await
}

/// How long after `start` each Secret held the new password.
async fn rotated(
    observer: &Observer,
    objects: usize,
    password: &str,
    start: Instant,
) -> Result<Samples> {
    all_hold(observer, objects, password).await?;
    let seen = observer.seen();
    let held = seen.values().filter(|seen| seen.state.as_deref() == Some(password));
    Ok(held.map(|seen| seen.at.duration_since(start)).collect())
}

async fn until_written(operator: &Running, statuses: u64) {
    let deadline = Instant::now() + LIMIT;
    while operator.metric(STATUS_WRITTEN).await < statuses && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
}
