//! What is taken away again: Secrets under a former name, and finalizers that another operator left.

use super::Error;
use super::plan::existing::Existing;
use super::plan::hash;
use super::plan::policy;
use super::target;
use crate::api::external_secrets::external_secret::DeletionPolicy;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::cluster::{
    ObjectKey,
    events::Tone,
    write::{ApiError, Part, PatchKind},
};
use crate::secrets::reconciler::Look;
use k8s_openapi::api::core::v1::Secret;

/// External Secrets Operator puts this on every ExternalSecret. Gabion adds none, and removes this one.
const ESO_FINALIZER: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";

/// The ExternalSecret is being deleted: does what its deletion policy says, and lets it go.
pub async fn leave(look: &Look<'_>) -> Result<(), Error> {
    let meta = &look.object().metadata;
    let finalizers = meta.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == ESO_FINALIZER) {
        return Ok(());
    }
    if look.object().spec.target.deletion_policy == DeletionPolicy::Delete {
        let (writer, key) = (&look.context.writer, look.target());
        if let Some(existing) = target::read(writer, &key, &look.manager()).await?
            && policy::is_made_by(look.object(), &existing)
        {
            delete(look, &key, &existing).await?;
        }
    }
    let kept: Vec<_> = finalizers.into_iter().filter(|name| name != ESO_FINALIZER).collect();
    let body = serde_json::json!({
        "metadata": {"resourceVersion": meta.resource_version, "finalizers": kept},
    });
    let (part, kind) = (Part::Object, PatchKind::Merge);
    look.context
        .writer
        .patch::<ExternalSecret>(look.key, part, kind, &body, "external-secrets")
        .await?;
    tracing::info!(key = %look.key, "removed the finalizer of External Secrets Operator");
    Ok(())
}

/// Deletes the Secrets that this ExternalSecret made under other names.
pub async fn orphans(look: &Look<'_>) -> Result<(), Error> {
    let mark = hash::created_by(&look.key.namespace, &look.key.name);
    let present = look.target();
    for (key, _) in look.context.index.created_by(&look.key.namespace, &mark) {
        if key == present {
            continue;
        }
        let Some(existing) = target::read(&look.context.writer, &key, &look.manager()).await?
        else {
            continue;
        };
        if policy::is_made_by(look.object(), &existing) {
            delete(look, &key, &existing).await.map_err(|error| match error {
                Error::NotDeleted(error) => Error::OrphanNotDeleted(error),
                other => other,
            })?;
            let text = format!("secret {:?} deleted because it was orphaned", existing.name);
            look.tell("Deleted", text, Tone::Done);
        }
    }
    Ok(())
}

/// Deletes exactly the Secret that was looked at.
pub async fn delete(look: &Look<'_>, key: &ObjectKey, existing: &Existing) -> Result<(), Error> {
    let (uid, version) = (&existing.uid, &existing.resource_version);
    look.context.writer.delete::<Secret>(key, uid, version).await.map_err(|error| match error {
        // It is looked at again, quietly.
        ApiError::Conflict { .. } | ApiError::Fenced => Error::Cluster(error),
        other => Error::NotDeleted(other),
    })?;
    look.context.index.secret_removed(key);
    look.context.index.remember(look.key, look.uid(), |memory| memory.verified = None);
    Ok(())
}
