//! A value and its place in the text.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::policy::FieldPath;
use crate::policy::Segment;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) content: Content,
    /// Bytes of the text from which it was read. Of a collection in block style: from its first key or item to
    /// the end of its last.
    pub(crate) span: Range<usize>,
    /// Written with braces or brackets.
    pub(crate) flow: bool,
    /// Came by way of an alias or a merge key, so that its text belongs to several values.
    pub(crate) shared: bool,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    /// Items.
    Sequence(Vec<Node>),
    /// Keys, distinct, in the order of the text.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) key_span: Range<usize>,
    /// Its value.
    pub(crate) value: Node,
}

impl Node {
    /// The value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key of a mapping.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The items of a sequence; nothing else has any.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.content {
            Content::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether it is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Value::Null))
    }

    /// The value at the end of a path.
    pub(crate) fn at(&self, path: &FieldPath) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, step| node.child(step))
    }

    fn child(&self, step: &Segment) -> Option<&Node> {
        match step {
            Segment::Key(key) => self.get(key),
            Segment::Index(index) => self.items().get(*index),
        }
    }

    /// Where to point for a path: the key of the deepest part of it that exists, or the item.
    pub(crate) fn offset(&self, path: &FieldPath) -> usize {
        let (mut node, mut place) = (self, self.span.start);
        for step in &path.0 {
            match step {
                Segment::Key(key) => {
                    let Some(entry) = node.entry(key) else { break };
                    (node, place) = (&entry.value, entry.key_span.start);
                }
                Segment::Index(index) => {
                    let Some(item) = node.items().get(*index) else { break };
                    (node, place) = (item, item.span.start);
                }
            }
        }
        place
    }

    /// The value without positions.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Mapping(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}
