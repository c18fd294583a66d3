//! The report of a namespace: what others write into it, and a definition that drops it.

use serde_json::{Value, json};
use support::{Cluster, Failure, Options, Result, SOON, Subsystem, TestEnv, audit, eventually};

use crate::scene::{PSS, Scene, full};

const REPORT: &str = "NamespaceHardening";
const DEFINITION: &str = "namespacehardenings.gabion.dev";

fn falsified(level: &str) -> Value {
    json!({"status": {"level": level, "values": []}})
}

/// Writes of the operator to the report of a namespace.
fn writes(env: &TestEnv, ns: &str) -> usize {
    let all = audit::requests(env.plane());
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
    let fights = scene.env.counter("gabion_fights_total").await?;

    cluster.patch_as(REPORT, "falsified", "effective", falsified("privileged"), "mallory").await?;
    let again = scene.effective("falsified", |found| found["level"] == "restricted").await?;
    assert_eq!(again["values"], true_report["values"]);

    let is_of_fight = |event: &Value| {
        event["reason"] == "FieldOwnedBy"
            && event["note"].to_string().contains("NamespaceHardening/effective")
    };
    eventually(SOON, "the fight is noticed", || async {
        let lie = falsified("baseline");
        cluster.patch_as(REPORT, "falsified", "effective", lie, "mallory").await?;
        let events = cluster.list("Event", "falsified").await?;
        if events.iter().any(is_of_fight) { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    assert!(scene.env.counter("gabion_fights_total").await? > fights);

    // The report is left alone from now on, and everything else is kept.
    let last = falsified("privileged-at-last");
    cluster.patch_as(REPORT, "falsified", "effective", last, "mallory").await?;
    scene.settle().await?;
    let written = writes(scene.env, "falsified");
    assert!(written <= 12, "{written} writes");
    cluster.delete("LimitRange", "falsified", "gabion-limits").await?;
    cluster.until("LimitRange", "falsified", "gabion-limits", |_| Ok(())).await?;
    let mut label = json!({"metadata": {"labels": {}}});
    label["metadata"]["labels"][format!("{PSS}enforce")] = Value::Null;
    cluster.patch("Namespace", "", "falsified", label).await?;
    scene.label_is("falsified", &format!("{PSS}enforce"), json!("restricted")).await?;
    scene.settle().await?;
    assert_eq!(writes(scene.env, "falsified"), written);
    let found = cluster.get(REPORT, "falsified", "effective").await?.unwrap_or_default();
    assert_eq!(found["status"]["level"], "privileged-at-last");
    Ok(())
}

/// Gives the definition of reports a status subresource, or takes it away.
async fn with_subresource(cluster: &Cluster, value: Value) -> Result<()> {
    let found = cluster.get("CustomResourceDefinition", "", DEFINITION).await?.unwrap_or_default();
    let mut versions = found["spec"]["versions"].clone();
    for version in versions.as_array_mut().into_iter().flatten() {
        version["subresources"] = value.clone();
    }
    let change = json!({"spec": {"versions": versions}});
    cluster.patch("CustomResourceDefinition", "", DEFINITION, change).await?;
    Ok(())
}

/// Waits until the API server serves a status of its own for reports, or does not.
async fn serves_status(cluster: &Cluster, wanted: bool) -> Result<()> {
    eventually(SOON, "the definition is served", || async {
        let all = cluster.send("GET", "/apis/gabion.dev/v1alpha1", "", &Value::Null).await?;
        let found = all.to_string().contains("namespacehardenings/status");
        if found == wanted { Ok(()) } else { Err(Failure::new(all.to_string())) }
    })
    .await
}

#[tokio::test]
async fn an_older_definition_costs_the_reports_and_nothing_else_and_is_told() -> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&Options::default())?;
    let cluster = Cluster::new(&plane).await?;
    with_subresource(&cluster, json!({"status": {}})).await?;
    serves_status(&cluster, true).await?;
    let mut env = Subsystem::Hardening.start_on(plane, &[])?;
    {
        let scene = Scene::within(&env, "older").await?;
        scene.baseline("older", full()).await?;
        scene.label_is("older", &format!("{PSS}enforce"), json!("restricted")).await?;
        cluster.until("NetworkPolicy", "older", "gabion-default-deny", |_| Ok(())).await?;
        cluster.until("LimitRange", "older", "gabion-limits", |_| Ok(())).await?;
        eventually(SOON, "the log says so", || async {
            let log = env.operator.log();
            let logged = log.contains("its definition is older than this version (apply crds/)");
            if logged { Ok(()) } else { Err(Failure::new("not yet")) }
        })
        .await?;
        // What is repaired costs a reconcile; the report must not cost one write for each.
        for _ in 0..3 {
            for (kind, name) in [
                ("LimitRange", "gabion-limits"),
                ("ResourceQuota", "gabion-quota"),
                ("NetworkPolicy", "gabion-default-deny"),
            ] {
                cluster.delete(kind, "older", name).await?;
                cluster.until(kind, "older", name, |_| Ok(())).await?;
            }
        }
        let report = cluster.get(REPORT, "older", "effective").await?.unwrap_or_default();
        assert!(report["status"].is_null(), "{report}");
        let written = writes(&env, "older");
        assert!(written <= 12, "{written} writes");
    }
    env.operator.stop(SOON)?;
    with_subresource(&cluster, Value::Null).await?;
    serves_status(&cluster, false).await?;
    env.start_again(&[])?;
    let scene = Scene::without_namespace(&env, "older").await?;
    let status = scene.hardened("older", &["older"]).await?;
    assert_eq!(status["level"], "restricted");
    Ok(())
}

#[tokio::test]
async fn hardening_comes_before_reports_where_many_wait() -> Result<()> {
    const MANY: usize = 80;
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, "crowd").await?;
    for nth in 0..MANY {
        scene.create_namespace(&format!("crowd-{nth}"), json!({})).await?;
    }
    scene.baseline("crowd", full()).await?;
    scene.counted("crowd", MANY).await?;
    for nth in 0..MANY {
        scene.effective(&format!("crowd-{nth}"), |found| found["level"] == "restricted").await?;
    }
    let mut quotas_before_report = Vec::new();
    let mut quotas = 0;
    for request in audit::requests(scene.env.plane()) {
        if request.verb != "create" || !request.namespace.starts_with("crowd-") {
            continue;
        }
        match request.resource.as_str() {
            "resourcequotas" => quotas += 1,
            "namespacehardenings" => quotas_before_report.push(quotas),
            _ => {}
        }
    }
    assert_eq!((quotas, quotas_before_report.len()), (MANY, MANY));
    // One that is woken again meanwhile is reported on then; otherwise half of the reports would be among these.
    let early = quotas_before_report.iter().filter(|quotas| **quotas < MANY / 2).count();
    assert!(early <= MANY / 8, "{quotas_before_report:?}");
    Ok(())
}
