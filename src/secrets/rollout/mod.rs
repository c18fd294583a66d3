//! The controller of rollouts: when the data of a Secret changed, rolls the workloads that its ExternalSecret names.
//!
//! Each look reads what the cluster says and does the next step of a wave. Between two changes of the Secret it does
//! nothing at all.

mod cluster;
pub(crate) mod known;
mod limits;
mod look;
mod places;
mod start;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::Resource;

use self::{
    cluster::Found,
    look::Look,
    start::{Hold, Starts},
};
use super::context::Context;
use super::error::RECHECK;
use super::index::Tracked;
use super::reconciler::Reconciler;
use crate::api::external_secrets::external_secret::{ExternalSecret, RolloutStatus};
use crate::cluster::{
    ObjectKey,
    events::EventType,
    queue::Next,
    write::{ApiError, Part, PatchKind},
};
use crate::secrets::plan::rollout::{
    ask::MAX_TARGETS,
    report::{self, Verdict, verdict},
    wave::{self, Change, Standing, Wave},
    workload::Workload,
};
use crate::telemetry::Wait;

/// Field manager of status writes, as everywhere.
const STATUS_MANAGER: &str = "external-secrets";
/// How often a workload that rolls is looked at.
const OFTEN: Duration = Duration::from_secs(2);
const SELDOM: Duration = Duration::from_secs(10);
/// How often one that is paused is.
const PAUSED: Duration = Duration::from_mins(5);

/// Looks at one ExternalSecret.
pub(crate) async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Next {
    let Some(tracked) = context.index.external(&key) else { return Next::Idle };
    let Some(known) = context.rollouts.get(&key) else { return Next::Idle };
    let now = Timestamp::now();
    let event = false;
    let reconciler = Reconciler { context: &context, key: &key, tracked: &tracked, now, event };
    if tracked.object.metadata.deletion_timestamp.is_some() || !reconciler.all_ours() {
        context.let_go_of_rollout(&key);
        return Next::Idle;
    }
    // Nothing rolls on behalf of one that asks for nothing, or has no Secret: what did counts no more.
    let let_go = || context.let_go_of_rollout(&key);
    let ask = match &known.ask {
        Ok(Some(ask)) => ask,
        Ok(None) => {
            let_go();
            return answered(&say(&context, &key, &tracked, None, None).await, Next::Idle);
        }
        Err(invalid) => {
            let_go();
            let text = verdict("False", "InvalidRollout", invalid.to_string());
            let status = known.status.clone();
            return answered(&say(&context, &key, &tracked, status, Some(&text)).await, Next::Idle);
        }
    };
    // A first success wakes it.
    let version = tracked.object.status.as_ref().and_then(|s| s.synced_resource_version.as_ref());
    let synced = version.is_some_and(|version| **version == *tracked.version);
    let counts = synced || known.status.is_some();
    let Some(digest) = context.index.secret(&known.secret).filter(|_| counts) else {
        let_go();
        return Next::Idle;
    };
    if !digest.shown {
        return Next::after(Duration::from_secs(1)); // the watch wakes it sooner
    }
    let (revision, at) = digest.revision.map_or((0, Timestamp::UNIX_EPOCH), |r| (r.number, r.at));
    // What is there when rollouts are first asked for is not rolled.
    let status = known.status.clone();
    let status = status.unwrap_or_else(|| RolloutStatus { done: revision, ..Default::default() });
    context.rollouts.update(&key, known.uid.as_deref(), |known| {
        known.status.get_or_insert_with(|| status.clone());
        if known.wave.revision != revision || known.wave.begun == Timestamp::default() {
            known.wave = Wave { revision, begun: now, ..Wave::default() };
            known.since = Instant::now();
        }
    });
    let Some(known) = context.rollouts.get(&key) else { return Next::Idle };
    let change = Change { secret: &known.secret.name, revision, at };
    let (context, key, tracked) = (&*context, &key, &tracked);
    Look { context, key, tracked, known: &known, ask, status, change, now }.go().await
}

