//! The controller of ExternalSecrets: reconciles one object: converges it, then writes its status.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::context::Context;
use super::converge::Converged;
use super::error::Error;
use super::error::RECHECK;
use super::index::Tracked;
use super::plan::due;
use super::plan::events::ledger::Look;
use super::plan::status::Outcome;
use super::plan::status::Stamp;
use super::plan::status::next_status;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::external_secret::ExternalSecretStatus;
use crate::cluster::{
    ObjectKey,
    events::EventType,
    queue::Next,
    write::{ApiError, Part, PatchKind},
};
use crate::retry::Retry;
use crate::secrets::reconciler::Reconciler;

/// Longest time one reconcile may take, all waiting included.
const DEADLINE: Duration = Duration::from_secs(90);
const KIND: &str = "ExternalSecret";
/// Field manager of status writes, as External Secrets Operator has it.
const MANAGER: &str = "external-secrets";

/// Reconciles one ExternalSecret.
pub(crate) async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Next {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let Some(tracked) = context.index.external(&key) else { return Next::Idle };
    let (look, event) = (context.wakes.begin(), context.wakes.is_pending(&key));
    let reconciler =
        Reconciler { context: &context, key: &key, tracked: &tracked, now: started, event };
    let converged = match tokio::time::timeout(DEADLINE, Box::pin(reconciler.converge())).await {
        Ok(converged) => converged,
        Err(_) => Err(Error::Deadline(DEADLINE.as_secs())),
    };
    let outcome = match &converged {
        Ok(Converged::Waiting) => return waiting(&context, &key, &tracked),
        Ok(Converged::NotDue) => return not_due(&context, &key, look, started),
        Ok(Converged::Again(pause)) => return Next::after(*pause),
        Ok(Converged::Done(done, _)) => done.as_outcome(),
        Err(error) if is_soon_over(error, context.externals.failures(&key)) => return Next::Retry,
        Err(_) => Outcome::Failed { headline: "", cause: "", retry: Retry::Backoff },
    };
    let reported = match &converged {
        Err(error) => {
            let cause = error.to_string();
            let (headline, retry) = (error.headline(), error.class().1);
            let outcome = Outcome::Failed { headline, cause: &cause, retry };
            warn(&reconciler, error, &outcome);
            report(&context, &key, &tracked, &outcome, started).await
        }
        Ok(Converged::Done(_, read_at)) => {
            report(&context, &key, &tracked, &outcome, *read_at).await
        }
        Ok(_) => report(&context, &key, &tracked, &outcome, started).await,
    };
    let reason = converged.as_ref().map_or_else(|error| error.class().0, |_| outcome.reason());
    count(&context, &key, reason, converged.is_ok(), clock.elapsed());
    if converged.is_ok() {
        log_success(&key, reason, !matches!(reported, Ok(false)), clock.elapsed());
    }
    if reported.is_ok() {
        context.wakes.finish(&key, look, true);
    }
    match (&converged, reported) {
        (_, Err(ApiError::NotFound { .. })) => Next::Idle,
        (_, Err(error)) => {
            tracing::debug!(%key, %error, "status not written; trying again");
            // What is not on record is not done: the next reconcile comes to the same outcome, and writes it.
            context.index.remember(&key, reconciler.uid(), |memory| memory.refreshed = None);
            Next::Retry
        }
        (Ok(_), Ok(_)) => {
            context.wake_rollout(&key);
            next_refresh(&context, &key, started)
        }
        (Err(error), Ok(_)) => match error.class().1 {
            Retry::Backoff => {
                let scouting = context.outages.pause(&key, Instant::now());
                scouting.map_or(Next::Retry, Next::RetryAfter)
            }
            Retry::OnChange => Next::RetryAfter(RECHECK),
        },
    }
}

/// Something else has to happen first. One that is being deleted is refreshed no more, whatever events say.
fn waiting(context: &Context, key: &ObjectKey, tracked: &Tracked) -> Next {
    if tracked.object.metadata.deletion_timestamp.is_some() {
        context.wakes.forget(key);
    }
    Next::Idle
}

/// What a window holds back of events is read when it opens.
fn not_due(context: &Context, key: &ObjectKey, look: Look, now: Timestamp) -> Next {
    context.wakes.finish(key, look, false);
    next_refresh(context, key, now)
}

/// What is not worth a word, because the next try will most likely not meet it.
fn is_soon_over(error: &Error, failures: u32) -> bool {
    match error {
        // A wait for other replicas, or for the end of the process: nothing to say about the object.
        Error::Cluster(ApiError::Fenced) => true,
        // Store and ExternalSecret come on watches of their own: those that are applied together may arrive in
        // any order. The store that arrives wakes the object before this retry.
        Error::StoreMissing(_) => failures == 0,
        // Somebody moved first; or the first list of namespaces failed once or twice, and the namespace that
        // arrives wakes the object.
        Error::Cluster(ApiError::Conflict { .. } | ApiError::AlreadyExists { .. })
        | Error::NamespaceUnknown { .. } => failures < 3,
        _ => false,
    }
}

