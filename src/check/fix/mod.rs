//! `--fix`: what is missing and has one right answer is written into manifests.
//!
//! [`remedies`] says what an object should be, [`edit`] says which characters make it so, and the result is read
//! again before it is kept: a text that does not mean exactly what was intended is never written. What somebody
//! wrote on purpose is not overridden, and comments, order and style stay.

mod diff;
mod edit;
mod remedies;

#[cfg(test)]
mod style_tests;
#[cfg(test)]
mod tests;

pub(crate) use diff::unified;
pub(crate) use edit::Edit;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    report::{Diagnostic, Located},
    rules::Rules,
    yaml::{self, Document},
};

/// What was written, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    /// Edits, in the order of the text.
    pub(crate) edits: Vec<Edit>,
    /// What is left to do by hand, and why.
    pub(crate) refused: Vec<Diagnostic>,
}

/// What one document should become.
struct Plan {
    /// Number of the document.
    number: usize,
    /// Where it starts.
    start: usize,
    wanted: Value,
    edits: Vec<Edit>,
}

/// Times that a text is read again without what did not fit; then all of it is left alone.
const TRIES: usize = 4;

/// Puts right what is mechanical in a text with these findings.
pub(crate) fn fix(text: &str, located: &[Located], rules: &Rules) -> Fixed {
    let layout = edit::Layout::of(text);
    let mut fixed = Fixed::default();
    let mut counting: BTreeMap<usize, Vec<&Located>> = BTreeMap::new();
    for located in
        located.iter().filter(|located| located.suppressed.is_none() && !located.finding.note)
    {
        counting.entry(located.document).or_default().push(located);
    }
    let mut plans = Vec::new();
    let documents = yaml::read(text);
    let readable = documents.iter().filter(|document| document.is_ok()).count();
    for (number, document) in documents.into_iter().enumerate() {
        let (Ok(Document { root: Some(root), .. }), Some(located)) =
            (document, counting.get(&number))
        else {
            continue;
        };
        let before = root.to_value();
        let wanted = remedies::wanted(&before, located, rules);
        if wanted == before {
            continue;
        }
        match edit::edits(&root, &wanted, &layout) {
            Ok(edits) => plans.push(Plan { number, start: root.span.start, wanted, edits }),
            Err(refusal) => fixed.refused.push(left(&layout, refusal.at, refusal.reason)),
        }
    }
    let misread = keep_what_fits(text, readable, &mut plans);
    for start in misread {
        let reason = "its text is also used elsewhere, or is laid out in a way that cannot be kept";
        fixed.refused.push(left(&layout, start, reason));
    }
    fixed.edits = plans.into_iter().flat_map(|plan| plan.edits).collect();
    fixed.edits.sort_by_key(|edit| edit.range.start);
    fixed
}

fn left(layout: &edit::Layout<'_>, at: usize, reason: &str) -> Diagnostic {
    let message = format!("--fix leaves this to you: {reason}");
    Diagnostic { position: Some(layout.lines.position(at)), message }
}

/// Reads the text as it would be written, and drops the plans of documents that would not mean what is wanted.
/// Where those start. As many documents must be readable as were before.
fn keep_what_fits(text: &str, readable: usize, plans: &mut Vec<Plan>) -> Vec<usize> {
    let mut dropped = Vec::new();
    for _ in 0..TRIES {
        let edits: Vec<_> = plans.iter().flat_map(|plan| plan.edits.iter().cloned()).collect();
        let documents = yaml::read(&edit::apply(text, &edits));
        let means = |plan: &Plan| {
            let document = documents.get(plan.number).and_then(|document| document.as_ref().ok());
            let root = document.and_then(|document| document.root.as_ref());
            root.is_some_and(|root| root.to_value() == plan.wanted)
        };
        let (kept, misread): (Vec<_>, Vec<_>) = plans.drain(..).partition(means);
        *plans = kept;
        let still = documents.iter().filter(|document| document.is_ok()).count();
        if misread.is_empty() && still == readable {
            return dropped;
        }
        dropped.extend(misread.iter().map(|plan| plan.start));
    }
    dropped.extend(plans.drain(..).map(|plan| plan.start));
    dropped
}

/// The text with all edits.
pub(crate) fn apply(text: &str, fixed: &Fixed) -> String {
    edit::apply(text, &fixed.edits)
}
