//! The controller of baselines: compiles one, counts how its namespaces stand, and takes it back in order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use serde_json::json;

use super::{
    Context, TELL_BASELINES_AFTER, admission,
    explain::explain,
    index::{Baseline, Phase},
    plan::{
        baseline::{Compiled, compile},
        baseline_status::{next_status, next_teardown, with_exceptions},
        error::Error,
        teardown::{Deletion, FINALIZER, Leaving, TeardownGate, has_begun, may_begin},
    },
};
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::hardening_baseline::ExceptionCounts;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::hardening_baseline::HardeningBaselineStatus;
use crate::cluster::{
    ObjectKey,
    events::EventType,
    queue::Next,
    write::{ApiError, Part, PatchKind},
};
use crate::marks::FIELD_MANAGER;
use crate::meta::Uid;
use crate::retry::Retry;

const KIND: &str = "HardeningBaseline";
const CRD: &str = "hardeningbaselines.gabion.dev";
const RECHECK: Duration = Duration::from_hours(1);
/// While a baseline is being taken back it is reconciled this often.
const TEARDOWN_PACE: Duration = Duration::from_secs(1);

/// Compiles the baseline as it is now. The namespaces it may concern are woken if that changed anything.
pub(crate) fn refresh(context: &Context, name: &str) -> Option<Baseline> {
    let known = context.index.baseline(name)?;
    if known.object.metadata.deletion_timestamp.is_some()
        && matches!(known.phase, Some(Phase::Leaving(..)))
    {
        return Some(known);
    }
    // Its policies go first; until they are gone the rest stays as it is.
    let uid = Uid::of(&known.object.metadata);
    if has_begun(&known.object) && !context.admissions.owns_any(&uid) {
        context.index.set_phase(name, leaving(context, &known.object), None, &context.protected);
        context.wake_all();
        return context.index.baseline(name);
    }
    let compiled = match &known.unreadable {
        Some(error) => Err(error.clone()),
        None => compile(&known.object, context.server_minor()),
    };
    let before = match &known.phase {
        Some(Phase::InForce(compiled)) => Some(Arc::clone(compiled)),
        _ => None,
    };
    let (phase, refused) = match (compiled, before.clone()) {
        (Ok(compiled), _) => (Phase::InForce(Arc::new(compiled)), None),
        // The previous valid generation stays in force.
        (Err(error), Some(before)) => (Phase::InForce(before), Some(error)),
        (Err(error), None) => (Phase::Broken(error.clone()), Some(error)),
    };
    let changed = match (&phase, &known.phase) {
        (Phase::InForce(now), Some(Phase::InForce(before))) => !says_the_same(now, before),
        (Phase::Broken(now), Some(Phase::Broken(before))) => now != before,
        _ => true,
    };
    context.index.set_phase(name, phase, refused, &context.protected);
    if changed {
        context.wake_all();
    }
    context.index.baseline(name)
}

/// True if both ask for the same; their generations may differ.
fn says_the_same(a: &Compiled, b: &Compiled) -> bool {
    *a == Compiled { generation: a.generation, ..b.clone() }
}

/// Reconciles one baseline.
pub(crate) async fn reconcile(context: Arc<Context>, name: Arc<str>) -> Next {
    let started = Instant::now();
    let Some(known) = refresh(&context, &name) else { return Next::Idle };
    if known.vanished {
        // What it made stays in force until it is there again.
        let kept = admission::keep(&context, &name, &known).await;
        return kept.again.map_or(Next::Idle, Next::after);
    }
    let deleting = known.object.metadata.deletion_timestamp.is_some();
    let outcome = if deleting {
        take_back(&context, &name, &known).await
    } else {
        keep(&context, &name, &known).await
    };
    let reason = match &outcome {
        Ok(_) => known.refused.as_ref().map_or("Counted", |error| error.class().0),
        Err(error) => error.class().0,
    };
    context.metrics.reconciles.done(KIND, reason, started.elapsed());
    match outcome {
        Ok(next) => next,
        Err(error) => {
            tracing::warn!(baseline = &*name, %error, "baseline not up to date");
            match error.class().1 {
                Retry::Backoff => Next::Retry,
                Retry::OnChange => Next::RetryAfter(RECHECK),
            }
        }
    }
}

