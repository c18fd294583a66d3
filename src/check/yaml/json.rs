//! JSON that is no YAML: control characters in strings, keys that are longer than YAML allows.
//!
//! The text is known to be valid JSON, so this only finds out where its values stand.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    node::{Content, Entry, Node},
    reader::{DEEPEST, MOST_VALUES},
};

/// The value of a text that is JSON; `None` if it is none, or is beyond the bounds of files, or has a key twice.
pub(super) fn read(text: &str) -> Option<Node> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Reader { text, at: 0, values: 0 }.node(0)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn node(&mut self, depth: usize) -> Option<Node> {
        self.values += 1;
        if self.values > MOST_VALUES || depth > DEEPEST {
            return None;
        }
        let next = self.peek()?;
        let start = self.at;
        let content = match next {
            b'{' => Content::Mapping(self.entries(depth)?),
            b'[' => Content::Sequence(self.items(depth)?),
            _ => Content::Scalar(self.scalar()?),
        };
        Some(Node { content, span: start..self.at, flow: true, shared: false })
    }

    fn entries(&mut self, depth: usize) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut known = std::collections::HashSet::new();
        self.at += 1;
        while self.peek()? != b'}' {
            self.skip(b',');
            self.peek()?;
            let start = self.at;
            let Value::String(key) = self.scalar()? else { return None };
            let key_span = start..self.at;
            self.peek()?;
            self.skip(b':');
            if !known.insert(key.clone()) {
                return None;
            }
            entries.push(Entry { key, key_span, value: self.node(depth + 1)? });
        }
        self.at += 1;
        Some(entries)
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        self.at += 1;
        while self.peek()? != b']' {
            self.skip(b',');
            items.push(self.node(depth + 1)?);
        }
        self.at += 1;
        Some(items)
    }

    /// A string, a number, a boolean or null.
    fn scalar(&mut self) -> Option<Value> {
        let rest = self.text.get(self.at..)?;
        let length = if let Some(inside) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = inside.bytes().position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            end? + 2
        } else {
            rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len())
        };
        let value = serde_json::from_str(rest.get(..length)?).ok()?;
        self.at += length;
        Some(value)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let white = rest.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
        self.at += white;
        rest.get(white).copied()
    }

    fn skip(&mut self, byte: u8) {
        if self.text.as_bytes().get(self.at) == Some(&byte) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_places_are_those_of_the_text() {
        let text = "{\"a\\\"b\": [1, -2.5e3, true, null, {}],\n \"k\u{7f}\": \"x\u{7f}\\u00e9\", \"e\": []}";
        let node = read(text).unwrap();
        assert_eq!(node.to_value(), serde_json::from_str::<Value>(text).unwrap());
        let Content::Mapping(entries) = &node.content else { panic!("{node:?}") };
        for entry in entries {
            let key: String = serde_json::from_str(&text[entry.key_span.clone()]).unwrap();
            assert_eq!(key, entry.key);
            let value: Value = serde_json::from_str(&text[entry.value.span.clone()]).unwrap();
            assert_eq!(value, entry.value.to_value());
        }
        for wrong in ["{", "{\"a\": 1, \"a\": 2}", "a: 1", "", &"[".repeat(200)] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
