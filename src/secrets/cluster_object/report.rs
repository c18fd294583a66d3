//! The status of one object.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cluster_objects::{Known, NamespaceOutcome};
use super::super::context::Context;
use super::super::plan::cluster_kinds::ClusterStatus;
use super::super::plan::cluster_object;
use super::super::plan::cluster_status::{Progress, next_status};
use super::{Controlled, MANAGER};
use crate::cluster::{
    ObjectKey,
    events::EventType,
    queue::{Lane, Next},
    write::{ApiError, Part, PatchKind},
};

/// While namespaces are left to do, the status is written this often.
const PACE: Duration = Duration::from_secs(2);
/// The same for a spec whose status was complete before: one namespace that is new, or a restart, takes less, and is no
/// reason to say that the object is not ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has the status written.
pub(super) fn wake<K: Controlled>(context: &Context, name: &Arc<str>) {
    let key = ObjectKey { namespace: "".into(), name: name.clone() };
    // A group of its own: it must not wait behind namespaces.
    K::queue(context).wake(&key, &"".into(), Lane::Urgent);
}

/// Writes the status, if it is to say something else than it does.
pub(super) async fn reconcile<K: Controlled>(context: &Context, name: &Arc<str>) -> Next {
    let registry = K::objects(context);
    let Some(known) = registry.find(name) else { return Next::Idle };
    if known.object.meta().deletion_timestamp.is_some() {
        return let_go(context, &known).await;
    }
    let Some((progress, since)) = registry.with_state(name, |known, state| {
        let mut progress = Progress::default();
        for (namespace, outcome) in &state.outcomes {
            let namespace = namespace.to_string();
            match outcome {
                NamespaceOutcome::Provisioned => {
                    progress.provisioned.insert(namespace);
                }
                NamespaceOutcome::Failed(cause) => {
                    progress.failed.insert(namespace, cause.clone());
                }
                NamespaceOutcome::Nothing => {}
            }
        }
        progress.pending = state.pending.len();
        progress.managed = known.managed.clone();
        (progress, state.pending_since)
    }) else {
        return Next::Idle;
    };
    let now = Instant::now();
    let pace = if was_complete(&*known.object) { PATIENCE } else { PACE };
    if let Some(since) = since
        && now < since + pace
    {
        return Next::At { earliest: since + pace, due: since + pace };
    }
    let progress = complete(context, &known, progress);
    match report(context, name, &known, &progress).await {
        Ok(()) if since.is_some() => {
            registry.with_state(name, |_, state| {
                state.pending_since = state.pending_since.map(|_| now);
            });
            Next::At { earliest: now + pace, due: now + pace }
        }
        Ok(()) | Err(ApiError::NotFound { .. }) => Next::Idle,
        Err(error) => {
            tracing::debug!(name = &**name, %error, "status not written; trying again");
            Next::Retry
        }
    }
}

/// Whether the stored status is about the present spec. That of External Secrets Operator does not say.
fn was_complete<K: Controlled>(object: &K) -> bool {
    object.status().is_some_and(|status| {
        let ready = ready_reason(&status);
        status.observed_generation.is_none_or(|seen| Some(seen) == object.meta().generation)
            && ready != Some("Provisioning")
    })
}

/// What the outcomes of namespaces do not say.
fn complete<K: Controlled>(
    context: &Context,
    known: &Known<K>,
    mut progress: Progress,
) -> Progress {
    progress.child = K::NAMES.child;
    match &known.wanted {
        Err(bad) => {
            progress.problem = Some(("InvalidSelector", bad.to_string()));
            progress.name = cluster_object::name(&*known.object);
        }
        Ok(wanted) => {
            progress.name.clone_from(&wanted.name);
            let absent = wanted.names().filter(|name| context.index.namespace(name).is_none());
            progress.absent = absent.map(ToOwned::to_owned).collect();
            if progress.pending == 0 && progress.failed.is_empty() {
                progress.managed = wanted.keys();
            }
        }
    }
    if !context.index.namespaces_are_known() {
        let text = "the namespaces are not known: the operator needs the right to list and watch namespaces \
                    (see /readyz)";
        progress.problem = Some(("NamespaceUnknown", text.to_owned()));
    }
    progress
}

async fn report<K: Controlled>(
    context: &Context,
    name: &Arc<str>,
    known: &Known<K>,
    progress: &Progress,
) -> Result<(), ApiError> {
    let object = &known.object;
    let generation = object.meta().generation.unwrap_or_default();
    let old = object.status();
    let (ready, reason, message) = progress.condition();
    if let Some(objects) = &context.metrics.objects {
        objects.cluster_condition(K::NAMES.kind, name, ready);
    }
    if let Some(status) = next_status(old.as_ref(), progress, generation, Timestamp::now()) {
        let body = json!({
            "metadata": {"resourceVersion": object.meta().resource_version},
            "status": whole(K::NAMES.name_field, &status),
        });
        let key = ObjectKey { namespace: "".into(), name: name.clone() };
        let (part, kind) = (Part::Status, PatchKind::Merge);
        let writer = &context.writer;
        let meta = writer.patch::<K>(&key, part, kind, &body, MANAGER).await?;
        let was = old.as_ref().and_then(ready_reason);
        if !ready && reason != "Provisioning" && was != Some(reason) {
            let text = message.clone().unwrap_or_default();
            context.record(object.object_ref(&()), reason, text, EventType::Warning);
        }
        tracing::info!(kind = K::NAMES.kind, name = &**name, reason, message, "status written");
        K::objects(context).own_write(name, meta.resource_version, status);
    }
    K::objects(context).set_managed(name, object.meta().uid.as_deref(), progress.managed.clone());
    Ok(())
}

fn ready_reason(status: &ClusterStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.type_ == "Ready")?.reason.as_deref()
}

/// A merge patch keeps what it does not name: what is empty is named.
fn whole(name_field: &str, status: &ClusterStatus) -> Value {
    let managed = status.gabion.as_ref();
    json!({
        name_field: status.name,
        "failedNamespaces": status.failed,
        "provisionedNamespaces": status.provisioned,
        "conditions": status.conditions,
        "observedGeneration": status.observed_generation,
        "gabion": managed.map(|of| json!({"labels": of.labels, "annotations": of.annotations})),
    })
}

/// The object is being deleted: takes the finalizer away that another operator left.
async fn let_go<K: Controlled>(context: &Context, known: &Known<K>) -> Next {
    let Some(theirs) = K::NAMES.finalizer else { return Next::Idle };
    let meta = known.object.meta();
    let finalizers = meta.finalizers.clone().unwrap_or_default();
    let kept: Vec<_> = finalizers.iter().filter(|one| *one != theirs).collect();
    if kept.len() == finalizers.len() {
        return Next::Idle;
    }
    let body = json!({
        "metadata": {"resourceVersion": meta.resource_version, "finalizers": kept},
    });
    let key = ObjectKey::of(&*known.object);
    let (part, kind) = (Part::Object, PatchKind::Merge);
    match context.writer.patch::<K>(&key, part, kind, &body, MANAGER).await {
        Ok(_) | Err(ApiError::NotFound { .. }) => Next::Idle,
        Err(error) => {
            tracing::warn!(kind = K::NAMES.kind, name = &*key.name, %error, "finalizer not removed; trying again");
            Next::Retry
        }
    }
}