async fn keep(context: &Context, name: &str, known: &Baseline) -> Result<Next, Error> {
    let mut object = Arc::clone(&known.object);
    if !has_finalizer(&object) {
        object = set_finalizer(context, name, &object, true).await?;
    }
    let admission::Kept { admission: found, again } = admission::keep(context, name, known).await;
    // A count that is not complete yet says less than the one that is stored.
    let counted = object.status.as_ref().and_then(|status| status.observed_generation);
    if known.refused.is_none()
        && counted == object.metadata.generation
        && context.index.in_first_round()
    {
        return Ok(Next::after(TELL_BASELINES_AFTER));
    }
    let compiled = match (&known.phase, &known.refused) {
        (_, Some(error)) => Err(error.clone()),
        (Some(Phase::InForce(compiled)), None) => Ok(Arc::clone(compiled)),
        _ => return Ok(Next::Idle),
    };
    let in_force = match &known.phase {
        Some(Phase::InForce(compiled)) => Some(Arc::clone(compiled)),
        _ => None,
    };
    let standings = context.index.standings(|observed| {
        in_force.as_ref().is_some_and(|compiled| {
            !observed.terminating
                && compiled.selection.reaches(&observed.name, &observed.labels, &context.protected)
        })
    });
    let next = next_status(
        &object,
        compiled.as_ref().map(|compiled| &**compiled),
        &standings,
        found.as_ref(),
        Timestamp::now(),
    );
    let counts = excused(context, in_force.as_deref());
    if let Some(status) = with_exceptions(object.status.as_ref(), next, counts) {
        write_status(context, name, &object, status).await?;
    }
    if let Some(error) = &known.refused {
        let text = error.to_string();
        context.record(object.object_ref(&()), error.class().0, text, EventType::Warning);
        return Ok(Next::RetryAfter(again.unwrap_or(RECHECK)));
    }
    Ok(again.map_or(Next::Idle, Next::after))
}

/// The exceptions in the namespaces that a baseline reaches.
fn excused(context: &Context, in_force: Option<&Compiled>) -> ExceptionCounts {
    context.exceptions.counts(Timestamp::now(), |namespace| {
        let labels = context.index.namespace_labels(namespace);
        in_force.zip(labels).is_some_and(|(compiled, labels)| {
            compiled.selection.reaches(namespace, &labels, &context.protected)
        })
    })
}

/// Ordered: paused if it looks like an accident, then every namespace is planned without it, then it may go.
async fn take_back(context: &Context, name: &str, known: &Baseline) -> Result<Next, Error> {
    let object = &known.object;
    if !has_finalizer(object) {
        return Ok(Next::Idle);
    }
    let uid = Uid::of(&object.metadata);
    if has_begun(object) && !admission::take_away(context, name, known).await? {
        return Ok(Next::after(TEARDOWN_PACE));
    }
    if has_begun(object) && !matches!(known.phase, Some(Phase::Leaving(..))) {
        return Ok(leave(context, name, object));
    }
    if !matches!(known.phase, Some(Phase::Leaving(..))) {
        match pause(context, object).await? {
            TeardownGate::Proceed => return begin(context, name, known).await,
            TeardownGate::Settle(left) => return Ok(Next::after(left)),
            TeardownGate::Stop(error) => {
                let status = next_teardown(object, &[], Some(&error), Timestamp::now());
                if let Some(status) = status {
                    write_status(context, name, object, status).await?;
                }
                let text = error.to_string();
                context.record(object.object_ref(&()), error.class().0, text, EventType::Warning);
                return Ok(Next::after(Duration::from_secs(10)));
            }
        }
    }
    let left = context.index.holding(&uid);
    if left.is_empty() {
        set_finalizer(context, name, object, false).await?;
        tracing::info!(baseline = name, "taken back");
        return Ok(Next::Idle);
    }
    if let Some(status) = next_teardown(object, &left, None, Timestamp::now()) {
        write_status(context, name, object, status).await?;
    }
    Ok(Next::after(TEARDOWN_PACE))
}

