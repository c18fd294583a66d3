//! `ExternalSecret`: which remote secrets become which Secret, and when they are read again.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::references::Condition;
use super::references::DecodingStrategy;
use super::references::StoreRef;
use super::references::data_key;
use super::references::duration_rule;
use super::references::null_is_absent;
use super::references::object_name;
use super::template::Template;
pub use super::{
    rewrite::{
        MergeConflictPolicy, MergePriorityPolicy, MergeStrategy, Rewrite, RewriteMerge,
        RewriteRegexp, RewriteTransform,
    },
    sync_windows::{SyncWindow, SyncWindowKind, SyncWindows},
};
use crate::api::crd_enum::crd_enum;

/// What an ExternalSecret asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "external-secrets.io",
    version = "v1",
    kind = "ExternalSecret",
    plural = "externalsecrets",
    namespaced,
    status = "ExternalSecretStatus",
    derive = "PartialEq",
    doc = "Keeps a Secret in step with secrets of an external provider.",
    category = "external-secrets",
    shortname = "es",
    label("external-secrets.io/component", "controller"),
    selectable = ".spec.secretStoreRef.name",
    selectable = ".spec.secretStoreRef.kind",
    selectable = ".spec.target.name",
    selectable = ".spec.refreshInterval",
    printcolumn = r#"{"name":"StoreType","type":"string","jsonPath":".spec.secretStoreRef.kind"}"#,
    printcolumn = r#"{"name":"Store","type":"string","jsonPath":".spec.secretStoreRef.name"}"#,
    printcolumn = r#"{"name":"Refresh Interval","type":"string","jsonPath":".spec.refreshInterval"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Last Sync","type":"date","jsonPath":".status.refreshTime"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.data) && size(self.data) > 0) || (has(self.dataFrom) && size(self.dataFrom) > 0)",
    "message": "data or dataFrom must have at least one entry: name the remote secrets to read",
}]))]
pub struct ExternalSecretSpec {
    /// The store to read from. An entry may name another one in its sourceRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_store_ref: Option<StoreRef>,
    /// The Secret to write.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub target: Target,
    /// When to read again: Periodic (the default), CreatedOnce or OnChange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_policy: Option<RefreshPolicy>,
    /// How often to read again under Periodic: 30s, 15m, 1h0m0s. 0 reads once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "refresh_interval")]
    pub refresh_interval: Option<String>,
    /// When periodic refreshes are allowed or denied. Edits and repairs are not held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_windows: Option<SyncWindows>,
    /// One entry per key of the Secret. Wins over dataFrom.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub data: Vec<DataEntry>,
    /// Sources of many keys at once, merged in this order; the later wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(length(max = 1000))]
    pub data_from: Vec<DataFromEntry>,
}

crd_enum! {
    /// When an object that is in sync is read again.
    RefreshPolicy | String { Periodic = "Periodic", CreatedOnce = "CreatedOnce", OnChange = "OnChange" }
}

crd_enum! {
    /// Who creates and owns the Secret.
    CreationPolicy | String {
        Owner = "Owner",
        Orphan = "Orphan",
        Merge = "Merge",
        None = "None",
        CreateOrMerge = "CreateOrMerge",
    }
}

crd_enum! {
    /// What happens when the provider has nothing any more.
    DeletionPolicy | String { Retain = "Retain", Delete = "Delete", Merge = "Merge" }
}

crd_enum! {
    /// How characters that a Secret key cannot have are replaced.
    ConversionStrategy | String { Default = "Default", Unicode = "Unicode" }
}

crd_enum! {
    /// Value or metadata of the remote secret.
    MetadataPolicy | String { None = "None", Fetch = "Fetch" }
}

crd_enum! {
    /// What to do with a value that has a zero byte.
    NullBytePolicy | String { Ignore = "Ignore", Fail = "Fail" }
}

/// The Secret to write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.deletionPolicy != 'Delete' || !(self.creationPolicy in ['Merge', 'CreateOrMerge', 'None'])",
        "message": "deletionPolicy Delete needs creationPolicy Owner: a Secret that may hold the keys of others is not deleted; use deletionPolicy Merge or Retain",
    },
    {
        "rule": "self.deletionPolicy != 'Merge' || self.creationPolicy != 'None'",
        "message": "deletionPolicy Merge has nothing to remove keys from under creationPolicy None; use deletionPolicy Retain",
    },
    {
        "rule": "has(self.manifest) || !has(self.template) || !has(self.template.templateFrom) || self.template.templateFrom.all(t, !has(t.target) || t.target.lowerAscii() in ['data', 'annotations', 'labels'])",
        "message": "templateFrom[].target of a Secret must be Data, Annotations or Labels",
    },
]))]
pub struct Target {
    /// Name of the Secret. Without it, the ExternalSecret's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub name: Option<String>,
    /// Owner: create, own and garbage-collect. Orphan: create, never delete. Merge: add keys to a Secret that
    /// exists. CreateOrMerge: Merge, and create it if missing. None: write nothing.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub creation_policy: CreationPolicy,
    /// When the provider has no data any more: Retain the Secret, Delete it, or Merge (remove our keys).
    #[serde(default, deserialize_with = "null_is_absent")]
    pub deletion_policy: DeletionPolicy,
    /// Make the Secret immutable. Its data is then written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Makes the Secret's data and metadata from the data read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Write an object of another kind. Needs a flag of the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
}

/// The kind of object to write in place of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Its apiVersion.
    #[schemars(length(min = 1))]
    pub api_version: String,
    /// Its kind.
    #[schemars(length(min = 1))]
    pub kind: String,
}

