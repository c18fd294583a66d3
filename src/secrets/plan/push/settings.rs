//! `metadata` of an entry: settings of the remote secret, as External Secrets Operator has them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::PushError;
use crate::provider::push::{OWNER_TAG, RemoteSettings};

const VERSION: &str = "kubernetes.external-secrets.io/v1alpha1";
const KIND: &str = "PushSecretMetadata";

/// Which service is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    SecretsManager,
    ParameterStore,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "AWS Secrets Manager",
            Self::ParameterStore => "AWS Parameter Store",
        }
    }

    /// The most bytes of one value, and what allows more.
    pub(crate) fn most(self, settings: &Settings) -> (usize, &'static str) {
        match self {
            Self::SecretsManager => (65_536, ""),
            Self::ParameterStore => match settings.remote.tier.as_deref() {
                Some("Advanced" | "Intelligent-Tiering") => (8_192, ""),
                _ => (4_096, ", or set metadata.spec.tier.type to Advanced"),
            },
        }
    }
}

/// What an entry says of its remote secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// For the provider.
    pub(crate) remote: RemoteSettings,
    /// Values of a whole Secret are texts, also where the default is base64.
    pub(crate) decoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Spec {
    tags: Option<BTreeMap<String, String>>,
    description: Option<String>,
    secret_push_format: Option<String>,
    kms_key_id: Option<String>,
    #[serde(rename = "kmsKeyID")]
    kms_key_of_parameter: Option<String>,
    secret_type: Option<String>,
    tier: Option<Tier>,
    encode_as_decoded: Option<bool>,
    resource_policy: Option<Value>,
    replication_locations: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Tier {
    #[serde(rename = "type")]
    type_: Option<String>,
    policies: Option<Value>,
}

/// Reads the metadata of an entry.
pub(crate) fn settings(field: &str, metadata: Option<&Value>) -> Result<Settings, PushError> {
    let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) else {
        return Ok(Settings::default());
    };
    let wrong = |reason: &str| PushError::Metadata {
        field: format!("{field}.metadata"),
        reason: reason.to_owned(),
    };
    let read: Envelope = Envelope::deserialize(metadata).map_err(|error| wrong(&plain(&error)))?;
    if read.api_version.as_deref() != Some(VERSION) || read.kind.as_deref() != Some(KIND) {
        return Err(wrong(&format!("it is no {KIND}: set apiVersion {VERSION} and kind {KIND}")));
    }
    let spec = read.spec;
    for (name, set) in [
        ("resourcePolicy", spec.resource_policy.is_some()),
        ("replicationLocations", spec.replication_locations.is_some()),
    ] {
        if set {
            let field = format!("{field}.metadata.spec.{name}");
            let remedy = "remove it; what the remote secret has stays as it is";
            return Err(PushError::NotImplemented { field, remedy });
        }
    }
    let tags = spec.tags.unwrap_or_default();
    if tags.contains_key(OWNER_TAG) {
        return Err(wrong("spec.tags.managed-by is set by Gabion: remove it"));
    }
    if tags.len() > 49 {
        return Err(wrong("spec.tags has more than 49 tags, and AWS takes 50 with managed-by"));
    }
    let as_text = match spec.secret_push_format.as_deref() {
        None | Some("") => None,
        Some("string") => Some(true),
        Some("binary") => Some(false),
        Some(_) => return Err(wrong("spec.secretPushFormat is neither string nor binary")),
    };
    let parameter_type = spec.secret_type.filter(|text| !text.is_empty());
    if !matches!(parameter_type.as_deref(), None | Some("String" | "StringList" | "SecureString")) {
        return Err(wrong("spec.secretType is none of String, StringList and SecureString"));
    }
    let tier = spec.tier.unwrap_or_default();
    let type_ = tier.type_.filter(|text| !text.is_empty());
    if !matches!(type_.as_deref(), None | Some("Standard" | "Advanced" | "Intelligent-Tiering")) {
        return Err(wrong("spec.tier.type is none of Standard, Advanced and Intelligent-Tiering"));
    }
    let remote = RemoteSettings {
        tags,
        description: spec.description,
        kms_key: spec.kms_key_id.or(spec.kms_key_of_parameter).filter(|key| !key.is_empty()),
        as_text,
        parameter_type,
        tier: type_,
        policies: tier.policies.map(|policies| match policies {
            Value::String(text) => text,
            other => other.to_string(),
        }),
    };
    Ok(Settings { remote, decoded: spec.encode_as_decoded.unwrap_or_default() })
}

/// The reader's words, which name the field and quote nothing but types.
fn plain(error: &serde_json::Error) -> String {
    format!("it cannot be read: {error}")
}