impl Look<'_> {
    async fn go(&self) -> Next {
        let revision = self.change.revision;
        if let Some(failed) = wave::has_failed(&self.status, revision, self.ask) {
            self.context.let_go_of_rollout(self.key);
            let text = report::of_failed(failed);
            return self.end(self.status.clone(), &text, Next::Idle).await;
        }
        let settled = wave::is_settled(&self.status, revision);
        if settled && self.known.is_checked {
            return Next::Idle;
        }
        // The wave waits for room: nothing is read meanwhile.
        if !settled && self.known.is_checked && self.must_wait() {
            let hold = Hold::no_place();
            self.context.wake_next_rollout();
            let text = verdict("Unknown", hold.reason, hold.text);
            self.context.rollout_waits(self.key, Some(hold.wait_for));
            return self.end(self.status.clone(), &text, Next::after(hold.wait)).await;
        }
        let found = match cluster::find(&self.context.writer, self.ask, &self.known.secret).await {
            Ok(found) => found,
            Err(error) => return self.unread(error).await,
        };
        if found.workloads.len() > MAX_TARGETS {
            let text = format!(
                "the annotation gabion.dev/rollout means more than {MAX_TARGETS} workloads: name fewer"
            );
            self.context.let_go_of_rollout(self.key);
            let text = verdict("False", "InvalidRollout", text);
            return self.end(self.status.clone(), &text, Next::RetryAfter(RECHECK)).await;
        }
        let Change { revision, .. } = self.change;
        let (ask, done, wave) = (self.ask, self.status.done, &self.known.wave);
        let standing = wave::standing(ask, self.change, done, &found.workloads, wave, self.now);
        self.checked();
        let of = |nth: &usize| self.place(&found.workloads[*nth]);
        let rolling = if settled { Vec::new() } else { standing.rolling.iter().map(of).collect() };
        self.context.rollouts.observe(self.key, rolling, Instant::now());
        if settled {
            self.context.let_go_of_rollout(self.key);
            let listed = self.is_listed(&found.workloads);
            let text = report::of_done(&standing, &found.missing, revision, listed);
            return self.rest(self.status.clone(), &text, &standing).await;
        }
        if let Some(failure) = &standing.failed {
            return self.fail(failure, &found.workloads).await;
        }
        if standing.rolling.is_empty() && standing.next.is_empty() {
            return self.finish(&standing, &found).await;
        }
        self.go_on(&standing, &found.workloads).await
    }

    /// Nothing of it rolls, and nothing may start.
    fn must_wait(&self) -> bool {
        let mut limits = self.context.rollouts.limits();
        let now = Instant::now();
        let rolls = !self.known.wave.rolled.is_empty() || limits.holds(self.key);
        // What holds the namespace is said after a look at the workloads.
        let held = limits.held(&self.key.namespace, now).is_some();
        !rolls && !held && !limits.may_start(self.key, now)
    }

    /// Whether a workload ever rolled for the Secret.
    fn is_listed(&self, workloads: &[Workload]) -> bool {
        workloads.iter().any(|workload| workload.listed.contains_key(self.change.secret))
    }

    fn checked(&self) {
        let uid = self.known.uid.as_deref();
        self.context.rollouts.update(self.key, uid, |known| known.is_checked = true);
    }

    fn record(&self, reason: &'static str, text: String, how: EventType) {
        let about = self.tracked.object.object_ref(&());
        self.context.record(about, reason, text, how);
    }

    /// Rolls what may be rolled now, and looks again.
    async fn go_on(&self, standing: &Standing, workloads: &[Workload]) -> Next {
        let mut status = RolloutStatus { failed: None, ..self.status.clone() };
        status.waiting = report::names(&standing.waiting);
        let mut hold = None;
        let (mut started, mut stands_in_line) = (0, false);
        for workload in standing.next.iter().filter_map(|nth| workloads.get(*nth)) {
            match self.start(workload).await {
                Ok(Starts::Started) => started += 1,
                Ok(Starts::Held(held)) => {
                    stands_in_line |= held.wait_for == Wait::Place;
                    hold = hold.or(Some(held));
                }
                Err(error) => return self.unread(error).await,
            }
        }
        if started > 0 && self.known.wave.rolled.is_empty() {
            let text =
                format!("revision {} of Secret {:?}", self.change.revision, self.change.secret);
            self.record("RolloutStarted", text, EventType::Done);
        }
        if !stands_in_line {
            self.context.rollouts.limits().leave(self.key);
        }
        // There may be room for more than one, or this one gave its turn away.
        self.context.wake_next_rollout();
        let rolls = started > 0 || !standing.rolling.is_empty();
        let waits = hold.as_ref().filter(|_| !rolls).map(|hold| hold.wait_for);
        self.context.rollout_waits(self.key, waits);
        let (text, next) = match hold {
            Some(Hold { reason, text, wait, .. }) if !rolls => {
                let status = if reason == "RolloutsHeld" { "False" } else { "Unknown" };
                (verdict(status, reason, text), Next::after(wait))
            }
            _ => {
                let text =
                    format!("revision {}: {}", self.change.revision, status.waiting.join(", "));
                let young = self.known.since.elapsed() < Duration::from_mins(1);
                (
                    verdict("Unknown", "InProgress", text),
                    Next::after(if young { OFTEN } else { SELDOM }),
                )
            }
        };
        self.end(status, &text, next).await
    }

    /// Everything that could be rolled is done.
    async fn finish(&self, standing: &Standing, found: &Found) -> Next {
        self.context.let_go_of_rollout(self.key);
        let revision = self.change.revision;
        let rolled = !self.known.wave.rolled.is_empty();
        let status = RolloutStatus {
            done: revision.max(self.status.done),
            revision: Some(revision),
            waiting: Vec::new(),
            failed: None,
        };
        let listed = self.is_listed(&found.workloads);
        let text = report::of_done(standing, &found.missing, revision, listed);
        if rolled {
            let text = format!("revision {revision} of Secret {:?}", self.change.secret);
            self.record("RolloutComplete", text, EventType::Done);
            self.context.metrics.rollouts.wave(self.known.since.elapsed());
        }
        self.rest(status, &text, standing).await
    }

    /// Nothing is left to do, but to see when somebody resumes what is paused.
    async fn rest(&self, status: RolloutStatus, text: &Verdict, standing: &Standing) -> Next {
        let status = RolloutStatus { waiting: report::names(&standing.paused), ..status };
        if standing.paused.is_empty() {
            return self.end(status, text, Next::Idle).await;
        }
        self.context.rollout_waits(self.key, Some(Wait::Paused));
        let next = self.end(status, text, Next::after(PAUSED)).await;
        let uid = self.known.uid.as_deref();
        self.context.rollouts.update(self.key, uid, |known| known.is_checked = false);
        next
    }

    /// The wave ends: what was not rolled keeps its pods.
    async fn fail(&self, failure: &wave::Failure, workloads: &[Workload]) -> Next {
        let failed = report::failed(failure, self.change.revision, &self.ask.retry);
        let text = report::of_failed(&failed);
        let workload = workloads.iter().find(|workload| workload.to_string() == failure.workload);
        let outcome = if failure.reverted { "reverted" } else { "failed" };
        let kind = workload.map_or("", |workload| workload.kind.name());
        self.context.metrics.rollouts.count(kind, outcome);
        if let Some(workload) = workload {
            self.context.rollouts.limits().failed(&self.place(workload), Instant::now());
        }
        self.context.let_go_of_rollout(self.key);
        self.record("RolloutFailed", text.message.clone(), EventType::Warning);
        let uid = self.known.uid.as_deref();
        self.context.rollouts.update(self.key, uid, |known| known.wave = Wave::default());
        let status = RolloutStatus { failed: Some(failed), ..self.status.clone() };
        self.end(status, &text, Next::Idle).await
    }

    /// A request failed.
    async fn unread(&self, error: ApiError) -> Next {
        let text = match &error {
            ApiError::Forbidden { message } => {
                let help = "apply config/overlays/rollouts, or set rollouts.enabled of the chart";
                verdict("False", "Forbidden", format!("{message}; {help}"))
            }
            ApiError::Invalid { .. } => verdict("False", "RolloutFailed", error.to_string()),
            // Nothing to say about the object. What rolls still does, but nobody waits for it to start another.
            _ => {
                self.context.rollouts.limits().leave(self.key);
                self.context.wake_next_rollout();
                return Next::Retry;
            }
        };
        self.context.let_go_of_rollout(self.key);
        self.end(self.status.clone(), &text, Next::RetryAfter(RECHECK)).await
    }

    async fn end(&self, status: RolloutStatus, text: &Verdict, next: Next) -> Next {
        let uid = self.known.uid.as_deref();
        self.context.rollouts.update(self.key, uid, |known| known.status = Some(status.clone()));
        let said = say(self.context, self.key, self.tracked, Some(status), Some(text)).await;
        if said.is_err() {
            // What is not on record is looked at again, and said then.
            self.context.rollouts.update(self.key, uid, |known| known.is_checked = false);
        }
        answered(&said, next)
    }
}

