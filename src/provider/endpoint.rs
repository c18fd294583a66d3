//! Whether an endpoint answers at all.
//!
//! Stores and objects each try again by themselves. That is right while each has a trouble of its own; when the
//! endpoint is away, they would knock in their thousands. So all who call one endpoint share what is known of it: after
//! some failures in a row and no answer at all, only one call at a time is let through, and the others get the
//! same answer at once as those before them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::ProviderError;

/// After so many calls in a row without an answer the endpoint is away.
const AWAY_AFTER: u32 = 8;
/// While it is away, one call is let through in this time.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// One service in one region.
pub(crate) struct Endpoint {
    health: Mutex<Health>,
    recovered: Arc<Notify>,
}

#[derive(Default)]
struct Health {
    /// Calls in a row that were not answered.
    unanswered: u32,
    /// The error of the first of them. The others get the same one, so that no text alternates.
    reason: Option<String>,
    next_probe: Option<Instant>,
}

/// How a call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The endpoint answers, as far as is known.
    Open,
    /// To find out whether it answers again.
    Probe,
}

impl Endpoint {
    /// One of which nothing is known; `recovered` is notified when it answers again.
    pub(crate) fn new(recovered: Arc<Notify>) -> Self {
        Self { health: Mutex::default(), recovered }
    }

    /// Lets a call through, or says why not.
    pub(crate) fn admit(&self) -> Result<Admission, ProviderError> {
        let (mut health, now) = (self.health(), Instant::now());
        if health.unanswered < AWAY_AFTER {
            return Ok(Admission::Open);
        }
        if health.next_probe.is_none_or(|at| at <= now) {
            health.next_probe = Some(now + PROBE_EVERY);
            return Ok(Admission::Probe);
        }
        let reason = health.reason.clone().unwrap_or_default();
        Err(ProviderError::Unavailable { reason, source: None })
    }

    /// Records how a call ended.
    pub(crate) fn note<T>(&self, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        let mut health = self.health();
        match result {
            Err(ProviderError::Unavailable { reason, source }) => {
                health.unanswered = health.unanswered.saturating_add(1);
                let reason = health.reason.get_or_insert(reason).clone();
                Err(ProviderError::Unavailable { reason, source })
            }
            answered => {
                let was_away = health.unanswered >= AWAY_AFTER;
                *health = Health::default();
                if was_away {
                    self.recovered.notify_one();
                }
                answered
            }
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(text: &str) -> Result<(), ProviderError> {
        Err(ProviderError::Unavailable { reason: text.to_owned(), source: None })
    }

    fn away() -> Endpoint {
        let endpoint = Endpoint::new(Arc::new(Notify::new()));
        for nth in 0..AWAY_AFTER {
            assert_eq!(endpoint.admit().ok(), Some(Admission::Open), "{nth}");
            assert!(endpoint.note(silence(&format!("text {nth}"))).is_err());
        }
        endpoint
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_is_away_gets_one_call_in_half_a_second() {
        let endpoint = away();
        let mut probes = 0;
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            match endpoint.admit() {
                Ok(_) => {
                    probes += 1;
                    assert!(endpoint.note(silence("another text")).is_err());
                }
                Err(error) => assert!(error.to_string().ends_with("text 0"), "{error}"),
            }
        }
        assert_eq!(probes, 20);
    }

    #[tokio::test(start_paused = true)]
    async fn any_answer_opens_it_for_all_and_is_told() {
        let endpoint = away();
        assert_eq!(endpoint.admit().ok(), Some(Admission::Probe));
        assert!(endpoint.admit().is_err());
        let refused: Result<(), _> = endpoint.note(Err(ProviderError::Throttled));
        assert!(refused.is_err());
        assert_eq!(endpoint.admit().ok(), Some(Admission::Open));
        tokio::time::timeout(Duration::from_secs(1), endpoint.recovered.notified())
            .await
            .expect("it is notified");
    }

    #[tokio::test]
    async fn failures_among_answers_are_no_outage() {
        let endpoint = Endpoint::new(Arc::new(Notify::new()));
        for _ in 0..100 {
            assert!(endpoint.note(silence("x")).is_err());
            assert!(endpoint.note(Ok(())).is_ok());
        }
        assert_eq!(endpoint.admit().ok(), Some(Admission::Open));
    }
}
