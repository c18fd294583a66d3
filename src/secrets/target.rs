//! Reading and writing the target Secret.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde_json::{Map, Value, json};

use super::plan::{desired::Desired, existing::Existing};
use crate::cluster::{
    ObjectKey,
    write::{ApiError, Part, PatchKind, Writer},
};
use crate::meta::ResourceVersion;
use crate::provider::SecretBytes;

/// Reads the Secret whole. The only read of values in the secrets subsystem beside credentials.
pub(crate) async fn read(
    writer: &Writer,
    key: &ObjectKey,
    manager: &str,
) -> Result<Option<Existing>, ApiError> {
    let secret: Option<Secret> = writer.read::<Secret, _>(key).await?;
    Ok(secret.map(|secret| Existing::new(secret, manager)))
}

/// Creates the Secret. Fails if there is one of that name.
pub(crate) async fn create(
    writer: &Writer,
    key: &ObjectKey,
    desired: &Desired,
    manager: &str,
) -> Result<ObjectMeta, ApiError> {
    let mut body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": desired.name,
            "namespace": desired.namespace,
            "labels": desired.labels,
            "annotations": desired.annotations,
            "ownerReferences": desired.owners,
            "finalizers": desired.finalizers,
        },
        "type": desired.type_,
        "data": encoded(&desired.data),
    });
    if desired.immutable {
        body["immutable"] = Value::Bool(true);
    }
    writer.create::<Secret>(key, &body, manager).await
}

/// Brings the Secret that was read to its desired state, unless it changed since.
pub(crate) async fn update(
    writer: &Writer,
    key: &ObjectKey,
    existing: &Existing,
    desired: &Desired,
    manager: &str,
) -> Result<ObjectMeta, ApiError> {
    let body = differences(existing, desired);
    writer.patch::<Secret>(key, Part::Object, PatchKind::Merge, &body, manager).await
}

/// Replaces the data of a Secret that is known to be ours and otherwise as it should be, without reading it.
pub(crate) async fn replace_data(
    writer: &Writer,
    key: &ObjectKey,
    resource_version: &ResourceVersion,
    data: &BTreeMap<String, SecretBytes>,
    marks: &[(&str, String)],
    manager: &str,
) -> Result<ObjectMeta, ApiError> {
    let mut body = vec![
        // Sets the version the write is based on: a conflict if it is not the present one.
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}),
        json!({"op": "add", "path": "/data", "value": encoded(data)}),
    ];
    body.extend(marks.iter().map(|(annotation, value)| {
        let path = format!("/metadata/annotations/{}", annotation.replace('/', "~1"));
        json!({"op": "add", "path": path, "value": value})
    }));
    writer.patch::<Secret>(key, Part::Object, PatchKind::Json, &body, manager).await
}

fn encoded(data: &BTreeMap<String, SecretBytes>) -> Map<String, Value> {
    data.iter().map(|(key, value)| (key.clone(), STANDARD.encode(value.expose()).into())).collect()
}

/// What a merge patch has to say to get from one to the other.
fn differences(existing: &Existing, desired: &Desired) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), json!(existing.resource_version));
    let labels = changed(&existing.labels, &desired.labels, |text| text.as_str().into());
    let annotations =
        changed(&existing.annotations, &desired.annotations, |text| text.as_str().into());
    for (field, change) in [("labels", labels), ("annotations", annotations)] {
        if !change.is_empty() {
            metadata.insert(field.to_owned(), Value::Object(change));
        }
    }
    if existing.owners != desired.owners {
        metadata.insert("ownerReferences".to_owned(), json!(desired.owners));
    }
    if existing.finalizers != desired.finalizers {
        metadata.insert("finalizers".to_owned(), json!(desired.finalizers));
    }
    let mut body = Map::from_iter([("metadata".to_owned(), Value::Object(metadata))]);
    let data = changed(&existing.data, &desired.data, |v| STANDARD.encode(v.expose()).into());
    if !data.is_empty() {
        body.insert("data".to_owned(), Value::Object(data));
    }
    if existing.immutable != desired.immutable {
        body.insert("immutable".to_owned(), desired.immutable.into());
    }
    Value::Object(body)
}

fn changed<T: PartialEq>(
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    write: impl Fn(&T) -> Value,
) -> Map<String, Value> {
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
    let set = set.map(|(key, value)| (key.clone(), write(value)));
    let removed = old.keys().filter(|key| !new.contains_key(*key));
    set.chain(removed.map(|key| (key.clone(), Value::Null))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_changed_and_nothing_else() {
        let value = |text: &str| SecretBytes::from(text.to_owned());
        let existing = Existing {
            resource_version: "7".into(),
            labels: BTreeMap::from([("keep".into(), "1".into()), ("drop".into(), "1".into())]),
            data: BTreeMap::from([("same".into(), value("s")), ("old".into(), value("o"))]),
            ..Existing::default()
        };
        let desired = Desired {
            name: "db".into(),
            namespace: "t".into(),
            labels: BTreeMap::from([("keep".into(), "1".into())]),
            annotations: BTreeMap::new(),
            type_: "Opaque".into(),
            data: BTreeMap::from([("same".into(), value("s")), ("new".into(), value("n"))]),
            immutable: false,
            owners: Vec::new(),
            finalizers: Vec::new(),
        };
        assert_eq!(
            differences(&existing, &desired),
            json!({
                "metadata": {"resourceVersion": "7", "labels": {"drop": null}},
                "data": {"new": "bg==", "old": null},
            })
        );
    }
}
