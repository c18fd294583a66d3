//! What is taken away again: Secrets under a former name, and finalizers that another operator left.

use super::error::Error;
use super::plan::existing::Existing;
use super::plan::hash;
use super::plan::policy;
use super::target;
use crate::api::external_secrets::external_secret::DeletionPolicy;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::cluster::{
    ObjectKey,
    events::EventType,
    write::{ApiError, Part, PatchKind},
};
use crate::secrets::reconciler::Reconciler;
use k8s_openapi::api::core::v1::Secret;

/// External Secrets Operator puts this on every ExternalSecret. Gabion adds none, and removes this one.
const ESO_FINALIZER: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";

/// The ExternalSecret is being deleted: does what its deletion policy says, and lets it go.
pub(crate) async fn leave(reconciler: &Reconciler<'_>) -> Result<(), Error> {
    let meta = &reconciler.object().metadata;
    let finalizers = meta.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == ESO_FINALIZER) {
        return Ok(());
    }
    if reconciler.object().spec.target.deletion_policy == DeletionPolicy::Delete {
        let (writer, key) = (&reconciler.context.writer, reconciler.target());
        if let Some(existing) = target::read(writer, &key, &reconciler.manager()).await?
            && policy::is_made_by(reconciler.object(), &existing)
        {
            delete(reconciler, &key, &existing).await?;
        }
    }
    let kept: Vec<_> = finalizers.into_iter().filter(|name| name != ESO_FINALIZER).collect();
    let body = serde_json::json!({
        "metadata": {"resourceVersion": meta.resource_version, "finalizers": kept},
    });
    let (part, kind) = (Part::Object, PatchKind::Merge);
    reconciler
        .context
        .writer
        .patch::<ExternalSecret>(reconciler.key, part, kind, &body, "external-secrets")
        .await?;
    tracing::info!(key = %reconciler.key, "removed the finalizer of External Secrets Operator");
    Ok(())
}

/// Deletes the Secrets that this ExternalSecret made under other names.
pub(crate) async fn orphans(reconciler: &Reconciler<'_>) -> Result<(), Error> {
    let mark = hash::created_by(&reconciler.key.namespace, &reconciler.key.name);
    let present = reconciler.target();
    for key in reconciler.context.index.created_by(&reconciler.key.namespace, mark) {
        if key == present {
            continue;
        }
        let Some(existing) =
            target::read(&reconciler.context.writer, &key, &reconciler.manager()).await?
        else {
            continue;
        };
        if policy::is_made_by(reconciler.object(), &existing) {
            delete(reconciler, &key, &existing).await.map_err(|error| match error {
                Error::NotDeleted(error) => Error::OrphanNotDeleted(error),
                other => other,
            })?;
            let text = format!("secret {:?} deleted because it was orphaned", existing.name);
            reconciler.record("Deleted", text, EventType::Done);
        }
    }
    Ok(())
}

/// Deletes exactly the Secret that was read.
pub(crate) async fn delete(
    reconciler: &Reconciler<'_>,
    key: &ObjectKey,
    existing: &Existing,
) -> Result<(), Error> {
    let (uid, version) = (&existing.uid, &existing.resource_version);
    reconciler.context.writer.delete::<Secret>(key, uid, version).await.map_err(
        |error| match error {
            // It is reconciled again, quietly.
            ApiError::Conflict { .. } | ApiError::Fenced => Error::Cluster(error),
            other => Error::NotDeleted(other),
        },
    )?;
    reconciler.context.index.secret_removed(key, reconciler.key);
    reconciler
        .context
        .index
        .remember(reconciler.key, reconciler.uid(), |memory| memory.verified = None);
    Ok(())
}
