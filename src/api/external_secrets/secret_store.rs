//! `SecretStore` and `ClusterSecretStore`: where secrets are read from, and as whom.
//!
//! The two kinds have one schema. Providers that Gabion does not have keep their fields, so that stores of
//! another operator survive, and are reported by name.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::aws::AwsProvider;
use super::kubernetes::KubernetesProvider;
use super::references::Condition;
use super::references::namespace_names;
use super::references::null_is_absent;
use crate::api::crd_enum::crd_enum;

/// Declares one of the two kinds: they differ in name and scope only.
macro_rules! store_kind {
    ($spec:ident, $kind:literal, $plural:literal, $short:literal, $doc:literal $(, $scope:ident)?) => {
        #[doc = concat!("Spec of a ", $kind, ".")]
        #[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[kube(
            group = "external-secrets.io",
            version = "v1",
            kind = $kind,
            plural = $plural,
            $($scope,)?
            status = "SecretStoreStatus",
            derive = "PartialEq",
            doc = $doc,
            category = "external-secrets",
            shortname = $short,
            label("external-secrets.io/component", "controller"),
            printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
            printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
            printcolumn = r#"{"name":"Capabilities","type":"string","jsonPath":".status.capabilities"}"#,
            printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#
        )]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $spec(pub StoreSpec);
    };
}

store_kind!(
    SecretStoreSpec,
    "SecretStore",
    "secretstores",
    "ss",
    "Says where the ExternalSecrets of its namespace read secrets, and as whom.",
    namespaced
);
store_kind!(
    ClusterSecretStoreSpec,
    "ClusterSecretStore",
    "clustersecretstores",
    "css",
    "Says where ExternalSecrets of all or some namespaces read secrets, and as whom."
);

/// What both kinds of store say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreSpec {
    /// Which controller class this store is for. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// The provider: exactly one.
    pub provider: Provider,
    /// How often the store is validated: seconds, or a duration such as 5m. 0 or absent: the flag's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "int_or_duration")]
    pub refresh_interval: Option<IntOrString>,
    /// How the provider's client retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_settings: Option<RetrySettings>,
    /// Which namespaces may use a ClusterSecretStore: those that meet any of these. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub conditions: Vec<StoreCondition>,
}

/// The provider: exactly one key is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend(
    "minProperties" = 1,
    "maxProperties" = 1,
    "x-kubernetes-preserve-unknown-fields" = true
))]
pub struct Provider {
    /// AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsProvider>,
    /// Fixed data, for tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fake: Option<FakeProvider>,
    /// Secrets of another namespace or another cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesProvider>,
    /// Providers that Gabion does not have, by name, as they were written.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Opaque>,
}

impl Provider {
    /// Name of the provider, of those we have and of those we do not.
    pub fn name(&self) -> &str {
        if self.aws.is_some() {
            "aws"
        } else if self.fake.is_some() {
            "fake"
        } else if self.kubernetes.is_some() {
            "kubernetes"
        } else {
            self.other.keys().next().map_or("", String::as_str)
        }
    }
}

/// Settings of a provider that we do not have. They may hold credentials, so they are not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Opaque(pub Value);

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<not read>")
    }
}

/// Fixed data, for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FakeProvider {
    /// The secrets.
    pub data: Vec<FakeEntry>,
    /// What validation of the store says: 0 ready, 1 unknown, 2 error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int32"))]
    pub validation_result: Option<i32>,
}

/// One secret of the fake provider.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FakeEntry {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl fmt::Debug for FakeEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEntry")
            .field("key", &self.key)
            .field("value", &format_args!("<{} bytes>", self.value.len()))
            .field("version", &self.version)
            .finish()
    }
}

/// How the provider's client retries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrySettings {
    /// How many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// How long between two tries, for example 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<String>,
}

/// Namespaces that may use a ClusterSecretStore: those that meet any of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreCondition {
    /// By label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// By name.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(schema_with = "namespace_names")]
    pub namespaces: Vec<String>,
    /// By regular expression (RE2), not anchored: write ^prod$ to mean prod alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub namespace_regexes: Vec<String>,
}

crd_enum! {
    /// What a store can do.
    Capabilities | String { ReadWrite = "ReadWrite", ReadOnly = "ReadOnly", WriteOnly = "WriteOnly" }
}

/// What the controller knows about a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStoreStatus {
    /// Ready, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// ReadOnly, WriteOnly or ReadWrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub capabilities: Option<Capabilities>,
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

fn int_or_duration(_: &mut SchemaGenerator) -> Schema {
    // What a reader in 32 bits takes; the bounds are about the integer form only.
    json_schema!({"minimum": i32::MIN, "maximum": i32::MAX, "x-kubernetes-int-or-string": true})
}
