//! The status of an `ExternalSecret`, and whether it is worth a write.

use crate::retry::Retry;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    condition::{READY, SECRET_DELETED},
    policy::Leave,
};
use crate::api::external_secrets::external_secret::Binding;
use crate::api::external_secrets::external_secret::ExternalSecretStatus;
use crate::api::external_secrets::external_secret::GabionStatus;
use crate::api::external_secrets::references::Condition;
use crate::text::shortened;

/// Longest message. Longer ones come only from long names.
const MAX_MESSAGE: usize = 2048;

/// What one reconcile came to.
#[derive(Clone, Debug)]
pub(crate) enum Outcome<'a> {
    /// The Secret is in step.
    Synced {
        /// Its name.
        name: &'a str,
        /// Which state of it, and what it was made from.
        written: GabionStatus,
    },
    /// The Secret was deleted, because the provider has nothing any more.
    Deleted,
    /// The provider answered and the Secret was left as it is.
    Left(Leave),
    /// It failed.
    Failed {
        /// What failed, in the words that dashboards know: [`PlanError::headline`].
        headline: &'a str,
        /// Why, in words for users: names, no values, nothing that changes from one try to the next.
        cause: &'a str,
        /// What happens next.
        retry: Retry,
    },
}

impl Outcome<'_> {
    /// The reason of the Ready condition. Health checks of deployment tools know these.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Synced { .. } | Self::Left(Leave::NothingToWrite | Leave::Retained) => {
                "SecretSynced"
            }
            Self::Deleted | Self::Left(Leave::AlreadyDeleted) => SECRET_DELETED,
            Self::Left(Leave::NothingToMergeInto) => "SecretMissing",
            Self::Failed { .. } => "SecretSyncedError",
        }
    }

    /// The message of the Ready condition.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Synced { .. } | Self::Left(Leave::NothingToWrite) => "secret synced".to_owned(),
            Self::Left(Leave::Retained) => {
                "secret retained due to DeletionPolicy=Retain".to_owned()
            }
            Self::Deleted | Self::Left(Leave::AlreadyDeleted) => {
                "secret deleted due to DeletionPolicy=Delete".to_owned()
            }
            Self::Left(Leave::NothingToMergeInto) => {
                "secret will not be created due to CreationPolicy=Merge".to_owned()
            }
            Self::Failed { headline, cause, retry } => {
                let next = match retry {
                    Retry::Backoff => "it is tried again by itself",
                    Retry::OnChange => "it is tried again when this is changed",
                };
                shortened(&format!("{headline}: {cause}; {next}"), MAX_MESSAGE)
            }
        }
    }
}

/// When, and about which state of the object.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// When this reconcile began. Becomes the refresh time, so that the next one is not late.
    pub(crate) started: Timestamp,
    /// The time.
    pub(crate) now: Timestamp,
    /// Generation of the object.
    pub(crate) generation: i64,
    /// Its version ([`super::due::version`]).
    pub(crate) version: String,
    /// How old the refresh time of an unchanged object may get before it is written again.
    pub(crate) heartbeat: SignedDuration,
}

/// The status that says so, or `None` if the one there is says it already.
///
/// A failure keeps the refresh time and the synced version: they are about the last success.
pub(crate) fn next_status(
    old: Option<&ExternalSecretStatus>,
    outcome: &Outcome<'_>,
    stamp: &Stamp,
) -> Option<ExternalSecretStatus> {
    let absent = ExternalSecretStatus::default();
    let old = old.unwrap_or(&absent);
    let mut new = old.clone();
    set_ready(&mut new.conditions, outcome, stamp);
    new.observed_generation = Some(stamp.generation);
    if !matches!(outcome, Outcome::Failed { .. }) {
        new.refresh_time = Some(Time(stamp.started));
        new.synced_resource_version = Some(stamp.version.clone());
    }
    match outcome {
        Outcome::Synced { name, written } => {
            new.binding = Some(Binding { name: (*name).to_owned() });
            // Those are told by whoever rolls the workloads.
            let rollout = old.gabion.as_ref().and_then(|gabion| gabion.rollout.clone());
            new.gabion = Some(GabionStatus { rollout, ..written.clone() });
        }
        Outcome::Deleted
        | Outcome::Left(
            Leave::AlreadyDeleted | Leave::NothingToMergeInto | Leave::NothingToWrite,
        ) => {
            new.binding = None;
            // How far the workloads are counts for a Secret that is made anew, too.
            let rollout = old.gabion.as_ref().and_then(|gabion| gabion.rollout.clone());
            new.gabion = rollout
                .map(|rollout| GabionStatus { rollout: Some(rollout), ..GabionStatus::default() });
        }
        Outcome::Left(Leave::Retained) | Outcome::Failed { .. } => {}
    }
    is_worth_a_write(old, &new, stamp.heartbeat).then_some(new)
}

fn set_ready(conditions: &mut Vec<Condition>, outcome: &Outcome<'_>, stamp: &Stamp) {
    let status = if matches!(outcome, Outcome::Failed { .. }) { "False" } else { "True" };
    let old = conditions.iter().find(|condition| condition.type_ == READY);
    let kept =
        old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
    let ready = Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: Some(outcome.reason().to_owned()),
        message: Some(outcome.message()),
        last_transition_time: Some(kept.unwrap_or(Time(stamp.now))),
        observed_generation: Some(stamp.generation),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == READY) {
        Some(old) => *old = ready,
        None => conditions.push(ready),
    }
}

/// Anything but a refresh time that has merely moved on.
fn is_worth_a_write(
    old: &ExternalSecretStatus,
    new: &ExternalSecretStatus,
    heartbeat: SignedDuration,
) -> bool {
    let beat = match (&old.refresh_time, &new.refresh_time) {
        (Some(old), Some(new)) => {
            let age = new.0.duration_since(old.0);
            age >= heartbeat || age.is_negative()
        }
        (old, new) => old != new,
    };
    let unstamped = ExternalSecretStatus { refresh_time: old.refresh_time.clone(), ..new.clone() };
    beat && old.refresh_time != new.refresh_time || comparable(old) != comparable(&unstamped)
}

/// Without what differs between two operators and says nothing.
fn comparable(status: &ExternalSecretStatus) -> ExternalSecretStatus {
    let binding = status.binding.clone().filter(|binding| !binding.name.is_empty());
    ExternalSecretStatus { binding, ..status.clone() }
}

#[cfg(test)]
mod tests;
