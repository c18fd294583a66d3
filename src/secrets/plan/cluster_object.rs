//! What a `ClusterExternalSecret` or `ClusterPushSecret` asks for: in which namespaces, what is there, and what to do about the difference.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::{Selector, SelectorExt};
use kube::{Resource as _, ResourceExt};
use serde_json::{Value, json};

use super::cluster_kinds::ClusterKind;
use crate::api::external_secrets::cluster_external_secret::ManagedKeys;
use crate::duration;

/// Annotation that is copied to what an object makes, so that all of it is synchronised again.
pub(crate) const FORCE_SYNC: &str = "external-secrets.io/force-sync";
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
    /// Name of each child.
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
    pub(crate) fn new<K: ClusterKind>(object: &K) -> Result<Self, BadSelector> {
        let asked = object.asked();
        let one = asked.selector.into_iter().map(|one| ("namespaceSelector".to_owned(), one));
        let several = asked.selectors.iter().enumerate();
        let several = several.map(|(nth, one)| (format!("namespaceSelectors[{nth}]"), one));
        let selectors = one.chain(several).map(|(field, selector)| {
            Selector::try_from(selector.clone())
                .map_err(|error| BadSelector { field, reason: error.to_string() })
        });
        let metadata = asked.metadata.cloned().unwrap_or_default();
        let mut annotations = metadata.annotations;
        if let Some(stamp) = ResourceExt::annotations(object).get(FORCE_SYNC) {
            annotations.insert(FORCE_SYNC.to_owned(), stamp.clone());
        }
        Ok(Self {
            name: name(object),
            labels: metadata.labels,
            annotations,
            selectors: selectors.collect::<Result<_, _>>()?,
            names: asked.namespaces.iter().cloned().collect(),
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

/// Name of each child.
pub(crate) fn name<K: ClusterKind>(object: &K) -> String {
    let name = object.asked().name.filter(|name| !name.is_empty()).map(ToOwned::to_owned);
    name.unwrap_or_else(|| object.name_any())
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
pub(crate) fn refresh<K: ClusterKind>(object: &K) -> SignedDuration {
    let own = object.asked().refresh_time.and_then(duration::parse);
    own.filter(SignedDuration::is_positive).unwrap_or(DEFAULT_REFRESH)
}

/// The object of the kind that controls another one, if one does.
pub(crate) fn owner<K: ClusterKind>(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = meta.owner_references.iter().flatten();
    owners.into_iter().find(|owner| {
        owner.controller == Some(true)
            && owner.kind == K::NAMES.kind
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

/// What to do about the child in one namespace. `managed` are the keys of labels and annotations that were ever put
/// there.
pub(crate) fn step<K: ClusterKind>(
    object: &K,
    wanted: &Wanted,
    managed: &ManagedKeys,
    existing: Option<&K::Child>,
) -> Step {
    let Some(existing) = existing else { return Step::Create(creation(object, wanted)) };
    let meta = existing.meta();
    let owner = owner::<K>(meta);
    if owner.map(|owner| owner.uid.as_str()) != object.meta().uid.as_deref() {
        let controllers = meta.owner_references.iter().flatten();
        let mut controllers = controllers.filter(|owner| owner.controller == Some(true));
        let name = |owner: &OwnerReference| format!("{} {:?}", owner.kind, owner.name);
        return Step::Taken(controllers.next().map(name));
    }
    if meta.deletion_timestamp.is_some() {
        return Step::Leaving;
    }
    let labels = merged(existing.labels(), &wanted.labels, &managed.labels);
    let annotations = merged(existing.annotations(), &wanted.annotations, &managed.annotations);
    let mut patch = Vec::new();
    if K::spec_of(existing) != object.child_spec() {
        patch.push(json!({"op": "add", "path": "/spec", "value": object.child_spec()}));
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
    let version = &meta.resource_version;
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

fn creation<K: ClusterKind>(object: &K, wanted: &Wanted) -> Value {
    let names = K::NAMES;
    let owner = OwnerReference {
        api_version: names.api_version.to_owned(),
        kind: names.kind.to_owned(),
        name: object.name_any(),
        uid: object.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    json!({
        "apiVersion": names.api_version,
        "kind": names.child,
        "metadata": {
            "name": wanted.name,
            "labels": wanted.labels,
            "annotations": wanted.annotations,
            "ownerReferences": [owner],
        },
        "spec": object.child_spec(),
    })
}

#[cfg(test)]
mod tests;
