//! The `CustomResourceDefinitions` of the group, in the form that is applied to a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use super::baseline_exception::BaselineException;
use super::baseline_exception_approval::BaselineExceptionApproval;
use super::hardening_baseline::HardeningBaseline;
use super::namespace_hardening::NamespaceHardening;
use super::secret_rotation::SecretRotation;
use crate::api::gabion::schema::rules;

/// The definitions of all kinds of `gabion.dev`.
pub fn crds() -> Vec<CustomResourceDefinition> {
    const NAME: (&str, &str) = (
        "size(self.metadata.name) <= 63",
        "metadata.name must have at most 63 characters; choose a shorter name",
    );
    vec![
        finished(BaselineException::crd(), NAME.0, NAME.1),
        finished(BaselineExceptionApproval::crd(), NAME.0, NAME.1),
        finished(
            HardeningBaseline::crd(),
            "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name must be a DNS label of at most 40 characters, because it becomes part of generated names; choose a shorter name without dots",
        ),
        whole(finished(
            NamespaceHardening::crd(),
            "self.metadata.name == 'effective'",
            "metadata.name must be effective: the operator writes one object per namespace",
        )),
        finished(
            SecretRotation::crd(),
            "!has(oldSelf.spec) || (self.spec.storeRef == oldSelf.spec.storeRef && self.spec.remoteRef == oldSelf.spec.remoteRef)",
            "spec.storeRef and spec.remoteRef cannot be changed; create another SecretRotation",
        ),
    ]
}

/// Without a `/status` of its own, so that one request creates the report with all that it says.
fn whole(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.subresources = None;
    }
    crd
}

/// Adds the rule on the name, which no derive can express, and drops defaults, which the compiler applies,
/// and `nullable`: without it the API server prunes an explicit null, which then means the same as a field
/// that is absent.
fn finished(crd: CustomResourceDefinition, rule: &str, message: &str) -> CustomResourceDefinition {
    let Ok(mut value) = serde_json::to_value(&crd) else { return crd };
    let versions = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(schema) =
            version.pointer_mut("/schema/openAPIV3Schema").and_then(Value::as_object_mut)
        {
            schema.insert("x-kubernetes-validations".into(), rules(&[(rule, message)]));
            schema.values_mut().for_each(without_null);
        }
    }
    serde_json::from_value(value).unwrap_or(crd)
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            fields.remove("default");
            drop_null_words(fields);
            known_formats_only(fields);
            fields.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn drop_null_words(fields: &mut Map<String, Value>) {
    if let Some(words) = fields.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
}

fn known_formats_only(fields: &mut Map<String, Value>) {
    let unknown = fields.get("format").is_some_and(|format| {
        format.is_string() && ![json!("int32"), json!("int64"), json!("date-time")].contains(format)
    });
    if unknown {
        fields.remove("format");
    }
}
