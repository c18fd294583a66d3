//! The alerts, as Prometheus itself reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use support::{Failure, Result, promtool_program, repository};

fn promtool(arguments: &[&str]) -> Result<String> {
    let output = Command::new(promtool_program()?)
        .args(arguments)
        .current_dir(repository().join("deploy/prometheus"))
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(Failure::new(said)) }
}

fn yaml(name: &str) -> Result<Value> {
    let text = std::fs::read_to_string(repository().join("deploy/prometheus").join(name))?;
    serde_saphyr::from_str(&text).map_err(|error| Failure::new(format!("{name}: {error}")))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_and_goes_when_it_should() -> Result<()> {
    promtool(&["check", "rules", "--lint-fatal", "rules.yaml"])?;
    promtool(&["test", "rules", "rules.test.yaml"])?;
    Ok(())
}

/// Each alert fires in some test, and is quiet in two: below its threshold, and when the cause is gone.
#[test]
fn no_alert_is_without_tests() -> Result<()> {
    let rules = yaml("rules.yaml")?;
    let all: BTreeSet<_> = list(&rules["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .filter_map(|rule| rule["alert"].as_str().map(str::to_owned))
        .collect();
    let mut tested = BTreeMap::<_, (u32, u32)>::new();
    let tests = yaml("rules.test.yaml")?;
    for case in list(&tests["tests"]).iter().flat_map(|test| list(&test["alert_rule_test"])) {
        let alert = case["alertname"].as_str().unwrap_or_default().to_owned();
        let (fires, quiet) = tested.entry(alert).or_default();
        let counted = if list(&case["exp_alerts"]).is_empty() { quiet } else { fires };
        *counted += 1;
    }
    let named: BTreeSet<_> = tested.keys().cloned().collect();
    assert_eq!(all, named);
    for (alert, (fires, quiet)) in tested {
        assert!(fires >= 1 && quiet >= 2, "{alert}: fires in {fires} tests, is quiet in {quiet}");
    }
    Ok(())
}
