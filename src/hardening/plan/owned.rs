//! What in an object was written by us, by the record of the API server.
//!
//! Labels and annotations can be written by anybody who may write the object. Whoever changes one takes it over
//! in `managedFields`, so a record is believed only while it is ours there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use crate::marks::FIELD_MANAGER;

/// Whether the annotation is there as we wrote it.
pub(crate) fn owns_annotation(meta: &ObjectMeta, key: &str) -> bool {
    owns(meta, "f:annotations", key)
}

/// Whether the label is there as we wrote it.
pub(crate) fn owns_label(meta: &ObjectMeta, key: &str) -> bool {
    owns(meta, "f:labels", key)
}

fn owns(meta: &ObjectMeta, part: &str, key: &str) -> bool {
    let ours = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
    let key = format!("f:{key}");
    meta.managed_fields.iter().flatten().filter(ours).any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0["f:metadata"][part]);
        fields.is_some_and(|fields| fields.get(&key).is_some())
    })
}

/// Notes that we wrote all annotations and labels of an object, as the answer to our own write does not.
pub fn claim(meta: &mut ObjectMeta) {
    let names = |map: Option<&std::collections::BTreeMap<String, String>>| -> Value {
        let names = map.into_iter().flatten().map(|(key, _)| (format!("f:{key}"), json!({})));
        names.collect::<Map<_, _>>().into()
    };
    let fields = json!({"f:metadata": {
        "f:annotations": names(meta.annotations.as_ref()),
        "f:labels": names(meta.labels.as_ref()),
    }});
    meta.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some(FIELD_MANAGER.to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }]);
}
