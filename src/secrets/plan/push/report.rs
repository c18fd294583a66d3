//! What the status of a `PushSecret` says, and when it is due.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::external_secrets::push_secret::PushSecret;
use crate::api::external_secrets::push_secret::PushSecretStatus;
use crate::api::external_secrets::push_secret::PushedFrom;
use crate::api::external_secrets::push_secret::SyncedEntries;
use crate::api::external_secrets::references::Condition;
use crate::retry::Retry;
use crate::secrets::plan::condition::READY;
use crate::secrets::plan::hash;
use crate::text::shortened;

/// Longest message.
const MAX_MESSAGE: usize = 2048;

/// What was pushed, by store and place.
pub(crate) type Synced = BTreeMap<String, SyncedEntries>;

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything is as specified.
    Synced,
    /// The Secret is gone, and what was pushed of it too.
    SourceDeleted,
    /// It failed.
    Failed {
        /// Why, in words for users.
        cause: String,
        /// How many places are not as specified, beside the one that the cause is about.
        others: usize,
        /// What happens next.
        retry: Retry,
    },
}

impl Outcome {
    /// The reason of the condition.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::SourceDeleted => "SourceDeleted",
            Self::Failed { .. } => "Errored",
        }
    }

    /// The message of the condition.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Synced => "PushSecret synced successfully".to_owned(),
            Self::SourceDeleted => {
                "the Secret does not exist any more, and what was pushed of it was deleted; it is pushed again when the Secret comes back".to_owned()
            }
            Self::Failed { cause, others, retry } => {
                let more = match others {
                    0 => String::new(),
                    more => format!("; and {more} more remote secrets failed"),
                };
                let next = match retry {
                    Retry::Backoff => "it is tried again by itself",
                    Retry::OnChange => "it is tried again when this is changed",
                };
                shortened(&format!("{cause}{more}; {next}"), MAX_MESSAGE)
            }
        }
    }
}

/// Changes with the spec, the labels and the annotations.
pub(crate) fn version(object: &PushSecret) -> String {
    hash::object_version(
        object.metadata.generation.unwrap_or_default(),
        Some(object.labels()),
        Some(object.annotations()),
    )
}

/// When, and about what.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// When the reconcile began.
    pub(crate) started: Timestamp,
    /// Version of the object.
    pub(crate) version: String,
    /// Mark of the source.
    pub(crate) source: String,
    /// How old the refresh time of an unchanged object may get before it is written again.
    pub(crate) heartbeat: SignedDuration,
}

/// The status that says so, or `None` if the one there is says it already.
pub(crate) fn next_status(
    object: &PushSecret,
    outcome: &Outcome,
    synced: Synced,
    stamp: &Stamp,
) -> Option<PushSecretStatus> {
    let absent = PushSecretStatus::default();
    let old = object.status.as_ref().unwrap_or(&absent);
    let mut new = old.clone();
    let status = if *outcome == Outcome::Synced { "True" } else { "False" };
    let was = old.conditions.iter().find(|condition| condition.type_ == READY);
    let since =
        was.filter(|was| was.status == status).and_then(|was| was.last_transition_time.clone());
    let ready = Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: Some(outcome.reason().to_owned()),
        message: Some(outcome.message()),
        last_transition_time: Some(since.unwrap_or(Time(stamp.started))),
        observed_generation: object.metadata.generation,
    };
    new.conditions.retain(|condition| condition.type_ != READY);
    new.conditions.push(ready);
    new.synced_push_secrets = synced;
    if *outcome == Outcome::Synced {
        new.refresh_time = Some(Time(stamp.started));
        new.synced_resource_version = Some(stamp.version.clone());
        new.gabion = Some(PushedFrom { source: stamp.source.clone() });
    }
    let mut unchanged = new.clone();
    unchanged.refresh_time.clone_from(&old.refresh_time);
    let is_stale = match (&old.refresh_time, &new.refresh_time) {
        (Some(old), Some(new)) => new.0.duration_since(old.0) >= stamp.heartbeat,
        (old, new) => old != new,
    };
    (unchanged != *old || is_stale).then_some(new)
}

/// Whether an object waits for its first push, or for what somebody changed: in it, or in what it pushes. All else is a
/// comparison, or a try after a failure.
pub(crate) fn is_edited(object: &PushSecret, source: &str) -> bool {
    let Some(status) = &object.status else { return true };
    let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == READY) else {
        return true;
    };
    if ready.observed_generation.is_some_and(|seen| Some(seen) != object.metadata.generation) {
        return true;
    }
    let is_same = status.synced_resource_version.as_deref() == Some(&version(object))
        && status.gabion.as_ref().is_some_and(|from| from.source == source);
    ready.status == "True" && !is_same
}

/// Whether the status was last written by this operator: another one does not say which generation it has seen.
pub(crate) fn is_by_gabion(object: &PushSecret) -> bool {
    let Some(status) = &object.status else { return false };
    let mut ready = status.conditions.iter().filter(|condition| condition.type_ == READY);
    status.gabion.is_some() && ready.any(|ready| ready.observed_generation.is_some())
}

/// The status with what is about to be created: if nobody lives to say that it was, it is known all the same.
pub(crate) fn status_ahead(object: &PushSecret, ahead: &Synced) -> PushSecretStatus {
    let mut status = object.status.clone().unwrap_or_default();
    for (store, entries) in ahead {
        let recorded = status.synced_push_secrets.entry(store.clone()).or_default();
        recorded.extend(entries.iter().map(|(id, data)| (id.clone(), data.clone())));
    }
    status
}

/// When an object is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Now.
    Now,
    /// Then.
    At(Timestamp),
    /// When something changes.
    Never,
}

/// When an object is pushed, given the mark of its source, when this process last pushed it, and the interval.
pub(crate) fn due(
    object: &PushSecret,
    source: &str,
    last: Option<Timestamp>,
    interval: SignedDuration,
    now: Timestamp,
) -> Due {
    let Some(status) = &object.status else { return Due::Now };
    let is_synced = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == READY && condition.status == "True");
    let is_same = status.synced_resource_version.as_deref() == Some(&version(object))
        && status.gabion.as_ref().is_some_and(|from| from.source == source);
    if !is_synced || !is_same {
        return Due::Now;
    }
    if !interval.is_positive() {
        return Due::Never;
    }
    let stored = status.refresh_time.as_ref().map(|time| time.0);
    let Some(last) = last.max(stored) else { return Due::Now };
    match last.checked_add(interval) {
        // One that is said to be in the future was written by another clock.
        _ if last > now => Due::Now,
        Ok(at) if at > now => Due::At(at),
        Ok(_) => Due::Now,
        Err(_) => Due::Never,
    }
}
