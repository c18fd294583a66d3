//! What a `ClusterExternalSecret` asks for: in which namespaces, what is there, and what to do about the difference.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use kube::core::{Selector, SelectorExt};
use serde_json::{Value, json};

use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_external_secret::ManagedKeys;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::duration;

/// Annotation of a ClusterExternalSecret that is copied to its ExternalSecrets, so that all of them are read again.
pub(crate) const FORCE_SYNC: &str = "external-secrets.io/force-sync";
const KIND: &str = "ClusterExternalSecret";
const GROUP: &str = "external-secrets.io";
/// How often namespaces are compared again if `refreshTime` does not say.
const DEFAULT_REFRESH: SignedDuration = SignedDuration::from_hours(1);

/// A selector that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {reason}; nothing is created, changed or deleted until it is corrected")]
pub(crate) struct BadSelector {
    /// Which.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Which namespaces, and what in each.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Name of each ExternalSecret.
    pub(crate) name: String,
    /// Labels of each.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations of each.
    pub(crate) annotations: BTreeMap<String, String>,
    selectors: Vec<Selector>,
    names: BTreeSet<String>,
}

impl Wanted {
    /// What an object asks for.
    pub(crate) fn new(object: &ClusterExternalSecret) -> Result<Self, BadSelector> {
        let spec = &object.spec;
        let one = spec.namespace_selector.iter().map(|one| ("namespaceSelector".to_owned(), one));
        let several = spec.namespace_selectors.iter().enumerate();
        let several = several.map(|(nth, one)| (format!("namespaceSelectors[{nth}]"), one));
        let selectors = one.chain(several).map(|(field, selector)| {
            Selector::try_from(selector.clone())
                .map_err(|error| BadSelector { field, reason: error.to_string() })
        });
        let metadata = spec.external_secret_metadata.clone().unwrap_or_default();
        let mut annotations = metadata.annotations;
        if let Some(stamp) = object.annotations().get(FORCE_SYNC) {
            annotations.insert(FORCE_SYNC.to_owned(), stamp.clone());
        }
        let name = spec.external_secret_name.clone().filter(|name| !name.is_empty());
        Ok(Self {
            name: name.unwrap_or_else(|| object.name_any()),
            labels: metadata.labels,
            annotations,
            selectors: selectors.collect::<Result<_, _>>()?,
            names: spec.namespaces.iter().cloned().collect(),
        })
    }

    /// Whether a namespace with this name and these labels is one of those.
    pub(crate) fn selects(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.names.contains(name) || self.selectors.iter().any(|one| one.matches(labels))
    }

    /// The namespaces that are named.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The keys of its labels and annotations.
    pub(crate) fn keys(&self) -> ManagedKeys {
        ManagedKeys {
            labels: self.labels.keys().cloned().collect(),
            annotations: self.annotations.keys().cloned().collect(),
        }
    }
}

/// Every key of either, sorted.
pub(crate) fn union(one: &ManagedKeys, other: &ManagedKeys) -> ManagedKeys {
    let both = |one: &[String], other: &[String]| {
        let all: BTreeSet<_> = one.iter().chain(other).cloned().collect();
        all.into_iter().collect()
    };
    ManagedKeys {
        labels: both(&one.labels, &other.labels),
        annotations: both(&one.annotations, &other.annotations),
    }
}

/// How often all namespaces are compared again.
pub(crate) fn refresh(object: &ClusterExternalSecret) -> SignedDuration {
    let own = object.spec.refresh_time.as_deref().and_then(duration::parse);
    own.filter(SignedDuration::is_positive).unwrap_or(DEFAULT_REFRESH)
}

/// The uid of the ClusterExternalSecret that controls an object, if one does.
pub(crate) fn owner(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = meta.owner_references.iter().flatten();
    owners.into_iter().find(|owner| {
        owner.controller == Some(true)
            && owner.kind == KIND
            && owner.api_version.split('/').next() == Some(GROUP)
    })
}

/// What to do in one namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing: it is as specified.
    InOrder,
    /// Create this.
    Create(Value),
    /// Apply this JSON patch.
    Patch(Value),
    /// One of that name exists and is not ours; who controls it, if anybody.
    Taken(Option<String>),
    /// It is being deleted, and must be gone first.
    Leaving,
}

/// What to do about the ExternalSecret of one namespace. `managed` are the keys of labels and annotations that were
/// ever put there.
pub(crate) fn step(
    object: &ClusterExternalSecret,
    wanted: &Wanted,
    managed: &ManagedKeys,
    existing: Option<&ExternalSecret>,
) -> Step {
    let Some(existing) = existing else { return Step::Create(creation(object, wanted)) };
    let owner = owner(&existing.metadata);
    if owner.map(|owner| owner.uid.as_str()) != object.metadata.uid.as_deref() {
        let controllers = existing.metadata.owner_references.iter().flatten();
        let mut controllers = controllers.filter(|owner| owner.controller == Some(true));
        let name = |owner: &OwnerReference| format!("{} {:?}", owner.kind, owner.name);
        return Step::Taken(controllers.next().map(name));
    }
    if existing.metadata.deletion_timestamp.is_some() {
        return Step::Leaving;
    }
    let labels = merged(existing.labels(), &wanted.labels, &managed.labels);
    let annotations = merged(existing.annotations(), &wanted.annotations, &managed.annotations);
    let mut patch = Vec::new();
    if existing.spec != object.spec.external_secret_spec {
        patch.push(json!({
            "op": "add", "path": "/spec", "value": object.spec.external_secret_spec,
        }));
    }
    for (field, now, then) in [
        ("labels", existing.labels(), &labels),
        ("annotations", existing.annotations(), &annotations),
    ] {
        if now != then {
            patch.push(json!({"op": "add", "path": format!("/metadata/{field}"), "value": then}));
        }
    }
    if patch.is_empty() {
        return Step::InOrder;
    }
    // Sets the version the write is based on: a conflict if it is not the present one.
    let version = &existing.metadata.resource_version;
    patch
        .insert(0, json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    Step::Patch(patch.into())
}

/// What is there, without what was put there and is not wanted any more, and with what is wanted.
fn merged(
    now: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    managed: &[String],
) -> BTreeMap<String, String> {
    let others = now.iter().filter(|(key, _)| !managed.contains(key));
    others.chain(wanted).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn creation(object: &ClusterExternalSecret, wanted: &Wanted) -> Value {
    let owner = OwnerReference {
        api_version: format!("{GROUP}/v1"),
        kind: KIND.to_owned(),
        name: object.name_any(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "ExternalSecret",
        "metadata": {
            "name": wanted.name,
            "labels": wanted.labels,
            "annotations": wanted.annotations,
            "ownerReferences": [owner],
        },
        "spec": object.spec.external_secret_spec,
    })
}

#[cfg(test)]
mod tests;
