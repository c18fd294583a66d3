//! `BaselineException`: what a team asks to be excused from, for which containers of which workload, and until when.
//!
//! It asks and does nothing else: a `BaselineExceptionApproval` of somebody else puts it in force.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are read with kubectl explain, where marks are noise"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::crd_enum::crd_enum;
use crate::api::gabion::schema::{control_ids, image_repository, user_name};

/// Most controls of one exception.
pub const MAX_CONTROLS: usize = 16;
/// Most containers of one exception.
pub const MAX_CONTAINERS: usize = 16;

crd_enum! {
    /// The kind of the workload that is excused.
    WorkloadTargetKind {
        /// A pod of just this name.
        Pod = "Pod",
        /// The pods of a Deployment.
        Deployment = "Deployment",
        /// The pods of a ReplicaSet.
        ReplicaSet = "ReplicaSet",
        /// The pods of a StatefulSet.
        StatefulSet = "StatefulSet",
        /// The pods of a DaemonSet.
        DaemonSet = "DaemonSet",
        /// The pods of a Job.
        Job = "Job",
        /// The pods of the Jobs of a CronJob.
        CronJob = "CronJob",
    }
}

crd_enum! {
    /// The list of the pod that a container is in.
    ExemptContainerType {
        /// containers
        Container = "Container",
        /// initContainers
        InitContainer = "InitContainer",
        /// ephemeralContainers
        Ephemeral = "Ephemeral",
    }
}

/// Asks that some containers of one workload be excused from some controls until a day. It has no effect until
/// somebody else approves it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gabion.dev",
    version = "v1alpha1",
    kind = "BaselineException",
    plural = "baselineexceptions",
    shortname = "bex",
    category = "gabion",
    namespaced,
    status = "BaselineExceptionStatus",
    derive = "PartialEq",
    doc = "Asks that some containers of one workload be excused from some controls until a day. It has no effect until somebody else approves it.",
    printcolumn = r#"{"name":"CONTROLS","type":"string","jsonPath":".spec.controls"}"#,
    printcolumn = r#"{"name":"KIND","type":"string","jsonPath":".spec.target.kind"}"#,
    printcolumn = r#"{"name":"TARGET","type":"string","jsonPath":".spec.target.name"}"#,
    printcolumn = r#"{"name":"EXPIRES","type":"string","jsonPath":".spec.expiresAt"}"#,
    printcolumn = r#"{"name":"APPROVED-BY","type":"string","jsonPath":".status.approvedBy"}"#,
    printcolumn = r#"{"name":"STATE","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"MESSAGE","type":"string","priority":1,"jsonPath":".status.message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BaselineExceptionSpec {
    /// Ids of the controls, such as PSS-privileged; 1 to 16.
    #[schemars(schema_with = "control_ids")]
    pub controls: Vec<String>,
    /// The one workload.
    pub target: ExceptionTarget,
    /// The containers; a pod-wide control is waived only when every container of the pod is listed. 1 to 16.
    #[schemars(length(min = 1, max = 16))]
    pub containers: Vec<ExemptContainer>,
    /// Why, for whoever approves: 10 to 512 characters.
    #[schemars(length(min = 10, max = 512))]
    pub reason: String,
    /// Where it is discussed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub ticket: Option<String>,
    /// When it ends: at most 90 days after the exception was created.
    pub expires_at: Time,
    /// User who asks; must be whoever creates the exception.
    #[schemars(schema_with = "user_name")]
    pub requested_by: String,
}

/// The workload that is excused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExceptionTarget {
    /// Its kind.
    pub kind: WorkloadTargetKind,
    /// Its name.
    #[schemars(schema_with = "crate::api::gabion::schema::object_name")]
    pub name: String,
}

/// A container that is excused: list, name and image have to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExemptContainer {
    /// The list that it is in. Default: Container.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ExemptContainerType>,
    /// Its name.
    #[schemars(schema_with = "crate::api::gabion::schema::dns_label")]
    pub name: String,
    /// Its image as the pod writes it, without tag and digest.
    #[schemars(schema_with = "image_repository")]
    pub image_repository: String,
}

/// How an exception stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaselineExceptionStatus {
    /// Generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Requested, Active, ApprovalMismatch, Expired or Rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// SHA-256 of the spec, which an approval names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When it ends: the earlier of expiresAt and the approval's notAfter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// Conditions, one per type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
