//! What a store's status says.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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

/// The status after `outcome`, or `None` if it says so already.
pub(crate) fn next_status(
    old: Option<&SecretStoreStatus>,
    outcome: &StoreOutcome,
    generation: i64,
    now: Timestamp,
) -> Option<SecretStoreStatus> {
    let (ready, reason, message) = outcome.condition();
    let status = if ready { "True" } else { "False" };
    let old_ready =
        old.and_then(|old| old.conditions.iter().find(|condition| condition.type_ == "Ready"));
    let since = old_ready
        .filter(|condition| condition.status == status)
        .and_then(|condition| condition.last_transition_time.clone());
    let says_so = old_ready.is_some_and(|condition| {
        condition.status == status
            && condition.reason.as_deref() == Some(reason)
            && condition.message.as_deref() == Some(message.as_str())
            // A status that External Secrets Operator wrote has no generation: it is taken over as it is.
            && condition.observed_generation.is_none_or(|observed| observed == generation)
    });
    if says_so {
        return None;
    }
    let mut next = old.cloned().unwrap_or_default();
    next.conditions.retain(|condition| condition.type_ != "Ready");
    next.conditions.push(Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(since.unwrap_or(Time(now))),
        observed_generation: Some(generation),
    });
    next.observed_generation = Some(generation);
    if ready {
        next.capabilities = Some(Capabilities::ReadWrite);
    }
    Some(next)
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
        let first = next_status(None, &valid, 1, at(0)).unwrap();
        assert_eq!(next_status(Some(&first), &valid, 1, at(60)), None);
        assert!(next_status(Some(&first), &valid, 2, at(60)).is_some(), "another generation");
    }

    #[test]
    fn a_status_of_external_secrets_operator_is_taken_over_as_it_is() {
        let valid = StoreOutcome::Valid { note: None };
        let mut theirs = next_status(None, &valid, 1, at(0)).unwrap();
        theirs.observed_generation = None;
        theirs.conditions[0].observed_generation = None;
        assert_eq!(next_status(Some(&theirs), &valid, 1, at(60)), None);
    }

    #[test]
    fn the_transition_time_moves_only_when_ready_flips() {
        let first = next_status(None, &broken(), 1, at(0)).unwrap();
        let other = StoreOutcome::NoClient { cause: "x".into() };
        let second = next_status(Some(&first), &other, 1, at(60)).unwrap();
        assert_eq!(second.conditions[0].last_transition_time, Some(Time(at(0))));
        let valid = StoreOutcome::Valid { note: None };
        let third = next_status(Some(&second), &valid, 1, at(120)).unwrap();
        assert_eq!(third.conditions[0].last_transition_time, Some(Time(at(120))));
        assert_eq!(third.conditions.len(), 1);
    }
}
