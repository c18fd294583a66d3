//! `Webhook`: values that an HTTP server makes.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::external_secrets::kubernetes::{CaProvider, bytes};
use crate::api::external_secrets::references::{data_key, null_is_absent, object_name};
use crate::api::external_secrets::secret_store::Opaque;

/// Whom to ask, and what of the answer is meant.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "Webhook",
    plural = "webhooks",
    namespaced,
    doc = "Gets values from an HTTP server. Only hosts that a flag of Gabion names are asked.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSpec {
    /// The address: a template, whose values are escaped for a query.
    pub url: String,
    /// GET (the default), POST or another method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers: their values are templates.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub headers: BTreeMap<String, String>,
    /// The body: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How long the answer may take: 10s by default, 15s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// What of the answer is meant.
    pub result: WebhookResult,
    /// Secrets that the templates use, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub secrets: Vec<WebhookSecret>,
    /// Certificates of the server's authority in PEM, encoded in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "bytes")]
    pub ca_bundle: Option<String>,
    /// A Secret or ConfigMap that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
    /// Authentication by NTLM. Gabion keeps it and does not support it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<WebhookAuth>,
}

/// What of the answer is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookResult {
    /// Where in the JSON the object with the values is, for example $.data. Absent: at its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
}

/// A Secret that templates use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecret {
    /// What templates call it: its key k is .NAME.k.
    pub name: String,
    /// A Secret of the same namespace, with the label external-secrets.io/type: webhook.
    pub secret_ref: WebhookSecretRef,
}

/// Which Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecretRef {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub name: Option<String>,
    /// Kept and not used: templates have all keys of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "data_key")]
    pub key: Option<String>,
}

/// How to authenticate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend(
    "minProperties" = 1,
    "maxProperties" = 1,
    "x-kubernetes-preserve-unknown-fields" = true
))]
pub struct WebhookAuth {
    /// As it is written.
    #[serde(flatten)]
    #[schemars(skip)]
    pub fields: BTreeMap<String, Opaque>,
}
