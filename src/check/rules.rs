//! What files are evaluated by.

use std::sync::Arc;

use jiff::Timestamp;

use super::{eso::Switch, limit_range::LimitRange, schemas::Schemas};
use crate::policy::Settings;

/// What files are evaluated by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Name of the baseline or profile, for reports.
    pub(crate) name: String,
    /// What is asked of pods and images.
    pub(crate) settings: Settings,
    /// Workloads are also evaluated by practices that admission does not enforce.
    pub(crate) practices: bool,
    /// What is accepted of vulnerability reports.
    pub(crate) vulnerabilities: Thresholds,
    /// Requests and limits for containers that state none, used by `--fix`.
    pub(crate) defaults: Defaults,
    /// What the baseline's LimitRange fills in and bounds.
    pub(crate) limit_range: LimitRange,
    /// What objects are compared with.
    pub(crate) schemas: Arc<Schemas>,
    /// When they are applied: reports have an age.
    pub(crate) now: Timestamp,
    /// Objects of External Secrets Operator are compared with this, and nothing else is evaluated.
    pub(crate) switch: Option<Arc<Switch>>,
}

/// Most findings of a scanner that are accepted; `None` accepts any number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thresholds {
    /// Critical ones.
    pub(crate) critical: Option<u32>,
    /// High ones.
    pub(crate) high: Option<u32>,
    /// Oldest report that counts, in seconds.
    pub(crate) max_age: Option<i64>,
}

/// Requests and limits by resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Requests.
    pub(crate) requests: Vec<(String, String)>,
    /// Limits.
    pub(crate) limits: Vec<(String, String)>,
}
