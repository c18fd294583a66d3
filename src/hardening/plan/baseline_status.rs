//! The status of a `HardeningBaseline`: how far it has come.

use std::collections::BTreeMap;

use crate::retry::Retry;
use k8s_openapi::jiff::Timestamp;

use super::admission::Admission;
use super::baseline::Compiled;
use super::conditions::{ConditionUpdate, set};
use super::error::Error;
use super::teardown::TEARING_DOWN;
use super::unimplemented::unimplemented_fields;
use crate::api::gabion::hardening_baseline::Conflict;
use crate::api::gabion::hardening_baseline::ExceptionCounts;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::hardening_baseline::HardeningBaselineStatus;
use crate::api::gabion::hardening_baseline::NamespaceCounts;
use crate::api::gabion::hardening_baseline::Selector;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::hardening_baseline::StageCounts;
use crate::api::gabion::hardening_baseline::Teardown;
use crate::policy::selection::{ALWAYS_PROTECTED, matches};
use crate::text::shortened;

/// Conflicts and stuck objects that are listed.
const MAX_LISTED: usize = 10;

/// Problems of one namespace that are kept.
const MAX_PROBLEMS: usize = 8;

/// How one selected namespace stands with a baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Whether its plan was done and left nothing over.
    pub(crate) settled: bool,
    /// Why its last attempt failed, if it did.
    pub(crate) failure: Option<Error>,
    /// What is not as it should be there.
    pub(crate) problems: Vec<Error>,
}

impl Standing {
    /// Boils the outcome of a reconcile down.
    pub(crate) fn of(settled: bool, failure: Option<&Error>, problems: &[Error]) -> Self {
        Self {
            namespace: String::new(),
            settled,
            failure: failure.cloned(),
            problems: problems.iter().take(MAX_PROBLEMS).cloned().collect(),
        }
    }

    /// Whether everything was applied.
    fn is_applied(&self) -> bool {
        self.settled && self.failure.is_none() && self.problems.is_empty()
    }

    /// The worst that is wrong, for a person.
    pub(crate) fn why(&self) -> Option<String> {
        let worst = self.failure.as_ref().or(self.problems.first())?;
        Some(format!("{}: {}", worst.class().0, shortened(&worst.to_string(), 300)))
    }

    fn conflict(&self) -> Option<&Error> {
        self.problems.iter().find(|problem| problem.is_conflict())
    }
}

