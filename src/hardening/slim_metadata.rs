//! Metadata as this subsystem reads it: the annotations that it writes itself, and who owns them.
//!
//! Users may put hundreds of kilobytes into annotations of any name. Nothing of that is kept, and of our own
//! annotations no more than we would have written.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, json};

use super::plan::{
    copy::{ATTACHED, LONGEST_ATTACHED},
    labels::{PREFIX, RECORD},
    objects::{ADOPT, LONGEST_SPEC, PREVIOUS_SPEC},
    service_accounts::PREVIOUS_AUTOMOUNT,
};
use crate::marks::OWNER;

/// The annotations that are read, each with the longest text that we would write.
const READ: [(&str, usize); 6] = [
    (OWNER, 4 * 1024),
    (ADOPT, 16),
    (RECORD, 2 * 1024),
    (PREVIOUS_AUTOMOUNT, 16),
    (PREVIOUS_SPEC, LONGEST_SPEC),
    (ATTACHED, LONGEST_ATTACHED),
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Slim {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Annotations,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    managed_fields: Option<Vec<Written>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    manager: Option<String>,
    operation: Option<String>,
    time: Option<Time>,
    #[serde(default)]
    fields_v1: Option<Fields>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:metadata")]
    metadata: MetadataFields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MetadataFields {
    #[serde(rename = "f:annotations")]
    annotations: Names,
    #[serde(rename = "f:labels")]
    labels: Names,
}

/// Reads metadata: for `#[serde(deserialize_with)]`.
pub(super) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let slim = Slim::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: slim.name,
        namespace: slim.namespace,
        uid: slim.uid,
        resource_version: slim.resource_version,
        generation: slim.generation,
        deletion_timestamp: slim.deletion_timestamp,
        labels: slim.labels,
        annotations: (!slim.annotations.0.is_empty()).then_some(slim.annotations.0),
        owner_references: slim.owner_references,
        finalizers: slim.finalizers,
        managed_fields: slim.managed_fields.map(|all| all.into_iter().map(entry).collect()),
        ..ObjectMeta::default()
    })
}

fn entry(written: Written) -> ManagedFieldsEntry {
    let names = |names: Names| -> Value {
        names.0.into_iter().map(|name| (name, json!({}))).collect::<Map<_, _>>().into()
    };
    let fields = written.fields_v1.map(|fields| fields.metadata);
    let fields = fields.filter(|own| !own.annotations.0.is_empty() || !own.labels.0.is_empty());
    ManagedFieldsEntry {
        manager: written.manager,
        operation: written.operation,
        time: written.time,
        fields_v1: fields.map(|own| {
            let (annotations, labels) = (names(own.annotations), names(own.labels));
            FieldsV1(json!({"f:metadata": {"f:annotations": annotations, "f:labels": labels}}))
        }),
        ..ManagedFieldsEntry::default()
    }
}

/// The annotations in [`READ`]. A text that is too long is read as an empty one: it is there, and not ours.
#[derive(Default)]
struct Annotations(BTreeMap<String, String>);

/// Names of labels and annotations that are read, as `managedFields` writes them.
#[derive(Default)]
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Annotations;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("annotations")
            }

            fn visit_unit<E>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }

            fn visit_none<E>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }

            fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Annotations, D::Error> {
                some.deserialize_map(self)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Annotations, M::Error> {
                let mut kept = Annotations::default();
                while let Some(name) = map.next_key::<String>()? {
                    let Some((_, longest)) = READ.iter().find(|(read, _)| *read == name) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let text: String = map.next_value()?;
                    let text = if text.len() > *longest { String::new() } else { text };
                    kept.0.insert(name, text);
                }
                Ok(kept)
            }
        }
        deserializer.deserialize_option(Entries)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Names;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("names of fields")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Names, M::Error> {
                let mut kept = Names::default();
                while let Some(name) = map.next_key::<String>()? {
                    map.next_value::<IgnoredAny>()?;
                    let bare = name.strip_prefix("f:").unwrap_or_default();
                    if bare.starts_with(PREFIX) || READ.iter().any(|(read, _)| *read == bare) {
                        kept.0.push(name);
                    }
                }
                Ok(kept)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardening::plan::owned::{owns_annotation, owns_label};

    #[test]
    fn a2_what_users_write_into_annotations_is_not_kept() {
        let long = "x".repeat(250_000);
        let read = metadata(&json!({
            "name": "f", "annotations": {"a": long, RECORD: long, PREVIOUS_AUTOMOUNT: long, OWNER: "u"},
        }))
        .unwrap();
        let kept = read.annotations.unwrap_or_default();
        assert_eq!(kept.values().map(String::len).sum::<usize>(), 1, "{:?}", kept.keys());
        assert_eq!(kept[RECORD], "", "that it is there is known");
    }

    #[test]
    fn who_wrote_our_annotations_and_labels_is_kept() {
        let read = metadata(&json!({"name": "shop", "annotations": null, "managedFields": [
            {"manager": "gabion", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, "f:gabion.dev/pod-security": {}, "f:x": {}},
                    "f:labels": {"f:pod-security.kubernetes.io/enforce": {}}}, "f:spec": {"f:a": {}}}},
            {"manager": "kubectl", "operation": "Update"},
        ]}))
        .unwrap();
        assert!(owns_annotation(&read, RECORD));
        assert!(owns_label(&read, "pod-security.kubernetes.io/enforce"));
        assert!(!owns_annotation(&read, "x") && !owns_annotation(&read, PREVIOUS_SPEC));
        assert!(!owns_label(&read, "pod-security.kubernetes.io/warn"));
    }
}
