//! What happens to the Secret: creation policy, deletion policy and ownership.

use kube::ResourceExt;

use super::{
    condition::{READY, SECRET_DELETED},
    error::PlanError,
    existing::{CREATED_BY, Existing},
    hash,
};
use crate::api::external_secrets::external_secret::CreationPolicy;
use crate::api::external_secrets::external_secret::DeletionPolicy;
use crate::api::external_secrets::external_secret::ExternalSecret;

/// Annotation of an `ExternalSecret` that may take over a Secret which nobody's `ExternalSecret` made.
pub(crate) const ADOPT: &str = "gabion.dev/adopt";

/// What to do with the Secret.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Create it.
    Create,
    /// Bring it to the desired state, if it is not.
    Update,
    /// Delete it.
    Delete,
    /// Leave it as it is.
    Leave(Leave),
    /// Leave it, and say why not.
    Refuse(PlanError),
}

/// Why a Secret is left as it is although the sync succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Leave {
    /// `creationPolicy: None`.
    NothingToWrite,
    /// `creationPolicy: Merge` and there is nothing to merge into.
    NothingToMergeInto,
    /// The provider has nothing any more, and `deletionPolicy` is `Retain`.
    Retained,
    /// The provider has nothing any more, and the Secret is gone as well.
    AlreadyDeleted,
}

/// Name of the Secret that `object` writes.
pub(crate) fn target_name(object: &ExternalSecret) -> String {
    object.spec.target.name.clone().unwrap_or_else(|| object.name_any())
}

/// What to do, given what the provider has (`empty`: nothing) and what exists.
///
/// `adopt_unmanaged` lets Owner and Orphan take over Secrets that nobody's `ExternalSecret` made.
pub(crate) fn decide(
    object: &ExternalSecret,
    existing: Option<&Existing>,
    empty: bool,
    adopt_unmanaged: bool,
) -> Action {
    let target = &object.spec.target;
    if empty {
        match &target.deletion_policy {
            DeletionPolicy::Retain => return Action::Leave(Leave::Retained),
            DeletionPolicy::Delete => return delete(object, existing),
            DeletionPolicy::Merge => {}
            DeletionPolicy::Other(value) => {
                return Action::Refuse(unknown("target.deletionPolicy", value));
            }
        }
    }
    if let Err(error) = check_ownership(object, existing, adopt_unmanaged) {
        return Action::Refuse(error);
    }
    match (&target.creation_policy, existing) {
        (CreationPolicy::Other(value), _) => {
            Action::Refuse(unknown("target.creationPolicy", value))
        }
        (CreationPolicy::None, _) => Action::Leave(Leave::NothingToWrite),
        (CreationPolicy::Merge, None) => Action::Leave(Leave::NothingToMergeInto),
        (CreationPolicy::Owner | CreationPolicy::Orphan | CreationPolicy::CreateOrMerge, None) => {
            Action::Create
        }
        (_, Some(_)) => Action::Update,
    }
}

/// Deletes only what this object owns. That the provider has nothing is no reason to delete what is not ours.
fn delete(object: &ExternalSecret, existing: Option<&Existing>) -> Action {
    let creation = &object.spec.target.creation_policy;
    if *creation != CreationPolicy::Owner {
        return Action::Refuse(PlanError::DeleteNeedsOwner {
            name: target_name(object),
            creation: creation.to_string(),
        });
    }
    match existing {
        None => Action::Leave(Leave::AlreadyDeleted),
        Some(secret) if is_made_by(object, secret) => Action::Delete,
        Some(secret) => match check_ownership(object, existing, false) {
            Err(error) => Action::Refuse(error),
            Ok(()) => Action::Refuse(PlanError::Foreign { name: secret.name.clone() }),
        },
    }
}

/// Whether `object` may write the Secret that exists.
///
/// Asked before anything is read, so that a conflict costs the provider nothing. Owner and Orphan replace
/// the data, so another owner is a conflict, and so is a Secret that was not made by an `ExternalSecret` (under
/// Owner, which also deletes it in the end: by this one, or by one that let it go), unless taking it over was asked
/// for.
pub(crate) fn check_ownership(
    object: &ExternalSecret,
    existing: Option<&Existing>,
    adopt_unmanaged: bool,
) -> Result<(), PlanError> {
    let Some(secret) = existing else { return Ok(()) };
    let may_take = match &object.spec.target.creation_policy {
        CreationPolicy::Owner => {
            is_made_by(object, secret) || secret.is_all_ours() || secret.is_released()
        }
        CreationPolicy::Orphan => is_made_by(object, secret) || secret.is_written(),
        _ => return Ok(()),
    };
    let name = || secret.name.clone();
    if let Some(owner) = secret.controller()
        && !is_made_by(object, secret)
    {
        // Orphan takes no ownership, but two that replace one Secret's data would never come to rest.
        return Err(if is_external_secret(&owner.api_version, &owner.kind) {
            PlanError::OwnedByAnother { name: name(), owner: owner.name.clone() }
        } else {
            PlanError::OwnedByOther {
                name: name(),
                owner: format!("{} {:?}", owner.kind, owner.name),
            }
        });
    }
    let asked = object.annotations().get(ADOPT).is_some_and(|value| value == "true");
    if may_take || asked || adopt_unmanaged {
        Ok(())
    } else {
        Err(PlanError::Foreign { name: name() })
    }
}

/// Whether `object` owns the Secret: it controls it, or it is marked as made by it and nobody controls it.
pub(crate) fn is_made_by(object: &ExternalSecret, secret: &Existing) -> bool {
    if let Some(owner) = secret.controller() {
        return is_external_secret(&owner.api_version, &owner.kind)
            && object.metadata.uid.as_deref() == Some(owner.uid.as_str());
    }
    let mark = hash::created_by(&object.namespace().unwrap_or_default(), &object.name_any());
    secret.is_managed() && secret.labels.get(CREATED_BY) == Some(&mark)
}

/// Whether the Secret is as it was written, so that nothing needs to be read before the next refresh.
///
/// A Secret that is missing by design (None, Merge, or deleted because the provider has nothing for it) is in
/// order, and so is any state under Orphan.
pub(crate) fn is_in_order(object: &ExternalSecret, existing: Option<&Existing>) -> bool {
    match (&object.spec.target.creation_policy, existing) {
        (CreationPolicy::Orphan | CreationPolicy::None, _) | (CreationPolicy::Merge, None) => true,
        (_, None) => was_deleted(object),
        (_, Some(secret)) => secret.is_managed() && secret.is_intact(),
    }
}

/// Whether the last success was to delete the Secret.
fn was_deleted(object: &ExternalSecret) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == READY);
    ready.any(|ready| ready.reason.as_deref() == Some(SECRET_DELETED))
}

fn is_external_secret(api_version: &str, kind: &str) -> bool {
    kind == "ExternalSecret" && api_version.split('/').next() == Some("external-secrets.io")
}

fn unknown(field: &str, value: &str) -> PlanError {
    PlanError::UnknownValue { field: field.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests;
