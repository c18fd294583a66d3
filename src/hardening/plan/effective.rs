//! The status of `NamespaceHardening/effective`: what is in force, why, and what is not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::baseline::Compiled;
use super::baseline_status::owner_of;
use super::conditions::{ConditionUpdate, set};
use super::error::Error;
use super::merge::{Mode, ranked};
use super::namespace::Plan;
use crate::api::gabion::namespace_hardening::BaselineRef;
use crate::api::gabion::namespace_hardening::EffectiveValue;
use crate::api::gabion::namespace_hardening::MAX_VALUES;
use crate::api::gabion::namespace_hardening::NamespaceConflict;
use crate::api::gabion::namespace_hardening::NamespaceHardeningStatus;
use crate::digest::{Digest, digest};
use crate::text::shortened;

/// Conflicts that are listed.
const MAX_CONFLICTS: usize = 32;

/// What is kept of a status: enough to see whether the next one differs. The status itself would be
/// most of the memory of a cluster with many namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusDigest {
    digest: Option<Digest>,
    /// Type and status of each condition, and since when it has that status.
    transitions: Vec<(String, String, Time)>,
    /// Names of the baselines that selected the namespace.
    baselines: Vec<String>,
    /// Whether the default deny was in force. Whoever falsifies it gets what the baseline asks for, a little sooner.
    pub(crate) denied: bool,
}

impl StatusDigest {
    /// Boils a status down.
    pub fn of(status: &NamespaceHardeningStatus) -> Self {
        let since =
            |c: &Condition| (c.type_.clone(), c.status.clone(), c.last_transition_time.clone());
        let name = |baseline: &BaselineRef| baseline.name.clone();
        Self {
            digest: Some(digest(status)),
            transitions: status.conditions.iter().take(MAX_VALUES).map(since).collect(),
            baselines: status.baselines.iter().take(MAX_VALUES).map(name).collect(),
            denied: status.default_deny == Some(true),
        }
    }

    /// Whether it named this baseline.
    pub(crate) fn names(&self, baseline: &str) -> bool {
        self.baselines.iter().any(|name| name == baseline)
    }

    /// Whether it had this condition, and with which status.
    pub(crate) fn condition(&self, kind: &str) -> Option<bool> {
        let known = self.transitions.iter().find(|(known, ..)| known == kind);
        known.map(|(_, status, _)| status == "True")
    }

    /// The conditions as far as the next ones follow from them.
    fn conditions(&self) -> Vec<Condition> {
        let rest = |(type_, status, since): &(String, String, Time)| Condition {
            type_: type_.clone(),
            status: status.clone(),
            last_transition_time: since.clone(),
            message: String::new(),
            observed_generation: None,
            reason: String::new(),
        };
        self.transitions.iter().map(rest).collect()
    }
}

/// The next status, or `None` when it says nothing new. `failure` is what stopped the writes of the plan, if
/// anything did. There is no generation of the `NamespaceHardening` to observe: nobody asks it for anything.
pub fn next_status(
    old: &StatusDigest,
    baselines: &[Compiled],
    plan: &Plan,
    failure: Option<&Error>,
    now: Timestamp,
) -> Option<NamespaceHardeningStatus> {
    let ranked = ranked(baselines);
    let names: Vec<_> = ranked.iter().map(|b| b.name.as_str()).collect();
    let mut held: Vec<String> = plan.problems.iter().filter_map(held).collect();
    let held_count = held.len();
    held.truncate(MAX_CONFLICTS);
    let mut conflicts: Vec<NamespaceConflict> = plan.problems.iter().filter_map(conflict).collect();
    let conflict_count = conflicts.len();
    conflicts.sort();
    conflicts.truncate(MAX_CONFLICTS);
    let changed = plan.preview.rows.iter().filter(|row| !plan.merged.rows.contains(row)).cloned();
    let mut next = NamespaceHardeningStatus {
        level: plan.merged.pod_security.get(&Mode::Enforce).map(|(level, _)| level.to_string()),
        stage: ranked.iter().map(|b| b.stage).min().map(|stage| stage.to_string()),
        baseline_names: (!names.is_empty()).then(|| names.join(",")),
        baselines: ranked.iter().map(|b| reference(b)).collect(),
        default_deny: plan.denied.then_some(true),
        values: bounded(plan.merged.rows.clone()),
        preview: bounded(changed.collect()),
        held_count: count(held_count),
        held,
        conflict_count: count(conflict_count),
        conflicts,
        dns: plan.dns.clone(),
        previous: plan.previous.iter().take(MAX_VALUES).cloned().collect(),
        conditions: Vec::new(),
    };
    let mut conditions = old.conditions();
    let condition_updates = condition_updates(plan, &names, failure);
    // Those that an earlier version had, and nobody keeps up to date any more.
    conditions.retain(|old| condition_updates.iter().any(|update| update.kind == old.type_));
    for update in condition_updates {
        set(&mut conditions, update, None, now);
    }
    next.conditions = conditions;
    bound_texts(&mut next);
    (Some(digest(&next)) != old.digest).then_some(next)
}

/// The same without its lists: what can be written if something in one of them is refused.
pub(crate) fn conditions_only(status: &NamespaceHardeningStatus) -> NamespaceHardeningStatus {
    NamespaceHardeningStatus {
        level: status.level.clone(),
        stage: status.stage.clone(),
        baseline_names: status.baseline_names.clone(),
        baselines: status.baselines.clone(),
        default_deny: status.default_deny,
        held_count: status.held_count,
        conflict_count: status.conflict_count,
        conditions: status.conditions.clone(),
        ..NamespaceHardeningStatus::default()
    }
}

