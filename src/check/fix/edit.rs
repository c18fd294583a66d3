//! From a value to the characters that change a text into it.

use std::ops::Range;

use serde_json::{Map, Value};

use super::super::{
    position::Lines,
    yaml::{Content, Entry, Node, is_plain},
};

/// Text that takes the place of a range of the old text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Bytes of the old text; empty where only something is added.
    pub(crate) range: Range<usize>,
    /// What comes there.
    pub(crate) text: String,
}

/// Why a value cannot be written.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The byte of the text that is in the way.
    pub(crate) at: usize,
    /// Why.
    pub(crate) reason: &'static str,
}

/// The text with edits; those at one place keep their order.
pub(crate) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut sorted: Vec<_> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.range.start);
    let (mut result, mut at) = (String::with_capacity(text.len()), 0);
    for edit in sorted {
        result.push_str(text.get(at..edit.range.start).unwrap_or_default());
        result.push_str(&edit.text);
        at = at.max(edit.range.end);
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}

/// What is the same for all documents of a text.
pub(crate) struct Layout<'t> {
    text: &'t str,
    /// Its lines.
    pub(crate) lines: Lines<'t>,
    newline: &'static str,
    /// Holds one document only, as JSON does.
    single: bool,
}

impl<'t> Layout<'t> {
    /// The layout of a text.
    pub(crate) fn of(text: &'t str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, lines: Lines::of(text), newline, single: !text.contains("\n---") }
    }
}

/// The edits that turn a document into a value which holds all that it holds, and more.
pub(crate) fn edits(
    root: &Node,
    wanted: &Value,
    layout: &Layout<'_>,
) -> Result<Vec<Edit>, Refusal> {
    let Layout { text, lines, newline, single } = layout;
    let mut style = Style::default();
    style.learn(root, text, lines);
    let json = text.get(root.span.start..).is_some_and(|start| start.starts_with('{'))
        && *single
        && root.flow;
    let mut writer = Writer { text, lines, style, newline, json, edits: Vec::new() };
    writer.node(root, wanted)?;
    Ok(writer.edits)
}

/// How a text is indented.
#[derive(Debug, Default)]
struct Style {
    /// Columns between a key and the keys below it.
    step: Option<usize>,
    /// Columns between a key and the dashes below it.
    dash: Option<usize>,
}

impl Style {
    /// Takes over what the first examples in the text show.
    fn learn(&mut self, node: &Node, text: &str, lines: &Lines<'_>) {
        if self.step.is_some() && self.dash.is_some() {
            return;
        }
        match &node.content {
            Content::Scalar(_) => {}
            Content::Sequence(items) => items.iter().for_each(|item| self.learn(item, text, lines)),
            Content::Mapping(entries) => {
                for Entry { key_span, value, .. } in
                    entries.iter().filter(|entry| !entry.value.shared)
                {
                    let key = column(lines, key_span.start);
                    let block = !value.flow && value.span.start > key_span.end;
                    match &value.content {
                        Content::Mapping(_) if block => {
                            let own = column(lines, value.span.start);
                            self.step = self.step.or(own.checked_sub(key).filter(|step| *step > 0));
                        }
                        Content::Sequence(_) if block => {
                            let dash = dash(value, text).map(|dash| column(lines, dash));
                            self.dash = self.dash.or(dash.and_then(|dash| dash.checked_sub(key)));
                        }
                        _ => {}
                    }
                    self.learn(value, text, lines);
                }
            }
        }
    }

    fn step(&self) -> usize {
        self.step.unwrap_or(2)
    }

    fn dash(&self) -> usize {
        self.dash.unwrap_or(2)
    }
}

/// The column of a byte, from 0.
fn column(lines: &Lines<'_>, at: usize) -> usize {
    lines.position(at).column - 1
}

/// The byte of the dash before the first item of a list in block style.
fn dash(sequence: &Node, text: &str) -> Option<usize> {
    let first = sequence.items().first()?;
    let before = text.get(..first.span.start)?.trim_end();
    before.ends_with('-').then(|| before.len() - 1)
}

