//! Conditions of a status.

use crate::retry::Retry;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::error::Error;

/// What a condition says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConditionUpdate {
    /// Type of the condition.
    pub(crate) kind: &'static str,
    /// Whether it holds.
    pub(crate) holds: bool,
    /// Why, in one word.
    pub(crate) reason: String,
    /// Why, for a person.
    pub(crate) message: String,
}

impl ConditionUpdate {
    /// A condition.
    pub(crate) fn new(
        kind: &'static str,
        holds: bool,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, holds, reason: reason.into(), message: message.into() }
    }

    /// A condition whose cause is an error.
    pub(crate) fn because(kind: &'static str, holds: bool, error: &Error) -> Self {
        let (reason, retry) = error.class();
        let next = match retry {
            Retry::OnChange => "Reconciled again when the object changes, and hourly",
            Retry::Backoff => "Tried again after pauses that grow up to five minutes",
        };
        Self::new(kind, holds, reason, format!("{error}. {next}."))
    }
}

/// Sets a condition. Its transition time moves only when its status flips.
pub(crate) fn set(
    conditions: &mut Vec<Condition>,
    update: ConditionUpdate,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = if update.holds { "True" } else { "False" };
    let before = conditions.iter_mut().find(|c| c.type_ == update.kind);
    let since = match &before {
        Some(before) if before.status == status => before.last_transition_time.clone(),
        // The API server keeps whole seconds: what is written must equal what is read back.
        _ => Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
    };
    let condition = Condition {
        last_transition_time: since,
        message: update.message,
        observed_generation: generation,
        reason: update.reason,
        status: status.to_owned(),
        type_: update.kind.to_owned(),
    };
    match before {
        Some(before) => *before = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let at = |s| Timestamp::from_second(s).expect("a time");
        let mut conditions = Vec::new();
        set(&mut conditions, ConditionUpdate::new("Ready", true, "Applied", "one"), Some(1), at(1));
        set(&mut conditions, ConditionUpdate::new("Ready", true, "Applied", "two"), Some(2), at(2));
        assert_eq!(conditions[0].last_transition_time, Time(at(1)));
        assert_eq!(
            (conditions[0].message.as_str(), conditions[0].observed_generation),
            ("two", Some(2))
        );
        set(&mut conditions, ConditionUpdate::new("Ready", false, "Held", "three"), Some(2), at(3));
        assert_eq!(
            (conditions.len(), conditions[0].last_transition_time.clone()),
            (1, Time(at(3)))
        );
    }
}
