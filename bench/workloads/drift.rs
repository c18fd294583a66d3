//! W5 and W10: one change at a time, the operator otherwise idle.

use std::time::{Duration, Instant};

use gabion::api::external_secrets::external_secret::ExternalSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use support::Result;
use tokio::time::sleep;

use crate::{
    machine,
    observer::Observer,
    population::{self, Population},
    results::{Samples, Table, count},
    world::{OPERATOR, World},
};

/// Between two changes, so that each meets an idle operator.
const PAUSE: Duration = Duration::from_millis(30);

pub async fn run(objects: usize) -> Result<()> {
    let population = Population { stores: 10, ..Population::spread(objects) };
    let (world, operator) = World::synced(&population).await?;
    let observer = Observer::secrets(&world.client, None);
    sleep(Duration::from_secs(2)).await;
    let mark = world.mark()?;

    let (mut edited, mut deleted) = (Samples::default(), Samples::default());
    for (space, name) in population.keys() {
        let secrets = Api::<Secret>::namespaced(world.client.clone(), &space);
        let patch = json!({"stringData": {"password": "tampered"}});
        let start = Instant::now();
        secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        let back = observer.until_one(&space, &name, Some("first"), start).await?;
        edited.push(back.duration_since(start));
        sleep(PAUSE).await;
    }
    for (space, name) in population.keys() {
        let secrets = Api::<Secret>::namespaced(world.client.clone(), &space);
        let start = Instant::now();
        secrets.delete(&name, &DeleteParams::default()).await?;
        let back = observer.until_one(&space, &name, Some("first"), start).await?;
        deleted.push(back.duration_since(start));
        sleep(PAUSE).await;
    }
    let drift = mark.since(OPERATOR)?;

    let mark = world.mark()?;
    let mut forced = Samples::default();
    for (nth, (space, name)) in population.keys().enumerate() {
        let value = format!("forced-{nth}");
        world.aws.put(&population.remote(nth), &population::value(&value));
        let externals = Api::<ExternalSecret>::namespaced(world.client.clone(), &space);
        let patch = json!({"metadata": {"annotations": {"force-sync": value}}});
        let start = Instant::now();
        externals.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        let there = observer.until_one(&space, &name, Some(&value), start).await?;
        forced.push(there.duration_since(start));
        sleep(PAUSE).await;
    }
    let refresh = mark.since(OPERATOR)?;

    let mut table = Table::new("One change at a time, from the request to the repaired Secret");
    for (what, samples, half, most) in [
        ("edited Secret is restored", &edited, 50.0, 500.0),
        ("deleted Secret is restored", &deleted, 50.0, 500.0),
        ("forced refresh is done", &forced, 25.0, 60.0),
    ] {
        table.at_most(&format!("{what}, p50"), samples.quantile_ms(0.5), half, " ms");
        table.at_most(&format!("{what}, p99"), samples.quantile_ms(0.99), most, " ms");
    }
    let n = count(objects);
    table.plain("writes per repair", format!("{:.2}", count(drift.writes()) / n / 2.0));
    table.plain("writes per forced refresh", format!("{:.2}", count(refresh.writes()) / n));
    table.note(format!("Repairs: {}.", drift.describe()));
    table.note(format!("Forced refreshes: {}. Load {}.", refresh.describe(), machine::load()));
    table.print();
    operator.stop()
}
