//! How a controller finds out that exactly this revision is in force, and that it can be evaluated at all.

use serde_json::Value;

/// Annotation that makes the policy of that revision refuse a pod, whatever else the pod holds.
pub const PROBE: &str = "gabion.dev/policy-probe";

/// Two pods to create by dry-run in a namespace that the policies reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Probes {
    /// Holds every rule: must pass. Evaluating it reaches every rule, so a policy that errors is found out.
    pub passes: Value,
    /// Like the first, with the annotation [`PROBE`]: must be denied with `sentinel` in the message.
    pub denied: Value,
    /// Text that only a policy of this revision says.
    pub sentinel: String,
}
