//! Generators of AWS credentials: `ECRAuthorizationToken` and `STSSessionToken`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::external_secrets::aws::AwsAuth;

/// Which registry's credentials to get.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "ECRAuthorizationToken",
    plural = "ecrauthorizationtokens",
    namespaced,
    doc = "Gets a login to the registries of AWS.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
#[serde(rename_all = "camelCase")]
pub struct ECRAuthorizationTokenSpec {
    /// Region of the registry.
    pub region: String,
    /// How to authenticate to AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,
    /// Role to take on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// private (the default) or public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Which session to get.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "STSSessionToken",
    plural = "stssessiontokens",
    namespaced,
    doc = "Gets temporary credentials of AWS.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
#[serde(rename_all = "camelCase")]
pub struct STSSessionTokenSpec {
    /// Region of the endpoint.
    pub region: String,
    /// How to authenticate to AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,
    /// Role to take on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_parameters: Option<StsRequestParameters>,
}

/// What to ask STS for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StsRequestParameters {
    /// Seconds for which the session lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_duration: Option<i32>,
    /// Serial number of an MFA device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Code of that device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_code: Option<String>,
}
