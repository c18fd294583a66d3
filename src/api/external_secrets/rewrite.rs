//! Operations that change the keys of what was read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::references::null_is_absent;
use crate::api::crd_enum::crd_enum;

/// One change of keys. Exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Rewrite {
    /// Replaces every match in every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regexp: Option<RewriteRegexp>,
    /// Makes the new key with a template; `.value` is the old key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<RewriteTransform>,
    /// Merges values that are JSON objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<RewriteMerge>,
}

/// Search and replace in keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RewriteRegexp {
    /// What to search: a regular expression (RE2).
    pub source: String,
    /// What to put in its place; $1 and ${name} are groups.
    pub target: String,
}

/// A template for keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RewriteTransform {
    /// The template.
    pub template: String,
}

/// How values are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RewriteMerge {
    /// Under JSON: the key that gets the merged object.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub into: String,
    /// Keys to merge last, the strongest at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_absent")]
    pub priority: Vec<String>,
    /// Whether a key in `priority` may be missing.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub priority_policy: MergePriorityPolicy,
    /// Whether two values may have the same inner key.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub conflict_policy: MergeConflictPolicy,
    /// Extract makes the inner keys the result; JSON adds one key with the merged object.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub strategy: MergeStrategy,
}

crd_enum! {
    /// Whether a key in `priority` may be missing.
    MergePriorityPolicy | String { Strict = "Strict", IgnoreNotFound = "IgnoreNotFound" }
}

crd_enum! {
    /// Whether two values may have the same inner key.
    MergeConflictPolicy | String { Error = "Error", Ignore = "Ignore" }
}

crd_enum! {
    /// What a merge produces.
    MergeStrategy | String { Extract = "Extract", Json = "JSON" }
}