/// That it begins is written down before anything is undone: a process that goes on with it must not put the
/// baseline in force again.
async fn begin(context: &Context, name: &str, known: &Baseline) -> Result<Next, Error> {
    let object = &known.object;
    let selected = context.index.standings(|observed| {
        compile(object, context.server_minor())
            .is_ok_and(|compiled| selects(context, &compiled, observed))
    });
    let left: Vec<_> = selected
        .iter()
        .map(|standing| format!("{}: waiting for its turn", standing.namespace))
        .collect();
    if let Some(status) = next_teardown(object, &left, None, Timestamp::now()) {
        write_status(context, name, object, status).await?;
    }
    if !admission::take_away(context, name, known).await? {
        return Ok(Next::after(TEARDOWN_PACE));
    }
    Ok(leave(context, name, object))
}

/// From here on every namespace is planned without it.
fn leave(context: &Context, name: &str, object: &HardeningBaseline) -> Next {
    context.index.set_phase(name, leaving(context, object), None, &context.protected);
    context.wake_all();
    Next::after(Duration::from_millis(100))
}

fn leaving(context: &Context, object: &HardeningBaseline) -> Phase {
    let selection = compile(object, context.server_minor()).ok().map(|compiled| compiled.selection);
    let leaving = Leaving {
        uid: Uid::of(&object.metadata),
        policy: object.spec.deletion_policy.unwrap_or(DeletionPolicy::Revert),
    };
    Phase::Leaving(leaving, selection)
}

/// Whether it may be taken back: not while the definition itself goes, or many baselines go at once.
async fn pause(context: &Context, object: &HardeningBaseline) -> Result<TeardownGate, Error> {
    let key = ObjectKey::new("", CRD);
    let definition: Result<Option<CustomResourceDefinition>, ApiError> =
        context.writer.read::<CustomResourceDefinition, _>(&key).await;
    let definition = definition.map_err(|error| explain("get", CRD, &error))?;
    let terminating = definition.is_none_or(|found| found.metadata.deletion_timestamp.is_some());
    let objects = context.index.baseline_objects();
    let deletions: Vec<_> = objects
        .iter()
        .map(|object| {
            let selects = compile(object, context.server_minor()).is_ok_and(|compiled| {
                !context
                    .index
                    .standings(|observed| selects(context, &compiled, observed))
                    .is_empty()
            });
            Deletion::of(object, selects)
        })
        .collect();
    Ok(may_begin(object, terminating, &deletions, Timestamp::now()))
}

fn selects(
    context: &Context,
    compiled: &Compiled,
    observed: &super::plan::namespace::NamespaceObserved,
) -> bool {
    compiled.selection.reaches(&observed.name, &observed.labels, &context.protected)
}

fn has_finalizer(object: &HardeningBaseline) -> bool {
    object.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

async fn set_finalizer(
    context: &Context,
    name: &str,
    object: &HardeningBaseline,
    present: bool,
) -> Result<Arc<HardeningBaseline>, Error> {
    let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if present {
        finalizers.push(FINALIZER.to_owned());
    }
    let body = json!({"metadata": {
        "resourceVersion": object.metadata.resource_version,
        "finalizers": finalizers,
    }});
    let (key, kind) = (ObjectKey::new("", name), PatchKind::Merge);
    let writer = &context.writer;
    let patched =
        writer.patch::<HardeningBaseline>(&key, Part::Object, kind, &body, FIELD_MANAGER).await;
    let meta = match patched {
        Ok(meta) => meta,
        Err(ApiError::NotFound { .. }) if !present => return Ok(Arc::new(object.clone())),
        Err(error) => return Err(explain("patch", &format!("{KIND}/{name}"), &error)),
    };
    let mut written = object.clone();
    written.metadata = meta;
    written.metadata.managed_fields = None;
    if present {
        context.index.baseline_written(name, written.clone());
    }
    Ok(Arc::new(written))
}

async fn write_status(
    context: &Context,
    name: &str,
    object: &HardeningBaseline,
    status: HardeningBaselineStatus,
) -> Result<(), Error> {
    let body = json!([
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": object.metadata.resource_version,
        },
        {"op": "add", "path": "/status", "value": status},
    ]);
    let (key, kind) = (ObjectKey::new("", name), PatchKind::Json);
    let writer = &context.writer;
    let meta = writer
        .patch::<HardeningBaseline>(&key, Part::Status, kind, &body, FIELD_MANAGER)
        .await
        .map_err(|error| explain("patch", &format!("{KIND}/{name}"), &error))?;
    let mut written = object.clone();
    written.metadata.resource_version = meta.resource_version;
    written.status = Some(status);
    context.index.baseline_written(name, written);
    Ok(())
}
