//! `HardeningBaseline`: what the namespaces that it selects must hold.
//!
//! Defaults are applied by the compiler and not stored, so that what a user reads back equals what was
//! applied. A section that is absent is not managed.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are read with kubectl explain, where marks are noise"
)]

mod integration;
mod network;
mod pod_security;
mod selector;
mod status;
mod workload;

pub use integration::*;
pub use network::*;
pub use pod_security::*;
pub use selector::*;
pub use status::*;
pub use workload::*;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::crd_enum::crd_enum;
use crate::api::gabion::schema::dns_labels;
use crate::api::gabion::schema::namespace_selector;
use crate::api::gabion::schema::rules;

crd_enum! {
    /// What happens to an object of ours that somebody else has made.
    ConflictPolicy {
        /// It is left alone and reported.
        Report = "Report",
        /// It is taken over if it says the same.
        Adopt = "Adopt",
        /// Like Adopt, and namespace labels are taken over whatever they say.
        Force = "Force",
    }
}

crd_enum! {
    /// What happens to the namespaces when the baseline is deleted.
    DeletionPolicy {
        /// They get back what they had.
        Revert = "Revert",
        /// Everything stays and is no longer looked after.
        Retain = "Retain",
    }
}

/// Hardens every namespace that it selects: Pod Security labels, network policies, quota, defaults.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gabion.dev",
    version = "v1alpha1",
    kind = "HardeningBaseline",
    plural = "hardeningbaselines",
    shortname = "hb",
    category = "gabion",
    status = "HardeningBaselineStatus",
    derive = "PartialEq",
    doc = "Hardens every namespace that it selects: Pod Security labels, network policies, quota, defaults.",
    printcolumn = r#"{"name":"LEVEL","type":"string","jsonPath":".status.level","description":"Enforced Pod Security level."}"#,
    printcolumn = r#"{"name":"STAGE","type":"string","jsonPath":".status.stage","description":"Stage of the slowest namespace."}"#,
    printcolumn = r#"{"name":"NAMESPACES","type":"integer","jsonPath":".status.namespaces.selected"}"#,
    printcolumn = r#"{"name":"APPLIED","type":"integer","jsonPath":".status.namespaces.applied","description":"Namespaces in which everything is applied."}"#,
    printcolumn = r#"{"name":"COMPLIANT","type":"integer","jsonPath":".status.namespaces.compliant"}"#,
    printcolumn = r#"{"name":"VIOLATIONS","type":"integer","jsonPath":".status.violations"}"#,
    printcolumn = r#"{"name":"EXCEPTIONS","type":"integer","jsonPath":".status.exceptions.active"}"#,
    printcolumn = r#"{"name":"READY","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"REASON","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"PRIORITY","type":"integer","priority":1,"jsonPath":".spec.priority"}"#,
    printcolumn = r#"{"name":"VERSION","type":"string","priority":1,"jsonPath":".status.pinnedVersion"}"#,
    printcolumn = r#"{"name":"HELD","type":"integer","priority":1,"jsonPath":".status.namespaces.held"}"#,
    printcolumn = r#"{"name":"REVISION","type":"string","priority":1,"jsonPath":".status.policyRevision"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "(has(self.allNamespaces) && self.allNamespaces) || (has(self.namespaceSelector) && ((has(self.namespaceSelector.matchLabels) && size(self.namespaceSelector.matchLabels) > 0) || (has(self.namespaceSelector.matchExpressions) && size(self.namespaceSelector.matchExpressions) > 0)))",
        "namespaceSelector must name a label or an expression; to select every namespace, set allNamespaces: true",
    ),
    (
        "!(has(self.allNamespaces) && self.allNamespaces) || !has(self.namespaceSelector) || ((!has(self.namespaceSelector.matchLabels) || size(self.namespaceSelector.matchLabels) == 0) && (!has(self.namespaceSelector.matchExpressions) || size(self.namespaceSelector.matchExpressions) == 0))",
        "allNamespaces: true and a namespaceSelector contradict each other; remove one of them",
    ),
])))]
pub struct HardeningBaselineSpec {
    /// Weight against other baselines where only one can win, 0 to 1000; ties go to the first name. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: Option<i32>,
    /// Namespaces that are hardened, by their labels. Required unless allNamespaces is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "namespace_selector")]
    pub namespace_selector: Option<Selector>,
    /// Harden every namespace that is not protected. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_namespaces: Option<bool>,
    /// Namespaces that are left out by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "dns_labels")]
    pub exclude_names: Vec<String>,
    /// Protected namespaces that are hardened all the same. Not acted on yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "dns_labels")]
    pub include_protected: Vec<String>,
    /// How the baseline is introduced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Pod Security Standards. Absent: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// Checks on pods beyond the Pod Security Standards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Pods>,
    /// Quota, defaults and required settings of container resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where images may come from and what is known of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Default deny and what stays open. Absent: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Tokens and pull secrets of ServiceAccounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccounts>,
    /// How pods may use secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// How pods log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Istio objects, where Istio is served. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio: Option<Istio>,
    /// Falco rules for the selected namespaces. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falco: Option<Falco>,
    /// What is filled in at admission, where the API server can. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutate: Option<Mutate>,
    /// Violation reports. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Reports>,
    /// What happens to an object of ours that somebody else has made. Default: Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict_policy: Option<ConflictPolicy>,
    /// What happens to the namespaces when the baseline is deleted. Default: Revert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Deleting needs the annotation gabion.dev/confirm-delete with the baseline's name. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
}
