//! Metadata as it is read from the API server: without the lists of fields in `managedFields`.
//!
//! They are larger than most objects and nobody reads them. Who wrote, and when, is kept.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use serde::{Deserialize, Deserializer};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Slim {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    managed_fields: Option<Vec<Written>>,
}

#[derive(Deserialize)]
struct Written {
    manager: Option<String>,
    operation: Option<String>,
    time: Option<Time>,
    subresource: Option<String>,
}

/// Reads metadata without the lists of fields: for `#[serde(deserialize_with)]`.
pub(crate) fn slim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let slim = Slim::deserialize(deserializer)?;
    let entry = |written: Written| ManagedFieldsEntry {
        manager: written.manager,
        operation: written.operation,
        time: written.time,
        subresource: written.subresource,
        ..ManagedFieldsEntry::default()
    };
    Ok(ObjectMeta {
        name: slim.name,
        namespace: slim.namespace,
        uid: slim.uid,
        resource_version: slim.resource_version,
        generation: slim.generation,
        creation_timestamp: slim.creation_timestamp,
        deletion_timestamp: slim.deletion_timestamp,
        labels: slim.labels,
        annotations: slim.annotations,
        owner_references: slim.owner_references,
        finalizers: slim.finalizers,
        managed_fields: slim.managed_fields.map(|all| all.into_iter().map(entry).collect()),
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_lost_but_the_lists_of_fields() {
        let mut whole = json!({
            "name": "db", "namespace": "t", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["f"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "o"}],
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "subresource": "status",
                "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}}}],
        });
        let read = slim(&whole).unwrap();
        whole["managedFields"][0].as_object_mut().unwrap().remove("fieldsV1");
        assert_eq!(serde_json::to_value(read).unwrap(), whole);
    }
}
