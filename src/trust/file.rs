//! A TrustPolicy as it is written. What it means is compiled in [`super::policy`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TrustPolicy {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
}

/// Other metadata is the API server's.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) images: Images,
    pub(super) threshold: Option<u64>,
    pub(super) formats: Option<Vec<String>>,
    pub(super) mode: Option<String>,
    pub(super) authorities: Vec<Authority>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// Fields that no code acts on yet. They are known in order to be refused by name.
    pub(super) attestations: Option<Value>,
    pub(super) trust_root: Option<Value>,
    pub(super) registries: Option<Value>,
    pub(super) source: Option<Value>,
    pub(super) platforms: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Images {
    pub(super) include: Vec<String>,
    #[serde(default)]
    pub(super) exclude: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Authority {
    pub(super) name: String,
    pub(super) key: Option<Key>,
    pub(super) keyless: Option<Value>,
    pub(super) certificate: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Key {
    pub(super) pem: Option<String>,
    pub(super) secret_ref: Option<Value>,
    pub(super) config_map_ref: Option<Value>,
    pub(super) validity: Option<Validity>,
    pub(super) transparency_log: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Validity {
    pub(super) not_before: Option<String>,
    pub(super) not_after: Option<String>,
}
