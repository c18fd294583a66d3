//! `SecretRotation`: a new value for a secret of AWS, on a schedule or on demand.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are read with kubectl explain, where marks are noise"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::crd_enum::crd_enum;
use crate::api::external_secrets::external_secret::GeneratorRef;
use crate::api::external_secrets::references::StoreRef;
use crate::api::external_secrets::references::null_is_absent;

/// A new value for a secret of AWS Secrets Manager, on a schedule or on demand.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gabion.dev",
    version = "v1alpha1",
    kind = "SecretRotation",
    plural = "secretrotations",
    shortname = "srot",
    category = "gabion",
    namespaced,
    status = "SecretRotationStatus",
    derive = "PartialEq",
    doc = "Makes a new value for a secret of AWS Secrets Manager, on a schedule or on demand, and takes it back if its consumers do not get it.",
    printcolumn = r#"{"name":"STORE","type":"string","jsonPath":".spec.storeRef.name"}"#,
    printcolumn = r#"{"name":"KEY","type":"string","jsonPath":".spec.remoteRef.key"}"#,
    printcolumn = r#"{"name":"PHASE","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"READY","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"LAST","type":"date","jsonPath":".status.lastRotation.at"}"#,
    printcolumn = r#"{"name":"NEXT","type":"string","jsonPath":".status.nextRotation"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SecretRotationSpec {
    /// The store through which the secret is reached. It cannot be changed.
    pub store_ref: StoreRef,
    /// The secret. It cannot be changed.
    pub remote_ref: RotatedSecret,
    /// Where the new value comes from.
    pub value: NewValue,
    /// When a new value is made. Without it, only the annotation gabion.dev/rotate does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Who has to get the new value.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub consumers: ConsumersSpec,
    /// What happens when consumers do not get the new value in time: Automatic puts the old one back, Manual leaves that
    /// to a person.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub rollback: RollbackPolicy,
    /// No new rotation is begun. One that runs is ended as usual.
    #[serde(default)]
    pub suspend: bool,
}

crd_enum! {
    /// What happens when consumers do not get the new value.
    RollbackPolicy | String { Automatic = "Automatic", Manual = "Manual" }
}

crd_enum! {
    /// Whose consumers are waited for.
    ConsumersWait | String { Namespace = "Namespace", None = "None" }
}

/// A secret of AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RotatedSecret {
    /// Its name, below the store's prefix.
    #[schemars(length(min = 1, max = 512))]
    pub key: String,
}

/// Where a new value comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewValue {
    /// The generator that makes it.
    pub generator_ref: GeneratorRef,
    /// The property of the present JSON object that is replaced by the generator's only output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub property: Option<String>,
    /// Properties of the new JSON object, as templates. They see what the generator made as .new and the present value as
    /// .current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 100))]
    pub template: Option<BTreeMap<String, String>>,
}

/// When a new value is made: every or cron.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// So long after the present value was made: 720h. At least 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub every: Option<String>,
    /// Five fields of cron: 0 3 1 * *
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub cron: Option<String>,
    /// The IANA time zone of cron. UTC where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
    /// Up to this much later than cron says, always the same for one object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub jitter: Option<String>,
    /// A time of cron that was missed by more than this is left out. 24h where there is none, 168h at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub starting_deadline: Option<String>,
}

/// Who has to get the new value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumersSpec {
    /// Namespace waits for the ExternalSecrets of this namespace that read the secret through the same store; None for
    /// nobody.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub wait: ConsumersWait,
    /// How long: 15m where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub timeout: Option<String>,
}

/// What became of a SecretRotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRotationStatus {
    /// How far the rotation that runs has come: Idle where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The rotation that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptStatus>,
    /// How many were begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i64>,
    /// When the last one was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Time>,
    /// The last one that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rotation: Option<LastRotation>,
    /// How many failed since the last one that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<i64>,
    /// None is begun before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Time>,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Time>,
    /// The last time of the schedule that was heeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When the present value was made, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<Time>,
    /// The value of the annotation gabion.dev/rotate that was heeded last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_trigger: Option<String>,
    /// Who has the new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<ConsumersStatus>,
    /// The generation that this was seen of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready and Rotating.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The rotation that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptStatus {
    /// Which.
    pub number: i64,
    /// Id of the new version.
    pub token: String,
    /// Id of the version before it.
    pub from: String,
    /// Id of the version before that one, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// When it was begun.
    pub since: Time,
    /// Since when the new version is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<Time>,
    /// Why it is put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The last rotation that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRotation {
    /// When.
    pub at: Time,
    /// Id of the version that it made.
    pub version: String,
    /// How.
    pub outcome: String,
    /// How long it took.
    pub seconds: i64,
}

/// Who has the new value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumersStatus {
    /// ExternalSecrets that were waited for.
    pub total: i64,
    /// Those of them that have it.
    pub synced: i64,
}
