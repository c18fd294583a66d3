//! What the status of an ExternalSecret says about the workloads that use its Secret.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    wave::{Failure, Standing},
    workload::Refusal,
};
use crate::api::external_secrets::external_secret::{
    ExternalSecretStatus, FailedRollout, RolloutStatus,
};
use crate::api::external_secrets::references::Condition;
use crate::text::shortened;

/// The condition. `Ready` is never touched: health checks look at it.
pub(crate) const ROLLOUT_COMPLETE: &str = "RolloutComplete";
const MAX_MESSAGE: usize = 2048;
const MAX_WAITING: usize = 20;

/// What the condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// A verdict.
pub(crate) fn verdict(
    status: &'static str,
    reason: &'static str,
    message: impl Into<String>,
) -> Verdict {
    Verdict { status, reason, message: message.into() }
}

/// What is said of a wave that failed.
pub(crate) fn of_failed(failed: &FailedRollout) -> Verdict {
    let reverted = failed.reason == "RolloutReverted";
    let reason = if reverted { "RolloutReverted" } else { "RolloutFailed" };
    let message = format!(
        "revision {}: {}: {}; the others keep their pods; it is tried again when the data changes or the annotation \
         gabion.dev/rollout-retry does",
        failed.revision, failed.workload, failed.cause
    );
    verdict("False", reason, message)
}

/// What is noted of a wave that failed.
pub(crate) fn failed(failure: &Failure, revision: u64, retry: &str) -> FailedRollout {
    FailedRollout {
        revision,
        workload: failure.workload.clone(),
        cause: failure.cause.clone(),
        reason: if failure.reverted { "RolloutReverted" } else { "RolloutFailed" }.to_owned(),
        retry: retry.to_owned(),
    }
}

/// What is said when nothing is left to do.
pub(crate) fn of_done(
    standing: &Standing,
    missing: &[String],
    revision: u64,
    listed: bool,
) -> Verdict {
    if let Some(missing) = missing.first() {
        let text = "does not exist in this namespace; name another one in the annotation gabion.dev/rollout";
        return verdict("False", "TargetMissing", format!("{missing} {text}"));
    }
    match standing.refused.first() {
        Some(Refusal::Refused(text)) => return verdict("False", "TargetRefused", text.clone()),
        Some(Refusal::NotRolling(text)) => return verdict("False", "NotRolling", text.clone()),
        None => {}
    }
    if !standing.paused.is_empty() {
        let names = standing.paused.join(", ");
        return verdict("Unknown", "Paused", format!("rolls when it is resumed: {names}"));
    }
    if !listed {
        return verdict("True", "NoChange", "no workload had to roll since rollouts are asked for");
    }
    verdict("True", "Complete", format!("every workload runs with revision {revision}"))
}

/// Names for the status.
pub(crate) fn names(waiting: &[String]) -> Vec<String> {
    waiting.iter().take(MAX_WAITING).cloned().collect()
}

/// The status that says so, or `None` if the one there is says it already. Without a verdict the object asks for
/// nothing any more, and nothing is said.
pub(crate) fn next_status(
    old: Option<&ExternalSecretStatus>,
    rollout: Option<RolloutStatus>,
    verdict: Option<&Verdict>,
    generation: i64,
    now: Timestamp,
) -> Option<ExternalSecretStatus> {
    let absent = ExternalSecretStatus::default();
    let old = old.unwrap_or(&absent);
    let mut new = old.clone();
    if rollout.is_some() || new.gabion.is_some() {
        new.gabion.get_or_insert_default().rollout = rollout.map(Box::new);
    }
    let before = old.conditions.iter().find(|condition| condition.type_ == ROLLOUT_COMPLETE);
    let Some(verdict) = verdict else {
        new.conditions.retain(|condition| condition.type_ != ROLLOUT_COMPLETE);
        return (new != *old).then_some(new);
    };
    let same = before.filter(|before| before.status == verdict.status);
    let since = same.and_then(|before| before.last_transition_time.clone());
    let condition = Condition {
        type_: ROLLOUT_COMPLETE.to_owned(),
        status: verdict.status.to_owned(),
        reason: Some(verdict.reason.to_owned()),
        message: Some(shortened(&verdict.message, MAX_MESSAGE)),
        last_transition_time: Some(since.unwrap_or(Time(now))),
        observed_generation: Some(generation),
    };
    match new.conditions.iter_mut().find(|condition| condition.type_ == ROLLOUT_COMPLETE) {
        Some(old) => *old = condition,
        None => new.conditions.push(condition),
    }
    (new != *old).then_some(new)
}
