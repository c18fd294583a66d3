//! YAML (and so JSON) read into values that know where in the text they stand.
//!
//! Scalars are resolved as `kubectl` does it (YAML 1.1: `yes` is a boolean, `0777` is octal), keys that occur
//! twice are refused, aliases are expanded within a bound.

mod json;
mod node;
mod reader;
mod scalar;

pub(crate) use node::{Content, Entry, Node};
pub(crate) use reader::{Comment, Document, Fault};
pub(crate) use scalar::is_plain;

/// The documents of a text, each by itself: one that cannot be read does not hide the next. JSON is read as JSON
/// where YAML does not know it.
pub(crate) fn read(text: &str) -> Vec<Result<Document, Fault>> {
    let documents = reader::documents(text);
    let unread = documents.iter().any(Result::is_err) && text.trim_start().starts_with(['{', '[']);
    match unread.then(|| json::read(text)).flatten() {
        Some(root) => vec![Ok(Document { root: Some(root), comments: Vec::new() })],
        None => documents,
    }
}

#[cfg(test)]
mod tests;
