//! What the Secret should be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use super::{
    error::PlanError,
    existing::{CREATED_BY, DATA_HASH, Existing, MANAGED},
    hash,
    policy::target_name,
    rollout::revision::{self, REVISION},
};
use crate::api::external_secrets::external_secret::CreationPolicy;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::provider::SecretBytes;

/// The most that a Secret's values may have together.
const MAX_BYTES: usize = 1 << 20;
/// Types of Secret that a controller of the cluster acts on.
const FORBIDDEN_TYPES: [&str; 2] =
    ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/// What one `ExternalSecret` contributes: the data read, or what a template made of it.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Rendered {
    /// Data.
    pub(crate) data: BTreeMap<String, SecretBytes>,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Type, where the template gives one.
    pub(crate) type_: Option<String>,
    /// Finalizers to add.
    pub(crate) finalizers: Vec<String>,
}

impl Rendered {
    /// Without a template: the data as read, and the labels and annotations of the `ExternalSecret`.
    ///
    /// Stamps of tools on the `ExternalSecret` are about that object alone and are not copied.
    pub(crate) fn without_template(
        object: &ExternalSecret,
        data: BTreeMap<String, SecretBytes>,
    ) -> Self {
        let copied = |map: &BTreeMap<String, String>| {
            map.iter()
                .filter(|(key, _)| !is_stamp(key))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        Self {
            data,
            labels: copied(object.labels()),
            annotations: copied(object.annotations()),
            ..Self::default()
        }
    }
}

/// Labels and annotations that say something about the object they are on and nothing about the Secret.
fn is_stamp(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("", key));
    matches!(prefix, "argocd.argoproj.io" | "gabion.dev" | "reconcile.external-secrets.io")
        || key == "kubectl.kubernetes.io/last-applied-configuration"
        || name == "force-sync"
}

/// The Secret as it should be, whole.
#[derive(Clone, PartialEq)]
pub(crate) struct Desired {
    /// Name.
    pub(crate) name: String,
    /// Namespace.
    pub(crate) namespace: String,
    /// Labels: those of others and ours.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations: those of others and ours.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Type.
    pub(crate) type_: String,
    /// Data: under a merging policy those of others, too.
    pub(crate) data: BTreeMap<String, SecretBytes>,
    /// Whether it can no longer be changed.
    pub(crate) immutable: bool,
    /// Owners: those of others, and the `ExternalSecret` under Owner.
    pub(crate) owners: Vec<OwnerReference>,
    /// Finalizers.
    pub(crate) finalizers: Vec<String>,
}

/// The Secret that `object` wants, given what exists. Not asked under `creationPolicy: None`.
pub(crate) fn desired(
    object: &ExternalSecret,
    rendered: Rendered,
    existing: Option<&Existing>,
) -> Result<Desired, PlanError> {
    let name = target_name(object);
    let namespace = object.namespace().ok_or(PlanError::NotPersisted { what: "namespace" })?;
    let none = Existing::default();
    let old = existing.unwrap_or(&none);
    let type_ = secret_type(&name, rendered.type_, existing)?;
    let wants_immutable = object.spec.target.immutable.unwrap_or_default();
    let merges = merges(object);
    let data = if existing.is_some() && wants_immutable {
        old.data.clone()
    } else {
        let data = desired_data(rendered.data, old, merges);
        if old.immutable && data != old.data {
            return Err(PlanError::Immutable { name });
        }
        data
    };
    let bytes = data.values().map(SecretBytes::len).sum();
    if bytes > MAX_BYTES {
        return Err(PlanError::TooLarge { name, bytes });
    }
    let mut labels = desired_map(rendered.labels, &old.labels, &old.ours.labels);
    labels.insert(MANAGED.to_owned(), "true".to_owned());
    labels.remove(CREATED_BY);
    if is_owner(object) {
        labels.insert(CREATED_BY.to_owned(), hash::created_by(&namespace, &object.name_any()));
    }
    let mut annotations =
        desired_map(rendered.annotations, &old.annotations, &old.ours.annotations);
    annotations.insert(DATA_HASH.to_owned(), hash::data_hash(&data));
    // No template sets it or takes it away, and whoever else writes this Secret keeps it.
    annotations.remove(REVISION);
    let (present, changed) = (revision::present(&old.annotations), data != old.data);
    let next = if changed || existing.is_none() { revision::next(object, present) } else { None };
    if let Some(revision) = next.or(present) {
        annotations.insert(REVISION.to_owned(), revision.to_string());
    }
    let mut finalizers = old.finalizers.clone();
    finalizers.extend(rendered.finalizers.into_iter().filter(|new| !old.finalizers.contains(new)));
    Ok(Desired {
        owners: owners(object, old)?,
        immutable: old.immutable || wants_immutable,
        name,
        namespace,
        labels,
        annotations,
        type_,
        data,
        finalizers,
    })
}

