//! The report of a namespace, and what others write into it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    audit,
    scene::{PSS, Scene, full},
    support::{Failure, Result, eventually},
    world::{SOON, World},
};

const REPORT: &str = "NamespaceHardening";

fn falsified(level: &str) -> Value {
    json!({"status": {"level": level, "values": []}})
}

/// Writes of the operator to the report of a namespace.
fn writes(world: &World, ns: &str) -> usize {
    let all = audit::requests(world.plane());
    let about = |r: &&audit::Request| {
        r.is_write() && r.resource.starts_with("namespacehardenings") && r.namespace == ns
    };
    all.iter().filter(about).count()
}

#[tokio::test]
async fn a_report_that_somebody_falsifies_is_put_right_and_a_fight_over_it_is_given_up()
-> Result<()> {
    let scene = Scene::new("falsified").await?;
    let cluster = &scene.cluster;
    scene.baseline("falsified", full()).await?;
    let true_report = scene.hardened("falsified", &["falsified"]).await?;
    let fights = scene.world.counter("gabion_fights_total").await?;

    cluster.patch_as(REPORT, "falsified", "effective", falsified("privileged"), "mallory").await?;
    let again = scene.effective("falsified", |found| found["level"] == "restricted").await?;
    assert_eq!(again["values"], true_report["values"]);

    for nth in 0..30 {
        let lie = falsified(&format!("privileged-{nth}"));
        cluster.patch_as(REPORT, "falsified", "effective", lie, "mallory").await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    eventually(SOON, "the fight is noticed", || async {
        let now = scene.world.counter("gabion_fights_total").await?;
        if now > fights { Ok(()) } else { Err(Failure::new(now.to_string())) }
    })
    .await?;
    let events = cluster.list("Event", "falsified").await?;
    let told = |event: &Value| {
        event["reason"] == "FieldOwnedBy"
            && event["note"].to_string().contains("NamespaceHardening/effective")
    };
    assert!(events.iter().any(told), "{events:?}");

    // The report is left alone from now on, and everything else is kept.
    let last = falsified("privileged-at-last");
    cluster.patch_as(REPORT, "falsified", "effective", last, "mallory").await?;
    let written = writes(scene.world, "falsified");
    assert!(written <= 12, "{written} writes");
    cluster.delete("LimitRange", "falsified", "gabion-limits").await?;
    cluster.until("LimitRange", "falsified", "gabion-limits", |_| Ok(())).await?;
    let mut label = json!({"metadata": {"labels": {}}});
    label["metadata"]["labels"][format!("{PSS}enforce")] = Value::Null;
    cluster.patch("Namespace", "", "falsified", label).await?;
    scene.label_is("falsified", &format!("{PSS}enforce"), json!("restricted")).await?;
    scene.settle().await?;
    assert_eq!(writes(scene.world, "falsified"), written);
    let found = cluster.get(REPORT, "falsified", "effective").await?.unwrap_or_default();
    assert_eq!(found["status"]["level"], "privileged-at-last");
    Ok(())
}
