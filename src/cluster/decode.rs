//! Objects of a list or a watch, decoded one by one: an object that this version cannot decode costs that object
//! only.
//!
//! The API server takes what a decoder does not: integers beyond 32 bits, dates in other forms, nesting beyond what
//! `serde_json` follows. An owner of an object can write all of that into it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::ObjectKey;
use crate::meta::{ResourceVersion, Uid};

/// Longest problem that is reported, in bytes.
const MAX_PROBLEM: usize = 300;
/// Fields of a spec that are tried to find the wrong one.
const MAX_FIELDS: usize = 64;
/// Largest object in which the wrong field is searched, in bytes: each field that is tried decodes the object anew, and
/// its owner may change it many times a second.
const MAX_SEARCHED: usize = 64 << 10;

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// What the API server vouches for in every object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Uid,
    pub(crate) resource_version: ResourceVersion,
}

impl Identity {
    /// Reads nothing but the identity, so it fails for no object that the API server sends.
    pub(crate) fn of(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            name: String,
            #[serde(default)]
            namespace: String,
            #[serde(default)]
            uid: Uid,
            #[serde(default)]
            resource_version: ResourceVersion,
        }
        let Metadata { name, namespace, uid, resource_version } =
            serde_json::from_str::<Object>(text).ok()?.metadata;
        Some(Self { key: ObjectKey::new(&namespace, &name), uid, resource_version })
    }
}

/// An object, and why its status was left out if it was.
#[derive(Debug)]
pub(crate) struct Decoded<K> {
    pub(crate) object: K,
    pub(crate) status_problem: Option<String>,
}

/// Decodes an object. What it can do without is left out if it keeps the rest from being decoded: the inside of
/// deep lists of managed fields, then the status, which is a record and no order.
pub(crate) fn decode<K: DeserializeOwned>(text: &str) -> Result<Decoded<K>, String> {
    let problem = match serde_json::from_str(text) {
        Ok(object) => return Ok(Decoded { object, status_problem: None }),
        Err(error) => problem(&error),
    };
    let Some(mut parts) = Parts::of(text) else { return Err(problem) };
    let problem = match parts.decode() {
        Ok(object) => return Ok(Decoded { object, status_problem: None }),
        Err(problem) => problem,
    };
    if parts.fields.remove("status").is_some()
        && let Ok(object) = parts.decode()
    {
        return Ok(Decoded { object, status_problem: Some(problem) });
    }
    Err(match parts.wrong_field::<K>() {
        Some(field) => format!("spec.{field}: {problem}"),
        None => problem,
    })
}

/// An object in pieces that were not looked into.
struct Parts<'a> {
    fields: Fields<'a>,
    /// Takes the place of the one in `fields`.
    metadata: Option<Box<RawValue>>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut fields: Fields<'a> = serde_json::from_str(text).ok()?;
        let metadata = fields.get("metadata").and_then(|raw| with_shallow_managed_fields(raw));
        if metadata.is_some() {
            fields.remove("metadata");
        }
        Some(Self { fields, metadata })
    }

    fn decode<K: DeserializeOwned>(&self) -> Result<K, String> {
        let mut fields = self.fields.clone();
        if let Some(metadata) = &self.metadata {
            fields.insert("metadata".to_owned(), metadata);
        }
        decode_fields(&fields)
    }

    /// The first field of the spec without which the problem is another one.
    fn wrong_field<K: DeserializeOwned>(&self) -> Option<String> {
        let metadata = self.metadata.as_deref().map_or(0, |raw| raw.get().len());
        let size = metadata + self.fields.values().map(|raw| raw.get().len()).sum::<usize>();
        if size > MAX_SEARCHED {
            return None;
        }
        let problem = self.decode::<K>().err()?;
        let spec: Fields<'_> = serde_json::from_str(self.fields.get("spec")?.get()).ok()?;
        spec.keys().take(MAX_FIELDS).find_map(|field| {
            let mut without = spec.clone();
            without.remove(field);
            let raw = to_raw_value(&without).ok()?;
            let mut parts = Self { fields: self.fields.clone(), metadata: self.metadata.clone() };
            parts.fields.insert("spec".to_owned(), &raw);
            (parts.decode::<K>().err().as_ref() != Some(&problem)).then(|| field.clone())
        })
    }
}

fn decode_fields<K: DeserializeOwned>(fields: &Fields<'_>) -> Result<K, String> {
    let text = serde_json::to_string(fields).map_err(|error| problem(&error))?;
    serde_json::from_str(&text).map_err(|error| problem(&error))
}

/// The metadata with the first level only of those lists of managed fields that are nested too deeply.
fn with_shallow_managed_fields(metadata: &RawValue) -> Option<Box<RawValue>> {
    let mut fields: Fields<'_> = serde_json::from_str(metadata.get()).ok()?;
    let entries: Vec<Fields<'_>> = serde_json::from_str(fields.get("managedFields")?.get()).ok()?;
    let shallow: Vec<Option<Box<RawValue>>> = entries
        .iter()
        .map(|entry| entry.get("fieldsV1").and_then(|raw| first_level(raw)))
        .collect();
    let entries = entries.into_iter().zip(&shallow).map(|(mut entry, shallow)| {
        if let Some(shallow) = shallow {
            entry.insert("fieldsV1".to_owned(), shallow);
        }
        entry
    });
    let entries = to_raw_value(&entries.collect::<Vec<_>>()).ok()?;
    fields.insert("managedFields".to_owned(), &entries);
    to_raw_value(&fields).ok()
}