/// A refresh that found nothing new is no news.
fn log_success(key: &ObjectKey, reason: &str, is_news: bool, took: Duration) {
    let took_ms = took.as_secs_f64() * 1e3;
    if is_news {
        tracing::info!(kind = KIND, %key, reason, took_ms, "synced");
    } else {
        tracing::debug!(kind = KIND, %key, reason, took_ms, "unchanged");
    }
}

/// When the object is reconciled next, given that it is in order.
fn next_refresh(context: &Context, key: &ObjectKey, now: Timestamp) -> Next {
    let Some(tracked) = context.index.external(key) else { return Next::Idle };
    let (last_read, clock) = (tracked.memory.refreshed, Instant::now());
    let known = due::Known {
        last_read,
        in_order: true,
        template_changed: false,
        rotated: tracked.memory.is_rotated(),
        event: context.wakes.is_pending(key),
        joining: false,
        restart: context.restart(),
        now,
    };
    let when =
        |at: Timestamp| clock + Duration::try_from(at.duration_since(now)).unwrap_or_default();
    match due::due(&tracked.object, known) {
        Ok(due::Due::At(at)) => {
            let due = when(at);
            let joins = due::due(&tracked.object, due::Known { joining: true, ..known });
            let earliest = match joins {
                Ok(due::Due::At(at)) if last_read.is_some() => when(at),
                Ok(due::Due::Now(_)) if last_read.is_some() => clock,
                _ => due,
            };
            Next::At { earliest, due }
        }
        // It became due while it was reconciled.
        Ok(due::Due::Now(_)) => Next::after(Duration::from_millis(100)),
        Ok(due::Due::Never) => Next::Idle,
        Err(_) => Next::RetryAfter(RECHECK),
    }
}

/// Writes the status, if it is to say something else than it does. True if it was written.
async fn report(
    context: &Context,
    key: &ObjectKey,
    tracked: &Tracked,
    outcome: &Outcome<'_>,
    started: Timestamp,
) -> Result<bool, ApiError> {
    let object = &tracked.object;
    let heartbeat = context.restart().heartbeat;
    let stamp = Stamp {
        started: whole_seconds(started),
        now: whole_seconds(Timestamp::now()),
        generation: object.metadata.generation.unwrap_or_default(),
        version: tracked.version.to_string(),
        heartbeat,
    };
    let Some(status) = next_status(object.status.as_ref(), outcome, &stamp) else {
        return Ok(false);
    };
    let body = serde_json::json!({
        // A uid would be ignored here: the version alone keeps the status off a recreated namesake.
        "metadata": {"resourceVersion": object.metadata.resource_version},
        "status": patch_of(object.status.as_ref(), &status),
    });
    let meta = context
        .writer
        .patch::<ExternalSecret>(key, Part::Status, PatchKind::Merge, &body, MANAGER)
        .await?;
    let mut written = (**object).clone();
    written.metadata.resource_version = meta.resource_version;
    written.status = Some(status);
    context.index.own_write(key, written);
    Ok(true)
}

/// A merge patch keeps what it does not name: fields that are to go are named with null.
fn patch_of(old: Option<&ExternalSecretStatus>, new: &ExternalSecretStatus) -> serde_json::Value {
    let mut patch = serde_json::json!(new);
    let Some(old) = old else { return patch };
    if old.binding.is_some() && new.binding.is_none() {
        patch["binding"] = serde_json::Value::Null;
    }
    match (&old.gabion, &new.gabion) {
        (Some(_), None) => patch["gabion"] = serde_json::Value::Null,
        (Some(old), Some(new)) => {
            if old.target.is_some() && new.target.is_none() {
                patch["gabion"]["target"] = serde_json::Value::Null;
            }
            if old.template.is_some() && new.template.is_none() {
                patch["gabion"]["template"] = serde_json::Value::Null;
            }
        }
        _ => {}
    }
    patch
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn warn(reconciler: &Reconciler<'_>, error: &Error, outcome: &Outcome<'_>) {
    let (key, (reason, _)) = (reconciler.key, error.class());
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(kind = KIND, %key, reason, %error, source, "not synced");
    reconciler.record("UpdateFailed", outcome.message(), EventType::Warning);
}

fn count(context: &Context, key: &ObjectKey, reason: &'static str, ok: bool, took: Duration) {
    context.metrics.reconciles.done(KIND, reason, took);
    if let Some(objects) = &context.metrics.objects {
        objects.reconciled(key, ok, took, || context.index.knows(key));
    }
}
