//! Settings of the provider `kubernetes`: the Secrets of another namespace or another cluster.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::references::SecretKeySelector;
use super::references::ServiceAccountSelector;
use super::references::{data_key, namespace_name, object_name};
use crate::api::crd_enum::crd_enum;

/// Secrets of another namespace or another cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesProvider {
    /// The API server. Without it, that of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<KubernetesServer>,
    /// Who asks. Never Gabion itself, so this or authRef is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<KubernetesAuth>,
    /// Key of a Secret that holds a kubeconfig: its server and credentials are used instead of server and auth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_ref: Option<SecretKeySelector>,
    /// The namespace to read from; default if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "namespace_name")]
    pub remote_namespace: Option<String>,
}

/// Where an API server is, and whom its certificate comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesServer {
    /// Its address, https://host:port. Empty or kubernetes.default: the API server of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Certificates of its authority in PEM, encoded in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "bytes")]
    pub ca_bundle: Option<String>,
    /// A Secret or ConfigMap that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
}

crd_enum! {
    /// Kind of an object that holds certificates.
    CaProviderType | String { Secret = "Secret", ConfigMap = "ConfigMap" }
}

/// One key of a Secret or ConfigMap with certificates in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaProvider {
    /// Secret or ConfigMap.
    #[serde(rename = "type")]
    pub type_: CaProviderType,
    /// Its name.
    #[schemars(schema_with = "object_name")]
    pub name: String,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "data_key")]
    pub key: Option<String>,
    /// Its namespace. Only a ClusterSecretStore may name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "namespace_name")]
    pub namespace: Option<String>,
}

/// Who asks: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct KubernetesAuth {
    /// A ServiceAccount of this cluster, by tokens that are made for ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountSelector>,
    /// A token that a Secret holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<KubernetesToken>,
    /// A certificate and its key that a Secret holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<KubernetesCertificate>,
}

/// A token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesToken {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretKeySelector>,
}

/// A certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesCertificate {
    /// The certificate in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<SecretKeySelector>,
    /// Its key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<SecretKeySelector>,
}

/// Bytes as Kubernetes writes them: base64.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "byte"})
}
