//! One reconcile of one SecretRotation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::super::context::Context;
use super::super::error::{Error, RECHECK};
use super::super::plan::rotation::attempt::Proved;
use super::super::plan::rotation::error::Refusal;
use super::super::plan::rotation::schedule::Schedule;
use super::super::plan::rotation::{FINALIZER, status};
use super::super::rotations::store_of;
use super::{KIND, Rotator, Trouble};
use crate::cluster::{ObjectKey, events::EventType, queue::Next, write::ApiError};
use crate::retry::Retry;

/// Longest time one reconcile may take, all waiting included.
const DEADLINE: Duration = Duration::from_mins(2);
/// What is refused is looked at again after this time.
const BLOCKED: Duration = Duration::from_mins(15);
/// So long a deletion waits for what it has to take back.
const LAST: SignedDuration = SignedDuration::from_mins(10);

/// Reconciles one SecretRotation.
pub(crate) async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Next {
    let clock = Instant::now();
    let Some(object) = context.rotations.find(&key) else { return Next::Idle };
    let mut rotator = Rotator {
        context: &context,
        key: &key,
        object,
        seen: None,
        proved: Proved::default(),
        prepared: None,
        schedule: None,
    };
    let Ok(done) = tokio::time::timeout(DEADLINE, Box::pin(rotator.run())).await else {
        tracing::warn!(kind = KIND, %key, "not done in time; going on");
        return Next::Retry;
    };
    let (reason, next) = match done {
        Ok((reason, next)) => (reason, next),
        Err(trouble) => rotator.complain(trouble).await,
    };
    context.metrics.reconciles.done(KIND, reason, clock.elapsed());
    next
}

impl Rotator<'_> {
    async fn run(&mut self) -> Result<(&'static str, Next), Trouble> {
        let now = Timestamp::now();
        let deleted = self.object.metadata.deletion_timestamp.as_ref().map(|at| at.0);
        let attempt = status::attempt(&self.object);
        if let Some(since) = deleted {
            let is_late = now.duration_since(since) > LAST;
            match &attempt {
                Some(attempt) if attempt.phase.is_dangerous() && !is_late => {}
                attempt => {
                    if let (Some(attempt), true) = (attempt, is_late) {
                        let text = format!(
                            "deleted before rotation {} could be taken back: version {} may have AWSPENDING, and {} may not be the current one any more",
                            attempt.number, attempt.token, attempt.from
                        );
                        self.record("RotationFailed", text, EventType::Warning);
                    }
                    self.finalize(false).await?;
                    return Ok(("Deleted", Next::Idle));
                }
            }
        }
        let Some(store) = store_of(&self.object) else {
            return Err(Error::from(crate::secrets::plan::PlanError::NoStore {
                field: "storeRef".to_owned(),
            })
            .into());
        };
        if !self.context.is_served(&store) {
            return Ok(("OtherController", Next::Idle));
        }
        match Schedule::read(self.object.spec.schedule.as_ref()) {
            Ok(schedule) => self.schedule = Some(schedule),
            // What runs is ended all the same.
            Err(_) if attempt.is_some() => {}
            Err(error) => return Err(error.into()),
        }
        let attempt = match attempt {
            Some(attempt) => attempt,
            None => match self.begin(&store, now).await? {
                Ok(attempt) => attempt,
                Err(next) => return Ok(("Waiting", next)),
            },
        };
        self.drive(&store, attempt).await
    }

    /// Says what is wrong, and when it is looked at again.
    async fn complain(&mut self, trouble: Trouble) -> (&'static str, Next) {
        let running = status::attempt(&self.object).is_some();
        let (reason, text, next) = match trouble {
            Trouble::Cluster(ApiError::NotFound { .. }) => return ("Deleted", Next::Idle),
            Trouble::Cluster(error) => {
                tracing::debug!(kind = KIND, key = %self.key, %error, "trying again");
                return ("Cluster", Next::Retry);
            }
            Trouble::Refused(refusal) => {
                let pause = match refusal {
                    Refusal::TooSoon => Duration::from_mins(2),
                    _ => BLOCKED,
                };
                (refusal.reason(), refusal.message(), Next::RetryAfter(pause))
            }
            Trouble::Wrong(error) => ("InvalidValue", error.to_string(), Next::RetryAfter(BLOCKED)),
            Trouble::Failed(error) => {
                let (reason, retry) = error.class();
                let next = match retry {
                    // What runs is taken back in time, or tried again.
                    _ if running => Next::Retry,
                    Retry::Backoff => Next::Retry,
                    Retry::OnChange => Next::RetryAfter(RECHECK),
                };
                if matches!(error, Error::StoreMissing(_))
                    && self.context.rotating.failures(self.key) == 0
                {
                    return (reason, Next::Retry);
                }
                (reason, error.to_string(), next)
            }
        };
        tracing::warn!(kind = KIND, key = %self.key, reason, error = text, "not rotated");
        let status = status::said(
            &self.object,
            self.schedule.as_ref(),
            ("False", reason, &text),
            Timestamp::now(),
        );
        let is_news = self.ready_reason() != Some(reason);
        match self.write_status(status).await {
            Ok(()) if is_news => {
                self.record("RotationBlocked", format!("{reason}: {text}"), EventType::Warning);
            }
            Ok(()) => {}
            Err(ApiError::NotFound { .. }) => return (reason, Next::Idle),
            Err(_) => return (reason, Next::Retry),
        }
        (reason, next)
    }

    pub(super) fn has_finalizer(&self) -> bool {
        let mut finalizers = self.object.metadata.finalizers.iter().flatten();
        finalizers.any(|finalizer| finalizer == FINALIZER)
    }
}
