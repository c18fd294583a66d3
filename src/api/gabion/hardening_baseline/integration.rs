//! Rollout, and what a baseline asks of other systems.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::api::crd_enum::crd_enum;
use crate::api::gabion::schema::dns_label;
use crate::api::gabion::schema::label_selector;
use crate::api::gabion::schema::principals;
use crate::api::gabion::schema::soak;
use crate::api::gabion::schema::wave_size;

crd_enum! {
    /// How far a baseline goes, weakest first.
    Stage {
        /// Nothing is written; status says what would be.
        Observe = "Observe",
        /// Violations are recorded.
        Audit = "Audit",
        /// Violations are warned about.
        Warn = "Warn",
        /// Violations are refused.
        Enforce = "Enforce",
    }
}

crd_enum! {
    /// Who moves namespaces to the next stage.
    Promotion {
        /// A person.
        Manual = "Manual",
        /// The operator, through the gates.
        Auto = "Auto",
    }
}

crd_enum! {
    /// Where a new namespace begins.
    NewNamespaces {
        /// At the target.
        Target = "Target",
        /// At the first stage, like the others.
        Staged = "Staged",
    }
}

crd_enum! {
    /// Something a person must have looked at before a stage.
    Acknowledgement {
        /// What the network policies would cut off.
        Network = "network",
    }
}

crd_enum! {
    /// Mutual TLS mode of a mesh.
    PeerAuthentication {
        /// Plain text is accepted too.
        Permissive = "PERMISSIVE",
        /// Mutual TLS only.
        Strict = "STRICT",
    }
}

crd_enum! {
    /// How requests in a mesh are authorised.
    AuthorizationMode {
        /// Only what the rules allow.
        AllowListed = "AllowListed",
    }
}

crd_enum! {
    /// A built-in Falco rule.
    FalcoRule {
        /// A shell was started in a container.
        ShellInContainer = "ShellInContainer",
    }
}

crd_enum! {
    /// Priority of a Falco rule.
    FalcoPriority {
        /// EMERGENCY
        Emergency = "EMERGENCY",
        /// ALERT
        Alert = "ALERT",
        /// CRITICAL
        Critical = "CRITICAL",
        /// ERROR
        Error = "ERROR",
        /// WARNING
        Warning = "WARNING",
        /// NOTICE
        Notice = "NOTICE",
        /// INFORMATIONAL
        Informational = "INFORMATIONAL",
        /// DEBUG
        Debug = "DEBUG",
    }
}

crd_enum! {
    /// The report kind that is written.
    ReportFormat {
        /// reports.x-k8s.io / openreports.io
        OpenReports = "OpenReports",
        /// wgpolicyk8s.io
        PolicyReport = "PolicyReport",
    }
}

/// How the baseline is introduced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How far to go, in every selected namespace at once. Default: Audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Stage>,
    /// Who promotes namespaces. Not acted on yet: every namespace is at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
    /// Time without violations before the next stage, 1m to 2160h. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "soak")]
    pub min_soak: Option<String>,
    /// Most violations in a namespace that may be promoted. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub max_violations: Option<i32>,
    /// Namespaces promoted at once: 1 to 1000, or 1% to 100%. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "wave_size")]
    pub wave_size: Option<IntOrString>,
    /// Where a new namespace begins. Not acted on yet: at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_namespaces: Option<NewNamespaces>,
    /// Freeze the stages; drift is still repaired. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Reports that a person has read and accepted. Not acted on yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub acknowledge: Vec<Acknowledgement>,
    /// Last wave that a person has approved. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub approved_wave: Option<i32>,
}

/// Istio objects, where Istio is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Istio {
    /// Mutual TLS mode; STRICT only at Enforce. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_authentication: Option<PeerAuthentication>,
    /// Which requests are allowed. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
}

/// Which requests are allowed in the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Authorization {
    /// How requests are authorised.
    pub mode: AuthorizationMode,
    /// Requests that are allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub allow: Vec<AuthorizationRule>,
}

/// Requests that are allowed in the mesh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuthorizationRule {
    /// Name of the rule.
    #[schemars(schema_with = "dns_label")]
    pub name: String,
    /// Pods that may be called; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<Selector>,
    /// Who may call them.
    #[schemars(schema_with = "principals")]
    pub principals: Vec<String>,
}

/// Falco rules for the selected namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Falco {
    /// Built-in rules. Not acted on yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub rules: Vec<FalcoRule>,
    /// Priority of the rules. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<FalcoPriority>,
}

/// What is filled in at admission, where the API server can.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mutate {
    /// Security defaults of pods. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_defaults: Option<bool>,
    /// Labels of new namespaces. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_labels: Option<bool>,
    /// New ServiceAccounts. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<bool>,
}

/// Violation reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reports {
    /// Report kind. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ReportFormat>,
    /// Most results in one report. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 2000))]
    pub max_results_per_namespace: Option<i32>,
}