fn answered(written: &Result<(), ApiError>, next: Next) -> Next {
    match written {
        Ok(()) => next,
        Err(ApiError::NotFound { .. }) => Next::Idle,
        Err(ApiError::Conflict { .. }) => Next::after(Duration::from_millis(500)),
        Err(_) => Next::Retry,
    }
}

/// Writes the status, if it says something else by now.
async fn say(
    context: &Context,
    key: &ObjectKey,
    tracked: &Tracked,
    rollout: Option<RolloutStatus>,
    text: Option<&Verdict>,
) -> Result<(), ApiError> {
    let object = &tracked.object;
    let generation = object.metadata.generation.unwrap_or_default();
    let now = Timestamp::now();
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let old = object.status.as_ref();
    let Some(status) = report::next_status(old, rollout, text, generation, now) else {
        return Ok(());
    };
    let mut body = serde_json::json!({
        "metadata": {"resourceVersion": object.metadata.resource_version},
        "status": {"conditions": status.conditions},
    });
    // Null takes away what a merge patch would leave.
    let rollout = status.gabion.as_ref().and_then(|gabion| gabion.rollout.as_ref());
    let mut told = serde_json::json!(rollout);
    if let Some(told) = told.as_object_mut() {
        for field in ["revision", "waiting", "failed"] {
            told.entry(field).or_insert(serde_json::Value::Null);
        }
    }
    body["status"]["gabion"] = serde_json::json!({"rollout": told});
    let (part, how) = (Part::Status, PatchKind::Merge);
    let meta =
        context.writer.patch::<ExternalSecret>(key, part, how, &body, STATUS_MANAGER).await?;
    let mut written = (**object).clone();
    written.metadata.resource_version = meta.resource_version;
    written.status = Some(status);
    context.index.own_write(key, written);
    Ok(())
}
