//! `ClusterPushSecret`: one PushSecret for each of many namespaces.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::cluster_external_secret::{ExternalSecretMetadata, FailedNamespace, ManagedKeys};
use super::push_secret::PushSecretSpec;
use super::references::Condition;
use super::references::duration_rule;
use super::references::null_is_absent;
use super::references::object_name;

/// What a ClusterPushSecret asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "external-secrets.io",
    version = "v1alpha1",
    kind = "ClusterPushSecret",
    plural = "clusterpushsecrets",
    status = "ClusterPushSecretStatus",
    derive = "PartialEq",
    doc = "Creates a PushSecret in each of many namespaces, and keeps it as specified.",
    category = "external-secrets",
    label("external-secrets.io/component", "controller"),
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPushSecretSpec {
    /// The spec of each PushSecret.
    pub push_secret_spec: PushSecretSpec,
    /// Name of each PushSecret. Without it, the name of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub push_secret_name: Option<String>,
    /// Labels and annotations of each PushSecret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_secret_metadata: Option<ExternalSecretMetadata>,
    /// Which namespaces, by label: those that match any of these. An empty selector matches all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub namespace_selectors: Vec<LabelSelector>,
    /// How often all namespaces are compared again, without an event: 30m, 1h0m0s. Absent means 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "refresh_time")]
    pub refresh_time: Option<String>,
}

/// What the controller knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPushSecretStatus {
    /// Name of each PushSecret, as it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_secret_name: Option<String>,
    /// Namespaces where the PushSecret could not be brought to the spec, in the order of their names. Not more than 100
    /// are listed; the condition says how many there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub failed_namespaces: Vec<FailedNamespace>,
    /// Namespaces where the PushSecret is as specified, in the order of their names. Not more than 5,000 are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub provisioned_namespaces: Vec<String>,
    /// Ready, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What Gabion adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gabion: Option<ManagedKeys>,
}

fn refresh_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 64,
        "x-kubernetes-validations": [duration_rule("refreshTime")],
    })
}
