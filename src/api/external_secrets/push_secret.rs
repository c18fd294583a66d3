//! `PushSecret`: a Secret of the cluster that is written to secret managers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::external_secret::GeneratorRef;
use super::references::Condition;
use super::references::StoreKind;
use super::references::duration_rule;
use super::references::null_is_absent;
use super::references::object_name;
use super::rewrite::{RewriteRegexp, RewriteTransform};
use super::template::Template;
use crate::api::crd_enum::crd_enum;

/// What a PushSecret asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "external-secrets.io",
    version = "v1alpha1",
    kind = "PushSecret",
    plural = "pushsecrets",
    namespaced,
    status = "PushSecretStatus",
    derive = "PartialEq",
    doc = "Writes a Secret of its namespace to secret managers, and keeps it there as specified.",
    category = "external-secrets",
    shortname = "ps",
    label("external-secrets.io/component", "controller"),
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Last Sync","type":"date","jsonPath":".status.refreshTime"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PushSecretSpec {
    /// Where to push to: every store gets every entry of data.
    #[schemars(length(max = 100))]
    pub secret_store_refs: Vec<PushSecretStoreRef>,
    /// What is pushed: exactly one field is set.
    pub selector: PushSecretSelector,
    /// What goes where.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(length(max = 1000))]
    pub data: Vec<PushSecretData>,
    /// Many keys at once. Entries of data win over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(length(max = 100))]
    pub data_to: Vec<PushSecretDataTo>,
    /// Makes what is pushed from the Secret's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Replace keeps the remote secret as specified; IfNotExists creates it once.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub update_policy: PushUpdatePolicy,
    /// Delete removes from the store what is not pushed any more; None leaves it there.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub deletion_policy: PushDeletionPolicy,
    /// How often the remote secret is compared again: 30s, 15m, 1h0m0s, and not below 5s. A changed Secret is pushed at
    /// once. 0 compares on a change only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "refresh_interval")]
    pub refresh_interval: Option<String>,
}

crd_enum! {
    /// What happens to a remote secret that exists.
    PushUpdatePolicy | String { Replace = "Replace", IfNotExists = "IfNotExists" }
}

crd_enum! {
    /// What happens to a remote secret that is not pushed any more.
    PushDeletionPolicy | String { None = "None", Delete = "Delete" }
}

crd_enum! {
    /// How keys of the Secret are read.
    PushConversionStrategy | String { None = "None", ReverseUnicode = "ReverseUnicode" }
}

/// A store to push to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSecretStoreRef {
    /// Name of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub name: Option<String>,
    /// Stores by label, instead of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// SecretStore (the default) or ClusterSecretStore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StoreKind>,
}

/// What is pushed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct PushSecretSelector {
    /// A Secret of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<PushSecretSource>,
    /// A generator of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_ref: Option<GeneratorRef>,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PushSecretSource {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub name: Option<String>,
    /// Secrets by label, instead of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// One thing that is pushed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSecretData {
    /// What goes where.
    #[serde(rename = "match")]
    pub matches: PushSecretMatch,
    /// Settings of the remote secret: a PushSecretMetadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub metadata: Option<Value>,
    /// How keys of the Secret are read.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub conversion_strategy: PushConversionStrategy,
}

/// What goes where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSecretMatch {
    /// Key of the Secret. Without it, all keys as one JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<String>,
    /// Where to.
    pub remote_ref: PushSecretRemoteRef,
}

/// Where to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSecretRemoteRef {
    /// Name of the remote secret.
    #[schemars(length(min = 1, max = 2048))]
    pub remote_key: String,
    /// Field of the remote secret, which is a JSON object then; other fields stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub property: Option<String>,
}

/// Many keys at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.storeRef) && (has(self.storeRef.name) || has(self.storeRef.labelSelector))",
        "message": "storeRef must specify either name or labelSelector",
    },
    {
        "rule": "!has(self.remoteKey) || !has(self.rewrite) || size(self.rewrite) == 0",
        "message": "remoteKey and rewrite are mutually exclusive: rewrite is only supported in per-key mode (without remoteKey)",
    },
]))]
pub struct PushSecretDataTo {
    /// Where to: one of secretStoreRefs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_ref: Option<PushSecretStoreRef>,
    /// Which keys. Without it, all.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<PushSecretDataToMatch>,
    /// Name of one remote secret that gets all of them as a JSON object. Without it, each key is a remote secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub remote_key: Option<String>,
    /// Changes of keys, in this order, which make the names of remote secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(length(max = 20))]
    pub rewrite: Vec<PushSecretRewrite>,
    /// Settings of the remote secrets: a PushSecretMetadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub metadata: Option<Value>,
    /// How keys of the Secret are read.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub conversion_strategy: PushConversionStrategy,
}

/// Which keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushSecretDataToMatch {
    /// A regular expression (RE2), not anchored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub regexp: Option<String>,
}

/// One change of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.regexp) && !has(self.transform)) || (!has(self.regexp) && has(self.transform))",
    "message": "exactly one of regexp or transform must be set",
}]))]
pub struct PushSecretRewrite {
    /// Replaces every match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regexp: Option<RewriteRegexp>,
    /// Makes the new key with a template; `.value` is the old key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<RewriteTransform>,
}

/// What was pushed to one store, by remote key, or by remote key and property with a slash in between.
pub type SyncedEntries = BTreeMap<String, PushSecretData>;

/// What the controller knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSecretStatus {
    /// When the remote secrets were last compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "refresh_time")]
    pub refresh_time: Option<Time>,
    /// Version of the object that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_resource_version: Option<String>,
    /// What was pushed, by store (its kind, a slash and its name) and remote key.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub synced_push_secrets: BTreeMap<String, SyncedEntries>,
    /// Ready, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What Gabion adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gabion: Option<PushedFrom>,
}

/// What was pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushedFrom {
    /// Mark of the versions of the Secret, and of what the template was read from.
    #[serde(default)]
    pub source: String,
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

fn refresh_interval(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "default": "1h0m0s",
        "maxLength": 64,
        "x-kubernetes-validations": [duration_rule("refreshInterval")],
    })
}

fn refresh_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}
