//! W1: the objects exist, and the operator starts.

use support::Result;

use crate::{
    floor::Floor,
    machine,
    population::Population,
    results::{Table, count, seconds},
    world::{OPERATOR, World},
};

/// Between two measurements of the floor, because the machine is not equally busy all the time.
pub async fn run(objects: usize) -> Result<()> {
    let before = Floor::measure(objects).await?;
    let world = World::populated(&Population::spread(objects)).await?;
    let mark = world.mark()?;
    let operator = world.start_operator()?;
    let mut most = 0;
    let wall = world.watched_until_all_ready(&operator, |now| most = most.max(now)).await?;
    let (cpu, peak) = (operator.cpu_seconds()?, operator.peak_mib()?);
    let log = operator.log_bytes();
    let requests = mark.since(OPERATOR)?;
    let calls = ["BatchGetSecretValue", "GetSecretValue"].map(|name| world.aws.calls(name));
    operator.stop()?;
    drop(world);
    let after = Floor::measure(objects).await?;
    // The faster one: what slowed the other down has nothing to do with the operator.
    let floor = before.min(after);

    let n = count(objects);
    let stores = requests.of(&["patch", "update"], "secretstores/status");
    let mut table = Table::new(format!("Cold start with {objects} ExternalSecrets, 100 stores"));
    table.plain("wall time until all Ready", seconds(wall));
    let both = format!("{} and {}", seconds(before), seconds(after));
    table.plain("floor before and after", both);
    table.at_most("ratio to the floor", wall.as_secs_f64() / floor.as_secs_f64(), 1.25, "");
    table.at_most("writes per object", count(requests.writes() - stores) / n, 2.0, "");
    table.plain("writes per store", format!("{:.2}", count(stores) / 100.0));
    let credentials = requests.of(&["get"], "secrets");
    let other_reads = requests.gets() - credentials;
    table.plain(
        "reads of Secrets per store, for credentials",
        format!("{:.2}", count(credentials) / 100.0),
    );
    table.at_most("other reads per object", count(other_reads) / n, 0.0, "");
    table.plain("provider calls", format!("{} batches, {} single reads", calls[0], calls[1]));
    table.at_most("operator CPU per 1,000 objects", cpu * 1_000.0 / n, 1.0, " s");
    let memory = if objects <= 1_000 {
        32.0
    } else if objects <= 5_000 {
        48.0
    } else {
        64.0
    };
    table.at_most("peak resident memory", peak, memory, " MiB");
    table.plain("most concurrent reconciles", most.to_string());
    table.plain("log", format!("{} KiB", log >> 10));
    table.note(format!("Requests: {}. Load {}.", requests.describe(), machine::load()));
    table.print();
    Ok(())
}
