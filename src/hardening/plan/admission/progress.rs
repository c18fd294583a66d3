//! What the status reports of a baseline's admission policies.

use crate::api::gabion::hardening_baseline::Stage;
use crate::hardening::plan::{conditions::ConditionUpdate, error::Error};

/// How far the policies of a baseline have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The baseline checks nothing that a policy is needed for, or only observes.
    Nothing,
    /// On the way: what is waited for.
    Compiling(String),
    /// Proved, and bound at the stage.
    InForce,
    /// The bindings are not seen to be in force.
    NotDenied,
    /// It failed; whatever was in force before still is.
    Failed(Error),
}

/// The policies of a baseline, for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// The revision that the spec compiles to.
    pub(crate) revision: Option<String>,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// How far the baseline goes.
    pub(crate) stage: Stage,
}

impl Admission {
    /// The conditions `Compiled` and `Enforced`.
    pub(crate) fn condition_updates(&self) -> [ConditionUpdate; 2] {
        [self.compiled(), self.enforced()]
    }

    /// Why the baseline is not ready, if the policies are why.
    pub(crate) fn unready(&self) -> Option<ConditionUpdate> {
        let update = match &self.progress {
            Progress::Nothing | Progress::InForce => return None,
            Progress::NotDenied => self.enforced(),
            Progress::Compiling(_) | Progress::Failed(_) => self.compiled(),
        };
        Some(ConditionUpdate { kind: "Ready", ..update })
    }

    fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or_default()
    }

    fn compiled(&self) -> ConditionUpdate {
        match &self.progress {
            Progress::Nothing => ConditionUpdate::new(
                "Compiled",
                true,
                "NothingToCompile",
                "Nothing in the spec needs an admission policy at this stage.",
            ),
            Progress::Compiling(what) => {
                let message = format!(
                    "Revision {} waits for {what}; the revision before it stays in force.",
                    self.revision()
                );
                ConditionUpdate::new("Compiled", false, "Compiling", message)
            }
            // About the probes, not about the policies.
            Progress::Failed(error @ Error::NoProbeNamespace { .. }) => {
                ConditionUpdate::because("Compiled", false, error)
            }
            Progress::Failed(error) => ConditionUpdate::because("Compiled", false, error),
            Progress::InForce | Progress::NotDenied => {
                let message = format!(
                    "Revision {} passed its type check, and its probes were answered as they must be.",
                    self.revision()
                );
                ConditionUpdate::new("Compiled", true, "Proved", message)
            }
        }
    }

    fn enforced(&self) -> ConditionUpdate {
        let says = |holds, reason: &str, message: String| {
            ConditionUpdate::new("Enforced", holds, reason, message)
        };
        match &self.progress {
            Progress::Failed(error @ Error::NoProbeNamespace { .. }) => {
                ConditionUpdate::because("Enforced", false, error)
            }
            Progress::Nothing => says(
                false,
                "NothingToEnforce",
                "There is no admission policy at this stage.".into(),
            ),
            _ if self.stage != Stage::Enforce => {
                let message =
                    format!("The baseline goes as far as {}: nothing is refused.", self.stage);
                says(false, "BelowEnforce", message)
            }
            Progress::InForce => {
                let message = format!(
                    "A probe pod was denied by revision {} with all its bindings.",
                    self.revision()
                );
                says(true, "ProbeDenied", message)
            }
            Progress::Failed(_) if self.revision.is_none() => says(
                false,
                "ProbeNotDenied",
                "The spec could not be compiled; the revision before it stays in force.".into(),
            ),
            _ => {
                let message = format!(
                    "No probe pod was denied yet by revision {} with all its bindings; trying again.",
                    self.revision()
                );
                says(false, "ProbeNotDenied", message)
            }
        }
    }
}
