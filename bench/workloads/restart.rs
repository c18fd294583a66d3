//! W8: the operator restarts and everything is in sync.

use std::time::{Duration, Instant};

use support::{Failure, Result};
use tokio::time::sleep;

use crate::{
    machine,
    population::Population,
    results::{Table, count, seconds},
    world::{OPERATOR, Running, World},
};

/// How long it is observed after it is ready: a needless read or write would happen in this time.
const AFTERWARDS: Duration = Duration::from_secs(10);

pub async fn run(objects: usize) -> Result<()> {
    let (world, operator) = World::synced(&Population::spread(objects)).await?;
    operator.stop()?;
    world.aws.reset_counts();
    let mark = world.mark()?;

    let operator = world.start_operator()?;
    let (ready, looked) = until_ready(&operator, objects).await?;
    let cpu = operator.cpu_seconds()?;
    sleep(AFTERWARDS).await;
    let requests = mark.since(OPERATOR)?;
    let reads = ["BatchGetSecretValue", "GetSecretValue"].map(|name| world.aws.calls(name));

    let stores = requests.of(&["patch", "update"], "secretstores/status");
    let mut table = Table::new(format!("Restart with {objects} ExternalSecrets in sync"));
    table.at_most("time to /readyz", ready.as_secs_f64(), 3.0, " s");
    table.plain("time until every object was reconciled", seconds(looked));
    table.at_most("calls for values", count(reads[0] + reads[1]), 0.0, "");
    table.at_most("writes", count(requests.writes()), 0.0, "");
    table.plain("of them to stores", stores.to_string());
    let credentials = requests.of(&["get"], "secrets");
    table.plain("reads of credentials", credentials.to_string());
    table.plain("operator CPU until every object was reconciled", format!("{cpu:.2} s"));
    table.plain("peak resident memory", format!("{:.1} MiB", operator.peak_mib()?));
    table.note(format!("Requests: {}. Load {}.", requests.describe(), machine::load()));
    table.print();
    operator.stop()
}

/// Times from the start to a positive `/readyz`, and until every object has been reconciled.
async fn until_ready(operator: &Running, objects: usize) -> Result<(Duration, Duration)> {
    let mut ready = None;
    let deadline = Instant::now() + Duration::from_mins(2);
    while Instant::now() < deadline {
        if ready.is_none() && operator.is_ready().await {
            ready = Some(operator.started.elapsed());
        }
        let [known, waiting, running] = operator.queue().await;
        if let Some(ready) = ready
            && known >= objects as u64
            && waiting + running == 0
        {
            return Ok((ready, operator.started.elapsed()));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(Failure::new("the operator did not get ready within two minutes"))
}
