//! Pod Security labels and the checks on pods that go beyond them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::crd_enum::crd_enum;
use crate::api::gabion::schema::rules;
use crate::api::gabion::schema::seccomp_profiles;

crd_enum! {
    /// A level of the Pod Security Standards, weakest first.
    Level {
        /// No restriction.
        Privileged = "privileged",
        /// Known privilege escalations are refused.
        Baseline = "baseline",
        /// Hardening best practice is required.
        Restricted = "restricted",
    }
}

crd_enum! {
    /// Who writes the Pod Security labels of the selected namespaces.
    LabelOwnership {
        /// The operator sets the labels and keeps them.
        Operator = "Operator",
        /// Something else (a GitOps tool) sets them; the operator only compares.
        External = "External",
    }
}

crd_enum! {
    /// What happens to something that breaks a rule.
    Verdict {
        /// Nothing.
        Ignore = "Ignore",
        /// A warning to the caller.
        Warn = "Warn",
        /// The request is refused.
        Deny = "Deny",
    }
}

/// Pod Security Standards, by namespace labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "!has(self.auditLevel) || self.auditLevel == 'restricted' || (has(self.level) && (self.level == 'privileged' || (self.level == 'baseline' && self.auditLevel == 'baseline')))",
        "auditLevel must not be below level; raise auditLevel or leave it out",
    ),
    (
        "!has(self.warnLevel) || self.warnLevel == 'restricted' || (has(self.level) && (self.level == 'privileged' || (self.level == 'baseline' && self.warnLevel == 'baseline')))",
        "warnLevel must not be below level; raise warnLevel or leave it out",
    ),
])))]
pub struct PodSecurity {
    /// Level that is enforced. Default: restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Version of the standards: `latest` or v1.0 to v1.37. When absent, the newest version that both the
    /// API server and the operator know is pinned at the first reconcile and kept in status.pinnedVersion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), extend("x-kubernetes-validations" = rules(&[(
        "self.matches('^(latest|v1[.]([0-9]|[12][0-9]|3[0-7]))$')",
        "must be latest or a version from v1.0 to v1.37",
    )])))]
    pub version: Option<String>,
    /// Level of the audit label, not below level. Default: level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_level: Option<Level>,
    /// Level of the warn label, not below level. Default: level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_level: Option<Level>,
    /// Who writes the labels. Default: Operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_ownership: Option<LabelOwnership>,
}

/// A range of ids, both ends included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "!has(self.min) || !has(self.max) || self.min <= self.max", "min must not be above max",
)])))]
pub struct IdRange {
    /// Smallest id that is allowed, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub min: Option<i64>,
    /// Largest id that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max: Option<i64>,
}

/// Checks on pods beyond the Pod Security Standards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    /// Every container must have a read-only root filesystem. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,
    /// Allowed user ids. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<IdRange>,
    /// Allowed group ids. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<IdRange>,
    /// Allowed volume group ids. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<IdRange>,
    /// Localhost seccomp profiles that pods may use, relative to the kubelet's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "seccomp_profiles")]
    pub localhost_seccomp_profiles: Vec<String>,
    /// What happens to workload templates whose pods would be refused. Default: Warn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<Verdict>,
    /// Container ports below this number are warned about. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub min_container_port: Option<i32>,
}
