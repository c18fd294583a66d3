//! The status of a `HardeningBaseline`: how far it has come.

use crate::retry::Retry;
use k8s_openapi::jiff::Timestamp;

use super::admission::Admission;
use super::baseline::Compiled;
use super::conditions::{ConditionUpdate, set};
use super::error::Error;
use super::teardown::TEARING_DOWN;
use super::unimplemented::unimplemented_fields;
use crate::api::gabion::hardening_baseline::Conflict;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::hardening_baseline::HardeningBaselineStatus;
use crate::api::gabion::hardening_baseline::NamespaceCounts;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::hardening_baseline::StageCounts;
use crate::api::gabion::hardening_baseline::Teardown;

/// Conflicts and stuck objects that are listed.
const MAX_LISTED: usize = 10;

/// How one selected namespace stands with a baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Whether its plan was done and left nothing over.
    pub(crate) settled: bool,
    /// Whether something is held back there.
    pub(crate) held: bool,
    /// Objects and fields there that somebody else owns: object and manager.
    pub(crate) conflicts: Vec<(String, String)>,
    /// Whether its last attempt failed.
    pub(crate) failed: bool,
}

/// The next status, or `None` when nothing changes. `compiled` is the outcome of compiling the present spec.
pub(crate) fn next_status(
    baseline: &HardeningBaseline,
    compiled: Result<&Compiled, &Error>,
    namespaces: &[Standing],
    admission: Option<&Admission>,
    now: Timestamp,
) -> Option<HardeningBaselineStatus> {
    let old = baseline.status.clone().unwrap_or_default();
    let mut next = HardeningBaselineStatus {
        observed_generation: baseline.metadata.generation,
        teardown: None,
        ..old.clone()
    };
    if let Ok(compiled) = compiled {
        describe(&mut next, compiled, namespaces);
    }
    if let Some(admission) = admission {
        if compiled.is_ok() {
            next.policy_revision.clone_from(&admission.revision);
        }
        for update in admission.condition_updates() {
            set(&mut next.conditions, update, baseline.metadata.generation, now);
        }
    }
    for update in condition_updates(baseline, compiled, namespaces, admission) {
        set(&mut next.conditions, update, baseline.metadata.generation, now);
    }
    (next != old).then_some(next)
}