struct Writer<'t> {
    text: &'t str,
    lines: &'t Lines<'t>,
    style: Style,
    newline: &'static str,
    json: bool,
    edits: Vec<Edit>,
}

const SHARED: &str =
    "the text comes by way of an anchor or a merge key and belongs to other values too";
const UNKNOWN: &str = "the text is laid out in a way that --fix does not know";

impl Writer<'_> {
    fn node(&mut self, node: &Node, wanted: &Value) -> Result<(), Refusal> {
        if node.to_value() == *wanted {
            return Ok(());
        }
        if node.shared {
            return Err(Refusal { at: node.span.start, reason: SHARED });
        }
        match (&node.content, wanted) {
            (Content::Mapping(entries), Value::Object(fields)) => {
                self.mapping(node, entries, fields)
            }
            (Content::Sequence(items), Value::Array(wanted)) => self.sequence(node, items, wanted),
            (Content::Scalar(_), scalar) if !node.span.is_empty() => {
                let text = if scalar.is_object() || scalar.is_array() {
                    self.flow(scalar)
                } else {
                    self.scalar(scalar)
                };
                self.edits.push(Edit { range: node.span.clone(), text });
                Ok(())
            }
            _ => Err(Refusal { at: node.span.start, reason: UNKNOWN }),
        }
    }

    fn mapping(
        &mut self,
        node: &Node,
        entries: &[Entry],
        fields: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        for entry in entries {
            let Some(wanted) = fields.get(&entry.key) else {
                return Err(Refusal { at: entry.key_span.start, reason: UNKNOWN });
            };
            let absent = entry.value.is_null() && entry.value.span.is_empty();
            if absent && !wanted.is_null() && !entry.value.shared {
                self.absent(node, entry, wanted)?;
            } else {
                self.node(&entry.value, wanted)?;
            }
        }
        let known = |key: &String| entries.iter().any(|entry| entry.key == *key);
        let new: Vec<_> = fields.iter().filter(|(key, _)| !known(key)).collect();
        if new.is_empty() {
            return Ok(());
        }
        if node.flow {
            return self.add_to_flow(node, entries, &new);
        }
        let indent = column(self.lines, node.span.start);
        let mut text = String::new();
        for (key, value) in new {
            self.entry(&mut text, key, value, indent);
        }
        self.insert(self.end_of(node), text);
        Ok(())
    }

    /// Writes the value of a key that has none.
    fn absent(&mut self, parent: &Node, entry: &Entry, wanted: &Value) -> Result<(), Refusal> {
        let after = self.text.get(entry.key_span.end..).unwrap_or_default();
        let colon = after.len() - after.trim_start().len();
        if parent.flow || !after.trim_start().starts_with(':') {
            return Err(Refusal { at: entry.key_span.start, reason: UNKNOWN });
        }
        let mut text = String::new();
        match wanted {
            Value::Object(fields) if !fields.is_empty() => {
                let indent = column(self.lines, entry.key_span.start) + self.style.step();
                for (key, value) in ordered(fields) {
                    self.entry(&mut text, key, value, indent);
                }
                self.insert(self.lines.end(entry.key_span.end), text);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let indent = column(self.lines, entry.key_span.start) + self.style.dash();
                self.items(&mut text, items, indent);
                self.insert(self.lines.end(entry.key_span.end), text);
            }
            other => {
                let text = format!(" {}", self.flow(other));
                self.insert(entry.key_span.end + colon + 1, text);
            }
        }
        Ok(())
    }

    fn sequence(&mut self, node: &Node, items: &[Node], wanted: &[Value]) -> Result<(), Refusal> {
        if wanted.len() < items.len() {
            return Err(Refusal { at: node.span.start, reason: UNKNOWN });
        }
        for (item, wanted) in items.iter().zip(wanted) {
            self.node(item, wanted)?;
        }
        let new = wanted.get(items.len()..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        if node.flow {
            let texts: Vec<_> = new.iter().map(|value| self.flow(value)).collect();
            let at = items.last().map_or(node.span.start + 1, |last| last.span.end);
            let separator = if items.is_empty() { "" } else { ", " };
            self.insert(at, format!("{separator}{}", texts.join(", ")));
            return Ok(());
        }
        let dash = dash(node, self.text).ok_or(Refusal { at: node.span.start, reason: UNKNOWN })?;
        let mut text = String::new();
        self.items(&mut text, new, column(self.lines, dash));
        self.insert(self.end_of(node), text);
        Ok(())
    }

    fn insert(&mut self, at: usize, text: String) {
        self.edits.push(Edit { range: at..at, text });
    }

    /// The end of the last line of a collection in block style, a comment on it included.
    fn end_of(&self, node: &Node) -> usize {
        let own = self.text.get(node.span.clone()).unwrap_or_default();
        self.lines.end(node.span.start + own.trim_end().len())
    }

    fn add_to_flow(
        &mut self,
        node: &Node,
        entries: &[Entry],
        new: &[(&String, &Value)],
    ) -> Result<(), Refusal> {
        let texts =
            new.iter().map(|(key, value)| format!("{}: {}", self.key(key), self.flow(value)));
        let texts: Vec<_> = texts.collect();
        let own = entries.iter().rfind(|entry| !entry.value.shared);
        let Some(last) = own else {
            if node.span.len() > 2 && !entries.is_empty() {
                return Err(Refusal { at: node.span.start, reason: UNKNOWN });
            }
            self.insert(node.span.start + 1, texts.join(", "));
            return Ok(());
        };
        // A mapping that is written with a line for each key goes on so.
        let start = self.lines.start(self.lines.index(last.key_span.start));
        let before = self.text.get(start..last.key_span.start).unwrap_or_default();
        let separator = if before.trim().is_empty() && start > node.span.start {
            format!(",{}{before}", self.newline)
        } else {
            ", ".to_owned()
        };
        let text: Vec<_> = texts.into_iter().map(|text| format!("{separator}{text}")).collect();
        self.insert(last.value.span.end.max(last.key_span.end), text.concat());
        Ok(())
    }

    /// A key with its value in block style, on lines of its own.
    fn entry(&self, into: &mut String, key: &str, value: &Value, indent: usize) {
        into.push_str(self.newline);
        into.push_str(&" ".repeat(indent));
        self.entry_here(into, key, value, indent);
    }

    fn entry_here(&self, into: &mut String, key: &str, value: &Value, indent: usize) {
        into.push_str(&self.key(key));
        into.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in ordered(fields) {
                    self.entry(into, key, value, indent + self.style.step());
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                self.items(into, items, indent + self.style.dash());
            }
            other => {
                into.push(' ');
                into.push_str(&self.flow(other));
            }
        }
    }

    /// Items in block style, their dashes at a column.
    fn items(&self, into: &mut String, items: &[Value], dash: usize) {
        for item in items {
            into.push_str(self.newline);
            into.push_str(&" ".repeat(dash));
            into.push_str("- ");
            match item {
                Value::Object(fields) if !fields.is_empty() => {
                    for (number, (key, value)) in ordered(fields).into_iter().enumerate() {
                        if number == 0 {
                            self.entry_here(into, key, value, dash + 2);
                        } else {
                            self.entry(into, key, value, dash + 2);
                        }
                    }
                }
                other => into.push_str(&self.flow(other)),
            }
        }
    }

    /// A value in flow style.
    fn flow(&self, value: &Value) -> String {
        match value {
            Value::Object(fields) => {
                let pairs = ordered(fields).into_iter();
                let pairs =
                    pairs.map(|(key, value)| format!("{}: {}", self.key(key), self.flow(value)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.flow(item)).collect();
                format!("[{}]", items.join(", "))
            }
            scalar => self.scalar(scalar),
        }
    }

    fn key(&self, key: &str) -> String {
        self.scalar(&Value::String(key.to_owned()))
    }

    fn scalar(&self, scalar: &Value) -> String {
        match scalar {
            Value::String(text) if !self.json && is_plain(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// `name` first, as people write it; the rest by the alphabet.
fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut ordered: Vec<_> = fields.iter().collect();
    ordered.sort_by_key(|(key, _)| *key != "name");
    ordered
}
