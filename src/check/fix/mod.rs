//! `--fix`: what is missing and has one right answer is written into manifests.
//!
//! [`remedies`] says what an object should be, [`edit`] says which characters make it so, and the result is read
//! again before it is kept: a text that does not mean exactly what was intended is never written. What somebody
//! wrote on purpose is not overridden, and comments, order and style stay.

mod diff;
mod edit;
mod remedies;

#[cfg(test)]
mod tests;

pub use diff::unified;
pub use edit::Edit;

use serde_json::Value;

use super::{
    place::Lines,
    report::{Hit, Notice},
    rules::Rules,
    yaml::{self, Document, Node},
};

/// What was written, and what could not be.
#[derive(Debug, Default)]
pub struct Fixed {
    /// Edits, in the order of the text.
    pub edits: Vec<Edit>,
    /// What is left to do by hand, and why.
    pub refused: Vec<Notice>,
}

/// Puts right what is mechanical in a text with these findings.
pub fn fix(text: &str, hits: &[Hit], rules: &Rules) -> Fixed {
    let lines = Lines::of(text);
    let mut fixed = Fixed::default();
    let documents: Vec<_> = yaml::read(text).into_iter().enumerate().collect();
    for (number, document) in &documents {
        let Ok(Document { root: Some(root), .. }) = document else { continue };
        let own = hits.iter().filter(|hit| hit.document == *number);
        let counting: Vec<_> = own.filter(|hit| hit.suppressed.is_none() && !hit.note).collect();
        let before = root.to_value();
        let wanted = remedies::wanted(&before, &counting, rules);
        if wanted == before {
            continue;
        }
        let at = |at: usize, message: &str| Notice {
            place: Some(lines.place(at)),
            message: format!("--fix leaves this to you: {message}"),
        };
        match edit::edits(root, &wanted, text) {
            Ok(edits) if means(&edit::apply(text, &edits), *number, &wanted) => {
                fixed.edits.extend(edits);
            }
            Ok(_) => {
                let message =
                    "its text is also used elsewhere, or is laid out in a way that cannot be kept";
                fixed.refused.push(at(root.span.start, message));
            }
            Err(refusal) => fixed.refused.push(at(refusal.at, refusal.reason)),
        }
    }
    fixed.edits.sort_by_key(|edit| edit.range.start);
    fixed
}

/// The text with all edits.
pub fn apply(text: &str, fixed: &Fixed) -> String {
    edit::apply(text, &fixed.edits)
}

/// Whether a document of a text means what was wanted.
fn means(text: &str, number: usize, wanted: &Value) -> bool {
    let documents = yaml::read(text);
    let found = documents.get(number).and_then(|document| document.as_ref().ok());
    found.and_then(|document| document.root.as_ref().map(Node::to_value)).as_ref() == Some(wanted)
}