/// `None` if all of it can be decoded.
fn first_level(managed: &RawValue) -> Option<Box<RawValue>> {
    if serde_json::from_str::<FieldsV1>(managed.get()).is_ok() {
        return None;
    }
    let fields: Fields<'_> = serde_json::from_str(managed.get()).ok()?;
    let empty: BTreeMap<_, _> = fields.into_keys().map(|field| (field, json!({}))).collect();
    to_raw_value(&empty).ok()
}

/// What is wrong, without the text that was found: it may be anything.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let quoted = text.find('"').zip(text.rfind('"')).filter(|(start, end)| start < end);
    let text = match quoted {
        Some((start, end)) => format!("{}\"...\"{}", &text[..start], &text[end + 1..]),
        None => text.to_owned(),
    };
    text[..text.floor_char_boundary(MAX_PROBLEM)].to_owned()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
    use kube::core::PartialObjectMeta;

    use super::*;
    use crate::api::external_secrets::{
        external_secret::ExternalSecret,
        secret_store::{ClusterSecretStore, SecretStore},
    };

    fn nested(levels: usize) -> String {
        format!("{}{}", "{\"f:a\":".repeat(levels), "{}".to_owned() + &"}".repeat(levels))
    }

    #[test]
    fn deep_managed_fields_cost_nothing_but_their_depth() {
        let text = format!(
            r#"{{"metadata":{{"name":"s","namespace":"t","managedFields":[
                {{"manager":"deep","fieldsV1":{{"f:data":{}}}}},
                {{"manager":"external-secrets","fieldsV1":{{"f:data":{{"f:k":{{}}}}}}}}]}}}}"#,
            nested(140)
        );
        let whole = decode::<Secret>(&text).unwrap();
        let partial = decode::<PartialObjectMeta<Secret>>(&text).unwrap();
        for metadata in [whole.object.metadata, partial.object.metadata] {
            let fields: Vec<_> = metadata
                .managed_fields
                .unwrap()
                .into_iter()
                .map(|entry| entry.fields_v1.unwrap().0)
                .collect();
            assert_eq!(fields, [json!({"f:data": {}}), json!({"f:data": {"f:k": {}}})]);
        }
    }

    #[test]
    fn an_integer_out_of_range_names_its_field() {
        let text = r#"{"metadata":{"name":"p","namespace":"t","uid":"u","resourceVersion":"7"},
            "spec":{"refreshInterval":2147483648,"provider":{"fake":{"data":[]}}}}"#;
        for error in [
            decode::<SecretStore>(text).unwrap_err(),
            decode::<ClusterSecretStore>(text).unwrap_err(),
        ] {
            assert!(error.starts_with("spec.refreshInterval: invalid value: integer"), "{error}");
        }
        let identity = Identity::of(text).unwrap();
        assert_eq!(identity.key, ObjectKey::new("t", "p"));
        assert_eq!((&*identity.uid, &*identity.resource_version), ("u", "7"));
    }

    #[test]
    fn in_a_large_object_the_wrong_field_is_not_searched() {
        for (length, named) in [(1_000, true), (MAX_SEARCHED, false)] {
            let text = json!({"metadata": {"name": "p", "annotations": {"a": "x".repeat(length)}},
                "spec": {"refreshInterval": 2_147_483_648_u64, "provider": {"fake": {"data": []}}}});
            let error = decode::<SecretStore>(&text.to_string()).unwrap_err();
            assert_eq!(error.starts_with("spec.refreshInterval: "), named, "{error}");
            assert!(error.contains("invalid value: integer"), "{error}");
        }
    }

    #[test]
    fn a_provider_that_is_nested_too_deeply_names_its_field() {
        let text = format!(
            r#"{{"metadata":{{"name":"p"}},"spec":{{"provider":{{"gcpsm":{}}}}}}}"#,
            nested(130)
        );
        let error = decode::<SecretStore>(&text).unwrap_err();
        assert_eq!(error, "spec.provider: recursion limit exceeded");
        assert_eq!(Identity::of(&text).unwrap().key, ObjectKey::new("", "p"));
    }

    #[test]
    fn a_status_that_cannot_be_decoded_is_left_out() {
        for status in [
            json!({"refreshTime": "2026-01-01T00:00:00x5Z"}),
            json!({"conditions": [{"type": "Ready", "status": "True",
                "lastTransitionTime": "2026-01-01T00:00:00x5Z"}]}),
        ] {
            let object = json!({"metadata": {"name": "e"}, "status": status,
                "spec": {"secretStoreRef": {"name": "s"}}});
            let decoded = decode::<ExternalSecret>(&object.to_string()).unwrap();
            assert!(decoded.object.status.is_none() && decoded.status_problem.is_some());
        }
        let quota = decode::<ResourceQuota>(r#"{"metadata":{},"status":{"hard":5}}"#).unwrap();
        assert!(quota.status_problem.is_some());
    }

    #[test]
    fn what_was_found_is_not_quoted() {
        let text = r#"{"metadata":{"name":"p"},"spec":{"provider":{"fake":{"data":"hunter2"}}}}"#;
        let error = decode::<SecretStore>(text).unwrap_err();
        assert!(error.starts_with("spec.provider: ") && !error.contains("hunter2"), "{error}");
    }
}
