//! Resources, images, ServiceAccounts, secrets in pods, and logging.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::pod_security::Verdict;
use crate::api::crd_enum::crd_enum;
use crate::api::gabion::schema::container_quantities;
use crate::api::gabion::schema::dns_label;
use crate::api::gabion::schema::env_names;
use crate::api::gabion::schema::object_names;
use crate::api::gabion::schema::quota_quantities;
use crate::api::gabion::schema::registries;
use crate::api::gabion::schema::rules;
use crate::api::gabion::schema::span;
use crate::api::gabion::schema::token_audiences;

crd_enum! {
    /// A resource that every container must state.
    RequiredResource {
        /// limits.cpu
        LimitsCpu = "limits.cpu",
        /// limits.memory
        LimitsMemory = "limits.memory",
        /// limits.ephemeral-storage
        LimitsEphemeralStorage = "limits.ephemeral-storage",
        /// requests.cpu
        RequestsCpu = "requests.cpu",
        /// requests.memory
        RequestsMemory = "requests.memory",
        /// requests.ephemeral-storage
        RequestsEphemeralStorage = "requests.ephemeral-storage",
    }
}

crd_enum! {
    /// Which image tags are accepted.
    Tags {
        /// Any tag.
        Any = "Any",
        /// A tag other than latest, or a digest.
        DenyLatest = "DenyLatest",
        /// A digest.
        RequireDigest = "RequireDigest",
    }
}

crd_enum! {
    /// What happens when an image has no vulnerability report.
    OnMissing {
        /// It is accepted.
        Allow = "Allow",
        /// It is accepted with a warning.
        Warn = "Warn",
        /// It is refused.
        Deny = "Deny",
    }
}

crd_enum! {
    /// Whether ServiceAccounts hand their token to pods.
    Automount {
        /// Left as it is.
        Unmanaged = "Unmanaged",
        /// automountServiceAccountToken is set to false.
        Disabled = "Disabled",
    }
}

crd_enum! {
    /// Which ServiceAccounts get a pull secret.
    Attach {
        /// All of them.
        AllServiceAccounts = "AllServiceAccounts",
        /// The one named default.
        DefaultServiceAccount = "DefaultServiceAccount",
        /// None; the Secret is only copied.
        None = "None",
    }
}

/// Quantities by resource name.
pub type Quantities = BTreeMap<String, String>;

/// Reads quantities, which may be written as numbers, as in a `ResourceQuota`.
fn quantities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quantities, D::Error> {
    let read = BTreeMap::<String, IntOrText>::deserialize(deserializer)?;
    let text = |amount| match amount {
        IntOrText::Int(number) => number.to_string(),
        IntOrText::Text(text) => text,
    };
    Ok(read.into_iter().map(|(name, amount)| (name, text(amount))).collect())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum IntOrText {
    Int(i64),
    Text(String),
}

/// Quota, defaults and required settings of container resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Settings that every container must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub require: Vec<RequiredResource>,
    /// Limits for the namespace as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Values for containers that state none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_defaults: Option<ContainerDefaults>,
    /// Largest limits that one container may have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "quantities")]
    #[schemars(schema_with = "container_quantities")]
    pub container_max: Quantities,
}

/// Limits for the namespace as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Hard limits by resource name, as in a ResourceQuota.
    #[serde(deserialize_with = "quantities")]
    #[schemars(schema_with = "quota_quantities")]
    pub hard: Quantities,
}

/// Values for containers that state none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || !isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k])) || quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
    "a request must not be above the limit of the same resource",
)])))]
pub struct ContainerDefaults {
    /// Requests by resource name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "quantities")]
    #[schemars(schema_with = "container_quantities")]
    pub requests: Quantities,
    /// Limits by resource name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "quantities")]
    #[schemars(schema_with = "container_quantities")]
    pub limits: Quantities,
}

/// Where images may come from and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// Registries, or paths in them, that images must come from. Empty: not checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "registries")]
    pub allowed_registries: Vec<String>,
    /// Repositories that are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "registries")]
    pub denied_repositories: Vec<String>,
    /// Which tags are accepted. Default: DenyLatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// TrustPolicies that must hold. Not acted on yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "object_names")]
    pub trust_policies: Vec<String>,
    /// Gate on vulnerability reports. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vulnerabilities: Option<Vulnerabilities>,
}

/// Gate on vulnerability reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vulnerabilities {
    /// Most critical findings that are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_critical: Option<i32>,
    /// Most high findings that are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_high: Option<i32>,
    /// Oldest report that counts, such as 168h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "span")]
    pub max_report_age: Option<String>,
    /// What happens without a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<OnMissing>,
}

/// Tokens and pull secrets of ServiceAccounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccounts {
    /// Whether ServiceAccounts hand their token to pods. Default: Unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automount_token: Option<Automount>,
    /// Audiences for which pods may mount a token although automountToken is Disabled, such as sts.amazonaws.com or
    /// vault. Never name the audience of the API server. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "token_audiences")]
    pub allowed_token_audiences: Vec<String>,
    /// Registry credentials that are copied into the namespace at the stage Enforce.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["targetName"]))]
    pub pull_secrets: Vec<PullSecret>,
}

/// Registry credentials that are copied into the namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullSecret {
    /// The Secret that is copied.
    pub source: SecretSource,
    /// Name of the copy.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub target_name: String,
    /// Which ServiceAccounts use it. Default: AllServiceAccounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
}

/// A Secret in a namespace that the operator may read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretSource {
    /// Namespace of the Secret; it must be on the operator's list of sources.
    #[schemars(schema_with = "dns_label")]
    pub namespace: String,
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// How pods may use secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// Environment variables that look like a credential and have a literal value. Default: Warn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub literal_credential_env: Option<Verdict>,
    /// Secrets as environment variables instead of files. Default: Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<Verdict>,
}

/// How pods log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Environment variables that every container must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "env_names")]
    pub require_env: Vec<String>,
    /// A log volume that containers share is read-only in all but its writer. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_log_volume_read_only_for_sidecars: Option<bool>,
}
