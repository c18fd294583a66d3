//! What the status of a `ClusterExternalSecret` or `ClusterPushSecret` says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::cluster_kinds::ClusterStatus;
use super::condition::READY;
use crate::api::external_secrets::cluster_external_secret::FailedNamespace;
use crate::api::external_secrets::cluster_external_secret::ManagedKeys;
use crate::api::external_secrets::references::Condition;
use crate::text::shortened;

/// Namespaces that are listed as provisioned: with the longest names, a third of what etcd takes.
const MAX_PROVISIONED: usize = 5000;
/// Namespaces that are listed as failed, each with its reason.
const MAX_FAILED: usize = 100;
/// Longest reason of one namespace.
const MAX_REASON: usize = 512;
/// Different causes that the condition names.
const MAX_CAUSES: usize = 3;
/// Names that the condition lists.
const MAX_NAMES: usize = 5;

/// How far an object is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Namespaces where all is as specified.
    pub(crate) provisioned: BTreeSet<String>,
    /// Namespaces where it failed, and why.
    pub(crate) failed: BTreeMap<String, String>,
    /// Namespaces that are not done yet.
    pub(crate) pending: usize,
    /// Why nothing can be done at all: reason and text.
    pub(crate) problem: Option<(&'static str, String)>,
    /// Namespaces that the spec names and that do not exist.
    pub(crate) absent: Vec<String>,
    /// Name of each child.
    pub(crate) name: String,
    /// The kind of them.
    pub(crate) child: &'static str,
    /// Which labels and annotations there may be to take away one day.
    pub(crate) managed: ManagedKeys,
}

impl Progress {
    /// Whether Ready is true, its reason and its message.
    pub(crate) fn condition(&self) -> (bool, &'static str, Option<String>) {
        if let Some((reason, text)) = &self.problem {
            return (false, reason, Some(text.clone()));
        }
        if !self.failed.is_empty() {
            return (false, "NamespacesFailed", Some(self.failures()));
        }
        if self.pending > 0 {
            let all = self.pending + self.provisioned.len();
            let text = format!("{} of {all} namespaces are not done yet", self.pending);
            return (false, "Provisioning", Some(text));
        }
        let text = match (self.absent.is_empty(), self.provisioned.is_empty()) {
            (true, false) => None,
            (true, true) => Some("no namespace is selected".to_owned()),
            (false, _) => Some(format!(
                "namespaces that do not exist yet: {}; each gets its {} when it is created",
                few(&self.absent),
                self.child
            )),
        };
        (true, "NamespacesProvisioned", text)
    }

    /// Causes with the namespaces that have them, those of most namespaces first.
    fn failures(&self) -> String {
        let mut causes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (namespace, cause) in &self.failed {
            causes.entry(cause).or_default().push(namespace.clone());
        }
        let (failed, different) = (self.failed.len(), causes.len());
        let all = failed + self.provisioned.len() + self.pending;
        let mut causes: Vec<_> = causes.into_iter().collect();
        causes.sort_by_key(|(_, namespaces)| std::cmp::Reverse(namespaces.len()));
        let named = causes.iter().take(MAX_CAUSES).map(|(cause, namespaces)| {
            let cause = shortened(cause, MAX_REASON);
            if namespaces.len() == all && all > 1 {
                format!("in every namespace: {cause}")
            } else {
                format!("{}: {cause}", few(namespaces))
            }
        });
        let named = named.collect::<Vec<_>>().join("; ");
        let more = match different.saturating_sub(MAX_CAUSES) {
            0 => String::new(),
            more => format!("; and {more} other causes, see status.failedNamespaces"),
        };
        format!("one or more namespaces failed: {failed} of {all}; {named}{more}")
    }
}

/// The first names of a list, and how many more there are.
fn few(names: &[String]) -> String {
    let shown = names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The status that says so, or `None` if the one there is says it already.
pub(crate) fn next_status(
    old: Option<&ClusterStatus>,
    progress: &Progress,
    generation: i64,
    now: Timestamp,
) -> Option<ClusterStatus> {
    let absent = ClusterStatus::default();
    let old = old.unwrap_or(&absent);
    let (ready, reason, message) = progress.condition();
    let status = if ready { "True" } else { "False" };
    let old_ready = old.conditions.iter().find(|condition| condition.type_ == READY);
    let since = old_ready.filter(|condition| condition.status == status);
    let since = since.and_then(|condition| condition.last_transition_time.clone());
    let mut next = old.clone();
    next.conditions.retain(|condition| condition.type_ != READY);
    next.conditions.push(Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message,
        last_transition_time: Some(since.unwrap_or(Time(now))),
        observed_generation: Some(generation),
    });
    next.observed_generation = Some(generation);
    next.name = Some(progress.name.clone());
    // What nothing can be said about stays as it was.
    if progress.problem.is_none() {
        next.provisioned = progress.provisioned.iter().take(MAX_PROVISIONED).cloned().collect();
        let failed = progress.failed.iter().take(MAX_FAILED);
        let failed = failed.map(|(namespace, reason)| FailedNamespace {
            namespace: namespace.clone(),
            reason: Some(shortened(reason, MAX_REASON)),
        });
        next.failed = failed.collect();
    }
    next.gabion =
        Some(progress.managed.clone()).filter(|managed| *managed != ManagedKeys::default());
    (comparable(old, &next) != next).then_some(next)
}

/// The old status with what External Secrets Operator does not write: its status is taken over as it is, if it says
/// the same.
fn comparable(old: &ClusterStatus, next: &ClusterStatus) -> ClusterStatus {
    let mut old = old.clone();
    let is_theirs = |condition: &Condition| condition.type_ == READY && condition.reason.is_none();
    if let Some(theirs) = old.conditions.iter_mut().find(|condition| is_theirs(condition))
        && let Some(ours) = next.conditions.iter().find(|ours| ours.type_ == READY)
        && theirs.status == "True"
        && ours.status == "True"
    {
        *theirs = ours.clone();
        old.observed_generation = next.observed_generation;
        old.gabion.clone_from(&next.gabion);
    }
    old
}

#[cfg(test)]
mod tests;
