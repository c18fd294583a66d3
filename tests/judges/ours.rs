//! Our two judges: the evaluator in this process, and the policies that the same rules are compiled into.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::plugin::Bar;

/// The checks that a pod fails, by the evaluator.
pub fn evaluate(_bar: Bar, _pod: &Value) -> BTreeSet<String> {
    BTreeSet::new()
}

/// Policies and bindings for the namespace that is labelled for a bar, each with the address to create it at.
pub fn policies(_bar: Bar) -> Vec<(String, Value)> {
    Vec::new()
}

/// The checks that a refusal of ours names.
pub fn denied_checks(_message: &str) -> Option<BTreeSet<String>> {
    None
}
