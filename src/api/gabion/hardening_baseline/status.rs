//! What the operator reports on a baseline.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// State of a baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardeningBaselineStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Enforced Pod Security level, with the default filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Stage of the slowest namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Version of the Pod Security Standards that was pinned at the first reconcile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_version: Option<String>,
    /// Revision of the compiled admission policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_revision: Option<String>,
    /// Counts of namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceCounts>,
    /// Violations in all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violations: Option<i64>,
    /// Counts of exceptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceptions: Option<ExceptionCounts>,
    /// Namespaces with the most violations, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_violators: Vec<Violator>,
    /// Objects and fields that somebody else owns, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Earliest time of the next promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_promotion_after: Option<Time>,
    /// When pods were last scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scan_time: Option<Time>,
    /// Progress of the teardown while the baseline is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teardown: Option<Teardown>,
    /// Conditions, one per type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Counts of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceCounts {
    /// Selected by the baseline.
    pub selected: i64,
    /// In which everything is applied. It says nothing about the pods there.
    #[serde(default)]
    pub applied: i64,
    /// Without violations. Absent: nobody counts them yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliant: Option<i64>,
    /// With violations. Absent: nobody counts them yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violating: Option<i64>,
    /// With something that is held back.
    pub held: i64,
    /// By stage.
    #[serde(default)]
    pub by_stage: StageCounts,
}

/// Namespaces by stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StageCounts {
    /// At Observe.
    #[serde(default)]
    pub observe: i64,
    /// At Audit.
    #[serde(default)]
    pub audit: i64,
    /// At Warn.
    #[serde(default)]
    pub warn: i64,
    /// At Enforce.
    #[serde(default)]
    pub enforce: i64,
}

/// Counts of exceptions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionCounts {
    /// Asked for and not approved.
    pub requested: i64,
    /// In force.
    pub active: i64,
    /// In force for at most another day.
    pub expiring_soon: i64,
}

/// A namespace with violations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Violator {
    /// The namespace.
    pub namespace: String,
    /// Its violations.
    pub violations: i64,
}

/// An object or field that somebody else owns.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Conflict {
    /// The namespace.
    pub namespace: String,
    /// Kind and name, or the field.
    pub object: String,
    /// Who owns it.
    pub manager: String,
}

/// Progress of a teardown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Teardown {
    /// Namespaces that still hold something of the baseline.
    pub remaining: i64,
    /// Objects that could not be undone, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<String>,
}
