//! One wave: the workloads of one ExternalSecret, rolled for one revision of its Secret, one after the other.
//!
//! There is no state of a wave but the cluster's: which workloads list the revision, and how far they are.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    ask::Ask,
    workload::{Progress, Refusal, Workload},
};
use crate::api::external_secrets::external_secret::{FailedRollout, RolloutStatus};

/// What is known of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub(crate) secret: &'a str,
    pub(crate) revision: u64,
    /// When the data was written last, by the clock of the API server.
    pub(crate) at: Timestamp,
}

/// What this process remembers of the wave. Nothing is wrong without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wave {
    pub(crate) revision: u64,
    /// When this process first looked at it.
    pub(crate) begun: Timestamp,
    /// Uids of the workloads that were rolled in it.
    pub(crate) rolled: BTreeSet<String>,
}

/// How a wave stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Indices of the workloads to roll now, if nothing else holds them.
    pub(crate) next: Vec<usize>,
    /// Workloads that roll.
    pub(crate) rolling: Vec<usize>,
    /// Workloads that were rolled and are complete.
    pub(crate) complete: Vec<usize>,
    /// All that is not done: to be rolled, rolling or paused.
    pub(crate) waiting: Vec<String>,
    pub(crate) paused: Vec<String>,
    pub(crate) refused: Vec<Refusal>,
    /// The first failure ends the wave.
    pub(crate) failed: Option<Failure>,
}

/// Why a wave ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) workload: String,
    pub(crate) cause: String,
    pub(crate) reverted: bool,
}

/// Whether a workload has to be rolled for a change.
pub(crate) fn is_due(workload: &Workload, change: Change<'_>, done: u64) -> bool {
    match workload.listed.get(change.secret) {
        Some(listed) => *listed != change.revision,
        // Times are whole seconds: one of the same second may have started before the change.
        None => done < change.revision && workload.created <= change.at,
    }
}

/// Whether everything was done for a revision already, so that no workload need be looked at.
pub(crate) fn is_settled(status: &RolloutStatus, revision: u64) -> bool {
    status.done >= revision && status.revision == Some(revision)
}

/// Whether a wave for this revision ended and nobody asked to try it again.
pub(crate) fn has_failed<'a>(
    status: &'a RolloutStatus,
    revision: u64,
    ask: &Ask,
) -> Option<&'a FailedRollout> {
    let failed = status.failed.as_ref()?;
    (failed.revision == revision && failed.retry == ask.retry).then_some(failed)
}

/// How the wave stands.
pub(crate) fn standing(
    ask: &Ask,
    change: Change<'_>,
    done: u64,
    workloads: &[Workload],
    wave: &Wave,
    now: Timestamp,
) -> Standing {
    let mut standing = Standing::default();
    let mut due = Vec::new();
    for (nth, workload) in workloads.iter().enumerate() {
        if workload.is_opted_out() {
            continue;
        }
        if let Some(refusal) = workload.refusal() {
            standing.refused.push(refusal);
        } else if workload.listed.get(change.secret) == Some(&change.revision) {
            rolled(&mut standing, nth, workload, ask, wave, now);
        } else if wave.rolled.contains(&workload.uid) {
            standing.failed.get_or_insert_with(|| reverted(workload));
        } else if is_due(workload, change, done) {
            standing.waiting.push(workload.to_string());
            due.push(nth);
        }
    }
    if standing.failed.is_none() {
        let room = ask.parallel.saturating_sub(standing.rolling.len());
        standing.next = due.into_iter().take(room).collect();
    }
    standing
}

/// One that lists the revision.
fn rolled(
    standing: &mut Standing,
    nth: usize,
    workload: &Workload,
    ask: &Ask,
    wave: &Wave,
    now: Timestamp,
) {
    let failure = |cause: &str| Failure {
        workload: workload.to_string(),
        cause: cause.to_owned(),
        reverted: false,
    };
    match workload.progress() {
        Progress::Complete => standing.complete.push(nth),
        Progress::Paused => {
            standing.waiting.push(workload.to_string());
            standing.paused.push(workload.to_string());
        }
        Progress::Failed(cause) => {
            standing.failed.get_or_insert_with(|| failure(cause));
        }
        Progress::Rolling => {
            // A process that took over gives it the whole time again: the one before may have been away.
            let since = workload.patched.map_or(wave.begun, |patched| patched.max(wave.begun));
            if now.duration_since(since) >= ask.timeout {
                standing.failed.get_or_insert_with(|| failure("it was not complete in time"));
            }
            standing.waiting.push(workload.to_string());
            standing.rolling.push(nth);
        }
    }
}

fn reverted(workload: &Workload) -> Failure {
    let author = workload.last_author().unwrap_or("somebody");
    Failure {
        workload: workload.to_string(),
        cause: format!(
            "{author:?} took the annotation gabion.dev/secrets off its pod template; let it keep what the field manager \
             gabion-rollout owns (Argo CD: ignoreDifferences with managedFieldsManagers, and RespectIgnoreDifferences=true)"
        ),
        reverted: true,
    }
}
