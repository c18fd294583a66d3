//! The AWS provider of a store.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::references::SecretKeySelector;
use super::references::ServiceAccountSelector;
use super::references::null_is_absent;
use crate::api::crd_enum::crd_enum;

/// Reads from AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsProvider {
    /// Which service.
    pub service: AwsService,
    /// Which region, for example us-west-2.
    pub region: String,
    /// As whom. Without it, the controller's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,
    /// A role to assume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Roles to assume one after the other, before `role`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub additional_roles: Vec<String>,
    /// External id of the assumed role.
    #[serde(rename = "externalID", default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Put before every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Tags of the session of the assumed role.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub session_tags: Vec<SessionTag>,
    /// Session tags that pass on through a chain of roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub transitive_tag_keys: Vec<String>,
    /// Whether namespace, name and kind of the store become session tags.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub session_tags_policy: SessionTagsPolicy,
    /// Session tags beside those.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!('esoNamespace' in self) && !('esoStoreName' in self) && !('esoStoreKind' in self)",
        "message": "customSessionTags cannot contain automatically injected reserved keys: esoNamespace, esoStoreName, esoStoreKind",
    }]))]
    pub custom_session_tags: BTreeMap<String, String>,
    /// How secrets are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<SecretsManagerSettings>,
}

crd_enum! {
    /// Services that hold secrets.
    AwsService | String {
        SecretsManager = "SecretsManager",
        ParameterStore = "ParameterStore",
        CertificateManager = "CertificateManager",
    }
}

crd_enum! {
    /// Whether the store is named in session tags.
    SessionTagsPolicy | String { None = "None", Simple = "Simple", Custom = "Custom" }
}

/// As whom AWS is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsAuth {
    /// As a ServiceAccount (IRSA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<AwsJwtAuth>,
    /// With keys from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<AwsSecretRef>,
}

/// As a ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsJwtAuth {
    /// The ServiceAccount; its annotation eks.amazonaws.com/role-arn names the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
}

/// With keys from Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsSecretRef {
    /// The access key id.
    #[serde(rename = "accessKeyIDSecretRef", default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<SecretKeySelector>,
    /// The secret access key.
    #[serde(rename = "secretAccessKeySecretRef", default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretKeySelector>,
    /// The session token, for temporary keys.
    #[serde(rename = "sessionTokenSecretRef", default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<SecretKeySelector>,
}

/// One session tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionTag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// How secrets are deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.recoveryWindowInDays) || self.recoveryWindowInDays == 0 || (self.recoveryWindowInDays >= 7 && self.recoveryWindowInDays <= 30)",
        "message": "recoveryWindowInDays must be between 7 and 30",
    },
    {
        "rule": "!has(self.recoveryWindowInDays) || self.recoveryWindowInDays == 0 || !has(self.forceDeleteWithoutRecovery) || !self.forceDeleteWithoutRecovery",
        "message": "recoveryWindowInDays and forceDeleteWithoutRecovery exclude each other: remove one",
    },
]))]
pub struct SecretsManagerSettings {
    /// Delete at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_delete_without_recovery: Option<bool>,
    /// For how many days a deleted secret can be restored: 7 to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_window_in_days: Option<i64>,
}
