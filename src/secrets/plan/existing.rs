//! What is known of a Secret that exists, and the marks that tell whose it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference},
};
use serde_json::Value;

use super::hash;
use crate::meta::{ResourceVersion, Uid};
use crate::provider::SecretBytes;

/// Label of every Secret that an `ExternalSecret` writes.
pub(crate) const MANAGED: &str = "reconcile.external-secrets.io/managed";
/// Label with the hash of the owner's name, under `creationPolicy: Owner`.
pub(crate) const CREATED_BY: &str = "reconcile.external-secrets.io/created-by";
/// Annotation with the hash of the data.
pub(crate) const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";

/// A Secret, as far as decisions about it need it.
#[derive(Clone, Default)]
pub(crate) struct Existing {
    /// Its name.
    pub(crate) name: String,
    /// Its uid, for preconditions.
    pub(crate) uid: Uid,
    /// Its resourceVersion, for preconditions.
    pub(crate) resource_version: ResourceVersion,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its annotations.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Its type.
    pub(crate) type_: Option<String>,
    /// Its data.
    pub(crate) data: BTreeMap<String, SecretBytes>,
    /// Whether it can no longer be changed.
    pub(crate) immutable: bool,
    /// Its owners.
    pub(crate) owners: Vec<OwnerReference>,
    /// Its finalizers.
    pub(crate) finalizers: Vec<String>,
    /// What of it our field manager wrote.
    pub(crate) ours: Written,
    /// All of its data was written by `ExternalSecret`s, of whatever name.
    pub(crate) all_by_externals: bool,
    /// Another `ExternalSecret` that writes all of it, as far as the controller knows.
    pub(crate) holder: Option<String>,
}

/// Keys that one field manager wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Keys of the data.
    pub(crate) data: BTreeSet<String>,
    /// Keys of the labels.
    pub(crate) labels: BTreeSet<String>,
    /// Keys of the annotations.
    pub(crate) annotations: BTreeSet<String>,
}

impl Existing {
    /// Takes what decisions need out of a Secret. `manager` is the field manager of the `ExternalSecret`.
    pub(crate) fn new(secret: Secret, manager: &str) -> Self {
        let metadata = secret.metadata;
        let data = secret.data.unwrap_or_default();
        let entries = metadata.managed_fields.as_deref().unwrap_or_default();
        let externals = Written::by(|name| name.starts_with(hash::MANAGER), entries);
        Self {
            all_by_externals: data.keys().all(|key| externals.data.contains(key)),
            holder: None,
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default().into(),
            resource_version: metadata.resource_version.unwrap_or_default().into(),
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            type_: secret.type_,
            data: data.into_iter().map(|(key, value)| (key, SecretBytes::new(value.0))).collect(),
            immutable: secret.immutable.unwrap_or_default(),
            owners: metadata.owner_references.unwrap_or_default(),
            finalizers: metadata.finalizers.unwrap_or_default(),
            ours: Written::by(|name| name == manager, entries),
        }
    }

    /// Whether some `ExternalSecret` wrote it.
    pub(crate) fn is_managed(&self) -> bool {
        self.labels.get(MANAGED).is_some_and(|value| value == "true")
    }

    /// Whether the data is what was written last.
    pub(crate) fn is_intact(&self) -> bool {
        self.annotations.get(DATA_HASH).is_some_and(|hash| *hash == hash::data_hash(&self.data))
    }

    /// Whether some `ExternalSecret` wrote its data.
    ///
    /// The label alone does not say so: External Secrets Operator puts it on every Secret that is named as a
    /// target, before it decides whether to write it.
    pub(crate) fn is_written(&self) -> bool {
        self.is_managed() && self.annotations.contains_key(DATA_HASH)
    }

    /// Whether our field manager wrote all of its data, so that replacing it takes nothing from anybody.
    pub(crate) fn is_all_ours(&self) -> bool {
        self.is_written()
            && self.ours.annotations.contains(DATA_HASH)
            && self.data.keys().all(|key| self.ours.data.contains(key))
    }

