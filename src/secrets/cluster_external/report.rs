//! The status of one ClusterExternalSecret.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::super::cluster_externals::{Known, NamespaceOutcome};
use super::super::context::Context;
use super::super::plan::cluster_status::{Progress, next_status};
use super::{KIND, MANAGER};
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecretStatus;
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
/// External Secrets Operator puts this on every ClusterExternalSecret. Gabion adds none, and removes this one.
const ESO_FINALIZER: &str = "externalsecrets.external-secrets.io/clusterexternalsecret-cleanup";

/// Has the status written.
pub(super) fn wake(context: &Context, name: &Arc<str>) {
    let key = ObjectKey { namespace: "".into(), name: name.clone() };
    // A group of its own: it must not wait behind namespaces.
    context.clusters.wake(&key, &"".into(), Lane::Urgent);
}

/// Writes the status, if it is to say something else than it does.
pub(super) async fn reconcile(context: &Context, name: &Arc<str>) -> Next {
    let registry = &context.cluster_externals;
    let Some(known) = registry.find(name) else { return Next::Idle };
    if known.object.metadata.deletion_timestamp.is_some() {
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
    let pace = if was_complete(&known.object) { PATIENCE } else { PACE };
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
fn was_complete(object: &ClusterExternalSecret) -> bool {
    object.status.as_ref().is_some_and(|status| {
        let ready = ready_reason(status);
        status.observed_generation.is_none_or(|seen| Some(seen) == object.metadata.generation)
            && ready != Some("Provisioning")
    })
}

/// What the outcomes of namespaces do not say.
fn complete(context: &Context, known: &Known, mut progress: Progress) -> Progress {
    match &known.wanted {
        Err(bad) => {
            progress.problem = Some(("InvalidSelector", bad.to_string()));
            let object = &known.object;
            let name = object.spec.external_secret_name.clone().filter(|name| !name.is_empty());
            progress.name = name.unwrap_or_else(|| object.name_any());
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

async fn report(
    context: &Context,
    name: &Arc<str>,
    known: &Known,
    progress: &Progress,
) -> Result<(), ApiError> {
    let object = &known.object;
    let generation = object.metadata.generation.unwrap_or_default();
    let old = object.status.as_ref();
    let (ready, reason, message) = progress.condition();
    if let Some(objects) = &context.metrics.objects {
        objects.cluster_condition(name, ready);
    }
    if let Some(status) = next_status(old, progress, generation, Timestamp::now()) {
        let body = json!({
            "metadata": {"resourceVersion": object.metadata.resource_version},
            "status": whole(&status),
        });
        let key = ObjectKey { namespace: "".into(), name: name.clone() };
        let (part, kind) = (Part::Status, PatchKind::Merge);
        let writer = &context.writer;
        let meta = writer.patch::<ClusterExternalSecret>(&key, part, kind, &body, MANAGER).await?;
        let was = old.and_then(ready_reason);
        if !ready && reason != "Provisioning" && was != Some(reason) {
            let text = message.clone().unwrap_or_default();
            context.record(object.object_ref(&()), reason, text, EventType::Warning);
        }
        tracing::info!(kind = KIND, name = &**name, reason, message, "status written");
        context.cluster_externals.own_write(name, meta.resource_version, status);
    }
    context.cluster_externals.set_managed(
        name,
        object.metadata.uid.as_deref(),
        progress.managed.clone(),
    );
    Ok(())
}

fn ready_reason(status: &ClusterExternalSecretStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.type_ == "Ready")?.reason.as_deref()
}

/// A merge patch keeps what it does not name: lists that are empty are named.
fn whole(status: &ClusterExternalSecretStatus) -> Value {
    let mut body = json!(status);
    for field in ["failedNamespaces", "provisionedNamespaces"] {
        if body[field].is_null() {
            body[field] = json!([]);
        }
    }
    match &status.gabion {
        None => body["gabion"] = Value::Null,
        Some(managed) => {
            body["gabion"] = json!({"labels": managed.labels, "annotations": managed.annotations});
        }
    }
    body
}

/// The object is being deleted: takes the finalizer away that another operator left.
async fn let_go(context: &Context, known: &Known) -> Next {
    let meta = &known.object.metadata;
    let finalizers = meta.finalizers.clone().unwrap_or_default();
    let kept: Vec<_> = finalizers.iter().filter(|one| *one != ESO_FINALIZER).collect();
    if kept.len() == finalizers.len() {
        return Next::Idle;
    }
    let body = json!({
        "metadata": {"resourceVersion": meta.resource_version, "finalizers": kept},
    });
    let key = ObjectKey::of(&*known.object);
    let (part, kind) = (Part::Object, PatchKind::Merge);
    match context.writer.patch::<ClusterExternalSecret>(&key, part, kind, &body, MANAGER).await {
        Ok(_) | Err(ApiError::NotFound { .. }) => Next::Idle,
        Err(error) => {
            tracing::warn!(kind = KIND, name = &*key.name, %error, "finalizer not removed; trying again");
            Next::Retry
        }
    }
}
