//! What a store's status says.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::events::condition::{EVENTS_READY, QueueState};
use crate::api::external_secrets::references::Condition;
use crate::api::external_secrets::secret_store::Capabilities;
use crate::api::external_secrets::secret_store::SecretStoreStatus;

/// What a validation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreOutcome {
    /// It can be used; there may be something its owner should know.
    Valid {
        /// Fixed text, or nothing.
        note: Option<String>,
    },
    /// The provider cannot tell.
    Unknown {
        /// Why.
        cause: String,
    },
    /// No client can be made of its settings.
    NoClient {
        /// Why.
        cause: String,
    },
    /// Its credentials are not accepted.
    NotValid {
        /// Why.
        cause: String,
    },
    /// We do not have its provider.
    NotSupported {
        /// Why.
        cause: String,
    },
}

impl StoreOutcome {
    /// Ready, reason and message, as External Secrets Operator words them, with the cause.
    pub(crate) fn condition(&self) -> (bool, &'static str, String) {
        match self {
            Self::Valid { note: None } => (true, "Valid", "store validated".to_owned()),
            Self::Valid { note: Some(note) } => (true, "Valid", format!("store validated; {note}")),
            Self::Unknown { cause } => {
                let text = format!("could not determine validation status: {cause}");
                (true, "ValidationUnknown", text)
            }
            Self::NoClient { cause } => {
                (false, "InvalidProviderConfig", format!("unable to create client: {cause}"))
            }
            Self::NotValid { cause } => {
                (false, "InvalidProviderConfig", format!("unable to validate store: {cause}"))
            }
            Self::NotSupported { cause } => (false, "ProviderNotSupported", cause.clone()),
        }
    }
}

/// What is known of the queue that a store names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// It names none.
    None,
    /// Not known yet: what the status says stands.
    Unknown,
    /// This.
    Known(QueueState),
}

/// The status after `outcome`, or `None` if it says so already.
pub(crate) fn next_status(
    old: Option<&SecretStoreStatus>,
    outcome: &StoreOutcome,
    queue: &Queue,
    generation: i64,
    now: Timestamp,
) -> Option<SecretStoreStatus> {
    let (is_ready, reason, message) = outcome.condition();
    let status = if is_ready { "True" } else { "False" };
    let says = |type_, status, reason, message| Says { type_, status, reason, message, generation };
    let ready = says("Ready", status, reason, message);
    let events = match queue {
        Queue::Known(state) => {
            let (status, reason, message) = state.condition();
            Some(says(EVENTS_READY, status, reason, message))
        }
        Queue::None | Queue::Unknown => None,
    };
    let conditions = old.map(|old| &old.conditions[..]).unwrap_or_default();
    let stays = |says: &Says| conditions.iter().any(|condition| says.is_said_by(condition));
    let is_obsolete =
        |it: &Condition| it.type_ == EVENTS_READY && (*queue == Queue::None || events.is_some());
    let lingers = *queue == Queue::None && conditions.iter().any(is_obsolete);
    if stays(&ready) && events.as_ref().is_none_or(stays) && !lingers {
        return None;
    }
    let mut next = old.cloned().unwrap_or_default();
    next.conditions.retain(|it| it.type_ != "Ready" && !is_obsolete(it));
    let written = std::iter::once(ready).chain(events);
    next.conditions.extend(written.map(|says| says.after(conditions, now)));
    next.observed_generation = Some(generation);
    if is_ready {
        next.capabilities = Some(Capabilities::ReadWrite);
    }
    Some(next)
}

/// What a condition is to say.
struct Says {
    type_: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
    generation: i64,
}

impl Says {
    fn is_said_by(&self, condition: &Condition) -> bool {
        condition.type_ == self.type_
            && condition.status == self.status
            && condition.reason.as_deref() == Some(self.reason)
            && condition.message.as_deref() == Some(self.message.as_str())
            // A status that External Secrets Operator wrote has no generation: it is taken over as it is.
            && condition.observed_generation.is_none_or(|observed| observed == self.generation)
    }

