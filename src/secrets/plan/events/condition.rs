//! The condition `EventsReady` of a store that names a queue.

/// Type of the condition.
pub(crate) const EVENTS_READY: &str = "EventsReady";

/// How it stands with the queue of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueueState {
    /// Events arrive, and one of them was about a secret of an ExternalSecret.
    Receiving(String),
    /// It is read, and no event has concerned an ExternalSecret yet.
    Unproven(String),
    /// The annotation is no ARN of a queue.
    Invalid(String),
    /// There is no such queue.
    NotFound(String),
    /// The store's identity may not read it.
    Denied(String),
    /// It does not answer.
    Unreachable(String),
    /// Somebody else reads it.
    Shared(String),
    /// What is on it are no events of secrets.
    Foreign,
    /// The store has no identity of its own.
    NeedsCredentials(&'static str),
    /// There are too many queues.
    TooMany(usize),
}

impl QueueState {
    /// Every reason: what the metric counts by.
    pub(crate) const REASONS: [&'static str; 10] = [
        "Receiving",
        "Unproven",
        "QueueInvalid",
        "QueueNotFound",
        "QueueDenied",
        "QueueUnreachable",
        "QueueShared",
        "QueueForeign",
        "QueueNeedsCredentials",
        "QueueTooMany",
    ];

    /// Status, reason and message.
    pub(crate) fn condition(&self) -> (&'static str, &'static str, String) {
        let polling = "polling goes on at refreshInterval";
        match self {
            Self::Receiving(arn) => {
                ("True", "Receiving", format!("events of secrets arrive from {arn}"))
            }
            Self::Unproven(arn) => {
                let text = format!("{arn} is read; no event has concerned an ExternalSecret yet");
                ("Unknown", "Unproven", text)
            }
            Self::Invalid(problem) => ("False", "QueueInvalid", format!("{problem}; {polling}")),
            Self::NotFound(arn) => {
                let text = format!("there is no queue {arn}: create it, or correct the annotation");
                ("False", "QueueNotFound", format!("{text}; {polling}"))
            }
            Self::Denied(cause) => (
                "False",
                "QueueDenied",
                format!(
                    "{cause}: allow sqs:GetQueueUrl, sqs:ReceiveMessage, sqs:DeleteMessage and \
                     sqs:ChangeMessageVisibility on the queue; {polling}"
                ),
            ),
            Self::Unreachable(cause) => {
                ("False", "QueueUnreachable", format!("{cause}; {polling}"))
            }
            Self::Shared(by) => (
                "False",
                "QueueShared",
                format!("the queue is read by {by} already: give each reader a queue; {polling}"),
            ),
            Self::Foreign => (
                "False",
                "QueueForeign",
                format!(
                    "ten messages in a row were no events of secrets, and were put back: name the \
                     queue that the rule of EventBridge sends to; {polling}"
                ),
            ),
            Self::NeedsCredentials(remedy) => {
                ("False", "QueueNeedsCredentials", format!("{remedy}; {polling}"))
            }
            Self::TooMany(most) => (
                "False",
                "QueueTooMany",
                format!("{most} queues are read already (--events-queues-max); {polling}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e14_every_reason_is_listed_and_every_failure_says_that_polling_goes_on() {
        let states = [
            QueueState::Receiving("x".into()),
            QueueState::Unproven("x".into()),
            QueueState::Invalid("x".into()),
            QueueState::NotFound("x".into()),
            QueueState::Denied("x".into()),
            QueueState::Unreachable("x".into()),
            QueueState::Shared("x".into()),
            QueueState::Foreign,
            QueueState::NeedsCredentials("x"),
            QueueState::TooMany(50),
        ];
        let found: Vec<_> = states.iter().map(|state| state.condition().1).collect();
        assert_eq!(found, QueueState::REASONS);
        for (status, _, message) in states.iter().map(QueueState::condition) {
            assert_eq!(status == "False", message.contains("polling goes on"), "{message}");
        }
    }
}