/// One key of the Secret and where its value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataEntry {
    /// Key in the Secret.
    #[schemars(schema_with = "data_key")]
    pub secret_key: String,
    /// The remote secret.
    pub remote_ref: RemoteRef,
    /// Another source than spec.secretStoreRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
}

/// A remote secret, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRef {
    /// Name or ARN of the remote secret.
    pub key: String,
    /// A key, or a path such as a.b.0, inside a JSON value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// A version stage, or uuid/ and a version id. Without it, the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Fetch reads the remote secret's tags, not its value. Absent means None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_policy: Option<MetadataPolicy>,
    /// How key characters that a Secret cannot have are replaced. Absent means Default (an underscore).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion_strategy: Option<ConversionStrategy>,
    /// How values are decoded. Absent means None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding_strategy: Option<DecodingStrategy>,
    /// Fail refuses values with a zero byte. Absent means Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_byte_policy: Option<NullBytePolicy>,
}

/// A source of many keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.extract) || has(self.find) || has(self.sourceRef)",
        "message": "a dataFrom entry needs one of extract, find or sourceRef.generatorRef",
    },
    {
        "rule": "!(has(self.extract) && has(self.find)) && !((has(self.extract) || has(self.find)) && has(self.sourceRef) && has(self.sourceRef.generatorRef))",
        "message": "a dataFrom entry takes only one of extract, find and sourceRef.generatorRef; make one entry of each",
    },
]))]
pub struct DataFromEntry {
    /// All keys of one JSON secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<RemoteRef>,
    /// All secrets that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
    /// Changes the keys, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub rewrite: Vec<Rewrite>,
    /// Another source than spec.secretStoreRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
}

/// Selects secrets of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Find {
    /// Only names that begin with this. Of Parameter Store: only what is below this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only names that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<FindName>,
    /// Only secrets that have each of these tags, with exactly this value.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub tags: BTreeMap<String, String>,
    /// How key characters that a Secret cannot have are replaced. Absent means Default (an underscore).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion_strategy: Option<ConversionStrategy>,
    /// How values are decoded. Absent means None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding_strategy: Option<DecodingStrategy>,
    /// Fail refuses values with a zero byte. Absent means Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_byte_policy: Option<NullBytePolicy>,
}

/// A name pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindName {
    /// A regular expression (RE2) on the full name, not anchored: write ^prod/ to mean the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regexp: Option<String>,
}

/// Where an entry reads from. Exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct SourceRef {
    /// A store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_ref: Option<StoreRef>,
    /// A generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_ref: Option<GeneratorRef>,
}

/// A generator of values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeneratorRef {
    /// Its apiVersion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "generator_api_version")]
    pub api_version: Option<String>,
    /// Its kind.
    pub kind: GeneratorKind,
    /// Its name.
    #[schemars(schema_with = "object_name")]
    pub name: String,
}

crd_enum! {
    /// The kinds of generator.
    GeneratorKind | String {
        Password = "Password",
        AcrAccessToken = "ACRAccessToken",
        BeyondtrustDynamicSecret = "BeyondtrustWorkloadCredentialsDynamicSecret",
        ClusterGenerator = "ClusterGenerator",
        CloudsmithAccessToken = "CloudsmithAccessToken",
        EcrAuthorizationToken = "ECRAuthorizationToken",
        Fake = "Fake",
        GcrAccessToken = "GCRAccessToken",
        GithubAccessToken = "GithubAccessToken",
        GitlabDeployToken = "GitlabDeployToken",
        QuayAccessToken = "QuayAccessToken",
        SshKey = "SSHKey",
        StsSessionToken = "STSSessionToken",
        Uuid = "UUID",
        VaultDynamicSecret = "VaultDynamicSecret",
        Webhook = "Webhook",
        Grafana = "Grafana",
        Mfa = "MFA",
    }
}

/// What the controller knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecretStatus {
    /// When the remote secrets were last read with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "refresh_time")]
    pub refresh_time: Option<Time>,
    /// Generation and a hash of labels and annotations, as of the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_resource_version: Option<String>,
    /// Ready, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The Secret that was written, for tools that follow the Service Binding specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What Gabion adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gabion: Option<GabionStatus>,
}

/// A reference to the Secret that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct Binding {
    /// Its name; empty when nothing was written.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub name: String,
}

/// What Gabion adds to the status: lets a restart skip reading what is in sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GabionStatus {
    /// The Secret exactly as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<WrittenTarget>,
    /// A mark of the ConfigMaps and Secrets that the template was read from, as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How far the workloads that use the Secret are with its data. Only where rollouts are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Box<RolloutStatus>>,
}

/// How far the workloads that use a Secret are with its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStatus {
    /// Revision of the Secret for which nothing is left to do.
    #[schemars(schema_with = "revision_number")]
    pub done: u64,
    /// Revision of the Secret up to which the workloads were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "revision_number")]
    pub revision: Option<u64>,
    /// Workloads that are not done yet, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub waiting: Vec<String>,
    /// The wave that failed: it is not tried again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedRollout>,
}

/// A wave of rollouts that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedRollout {
    /// Revision of the Secret.
    #[schemars(schema_with = "revision_number")]
    pub revision: u64,
    /// Kind and name of the workload.
    pub workload: String,
    /// Why.
    pub cause: String,
    /// RolloutFailed or RolloutReverted.
    pub reason: String,
    /// Value of the annotation gabion.dev/rollout-retry when it failed.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub retry: String,
}

/// One state of one Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WrittenTarget {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

/// One that a client of JSON reads exactly.
fn revision_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0})
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

fn generator_api_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "default": "generators.external-secrets.io/v1alpha1"})
}