/// Longest text of a list, and of a message.
const LONGEST_TEXT: usize = 512;
const LONGEST_MESSAGE: usize = 2048;

/// Bounds every text: lists have a number of entries, and names in them are made by users.
fn bound_texts(status: &mut NamespaceHardeningStatus) {
    let bound = |text: &mut String| {
        if text.len() > LONGEST_TEXT {
            *text = shortened(text, LONGEST_TEXT);
        }
    };
    for row in status.values.iter_mut().chain(&mut status.preview) {
        [&mut row.item, &mut row.value, &mut row.baseline, &mut row.reason]
            .into_iter()
            .for_each(bound);
    }
    for conflict in &mut status.conflicts {
        [&mut conflict.object, &mut conflict.manager, &mut conflict.message]
            .into_iter()
            .for_each(bound);
    }
    for value in &mut status.previous {
        bound(&mut value.item);
        value.value.iter_mut().for_each(bound);
    }
    status.held.iter_mut().for_each(bound);
    status.baseline_names.iter_mut().for_each(bound);
    status.baselines.truncate(MAX_VALUES);
    if let Some(dns) = &mut status.dns {
        dns.addresses.truncate(MAX_VALUES);
        dns.ports.truncate(MAX_VALUES);
        bound(&mut dns.source);
        dns.addresses.iter_mut().chain(&mut dns.ports).for_each(bound);
    }
    for condition in &mut status.conditions {
        condition.message = shortened(&condition.message, LONGEST_MESSAGE);
    }
}

fn count(number: usize) -> Option<i64> {
    i64::try_from(number).ok()
}

fn reference(baseline: &Compiled) -> BaselineRef {
    BaselineRef {
        name: baseline.name.clone(),
        priority: baseline.priority,
        stage: baseline.stage.to_string(),
        generation: baseline.generation,
    }
}

/// At most [`MAX_VALUES`] rows; the last one says how many there are beyond.
fn bounded(mut rows: Vec<EffectiveValue>) -> Vec<EffectiveValue> {
    if rows.len() > MAX_VALUES {
        let more = rows.len() - (MAX_VALUES - 1);
        rows.truncate(MAX_VALUES - 1);
        rows.push(EffectiveValue {
            item: "more".into(),
            value: more.to_string(),
            baseline: String::new(),
            reason: "values beyond the limit of this list; see the objects themselves".into(),
        });
    }
    rows
}

/// What is held back, in the words of the contract: reason, resource and amounts.
fn held(problem: &Error) -> Option<String> {
    match problem {
        Error::QuotaBelowUsage(detail) | Error::AllowMissing(detail) => {
            Some(format!("Held: {} {detail}", problem.class().0))
        }
        _ => None,
    }
}

fn conflict(problem: &Error) -> Option<NamespaceConflict> {
    let (object, manager) = owner_of(problem)?;
    let (object, manager) = (object.to_owned(), manager.to_owned());
    Some(NamespaceConflict { object, manager, message: problem.to_string() })
}

fn condition_updates(plan: &Plan, names: &[&str], failure: Option<&Error>) -> Vec<ConditionUpdate> {
    let conflicting = plan.problems.iter().find(|p| conflict(p).is_some());
    let holding = plan.problems.iter().find(|p| held(p).is_some());
    let ready = if let Some(error) = failure.or(plan.problems.first()) {
        ConditionUpdate::because("Ready", false, error)
    } else {
        let message =
            format!("{} values of {} are in force.", plan.merged.rows.len(), names.join(", "));
        ConditionUpdate::new("Ready", true, "Applied", message)
    };
    let conflict = match conflicting {
        Some(error) => ConditionUpdate::because("Conflict", true, error),
        None => ConditionUpdate::new(
            "Conflict",
            false,
            "NoConflict",
            "Nobody else owns an object or field of ours.",
        ),
    };
    let held = match (holding, holding.and_then(held)) {
        (Some(error), Some(text)) => ConditionUpdate {
            message: format!("{text}. {error}"),
            ..ConditionUpdate::because("Held", true, error)
        },
        _ => ConditionUpdate::new("Held", false, "NothingHeld", "Nothing is held back."),
    };
    let widened = match plan.warnings.first() {
        Some(warning) => ConditionUpdate::because("NetworkWidened", true, warning),
        None => ConditionUpdate::new(
            "NetworkWidened",
            false,
            "AsAsked",
            "No policy of a user opens what is denied.",
        ),
    };
    let stated = if plan.unstated.is_empty() {
        ConditionUpdate::new(
            "QuotaFilledIn",
            true,
            "NothingMissing",
            "No pod is refused by the quota because it leaves an amount out.",
        )
    } else {
        let message = format!(
            "The quota refuses every pod whose containers do not state {}, and nothing fills that in; \
             add it to resources.containerDefaults.",
            plan.unstated.join(", ")
        );
        ConditionUpdate::new("QuotaFilledIn", false, "AmountsMissing", message)
    };
    vec![ready, conflict, held, widened, stated, pods_fit(plan)]
}

/// Whether the pods that run could be made again.
pub(crate) const PODS_FIT: &str = "PodsFit";

fn pods_fit(plan: &Plan) -> ConditionUpdate {
    match &plan.refused_pods {
        None => ConditionUpdate::new(
            PODS_FIT,
            true,
            "NothingRefused",
            "LimitRange and quota would let the pods that run be made again.",
        ),
        Some(which) => {
            let message = format!(
                "At the stage Enforce, LimitRange and quota refuse pods that run now, once they are made \
                 again: {which}. Change their amounts, resources.containerDefaults, containerMax or quota."
            );
            ConditionUpdate::new(PODS_FIT, false, "PodsRefused", message)
        }
    }
}
