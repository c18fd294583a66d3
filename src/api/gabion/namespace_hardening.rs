//! `NamespaceHardening`: what is in force in one namespace, and why.
//!
//! The operator writes one object per namespace, named `effective`. Nobody edits it; tenants may read it.
//!
//! Nobody applies a part of it, so its lists are atomic: the API server would otherwise note the owner of each
//! field of each row, which is larger than the rows.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are read with kubectl explain, where marks are noise"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the one object in each namespace.
pub const EFFECTIVE: &str = "effective";
/// Most rows of provenance in a status.
pub const MAX_VALUES: usize = 64;

/// What is in force in this namespace, and why. Written by the operator.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gabion.dev",
    version = "v1alpha1",
    kind = "NamespaceHardening",
    plural = "namespacehardenings",
    shortname = "nsh",
    category = "gabion",
    namespaced,
    status = "NamespaceHardeningStatus",
    derive = "PartialEq",
    doc = "What is in force in this namespace, and why. Written by the operator; readable by tenants.",
    printcolumn = r#"{"name":"LEVEL","type":"string","jsonPath":".status.level","description":"Enforced Pod Security level."}"#,
    printcolumn = r#"{"name":"STAGE","type":"string","jsonPath":".status.stage"}"#,
    printcolumn = r#"{"name":"BASELINES","type":"string","jsonPath":".status.baselineNames"}"#,
    printcolumn = r#"{"name":"HELD","type":"integer","jsonPath":".status.heldCount"}"#,
    printcolumn = r#"{"name":"CONFLICTS","type":"integer","jsonPath":".status.conflictCount"}"#,
    printcolumn = r#"{"name":"READY","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct NamespaceHardeningSpec {}

/// What is in force in this namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceHardeningStatus {
    /// Enforced Pod Security level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Lowest stage of the baselines that select the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Names of the baselines, highest priority first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_names: Option<String>,
    /// Baselines that select the namespace, highest priority first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<BaselineRef>,
    /// True while the default deny is in force: whoever deletes it does not get rid of it, not even while the operator
    /// is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_deny: Option<bool>,
    /// Values in force, each with the baseline that decided it and why; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<EffectiveValue>,
    /// What would change if every baseline were at Enforce; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preview: Vec<EffectiveValue>,
    /// Number of entries in held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_count: Option<i64>,
    /// What is not applied yet, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Number of entries in conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict_count: Option<i64>,
    /// Objects and fields that somebody else owns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<NamespaceConflict>,
    /// How DNS was found, when egress is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsFound>,
    /// Values from before the operator took over, which a revert restores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<PreviousValue>,
    /// Conditions, one per type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A baseline that selects the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaselineRef {
    /// Name of the baseline.
    pub name: String,
    /// Its priority.
    pub priority: i32,
    /// Its stage in this namespace.
    pub stage: String,
    /// Generation of its spec that was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// One value in force.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct EffectiveValue {
    /// What it is, such as `resources.quota.hard[pods]`.
    pub item: String,
    /// The value.
    pub value: String,
    /// The baseline that decided it.
    pub baseline: String,
    /// Why this one.
    pub reason: String,
}

/// An object or field that somebody else owns.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct NamespaceConflict {
    /// Kind and name, or the field.
    pub object: String,
    /// Who owns it.
    pub manager: String,
    /// What to do about it.
    pub message: String,
}

/// How DNS was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsFound {
    /// Where it was found, such as `Service kube-system/kube-dns`.
    pub source: String,
    /// Addresses that stay reachable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Ports of the pods that stay reachable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}

/// A value from before the operator took over.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct PreviousValue {
    /// The object and field, such as `Namespace label pod-security.kubernetes.io/enforce`.
    pub item: String,
    /// Its value; absent when it was not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