    /// The condition. It says since when unless the status flips.
    fn after(self, old: &[Condition], now: Timestamp) -> Condition {
        let same = |it: &&Condition| it.type_ == self.type_ && it.status == self.status;
        let since = old.iter().find(same).and_then(|it| it.last_transition_time.clone());
        Condition {
            type_: self.type_.to_owned(),
            status: self.status.to_owned(),
            reason: Some(self.reason.to_owned()),
            message: Some(self.message),
            last_transition_time: Some(since.unwrap_or(Time(now))),
            observed_generation: Some(self.generation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn broken() -> StoreOutcome {
        StoreOutcome::NotValid { cause: "no usable credentials".into() }
    }

    #[test]
    fn a_status_that_says_so_already_is_not_written_again() {
        let valid = StoreOutcome::Valid { note: None };
        let first = next_status(None, &valid, &Queue::None, 1, at(0)).unwrap();
        assert_eq!(next_status(Some(&first), &valid, &Queue::None, 1, at(60)), None);
        assert!(
            next_status(Some(&first), &valid, &Queue::None, 2, at(60)).is_some(),
            "another generation"
        );
    }

    #[test]
    fn a_status_of_external_secrets_operator_is_taken_over_as_it_is() {
        let valid = StoreOutcome::Valid { note: None };
        let mut theirs = next_status(None, &valid, &Queue::None, 1, at(0)).unwrap();
        theirs.observed_generation = None;
        theirs.conditions[0].observed_generation = None;
        assert_eq!(next_status(Some(&theirs), &valid, &Queue::None, 1, at(60)), None);
    }

    #[test]
    fn the_transition_time_moves_only_when_ready_flips() {
        let first = next_status(None, &broken(), &Queue::None, 1, at(0)).unwrap();
        let other = StoreOutcome::NoClient { cause: "x".into() };
        let second = next_status(Some(&first), &other, &Queue::None, 1, at(60)).unwrap();
        assert_eq!(second.conditions[0].last_transition_time, Some(Time(at(0))));
        let valid = StoreOutcome::Valid { note: None };
        let third = next_status(Some(&second), &valid, &Queue::None, 1, at(120)).unwrap();
        assert_eq!(third.conditions[0].last_transition_time, Some(Time(at(120))));
        assert_eq!(third.conditions.len(), 1);
    }

    #[test]
    fn e14_the_queue_has_a_condition_of_its_own_that_goes_with_the_annotation() {
        let valid = StoreOutcome::Valid { note: None };
        let plain = next_status(None, &valid, &Queue::None, 1, at(0)).unwrap();
        let unproven = Queue::Known(QueueState::Unproven("q".into()));
        let with = next_status(Some(&plain), &valid, &unproven, 1, at(1)).unwrap();
        let of = |status: &SecretStoreStatus, type_: &str| {
            status.conditions.iter().find(|it| it.type_ == type_).cloned()
        };
        assert_eq!(of(&with, "Ready"), of(&plain, "Ready"), "untouched");
        assert_eq!(of(&with, EVENTS_READY).unwrap().status, "Unknown");
        assert_eq!(next_status(Some(&with), &valid, &unproven, 1, at(2)), None);
        assert_eq!(next_status(Some(&with), &valid, &Queue::Unknown, 1, at(2)), None);
        let foreign = Queue::Known(QueueState::Foreign);
        let failed = next_status(Some(&with), &valid, &foreign, 1, at(3)).unwrap();
        assert_eq!(of(&failed, EVENTS_READY).unwrap().last_transition_time, Some(Time(at(3))));
        assert_eq!(failed.conditions.len(), 2);
        let without = next_status(Some(&failed), &valid, &Queue::None, 1, at(4)).unwrap();
        assert_eq!(without.conditions, plain.conditions);
    }
}
