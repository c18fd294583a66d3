//! What edits change, as a unified diff.

use similar::TextDiff;

/// Lines around a change that are shown.
const AROUND: usize = 3;

/// Two texts as a unified diff; empty where they are the same.
pub(crate) fn unified(name: &str, old: &str, new: &str) -> String {
    let name = name.trim_start_matches('/');
    let diff = TextDiff::from_lines(old, new);
    let (old, new) = (format!("a/{name}"), format!("b/{name}"));
    diff.unified_diff().context_radius(AROUND).header(&old, &new).to_string()
}
