//! What files are evaluated by.

use jiff::Timestamp;

use crate::policy::Settings;

/// What files are evaluated by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Name of the baseline or profile, for reports.
    pub name: String,
    /// What is asked of pods and images.
    pub settings: Settings,
    /// What is accepted of vulnerability reports.
    pub vulnerabilities: Thresholds,
    /// Requests and limits for containers that state none, used by `--fix`.
    pub defaults: Defaults,
    /// When they are applied: reports have an age.
    pub now: Timestamp,
}

/// Most findings of a scanner that are accepted; `None` accepts any number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Critical ones.
    pub critical: Option<u32>,
    /// High ones.
    pub high: Option<u32>,
    /// Oldest report that counts, in seconds.
    pub max_age: Option<i64>,
}

/// Requests and limits by resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Requests.
    pub requests: Vec<(String, String)>,
    /// Limits.
    pub limits: Vec<(String, String)>,
}
