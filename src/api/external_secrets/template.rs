//! Templates of an ExternalSecret's target.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::references::DecodingStrategy;
use super::references::data_key;
use super::references::null_is_absent;
use super::references::object_name;
use crate::api::crd_enum::crd_enum;

/// Makes a Secret's data and metadata from the data read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.type) || self.type != 'kubernetes.io/service-account-token'",
        "message": "type kubernetes.io/service-account-token is refused: it would mint a token of a ServiceAccount; use type Opaque",
    },
    {
        "rule": "!has(self.type) || self.type != 'bootstrap.kubernetes.io/token'",
        "message": "type bootstrap.kubernetes.io/token is refused: it would let a node join the cluster; use type Opaque",
    },
]))]
pub struct Template {
    /// Type of the Secret. Without it, Opaque.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub type_: Option<String>,
    /// The template language: v2.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub engine_version: EngineVersion,
    /// Metadata of the Secret. Values are templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// Keys of the Secret. Values are templates.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub data: BTreeMap<String, String>,
    /// Replace: only what the template makes. Merge: the data read, too.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub merge_policy: TemplateMergePolicy,
    /// More templates, from other objects or inline; the later wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    #[schemars(length(max = 1000))]
    pub template_from: Vec<TemplateFrom>,
}

crd_enum! {
    /// The template language.
    EngineVersion | String { V2 = "v2" }
}

crd_enum! {
    /// Whether the data read is kept beside what the template makes.
    TemplateMergePolicy | String { Replace = "Replace", Merge = "Merge" }
}

/// Metadata of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMetadata {
    /// Its annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Its labels.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_absent"
    )]
    pub labels: BTreeMap<String, String>,
    /// Finalizers to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub finalizers: Vec<String>,
}

/// A source of templates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateFrom {
    /// A ConfigMap of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<TemplateRef>,
    /// A Secret of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<TemplateRef>,
    /// A template whose output is a YAML map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub literal: Option<String>,
    /// Data (the default), Annotations or Labels.
    #[serde(default = "data", deserialize_with = "null_is_data")]
    #[schemars(length(max = 1024))]
    pub target: String,
    /// How the rendered values are decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_decoding_strategy: Option<DecodingStrategy>,
}

/// Keys of an object that hold templates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRef {
    /// Name of the object.
    #[schemars(schema_with = "object_name")]
    pub name: String,
    /// Its keys.
    pub items: Vec<TemplateRefItem>,
}

/// One key that holds a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRefItem {
    /// The key.
    #[schemars(schema_with = "data_key")]
    pub key: String,
    /// Values: the key of the Secret is this key. KeysAndValues: the output is a YAML map.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub template_as: TemplateScope,
}

crd_enum! {
    /// What a template's output is.
    TemplateScope | String { Values = "Values", KeysAndValues = "KeysAndValues" }
}

fn data() -> String {
    "Data".to_owned()
}

fn null_is_data<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(|target| target.unwrap_or_else(data))
}
