//! Changes to a tree of nodes. What comes in keeps the place where it was written.

use std::ops::Range;

use serde_json::Value;

use super::super::yaml::{Content, Entry, Node};

/// A scalar with its place.
pub(super) fn scalar(value: Value, at: &Range<usize>) -> Node {
    Node { content: Content::Scalar(value), span: at.clone(), flow: false, shared: true }
}

/// A text with its place.
pub(super) fn text(value: &str, at: &Range<usize>) -> Node {
    scalar(Value::String(value.to_owned()), at)
}

/// A value with one place for everything in it.
pub(super) fn node(value: &Value, at: &Range<usize>) -> Node {
    let content = match value {
        Value::Array(items) => Content::Sequence(items.iter().map(|item| node(item, at)).collect()),
        Value::Object(fields) => {
            let entry = |(key, value): (&String, &Value)| Entry {
                key: key.clone(),
                key_span: at.clone(),
                value: node(value, at),
            };
            Content::Mapping(fields.iter().map(entry).collect())
        }
        scalar => Content::Scalar(scalar.clone()),
    };
    Node { content, span: at.clone(), flow: false, shared: true }
}

/// The value of a key, to be changed.
pub(super) fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.content {
        Content::Mapping(entries) => {
            entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
        }
        _ => None,
    }
}

/// The value at the end of several keys.
pub(super) fn at<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n Node> {
    keys.iter().try_fold(node, |node, key| node.get(key))
}

/// The text at the end of several keys.
pub(super) fn text_at<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n str> {
    at(node, keys).and_then(Node::as_str)
}

/// The items of a list, to be changed.
pub(super) fn items_mut(node: &mut Node) -> &mut [Node] {
    match &mut node.content {
        Content::Sequence(items) => items,
        _ => &mut [],
    }
}

/// Sets a key of a mapping; of what is null, a mapping is made.
pub(super) fn set(node: &mut Node, key: &str, key_span: &Range<usize>, value: Node) {
    if node.is_null() {
        node.content = Content::Mapping(Vec::new());
    }
    if let Content::Mapping(entries) = &mut node.content {
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => (entry.value, entry.key_span) = (value, key_span.clone()),
            None => entries.push(Entry { key: key.to_owned(), key_span: key_span.clone(), value }),
        }
    }
}

/// Removes a key of a mapping.
pub(super) fn remove(node: &mut Node, key: &str) -> Option<Node> {
    let Content::Mapping(entries) = &mut node.content else { return None };
    let at = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(at).value)
}

/// Sets a key below several others, with the mappings that lead to it.
pub(super) fn set_below(node: &mut Node, keys: &[&str], at: &Range<usize>, value: Node) {
    match keys {
        [] => {}
        [last] => set(node, last, at, value),
        [first, rest @ ..] => {
            if node.get(first).is_none_or(Node::is_null) {
                let empty = Content::Mapping(Vec::new());
                set(
                    node,
                    first,
                    at,
                    Node { content: empty, span: at.clone(), flow: false, shared: true },
                );
            }
            if let Some(next) = get_mut(node, first) {
                set_below(next, rest, at, value);
            }
        }
    }
}
