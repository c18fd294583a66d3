//! `MFA`: one-time passwords.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::external_secrets::references::{SecretKeySelector, date_time};

/// Which one-time password.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "MFA",
    plural = "mfas",
    namespaced,
    doc = "Gives the one-time password of a device for multi-factor authentication.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
#[serde(rename_all = "camelCase")]
pub struct MFASpec {
    /// The seed of the device, in base32, in a Secret of the same namespace.
    pub secret: SecretKeySelector,
    /// Number of digits. Absent means 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<i64>,
    /// Seconds for which a password lasts. Absent means 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_period: Option<i64>,
    /// sha1 (the default), sha256 or sha512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Of which moment. Absent means now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub when: Option<Time>,
}
