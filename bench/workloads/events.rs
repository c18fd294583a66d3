//! Events of a queue: how long one takes to its Secret, what a storm of them costs, and what an idle queue does.

use std::time::{Duration, Instant};

use support::{Result, envelopes, sqs::Sqs};
use tokio::time::sleep;

use crate::{
    machine,
    observer::Observer,
    population::{Population, value},
    results::{Samples, Table, count, seconds},
    world::{OPERATOR, Running, World},
};

const QUEUE: &str = "bench-events";
const LIMIT: Duration = Duration::from_mins(3);
/// How long an idle operator is looked at.
const IDLE: Duration = Duration::from_mins(1);
/// The end of the start is not part of it.
const SETTLING: Duration = Duration::from_secs(10);
/// Between two events whose time is measured.
const PAUSE: Duration = Duration::from_millis(100);
/// Events whose time is measured, and events of a storm.
const SINGLE: usize = 500;
const STORM: usize = 10_000;

pub async fn run(objects: usize) -> Result<()> {
    let mut table = Table::new(format!(
        "Events: {} single ones, idle and while {objects} objects refresh every 30 s; then {STORM} in one second",
        SINGLE.min(objects)
    ));
    idle(objects, &mut table).await?;
    busy(objects, &mut table).await?;
    table.note(format!("Load {}.", machine::load()));
    table.print();
    Ok(())
}

