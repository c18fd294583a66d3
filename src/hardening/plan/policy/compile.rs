//! Policies and bindings for the API server.

use serde_json::Value;

use super::probe::Probes;
use super::scope::{Scope, Waiver};
use super::settings::Settings;
use crate::api::hardening_baseline::Stage;

/// What a baseline puts into the API server.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySet {
    /// Hash of everything that decides a verdict; also in the sentinel.
    pub revision: String,
    /// `ValidatingAdmissionPolicy` objects, with metadata, ready to be applied.
    pub policies: Vec<Value>,
    /// `ValidatingAdmissionPolicyBinding` objects at the stage that was asked for; none at Observe.
    pub bindings: Vec<Value>,
    /// Bindings that deny pods labelled `gabion.dev/policy-probe: <revision>` and nothing else: applied with the
    /// policies and proved by the probes *before* `bindings`, then deleted.
    pub probe_bindings: Vec<Value>,
    /// The pods that prove it.
    pub probes: Probes,
}

/// Compiles settings into policies.
pub fn compile(settings: &Settings, scope: &Scope, stage: Stage, waivers: &[Waiver]) -> PolicySet {
    let _ = (settings, scope, stage, waivers);
    PolicySet {
        revision: String::new(),
        policies: Vec::new(),
        bindings: Vec::new(),
        probe_bindings: Vec::new(),
        probes: Probes { passes: Value::Null, denied: Value::Null, sentinel: String::new() },
    }
}
