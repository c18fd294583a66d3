//! W6: a new object is created while very many refreshes are due.

use std::time::{Duration, Instant};

use gabion::api::external_secrets::external_secret::ExternalSecret;
use kube::Api;
use support::{Result, Signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    machine,
    observer::Observer,
    population::{self, Population, namespace},
    results::{Samples, Table},
    world::World,
};

const NEWCOMERS: usize = 100;
const EVERY: Duration = Duration::from_millis(50);
/// Longer than the interval: after that every refresh is due.
const PAUSE: Duration = Duration::from_secs(12);

pub async fn run(objects: usize) -> Result<()> {
    let population = Population { interval: "10s", ..Population::spread(objects) };
    let (world, operator) = World::synced(&population).await?;
    let observer = Observer::secrets(&world.client, None);
    for nth in 0..NEWCOMERS {
        world.aws.put(&remote(nth), &population::value("newcomer"));
    }
    sleep(Duration::from_secs(2)).await;

    operator.signal(Signal::STOP)?;
    sleep(PAUSE).await;
    operator.signal(Signal::CONT)?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    let mut backlog = 0;
    for nth in 0..NEWCOMERS {
        ticks.tick().await;
        let space = namespace(nth % population.stores);
        let name = format!("newcomer-{nth}");
        let object = population::external_secret(&name, &remote(nth), "1h");
        let api = Api::<ExternalSecret>::namespaced(world.client.clone(), &space);
        sent.push((space, name, Instant::now()));
        population::create(&api, &object).await?;
        if nth % 10 == 0 {
            let [_, waiting, running] = operator.queue().await;
            backlog = backlog.max(waiting + running);
        }
    }
    let mut latency = Samples::default();
    for (space, name, sent) in sent {
        let seen = observer.until_one(&space, &name, Some("newcomer"), sent).await?;
        latency.push(seen.duration_since(sent));
    }

    let title =
        format!("{NEWCOMERS} new objects, one every 50 ms, while {objects} refreshes are due");
    let mut table = Table::new(title);
    table.at_most("until the Secret exists, p50", latency.quantile_ms(0.5) / 1e3, 1.0, " s");
    table.at_most("p99", latency.quantile_ms(0.99) / 1e3, 1.0, " s");
    table.plain("p50 / p99 / max", latency.summary());
    table.plain("most objects waiting or running", backlog.to_string());
    table.plain("peak resident memory", format!("{:.1} MiB", operator.peak_mib()?));
    table.note(format!("Load {}.", machine::load()));
    table.print();
    operator.stop()
}

fn remote(nth: usize) -> String {
    format!("bench/newcomer-{nth}")
}
