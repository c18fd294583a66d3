//! `ClusterGenerator`: a generator for every namespace.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aws::{ECRAuthorizationTokenSpec, STSSessionTokenSpec};
use super::local::{FakeSpec, PasswordSpec, SSHKeySpec, UUIDSpec};
use super::mfa::MFASpec;
use super::webhook::WebhookSpec;
use crate::api::external_secrets::external_secret::GeneratorKind;
use crate::api::external_secrets::secret_store::Opaque;

/// Which generator.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "ClusterGenerator",
    plural = "clustergenerators",
    doc = "A generator that the ExternalSecrets of every namespace may use.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
pub struct ClusterGeneratorSpec {
    /// Its kind, which the one field of `generator` has to match.
    pub kind: GeneratorKind,
    /// Its settings.
    pub generator: GeneratorSpec,
}

/// The settings of one kind of generator: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend(
    "minProperties" = 1,
    "maxProperties" = 1,
    "x-kubernetes-preserve-unknown-fields" = true
))]
pub struct GeneratorSpec {
    /// Of a Password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_spec: Option<PasswordSpec>,
    /// Of a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid_spec: Option<UUIDSpec>,
    /// Of an SSHKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key_spec: Option<SSHKeySpec>,
    /// Of a Fake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fake_spec: Option<FakeSpec>,
    /// Of an ECRAuthorizationToken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecr_authorization_token_spec: Option<ECRAuthorizationTokenSpec>,
    /// Of an STSSessionToken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_session_token_spec: Option<STSSessionTokenSpec>,
    /// Of an MFA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa_spec: Option<MFASpec>,
    /// Of a Webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_spec: Option<WebhookSpec>,
    /// Of a kind that Gabion does not have, as it was written.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Opaque>,
}