fn is_owner(object: &ExternalSecret) -> bool {
    object.spec.target.creation_policy == CreationPolicy::Owner
}

fn merges(object: &ExternalSecret) -> bool {
    matches!(
        object.spec.target.creation_policy,
        CreationPolicy::Merge | CreationPolicy::CreateOrMerge
    )
}

/// A merge keeps the keys of others, and drops those that we wrote and no longer have.
fn desired_data(
    new: BTreeMap<String, SecretBytes>,
    old: &Existing,
    merges: bool,
) -> BTreeMap<String, SecretBytes> {
    if !merges {
        return new;
    }
    let mut data = old.data.clone();
    data.retain(|key, _| !old.ours.data.contains(key));
    data.extend(new);
    data
}

/// Labels and annotations are always merged; those that we wrote and no longer want are dropped.
fn desired_map(
    new: BTreeMap<String, String>,
    old: &BTreeMap<String, String>,
    ours: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut map = old.clone();
    map.retain(|key, _| !ours.contains(key));
    map.extend(new);
    map
}

fn secret_type(
    name: &str,
    wanted: Option<String>,
    existing: Option<&Existing>,
) -> Result<String, PlanError> {
    let wanted = wanted.filter(|type_| !type_.is_empty());
    let current = existing.and_then(|secret| secret.type_.clone());
    let type_ = match (wanted, current) {
        (Some(to), Some(from)) if to != from => {
            return Err(PlanError::TypeChange { name: name.to_owned(), from, to });
        }
        (wanted, current) => current.or(wanted).unwrap_or_else(|| "Opaque".to_owned()),
    };
    // Adding to one that exists is no better: its annotations say whose token it holds.
    if FORBIDDEN_TYPES.contains(&type_.as_str()) {
        return Err(PlanError::ForbiddenType { type_ });
    }
    Ok(type_)
}

fn owners(object: &ExternalSecret, old: &Existing) -> Result<Vec<OwnerReference>, PlanError> {
    let uid = object.metadata.uid.as_ref().ok_or(PlanError::NotPersisted { what: "uid" })?;
    let reference = OwnerReference {
        api_version: ExternalSecret::api_version(&()).into_owned(),
        kind: ExternalSecret::kind(&()).into_owned(),
        name: object.name_any(),
        uid: uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    let mut owners = old.owners.clone();
    let mine = owners.iter_mut().find(|owner| owner.uid == *uid);
    match (is_owner(object), mine) {
        (true, Some(mine)) => *mine = reference,
        (true, None) => owners.push(reference),
        (false, _) => owners.retain(|owner| owner.uid != *uid),
    }
    Ok(owners)
}

/// Names only: a template may have put a value into a label or an annotation.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("data", &self.data.keys())
            .field("labels", &self.labels.keys())
            .field("annotations", &self.annotations.keys())
            .field("type", &self.type_)
            .finish_non_exhaustive()
    }
}

/// Names only, for the same reason.
impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desired")
            .field("name", &self.name)
            .field("data", &self.data.keys())
            .field("labels", &self.labels.keys())
            .field("annotations", &self.annotations.keys())
            .field("type", &self.type_)
            .finish_non_exhaustive()
    }
}

impl Desired {
    /// Whether writing this would change anything.
    pub(crate) fn differs(&self, existing: &Existing) -> bool {
        self.labels != existing.labels
            || self.annotations != existing.annotations
            || self.data != existing.data
            || self.immutable != existing.immutable
            || self.finalizers != existing.finalizers
            || !same_owners(&self.owners, &existing.owners)
            || existing.type_.as_ref().is_some_and(|type_| *type_ != self.type_)
    }
}

/// An apiVersion of an owner that was written as `v1beta1` is no difference worth a write.
fn same_owners(a: &[OwnerReference], b: &[OwnerReference]) -> bool {
    let group = |owner: &OwnerReference| owner.api_version.split('/').next().map(str::to_owned);
    let flags = |owner: &OwnerReference| {
        (owner.controller.unwrap_or_default(), owner.block_owner_deletion.unwrap_or_default())
    };
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            (&a.uid, &a.name, &a.kind) == (&b.uid, &b.name, &b.kind)
                && group(a) == group(b)
                && flags(a) == flags(b)
        })
}

#[cfg(test)]
mod tests;
