//! What takes the place of a match.

use regex::bytes::Captures;

use super::syntax::NAME_PREFIX;
use crate::{functions::sprig::unicode, rune};

/// A replacement, taken apart once.
pub struct Replacement {
    parts: Vec<Part>,
}

enum Part {
    Text(Vec<u8>),
    Number(usize),
    Name(String),
}

impl Replacement {
    /// A text without meaning of its own.
    pub(crate) fn literal(text: &[u8]) -> Self {
        Self { parts: vec![Part::Text(text.to_vec())] }
    }

    /// Go's `Expand`: `$1`, `${1}`, `$name`, `${name}` stand for groups, `$$` for a dollar sign. The name is as
    /// long as it can be: `$1x` is the group named `1x`. A group that does not exist stands for nothing.
    pub fn expanding(text: &[u8]) -> Self {
        let (mut parts, mut plain, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some(at) = memchr::memchr(b'$', rest) {
            plain.extend(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(b"$") {
                plain.push(b'$');
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(rest) else {
                plain.push(b'$');
                continue;
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(group(name));
            rest = after;
        }
        plain.extend(rest);
        parts.push(Part::Text(plain));
        Self { parts }
    }

    /// Bytes of the replacement of this match.
    pub(crate) fn size(&self, found: &Captures<'_>) -> usize {
        self.parts.iter().map(|part| part.bytes(found).len()).sum()
    }

    /// Writes the replacement of this match.
    pub(crate) fn append(&self, out: &mut Vec<u8>, found: &Captures<'_>) {
        for part in &self.parts {
            out.extend(part.bytes(found));
        }
    }
}

impl Part {
    fn bytes<'p>(&'p self, found: &'p Captures<'_>) -> &'p [u8] {
        let group = match self {
            Self::Text(text) => return text,
            Self::Number(number) => found.get(*number),
            Self::Name(name) => found.name(name),
        };
        group.map_or(&[], |group| group.as_bytes())
    }
}

/// The name behind a dollar sign, and what follows.
fn reference(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (braced, body) = match text.strip_prefix(b"{") {
        Some(body) => (true, body),
        None => (false, text),
    };
    let is_name = |rune: char| rune == '_' || unicode::is_letter(rune) || unicode::is_digit(rune);
    let end =
        rune::runes(body).find(|(_, rune, _)| !is_name(*rune)).map_or(body.len(), |(at, ..)| at);
    let (name, after) = body.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced { Some((name, after.strip_prefix(b"}")?)) } else { Some((name, after)) }
}

/// Digits without a zero in front are a number.
fn group(name: &[u8]) -> Part {
    let text = String::from_utf8_lossy(name).into_owned();
    let number =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    match text.parse() {
        Ok(group) if number => Part::Number(group),
        _ => Part::Name(format!("{NAME_PREFIX}{text}")),
    }
}