    /// Whether an `ExternalSecret` made it and none has it any more: it was let go, and nobody else wrote data.
    pub(crate) fn is_released(&self) -> bool {
        self.is_written()
            && self.all_by_externals
            && self.controller().is_none()
            && !self.labels.contains_key(CREATED_BY)
            && self.holder.is_none()
    }

    /// The owner that controls it.
    pub(crate) fn controller(&self) -> Option<&OwnerReference> {
        self.owners.iter().find(|owner| owner.controller.unwrap_or_default())
    }
}

impl fmt::Debug for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Existing")
            .field("name", &self.name)
            .field("uid", &self.uid)
            .field("resource_version", &self.resource_version)
            .field("labels", &self.labels.keys())
            .field("keys", &self.data.keys())
            .finish_non_exhaustive()
    }
}

impl Written {
    /// Reads `metadata.managedFields`.
    pub(crate) fn by(is_meant: impl Fn(&str) -> bool, entries: &[ManagedFieldsEntry]) -> Self {
        let mut written = Self::default();
        for entry in entries.iter().filter(|entry| entry.manager.as_deref().is_some_and(&is_meant))
        {
            let Some(fields) = entry.fields_v1.as_ref().map(|fields| &fields.0) else { continue };
            let metadata = fields.get("f:metadata");
            written.data.extend(keys(fields.get("f:data")));
            written.labels.extend(keys(metadata.and_then(|m| m.get("f:labels"))));
            written.annotations.extend(keys(metadata.and_then(|m| m.get("f:annotations"))));
        }
        written
    }
}

fn keys(fields: Option<&Value>) -> impl Iterator<Item = String> {
    let fields = fields.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, _)| key.strip_prefix("f:").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret() -> Secret {
        serde_json::from_value(json!({
            "metadata": {
                "name": "a", "uid": "u", "resourceVersion": "7",
                "labels": {MANAGED: "true"},
                "annotations": {DATA_HASH: "76c7cc954ea5dc1ec1118fae76765f5ea28d09fc1f7c6ed2c04a7287"},
                "managedFields": [
                    {"manager": "kubectl", "fieldsV1": {"f:data": {".": {}, "f:foreign": {}}}},
                    {"manager": "m", "fieldsV1": {
                        "f:data": {".": {}, "f:value": {}},
                        "f:metadata": {"f:labels": {".": {}, "f:team": {}}, "f:annotations": {"f:note": {}}},
                    }},
                ],
            },
            "data": {"value": "eyJ1c2VybmFtZSI6InUwMDAwMDMiLCJwYXNzd29yZCI6InBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwIiwiaG9zdCI6ImRiLTAwMDAwMy5pbnRlcm5hbC5leGFtcGxlIiwicG9ydCI6IjU0MzIiLCJkYm5hbWUiOiJhcHBsaWNhdGlvbiIsImVuZ2luZSI6InBvc3RncmVzIiwibm90ZSI6ImFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhIn0="},
        }))
        .unwrap()
    }

    #[test]
    fn a_secret_of_another_operator_is_intact() {
        let existing = Existing::new(secret(), "m");
        assert!(existing.is_managed() && existing.is_intact());
        let mut edited = existing.clone();
        edited.data.insert("more".to_owned(), SecretBytes::default());
        assert!(!edited.is_intact());
        assert!(!Existing::default().is_intact());
    }

    #[test]
    fn only_the_keys_of_our_manager_are_ours() {
        let ours = Existing::new(secret(), "m").ours;
        assert_eq!(ours.data, BTreeSet::from(["value".to_owned()]));
        assert_eq!(ours.labels, BTreeSet::from(["team".to_owned()]));
        assert_eq!(ours.annotations, BTreeSet::from(["note".to_owned()]));
        assert_eq!(Existing::new(secret(), "other").ours, Written::default());
    }

    #[test]
    fn debug_shows_keys_and_no_values() {
        let shown = format!("{:?}", Existing::new(secret(), "m"));
        assert!(shown.contains("value") && !shown.contains("u000003"), "{shown}");
    }
}