/// With a queue from its start on.
fn start(world: &World, sqs: &Sqs) -> Result<Running> {
    let url = sqs.url();
    let environment = [
        ("AWS_ENDPOINT_URL_SQS", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIABENCHOWN00000"),
        ("AWS_SECRET_ACCESS_KEY", "not-checked"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let arn = sqs.create(QUEUE);
    world.start_operator_with(&["--events-queue".to_owned(), arn], &environment)
}

/// Nothing refreshes: the cost of a queue, single events, and storms.
async fn idle(objects: usize, table: &mut Table) -> Result<()> {
    let population = Population::spread(objects);
    let (world, operator) = World::synced(&population).await?;
    let observer = Observer::secrets(&world.client, None);
    sleep(SETTLING).await;
    let cpu = operator.cpu_seconds()?;
    sleep(IDLE).await;
    let without = operator.cpu_seconds()? - cpu;
    operator.stop()?;

    let sqs = Sqs::start();
    let operator = start(&world, &sqs)?;
    sleep(SETTLING).await;
    let (cpu, mark, calls) =
        (operator.cpu_seconds()?, world.mark()?, sqs.calls("ReceiveMessage", QUEUE));
    sleep(IDLE).await;
    let with = operator.cpu_seconds()? - cpu;
    let calls = sqs.calls("ReceiveMessage", QUEUE) - calls;
    table.plain(
        "idle for a minute: operator CPU without and with a queue",
        format!("{without:.2} and {with:.2} s"),
    );
    table.at_most("idle for a minute: receives", count(calls), 3.0, "");
    table.plain("idle for a minute: requests to the API server", mark.since(OPERATOR)?.describe());

    let single = singles(&world, &sqs, &observer, objects).await?;
    table.plain("idle: event to Secret, p50 / p99 / max", single.summary());
    table.at_most("idle: p50", single.quantile_ms(0.5), 150.0, " ms");
    table.at_most("idle: p99", single.quantile_ms(0.99), 1_000.0, " ms");
    for versions in [1, 10] {
        storm(&world, &sqs, &observer, &operator, versions, table).await?;
    }
    table.plain("peak resident memory", format!("{:.1} MiB", operator.peak_mib()?));
    operator.stop()
}

/// Single events while everything refreshes.
async fn busy(objects: usize, table: &mut Table) -> Result<()> {
    let population = Population { interval: "30s", ..Population::spread(objects) };
    let world = World::populated(&population).await?;
    let sqs = Sqs::start();
    let operator = start(&world, &sqs)?;
    world.until_all_ready(&operator).await?;
    let observer = Observer::secrets(&world.client, None);
    sleep(SETTLING).await;
    let single = singles(&world, &sqs, &observer, objects).await?;
    table.plain("while all refresh: event to Secret, p50 / p99 / max", single.summary());
    table.at_most("while all refresh: p50", single.quantile_ms(0.5), 150.0, " ms");
    table.at_most("while all refresh: p99", single.quantile_ms(0.99), 1_000.0, " ms");
    operator.stop()
}

/// A new value of the `nth` remote secret, and its event.
fn change(world: &World, nth: usize, serial: usize, password: &str) -> String {
    let name = world.population.remote(nth);
    let version = format!("11111111-2222-3333-4444-{serial:012}");
    let arn = world.aws.put_version(&name, &version, &["AWSCURRENT"], &value(password));
    // AWS's clock of events has whole seconds.
    let time = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default();
    envelopes::label_updated(&arn, &name, "AWSCURRENT", &version, &time.to_string()).to_string()
}

/// From the message being on the queue to the Secret as a watch shows it.
async fn singles(world: &World, sqs: &Sqs, observer: &Observer, objects: usize) -> Result<Samples> {
    let mut sent = Vec::new();
    for nth in 0..SINGLE.min(objects) {
        let event = change(world, nth, nth, &format!("single-{nth}"));
        sent.push(Instant::now());
        sqs.send(QUEUE, event);
        sleep(PAUSE).await;
    }
    let keys: Vec<_> = world.population.keys().take(sent.len()).collect();
    let holds = |nth: usize, state: Option<&str>| state == Some(&*format!("single-{nth}"));
    observer
        .until("single events", LIMIT, |seen| {
            let mut all = keys.iter().enumerate();
            all.all(|(nth, key)| {
                seen.get(key).is_some_and(|seen| holds(nth, seen.state.as_deref()))
            })
        })
        .await?;
    let seen = observer.seen();
    let at = keys.iter().zip(&sent).filter_map(|(key, sent)| Some((seen.get(key)?.at, sent)));
    Ok(at.map(|(at, sent)| at.duration_since(*sent)).collect())
}

/// All values change so many times each, and [`STORM`] events tell of it within a second.
async fn storm(
    world: &World,
    sqs: &Sqs,
    observer: &Observer,
    operator: &Running,
    versions: usize,
    table: &mut Table,
) -> Result<()> {
    let objects = world.population.objects;
    let last = format!("storm-{versions}");
    let mut events = Vec::with_capacity(STORM);
    for version in 1..=versions {
        let password =
            if version == versions { last.clone() } else { format!("on-the-way-{version}") };
        for nth in 0..objects {
            let serial = (versions * 100 + version) * 1_000_000 + nth;
            events.push(change(world, nth, serial, &password));
        }
    }
    let doubled: Vec<_> = events.iter().cycle().take(STORM.max(events.len())).collect();
    let (cpu, mark) = (operator.cpu_seconds()?, world.mark()?);
    world.aws.remember();
    world.aws.reset_counts();
    let start = Instant::now();
    for event in &doubled {
        sqs.send(QUEUE, event.as_str());
    }
    let sending = start.elapsed();
    let holds = |state: Option<&str>| state == Some(&*last);
    observer
        .until("a storm", LIMIT, |seen| {
            seen.values().filter(|seen| holds(seen.state.as_deref())).count() >= objects
        })
        .await?;
    let until_right = start.elapsed();
    while sqs.depth(QUEUE) > 0 && start.elapsed() < LIMIT {
        sleep(Duration::from_millis(50)).await;
    }
    let until_empty = start.elapsed();
    let received = world.aws.received();
    let reads = received.iter().map(|call| call.ids.len()).sum::<usize>();
    let reads = count(reads) / count(objects);
    let what = format!("{} events of {versions} changes each", doubled.len());
    let times = format!("{}; {}; {}", seconds(sending), seconds(until_right), seconds(until_empty));
    table.plain(&format!("{what}: sent in; all Secrets right after; queue empty after"), times);
    table.at_most(&format!("{what}: reads per object"), reads, count(versions), "");
    let requests = mark.since(OPERATOR)?;
    table.plain(
        &format!("{what}: writes per object"),
        format!("{:.2}", count(requests.writes()) / count(objects)),
    );
    table
        .plain(&format!("{what}: operator CPU"), format!("{:.2} s", operator.cpu_seconds()? - cpu));
    Ok(())
}
