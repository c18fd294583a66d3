//! Generators that need nothing from outside: `Password`, `UUID`, `SSHKey` and `Fake`.

use std::collections::BTreeMap;
use std::fmt;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::crd_enum::crd_enum;
use crate::api::external_secrets::references::null_is_absent;

const DEFAULT_LENGTH: i64 = 24;

crd_enum! {
    /// How a password is written.
    Encoding | String {
        Raw = "raw",
        Base64 = "base64",
        Base64Url = "base64url",
        Base32 = "base32",
        Hex = "hex",
    }
}

/// Which passwords to make.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "Password",
    plural = "passwords",
    namespaced,
    doc = "Generates random passwords.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSpec {
    /// Number of characters.
    #[serde(default = "default_length")]
    pub length: i64,
    /// Number of digits. Absent means a quarter of the length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<i64>,
    /// Number of symbols. Absent means a quarter of the length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<i64>,
    /// The symbols to take. Absent means those of ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol_characters: Option<String>,
    /// No upper-case letters.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub no_upper: bool,
    /// A character may occur more than once.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub allow_repeat: bool,
    /// How the password is written: raw, base64, base64url, base32 or hex. It is longer then than `length`.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub encoding: Encoding,
    /// Keys of the passwords, one each. Absent means the one key `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub secret_keys: Option<Vec<String>>,
}

impl Default for PasswordSpec {
    fn default() -> Self {
        Self {
            length: DEFAULT_LENGTH,
            digits: None,
            symbols: None,
            symbol_characters: None,
            no_upper: false,
            allow_repeat: false,
            encoding: Encoding::Raw,
            secret_keys: None,
        }
    }
}

fn default_length() -> i64 {
    DEFAULT_LENGTH
}

/// A UUID needs no settings.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "UUID",
    plural = "uuids",
    namespaced,
    doc = "Generates a random UUID (version 4).",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
pub struct UUIDSpec {}

crd_enum! {
    /// Kind of SSH key.
    SshKeyType | String { Rsa = "rsa", Ecdsa = "ecdsa", Ed25519 = "ed25519" }
}

/// Which SSH key to make.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "SSHKey",
    plural = "sshkeys",
    namespaced,
    doc = "Generates a pair of SSH keys.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
#[serde(rename_all = "camelCase")]
pub struct SSHKeySpec {
    /// rsa, ecdsa or ed25519.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub key_type: SshKeyType,
    /// Bits: 2048 (the default), 3072, 4096 or 8192 for rsa; 256 (the default), 384 or 521 for ecdsa.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "key_size")]
    pub key_size: Option<i64>,
    /// Comment of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Fixed values, for tests.
#[derive(CustomResource, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "generators.external-secrets.io",
    version = "v1alpha1",
    kind = "Fake",
    plural = "fakes",
    namespaced,
    doc = "Gives fixed values, for tests.",
    category = "external-secrets",
    category = "external-secrets-generators",
    label("external-secrets.io/component", "controller")
)]
pub struct FakeSpec {
    /// Which controller class this generator is for. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// The values.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub data: BTreeMap<String, String>,
}

impl fmt::Debug for FakeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSpec")
            .field("controller", &self.controller)
            .field("keys", &self.data.keys())
            .finish_non_exhaustive()
    }
}

fn key_size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 256, "maximum": 8192})
}