/// The next status of a baseline that is being deleted. `left` names what is still there, each starting with
/// its namespace and a colon; `paused` is why nothing is undone, if so.
pub(crate) fn next_teardown(
    baseline: &HardeningBaseline,
    left: &[String],
    paused: Option<&Error>,
    now: Timestamp,
) -> Option<HardeningBaselineStatus> {
    let old = baseline.status.clone().unwrap_or_default();
    let mut namespaces: Vec<&str> = left.iter().filter_map(|item| item.split(':').next()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut next = HardeningBaselineStatus {
        observed_generation: baseline.metadata.generation,
        teardown: Some(Teardown {
            remaining: number(namespaces.len()),
            stuck: left.iter().take(MAX_LISTED).cloned().collect(),
        }),
        ..old.clone()
    };
    let update = match paused {
        Some(error) => ConditionUpdate::because("Ready", false, error),
        None => ConditionUpdate::new(
            "Ready",
            false,
            TEARING_DOWN,
            format!("{} namespaces still hold something of this baseline.", namespaces.len()),
        ),
    };
    set(&mut next.conditions, update, baseline.metadata.generation, now);
    (next != old).then_some(next)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn describe(next: &mut HardeningBaselineStatus, compiled: &Compiled, namespaces: &[Standing]) {
    let count = |of: fn(&Standing) -> bool| number(namespaces.iter().filter(|n| of(n)).count());
    let selected = number(namespaces.len());
    let at = |stage| if compiled.stage == stage { selected } else { 0 };
    next.level = compiled.pod_security.map(|ask| ask.enforce.to_string());
    next.stage = Some(compiled.stage.to_string());
    if let Some(ask) = compiled.pod_security {
        next.pinned_version = Some(ask.version.to_string());
    }
    next.namespaces = Some(NamespaceCounts {
        selected,
        compliant: count(|n| n.settled && !n.held && !n.failed && n.conflicts.is_empty()),
        violating: 0,
        held: count(|n| n.held),
        by_stage: StageCounts {
            observe: at(Stage::Observe),
            audit: at(Stage::Audit),
            warn: at(Stage::Warn),
            enforce: at(Stage::Enforce),
        },
    });
    let mut conflicts: Vec<Conflict> = namespaces
        .iter()
        .flat_map(|n| {
            n.conflicts.iter().map(|(object, manager)| Conflict {
                namespace: n.namespace.clone(),
                object: object.clone(),
                manager: manager.clone(),
            })
        })
        .collect();
    conflicts.sort();
    conflicts.truncate(MAX_LISTED);
    next.conflicts = conflicts;
}

fn condition_updates(
    baseline: &HardeningBaseline,
    compiled: Result<&Compiled, &Error>,
    namespaces: &[Standing],
    admission: Option<&Admission>,
) -> Vec<ConditionUpdate> {
    let failed = namespaces.iter().filter(|n| n.failed).count();
    let pending = namespaces.iter().filter(|n| !n.settled && !n.failed).count();
    let selected = namespaces.len();
    let degraded = (failed > 0).then_some(Error::NamespaceErrors { failed, selected });
    let conflicting = namespaces.iter().find(|n| !n.conflicts.is_empty());
    let held = namespaces.iter().filter(|n| n.held).count();
    let missing = unimplemented_fields(&baseline.spec);

    let unready = admission.and_then(Admission::unready);
    let broken = compiled.is_err() || degraded.is_some();
    let ready = match (compiled, &degraded, conflicting) {
        (Err(error), _, _) | (_, Some(error), _) => ConditionUpdate::because("Ready", false, error),
        _ if pending > 0 => {
            let message = format!("{pending} of {selected} namespaces are still to be done.");
            ConditionUpdate::new("Ready", false, "Progressing", message)
        }
        (_, _, Some(first)) => {
            let message = format!(
                "Somebody else owns objects or fields in {}; see NamespaceHardening effective there.",
                first.namespace
            );
            ConditionUpdate::new("Ready", false, "Conflict", message)
        }
        _ if held > 0 => {
            let message = format!("Something is held back in {held} of {selected} namespaces.");
            ConditionUpdate::new("Ready", false, "Held", message)
        }
        _ => ConditionUpdate::new("Ready", true, "Applied", applied(selected, missing.len())),
    };
    let ready = unready.filter(|_| !broken).unwrap_or(ready);
    let working = ConditionUpdate::new(
        "Reconciling",
        pending > 0,
        if pending > 0 { "Progressing" } else { "Idle" },
        format!("{pending} namespaces are still to be done."),
    );
    vec![
        ready,
        working,
        stalled(compiled.err()),
        conflict(conflicting),
        degraded_update(degraded.as_ref()),
        implemented(&missing),
    ]
}

fn stalled(error: Option<&Error>) -> ConditionUpdate {
    match error.filter(|error| error.class().1 == Retry::OnChange) {
        Some(error) => ConditionUpdate::because("Stalled", true, error),
        None => ConditionUpdate::new(
            "Stalled",
            false,
            "NotStalled",
            "Nothing waits for a correction of the spec.",
        ),
    }
}

fn applied(selected: usize, missing: usize) -> String {
    let mut message = format!("Applied in {selected} namespaces.");
    if missing > 0 {
        message.push_str(" Some fields are not acted on yet, see FullyImplemented.");
    }
    message
}

fn conflict(conflicting: Option<&Standing>) -> ConditionUpdate {
    match conflicting.and_then(|n| n.conflicts.first().map(|c| (n, c))) {
        Some((standing, (object, manager))) => {
            let reason = if object.contains('/') && !object.contains(' ') {
                "NameTaken"
            } else {
                "FieldOwnedBy"
            };
            let message =
                format!("{object} in namespace {} is owned by {manager}.", standing.namespace);
            ConditionUpdate::new("Conflict", true, reason, message)
        }
        None => ConditionUpdate::new(
            "Conflict",
            false,
            "NoConflict",
            "Nobody else owns an object or field of ours.",
        ),
    }
}

fn degraded_update(degraded: Option<&Error>) -> ConditionUpdate {
    match degraded {
        Some(error) => ConditionUpdate::because("Degraded", true, error),
        None => ConditionUpdate::new("Degraded", false, "AllNamespaces", "No namespace failed."),
    }
}

fn implemented(missing: &[&'static str]) -> ConditionUpdate {
    if missing.is_empty() {
        return ConditionUpdate::new(
            "FullyImplemented",
            true,
            "AllFields",
            "Every field that is set is acted on.",
        );
    }
    let message =
        format!("Accepted but not acted on in this version: spec.{}.", missing.join(", spec."));
    ConditionUpdate::new("FullyImplemented", false, "NotImplemented", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hardening::plan::baseline::compile;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn baseline() -> HardeningBaseline {
        let object = json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
            "metadata": { "name": "prod", "uid": "u", "generation": 7 },
            "spec": { "allNamespaces": true, "podSecurity": {}, "rollout": { "target": "Enforce" },
                "images": { "trustPolicies": ["corp"] }, "falco": { "rules": ["ShellInContainer"] } } });
        serde_json::from_value(object).expect("a baseline")
    }

    fn settled(namespace: &str) -> Standing {
        Standing { namespace: namespace.into(), settled: true, ..Standing::default() }
    }

    fn status(namespaces: &[Standing]) -> HardeningBaselineStatus {
        let compiled = compile(&baseline(), 36).expect("valid");
        next_status(&baseline(), Ok(&compiled), namespaces, None, at(1)).expect("a status")
    }

    fn says(status: &HardeningBaselineStatus, kind: &str) -> (String, String) {
        let condition = status.conditions.iter().find(|c| c.type_ == kind).expect(kind);
        assert_eq!(condition.observed_generation, Some(7));
        (condition.status.clone(), condition.reason.clone())
    }

    fn pair(status: &str, reason: &str) -> (String, String) {
        (status.to_owned(), reason.to_owned())
    }

    #[test]
    fn a_baseline_that_is_applied_everywhere_is_ready_and_written_once() {
        let first = status(&[settled("a"), settled("b")]);
        assert_eq!(says(&first, "Ready"), pair("True", "Applied"));
        assert_eq!(
            (first.level.as_deref(), first.stage.as_deref()),
            (Some("restricted"), Some("Enforce"))
        );
        assert_eq!(first.pinned_version.as_deref(), Some("v1.36"));
        let counts = first.namespaces.clone().expect("counts");
        assert_eq!((counts.selected, counts.compliant, counts.by_stage.enforce), (2, 2, 2));
        let again = HardeningBaseline { status: Some(first), ..baseline() };
        let compiled = compile(&again, 37).expect("valid");
        assert_eq!(
            next_status(&again, Ok(&compiled), &[settled("a"), settled("b")], None, at(9)),
            None
        );
    }

    #[test]
    fn fields_that_are_not_acted_on_yet_are_named() {
        let first = status(&[settled("a")]);
        assert_eq!(says(&first, "FullyImplemented"), pair("False", "NotImplemented"));
        let condition =
            first.conditions.iter().find(|c| c.type_ == "FullyImplemented").expect("it");
        assert!(
            condition.message.contains("spec.images.trustPolicies, spec.falco"),
            "{}",
            condition.message
        );
    }

    #[test]
    fn what_is_wrong_is_said_by_the_condition_that_is_about_it() {
        let pending = Standing { settled: false, ..settled("b") };
        assert_eq!(says(&status(&[settled("a"), pending]), "Ready"), pair("False", "Progressing"));
        let failed = status(&[settled("a"), Standing { failed: true, ..settled("b") }]);
        assert_eq!(says(&failed, "Degraded"), pair("True", "NamespaceErrors"));
        assert_eq!(says(&failed, "Ready"), pair("False", "NamespaceErrors"));
        let taken = ("NetworkPolicy/gabion-default-deny".to_owned(), "kubectl-create".to_owned());
        let taken = status(&[Standing { conflicts: vec![taken], ..settled("web") }]);
        assert_eq!(says(&taken, "Conflict"), pair("True", "NameTaken"));
        assert_eq!(taken.conflicts[0].namespace, "web");
        let fought = ("label pod-security.kubernetes.io/enforce".to_owned(), "argocd".to_owned());
        let fought = status(&[Standing { conflicts: vec![fought], ..settled("web") }]);
        assert_eq!(says(&fought, "Conflict"), pair("True", "FieldOwnedBy"));
        let held = status(&[Standing { held: true, ..settled("a") }]);
        assert_eq!(says(&held, "Ready"), pair("False", "Held"));
    }

    #[test]
    fn a_spec_that_does_not_compile_keeps_the_last_counts_and_says_so() {
        let mut stored = baseline();
        stored.status = Some(status(&[settled("a")]));
        stored.metadata.generation = Some(8);
        let error =
            Error::invalid("podSecurity.level", "holds a word that this version does not know");
        let next =
            next_status(&stored, Err(&error), &[settled("a")], None, at(5)).expect("a status");
        let ready = next.conditions.iter().find(|c| c.type_ == "Ready").expect("Ready");
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "InvalidSpec"));
        assert!(ready.message.contains("previous generation stays in force"));
        assert_eq!(next.namespaces, stored.status.expect("status").namespaces);
    }

    #[test]
    fn a_teardown_says_what_is_left_or_why_it_waits() {
        let left = [
            "web: NetworkPolicy/gabion-default-deny".to_owned(),
            "web: Namespace labels".to_owned(),
        ];
        let next = next_teardown(&baseline(), &left, None, at(1)).expect("a status");
        assert_eq!(next.teardown.clone().expect("teardown").remaining, 1);
        let paused = Error::MassDeletion("the CustomResourceDefinition is being deleted".into());
        let next = next_teardown(&baseline(), &left, Some(&paused), at(1)).expect("a status");
        assert_eq!(says(&next, "Ready"), pair("False", "MassDeletion"));
    }
}
