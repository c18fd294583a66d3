//! Generators that Gabion does not have. Their definitions keep every field, so that objects of another operator
//! survive; an ExternalSecret that uses one says so.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::external_secrets::secret_store::Opaque;

/// Declares kinds whose spec is kept as it is written.
macro_rules! foreign_kinds {
    ($($spec:ident, $kind:literal, $plural:literal;)+) => {
        $(
            #[doc = concat!("Spec of a ", $kind, ", as it is written.")]
            #[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[kube(
                group = "generators.external-secrets.io",
                version = "v1alpha1",
                kind = $kind,
                plural = $plural,
                namespaced,
                doc = "A generator of External Secrets Operator. Gabion keeps its fields and does not support it.",
                category = "external-secrets",
                category = "external-secrets-generators",
                label("external-secrets.io/component", "controller")
            )]
            #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
            pub struct $spec {
                /// Every field.
                #[serde(flatten)]
                #[schemars(skip)]
                pub fields: BTreeMap<String, Opaque>,
            }
        )+
    };
}

/// What a generator of External Secrets Operator made elsewhere and has to take back one day, as it is written. The
/// generators that Gabion has make nothing elsewhere, so Gabion neither writes nor deletes any.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "GeneratorState",
    plural = "generatorstates",
    namespaced,
    doc = "State of a generator of External Secrets Operator. Gabion keeps it and does not use it.",
    category = "external-secrets",
    category = "external-secrets-generators",
    shortname = "gs",
    label("external-secrets.io/component", "controller"),
    printcolumn = r#"{"name":"GC Deadline","type":"string","jsonPath":".spec.garbageCollectionDeadline"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct GeneratorStateSpec {
    /// Every field.
    #[serde(flatten)]
    #[schemars(skip)]
    pub fields: BTreeMap<String, Opaque>,
}

foreign_kinds! {
    ACRAccessTokenSpec, "ACRAccessToken", "acraccesstokens";
    BeyondtrustWorkloadCredentialsDynamicSecretSpec, "BeyondtrustWorkloadCredentialsDynamicSecret", "beyondtrustworkloadcredentialsdynamicsecrets";
    CloudsmithAccessTokenSpec, "CloudsmithAccessToken", "cloudsmithaccesstokens";
    GCRAccessTokenSpec, "GCRAccessToken", "gcraccesstokens";
    GithubAccessTokenSpec, "GithubAccessToken", "githubaccesstokens";
    GitlabDeployTokenSpec, "GitlabDeployToken", "gitlabdeploytokens";
    GrafanaSpec, "Grafana", "grafanas";
    QuayAccessTokenSpec, "QuayAccessToken", "quayaccesstokens";
    VaultDynamicSecretSpec, "VaultDynamicSecret", "vaultdynamicsecrets";
}