/// What an error says about an owner: the object, and whose it is.
pub(crate) fn owner_of(problem: &Error) -> Option<(&str, &str)> {
    match problem {
        Error::NameTaken { object, manager } => Some((object, manager)),
        Error::FieldOwnedBy { field, manager } => Some((field, manager)),
        Error::SecretNameTaken { object } => Some((object, "somebody else")),
        Error::PullSecretConflict { target, used, .. } => Some((target, used)),
        Error::EmptyIntersection(baselines) => Some(("images.allowedRegistries", baselines)),
        _ => None,
    }
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

/// The next status with the counts of exceptions in it; `None` if nothing changes. Without any exception nothing is said.
pub(crate) fn with_exceptions(
    old: Option<&HardeningBaselineStatus>,
    next: Option<HardeningBaselineStatus>,
    counts: ExceptionCounts,
) -> Option<HardeningBaselineStatus> {
    let counts = (counts != ExceptionCounts::default()).then_some(counts);
    let said = next.as_ref().or(old).and_then(|status| status.exceptions.clone());
    if said == counts {
        return next;
    }
    let status = next.or_else(|| old.cloned()).unwrap_or_default();
    Some(HardeningBaselineStatus { exceptions: counts, ..status })
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
        applied: count(Standing::is_applied),
        compliant: None,
        violating: None,
        held: count(|n| n.problems.iter().any(Error::is_hold)),
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
            n.problems.iter().filter_map(owner_of).map(|(object, manager)| Conflict {
                namespace: n.namespace.clone(),
                object: object.to_owned(),
                manager: manager.to_owned(),
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
    let pending = namespaces.iter().filter(|n| !n.settled && n.failure.is_none()).count();
    let selected = namespaces.len();
    let degraded = namespace_errors(namespaces);
    let conflicting = namespaces.iter().find(|n| n.conflict().is_some());
    let missing = unimplemented_fields(&baseline.spec);

    let unready = admission.and_then(Admission::unready);
    let broken = compiled.is_err() || degraded.is_some();
    let ready = match (compiled, &degraded) {
        (Err(error), _) | (_, Some(error)) => ConditionUpdate::because("Ready", false, error),
        _ if pending > 0 => {
            let message = format!("{pending} of {selected} namespaces are still to be done.");
            ConditionUpdate::new("Ready", false, "Progressing", message)
        }
        _ => problem(namespaces).unwrap_or_else(|| {
            ConditionUpdate::new(
                "Ready",
                true,
                "Applied",
                applied(baseline, selected, missing.len()),
            )
        }),
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

/// Why the baseline is not ready although nothing failed: the first problem of a namespace, by name.
fn problem(namespaces: &[Standing]) -> Option<ConditionUpdate> {
    let concerned = |of: fn(&Error) -> bool| {
        namespaces.iter().filter(move |n| n.problems.iter().any(of)).collect::<Vec<_>>()
    };
    let (reason, concerned) = [
        ("Conflict", concerned(Error::is_conflict)),
        ("Held", concerned(Error::is_hold)),
        ("NamespaceProblems", concerned(|_| true)),
    ]
    .into_iter()
    .find(|(_, concerned)| !concerned.is_empty())?;
    let first = concerned.first()?;
    if reason == "Held" {
        let (held, selected) = (concerned.len(), namespaces.len());
        let message = format!("Something is held back in {held} of {selected} namespaces.");
        return Some(ConditionUpdate::new("Ready", false, reason, message));
    }
    let message = format!(
        "{} of {} namespaces are not as they should be; the first is {} ({}); see NamespaceHardening effective there.",
        concerned.len(),
        namespaces.len(),
        first.namespace,
        first.why().unwrap_or_default(),
    );
    Some(ConditionUpdate::new("Ready", false, reason, message))
}

fn namespace_errors(namespaces: &[Standing]) -> Option<Error> {
    let failed: Vec<_> = namespaces.iter().filter(|n| n.failure.is_some()).collect();
    let first = failed.first()?;
    Some(Error::NamespaceErrors {
        failed: failed.len(),
        selected: namespaces.len(),
        first: format!("{} ({})", first.namespace, first.why().unwrap_or_default()),
    })
}

fn applied(baseline: &HardeningBaseline, selected: usize, missing: usize) -> String {
    let mut message = if selected == 0 { nothing_selected(baseline) } else { String::new() };
    message += "Applied in ";
    message += &selected.to_string();
    message += " namespaces.";
    if missing > 0 {
        message.push_str(" Some fields are not acted on yet, see FullyImplemented.");
    }
    message
}

/// Why no namespace is selected, as far as that is known.
fn nothing_selected(baseline: &HardeningBaseline) -> String {
    let selector = baseline.spec.namespace_selector.clone().unwrap_or_default();
    let protected = ALWAYS_PROTECTED
        .iter()
        .find(|name| selector != Selector::default() && matches(&selector, &BTreeMap::new(), name));
    match protected {
        Some(name) => format!("No namespace is selected: {name} is protected. "),
        None => "No namespace is selected. ".to_owned(),
    }
}

fn conflict(conflicting: Option<&Standing>) -> ConditionUpdate {
    let first = conflicting.and_then(|n| n.conflict().map(|problem| (n, problem)));
    match first.and_then(|(n, problem)| owner_of(problem).map(|owner| (n, problem, owner))) {
        Some((standing, problem, (object, manager))) => {
            let owned = match problem {
                Error::EmptyIntersection(_) => "have nothing in common in",
                _ => "is owned by",
            };
            let message =
                format!("{object} in namespace {} {owned} {manager}.", standing.namespace);
            ConditionUpdate::new("Conflict", true, problem.class().0, message)
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
            "Every field that is set is acted on. Planned as defaults, and not there yet: the gates of rollout \
             (promotion, soak, waves).",
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
        assert_eq!((counts.selected, counts.applied, counts.by_stage.enforce), (2, 2, 2));
        let again = HardeningBaseline { status: Some(first), ..baseline() };
        let compiled = compile(&again, 37).expect("valid");
        assert_eq!(
            next_status(&again, Ok(&compiled), &[settled("a"), settled("b")], None, at(9)),
            None
        );
    }

    #[test]
    fn hardening_6_what_nobody_counts_is_absent() {
        let counts = status(&[settled("a")]).namespaces.expect("counts");
        assert_eq!((counts.compliant, counts.violating), (None, None));
        let written = serde_json::to_value(counts).expect("JSON");
        assert!(written.get("compliant").is_none() && written.get("violating").is_none());
    }

    #[test]
    fn hardening_10_that_no_namespace_is_selected_is_said_and_why() {
        let ready = |spec: serde_json::Value| {
            let object = json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
                "metadata": { "name": "prod", "uid": "u", "generation": 7 }, "spec": spec });
            let baseline: HardeningBaseline = serde_json::from_value(object).expect("a baseline");
            let compiled = compile(&baseline, 36).expect("valid");
            let next = next_status(&baseline, Ok(&compiled), &[], None, at(1)).expect("a status");
            let ready = next.conditions.iter().find(|c| c.type_ == "Ready").expect("Ready");
            ready.message.clone()
        };
        let named = json!({ "matchLabels": { "kubernetes.io/metadata.name": "kube-system" } });
        let said = ready(json!({ "namespaceSelector": named, "podSecurity": {} }));
        assert!(said.starts_with("No namespace is selected: kube-system is protected. "), "{said}");
        let nobody = json!({ "matchLabels": { "env": "prod" } });
        let said = ready(json!({ "namespaceSelector": nobody, "podSecurity": {} }));
        assert!(said.starts_with("No namespace is selected. Applied in 0 namespaces."), "{said}");
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
        let failure = Some(Error::rejected("NetworkPolicy/gabion-allow-x", "spec.ports: no"));
        let failed = status(&[settled("a"), Standing { failure, ..settled("b") }]);
        assert_eq!(says(&failed, "Degraded"), pair("True", "NamespaceErrors"));
        assert_eq!(says(&failed, "Ready"), pair("False", "NamespaceErrors"));
        let ready = failed.conditions.iter().find(|c| c.type_ == "Ready").expect("Ready");
        for word in ["b (Rejected", "spec.network.allow[x]", "spec.ports: no"] {
            assert!(ready.message.contains(word), "{word}: {}", ready.message);
        }
    }

    /// Whatever is wrong in a namespace must be seen at its baselines, whoever looks only there.
    #[test]
    fn hardening_4_every_problem_of_a_namespace_moves_its_baseline() {
        for problem in crate::hardening::plan::error::samples() {
            let concerned = Standing { problems: vec![problem.clone()], ..settled("web") };
            let status = status(&[settled("a"), concerned]);
            let reason = problem.class().0;
            let ready = status.conditions.iter().find(|c| c.type_ == "Ready").expect("Ready");
            assert_eq!(ready.status, "False", "{reason}");
            let named = ready.message.contains("web") && ready.message.contains(reason);
            assert!(named || problem.is_hold(), "{reason}");
            let counts = status.namespaces.clone().expect("counts");
            assert_eq!(counts.applied, 1, "{reason}");
            assert_eq!(counts.held == 1, problem.is_hold(), "{reason}");
            let conflict = if problem.is_conflict() { reason } else { "NoConflict" };
            assert_eq!(says(&status, "Conflict").1, conflict);
            assert_eq!(status.conflicts.len(), usize::from(problem.is_conflict()), "{reason}");
        }
        let empty = status(&[Standing {
            problems: vec![Error::EmptyIntersection("one, two".into())],
            ..settled("web")
        }]);
        assert_eq!(says(&empty, "Conflict"), pair("True", "EmptyIntersection"));
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
