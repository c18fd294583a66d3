//! The steps of a rotation, one after the other.

use std::time::Duration;

use jiff::Timestamp;

use super::super::error::Error;
use super::super::index::StoreKey;
use super::super::plan::rotation::attempt::{
    Answer, Attempt, CURRENT, Consumers, Ending, Facts, Phase, Proved, Stages, Step, at, moved,
    next,
};
use super::super::plan::rotation::status;
use super::{Rotator, Trouble};
use crate::api::gabion::secret_rotation::RollbackPolicy;
use crate::cluster::{events::EventType, queue::Next};
use crate::provider::ProviderError;
use crate::provider::fetcher::Connection;
use crate::provider::rotate::Effect;

/// An attempt has at most nine steps, and as many again if somebody interferes.
const MOST_STEPS: usize = 40;
/// Shortest and longest pause between two looks at consumers.
const LOOKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Annotation that ends a rotation that is not in force yet.
const ABORT: &str = "gabion.dev/abort";

impl Rotator<'_> {
    /// Goes on until there is nothing to do but wait.
    pub(super) async fn drive(
        &mut self,
        store: &StoreKey,
        mut attempt: Attempt,
    ) -> Result<(&'static str, Next), Trouble> {
        let Some(connection) = self.connection(store).await? else {
            return Ok(("Waiting", Next::Idle));
        };
        let (label, mut refused) = (self.label(), false);
        for _ in 0..MOST_STEPS {
            let now = Timestamp::now();
            let facts = self.facts(store, &attempt, &label, now);
            self.assume_promoted(&attempt, &facts);
            match next(&attempt, self.seen.as_ref(), &facts) {
                Step::Describe => {
                    let stages = self.describe(&connection).await?;
                    if stages.get(&attempt.token).is_some_and(|labels| labels.contains(CURRENT)) {
                        self.context.rotations.promoted(self.key, &attempt.token);
                    }
                    self.seen = Some(stages);
                }
                Step::Write(written) => {
                    self.enter(store, &written, now).await?;
                    attempt = written;
                }
                Step::Put => self.put(&connection, &attempt, &label).await?,
                Step::Move { label, to, from } => {
                    let (to, from) = (to.as_deref(), from.as_deref());
                    let done = self.relabel(&connection, &label, to, from).await?;
                    // A look that lags is asked again, and not at once.
                    if to == Some(&attempt.token) && std::mem::replace(&mut refused, !done) && !done
                    {
                        break;
                    }
                }
                Step::Wait => return Ok((attempt.phase.as_str(), pause(&attempt, now))),
                Step::End(ending) => return self.end(store, &attempt, ending, now).await,
            }
        }
        Ok(("Waiting", Next::Retry))
    }

    fn facts<'f>(
        &self,
        store: &StoreKey,
        attempt: &Attempt,
        label: &'f str,
        now: Timestamp,
    ) -> Facts<'f> {
        let consumers = match attempt.phase {
            Phase::Propagating => self.consumers(store, attempt, now).0,
            _ => Consumers::Waiting,
        };
        let annotations = self.object.metadata.annotations.as_ref();
        let stop = if self.object.metadata.deletion_timestamp.is_some() {
            Some(Ending::Deleted)
        } else {
            let abort = annotations.and_then(|all| all.get(ABORT));
            let is_meant = abort.is_some_and(|of| *of == attempt.number.to_string());
            is_meant.then_some(Ending::Aborted)
        };
        let automatic = self.object.spec.rollback == RollbackPolicy::Automatic;
        Facts { label, proved: self.proved, consumers, automatic, stop, now }
    }

    /// Each look at consumers would otherwise ask AWS once more. Before anything is taken back it is asked.
    fn assume_promoted(&mut self, attempt: &Attempt, facts: &Facts<'_>) {
        let is_known = self.context.rotations.is_promoted(self.key, &attempt.token);
        if attempt.phase == Phase::Propagating
            && self.seen.is_none()
            && is_known
            && facts.consumers != Consumers::TimedOut
        {
            let mut stages = Stages::default();
            moved(&mut stages, CURRENT, Some(&attempt.token));
            self.seen = Some(stages);
        }
    }

    /// Writes a phase before its first effect.
    async fn enter(
        &mut self,
        store: &StoreKey,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        self.write_status(status::written(&self.object, attempt, None, now)).await?;
        self.proved = Proved::default();
        match attempt.phase {
            // What is about to be promoted or put back is looked at once more.
            Phase::Promoting | Phase::Reverting => self.seen = None,
            Phase::Propagating => {
                self.context.rotations.promoted(self.key, &attempt.token);
                let text = format!("version {} is in force", attempt.token);
                self.record("RotationPromoted", text, EventType::Routine);
                self.wake_readers(store, now);
                self.finalize(false).await?;
            }
            Phase::Creating | Phase::Claiming => {}
        }
        if attempt.phase == Phase::Reverting {
            self.finalize(true).await?;
        }
        Ok(())
    }

    async fn put(
        &mut self,
        connection: &Connection,
        attempt: &Attempt,
        label: &str,
    ) -> Result<(), Trouble> {
        let value = if let Some(value) = self.prepared.take() {
            value
        } else {
            let present = self.value(connection, Some(&attempt.from)).await?;
            self.compose(&present).await?
        };
        let effect = Effect::Put { token: &attempt.token, label, value: &value };
        match self.effect(connection, effect).await? {
            Ok(()) => self.moved(label, Some(&attempt.token)),
            Err(error) => {
                self.seen = None;
                return Err(Error::from(error).into());
            }
        }
        Ok(())
    }

    /// Moves a label. False: it is not where it was to be moved from.
    async fn relabel(
        &mut self,
        connection: &Connection,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<bool, Trouble> {
        match self.effect(connection, Effect::Move { label, to, from }).await?.map_err(answer) {
            Ok(()) => {
                self.moved(label, to);
                self.proved.note(label, Answer::Moved);
                Ok(true)
            }
            Err(Ok(answer)) => {
                self.proved.note(label, answer);
                // Whoever asks again sees where it is.
                if self.seen.as_ref().is_some_and(|seen| at(seen, label) == from) {
                    self.seen = None;
                }
                Ok(false)
            }
            Err(Err(error)) => {
                self.seen = None;
                Err(Error::from(error).into())
            }
        }
    }

    fn moved(&mut self, label: &str, to: Option<&str>) {
        if let Some(seen) = &mut self.seen {
            moved(seen, label, to);
        }
    }

    /// Says how it ended.
    async fn end(
        &mut self,
        store: &StoreKey,
        attempt: &Attempt,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(&'static str, Next), Trouble> {
        let schedule = self.schedule.as_ref();
        let mut status = status::ended(&self.object, schedule, attempt, ending, now);
        if attempt.promoted_at.is_some() {
            status.consumers = Some(self.consumers(store, attempt, now).1);
        }
        self.write_status(status).await?;
        self.context.metrics.rotations.ended(ending.as_str());
        let text = status::message(ending, attempt);
        let (reason, kind) = match ending {
            Ending::Complete => ("RotationComplete", EventType::Routine),
            Ending::RolledBack => ("RotationRolledBack", EventType::Warning),
            _ => ("RotationFailed", EventType::Warning),
        };
        tracing::info!(key = %self.key, outcome = ending.as_str(), "rotation ended");
        self.record(reason, text, kind);
        if attempt.phase == Phase::Reverting {
            self.wake_readers(store, now);
        }
        self.finalize(false).await?;
        // When the next one is due.
        Ok((ending.as_str(), Next::at(now, now)))
    }
}

/// What it says of a label that a move of it was refused.
pub(super) fn answer(error: ProviderError) -> Result<Answer, ProviderError> {
    match error {
        ProviderError::Invalid { .. } => Ok(Answer::Elsewhere),
        ProviderError::NotFound { .. } | ProviderError::NoSuchVersion { .. } => Ok(Answer::Gone),
        other => Err(other),
    }
}

fn pause(attempt: &Attempt, now: Timestamp) -> Next {
    let waited = now.duration_since(attempt.promoted_at.unwrap_or(now)) / 4;
    Next::after(Duration::try_from(waited).unwrap_or_default().clamp(LOOKS.0, LOOKS.1))
}
