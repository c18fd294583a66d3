//! How many of the evaluated pods would notice a fault in the rule set: a rule that is dropped or inverted, a field
//! that is not looked at, a version that is off by one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    fields::{of_containers, of_pods, set},
    ours,
    plugin::Bar,
    pods::GROUPS,
};

/// Faults that nothing can notice, and why.
const EXPECTED: [(&str, &str); 2] = [
    (
        "blind to spec.securityContext.fsGroup",
        "no check of the standards looks at it; our own controls do, and are scored apart",
    ),
    (
        "blind to container securityContext.readOnlyRootFilesystem",
        "no check of the standards looks at it; our own controls do, and are scored apart",
    ),
];

type Fault = (String, Box<dyn Fn(&Value, Bar) -> Option<BTreeSet<String>>>);

/// A pod without something; `None` if it had nothing of it.
pub fn without(pod: &Value, take: impl Fn(&mut Value)) -> Option<Value> {
    let mut less = pod.clone();
    take(&mut less);
    (less != *pod).then_some(less)
}

fn blind(name: String, take: impl Fn(&mut Value) + 'static) -> Fault {
    let evaluate =
        move |pod: &Value, bar: Bar| without(pod, &take).map(|less| ours::evaluate(bar, &less));
    (format!("blind to {name}"), Box::new(evaluate))
}

fn faults() -> Vec<Fault> {
    let mut faults = Vec::new();
    for group in GROUPS {
        faults.push(blind(group.to_owned(), move |pod| set(pod, &["spec", group], None)));
        faults.push(blind(format!("{group} after the first"), move |pod| {
            if let Some(list) = pod["spec"].get_mut(group).and_then(Value::as_array_mut) {
                list.truncate(1);
            }
        }));
    }
    for field in of_pods().into_iter().filter(|field| field.path != ["spec", "initContainers"]) {
        let path = field.path;
        faults.push(blind(path.join("."), move |pod| set(pod, &path, None)));
    }
    for field in of_containers() {
        let path = field.path;
        faults.push(blind(format!("container {}", path.join(".")), move |pod| {
            for group in GROUPS {
                let list = pod["spec"].get_mut(group).and_then(Value::as_array_mut);
                for container in list.into_iter().flatten() {
                    set(container, &path, None);
                }
            }
        }));
    }
    for (name, step) in [("one version older", -1), ("one version newer", 1)] {
        let evaluate = move |pod: &Value, bar: Bar| {
            let minor = bar.minor.checked_add_signed(step).filter(|minor| *minor <= 37)?;
            Some(ours::evaluate(Bar { minor, ..bar }, pod))
        };
        faults.push((format!("evaluates at {name}"), Box::new(evaluate)));
    }
    let other = |pod: &Value, bar: Bar| {
        let level = if bar.level == "restricted" { "baseline" } else { "restricted" };
        Some(ours::evaluate(Bar { level, ..bar }, pod))
    };
    faults.push(("evaluates at the other level".to_owned(), Box::new(other)));
    faults
}

/// Whether every count is wanted, which takes a while.
pub fn has_details() -> bool {
    std::env::var_os("GABION_JUDGES_DETAILS").is_some()
}

fn report(name: &str, noticed: usize, of: usize, survivors: &mut Vec<String>) {
    let expected = EXPECTED.iter().find(|(fault, _)| *fault == name);
    match expected {
        Some((_, why)) if noticed == 0 => say!("survives: {name}: {why}"),
        _ if has_details() => {
            say!("{noticed:6} of {of} verdicts notice: {name}");
        }
        _ => {}
    }
    if noticed == 0 && expected.is_none() {
        survivors.push(name.to_owned());
    }
}

/// Prints the score; the faults that nothing noticed and that are not explained.
pub fn score(cases: &[(Value, Vec<Bar>)]) -> Vec<String> {
    let verdicts: Vec<(&Value, Bar, BTreeSet<String>)> = cases
        .iter()
        .flat_map(|(pod, bars)| bars.iter().map(move |bar| (pod, *bar, ours::evaluate(*bar, pod))))
        .collect();
    let (mut survivors, mut faults_seen, mut caught) = (Vec::new(), 0, 0);
    let mut count = |name: &str, noticed: usize| {
        faults_seen += 1;
        caught += usize::from(noticed > 0);
        report(name, noticed, verdicts.len(), &mut survivors);
    };
    let checks: BTreeSet<&str> =
        gabion::policy::rules::all().filter_map(|r| r.control().check).collect();
    for check in checks {
        let fails = verdicts.iter().filter(|(_, _, failed)| failed.contains(check));
        count(&format!("drop {check}"), fails.count());
        // Where it is the only one that fails, or none does, the verdict flips.
        let alone = verdicts.iter().filter(|(_, _, failed)| failed.iter().all(|id| id == check));
        count(&format!("invert {check}"), alone.count());
    }
    let enough = if has_details() { usize::MAX } else { 10 };
    for (name, evaluate) in faults() {
        let notices = verdicts
            .iter()
            .filter(|(pod, bar, failed)| evaluate(pod, *bar).is_some_and(|found| found != *failed));
        count(&name, notices.take(enough).count());
    }
    say!("mutation score: {caught} of {faults_seen} faults are noticed");
    survivors
}
