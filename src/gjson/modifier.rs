//! `@name`: changes a value on the way.

use zeroize::Zeroizing;

use super::{
    PropertyError, foreign, path, pretty,
    scan::{self, JsonType, Raw},
    work::{MAX_DEPTH, MAX_TEXT, Work},
};

const NAMES: [&str; 13] = [
    "this", "reverse", "keys", "values", "flatten", "join", "valid", "ugly", "tostr", "fromstr",
    "pretty", "group", "dig",
];

/// Whether a path starts with a modifier.
pub(crate) fn is_next(path: &str) -> bool {
    split(path).is_some()
}

/// Name, argument and rest of a path that starts with a modifier.
fn split(path: &str) -> Option<(&'static str, &str, &str)> {
    let after = path.strip_prefix('@')?;
    let end = after.find([':', '|', '.']).unwrap_or(after.len());
    let (name, rest) = after.split_at(end);
    let name = NAMES.iter().find(|known| **known == name)?;
    let Some(rest) = rest.strip_prefix(':') else { return Some((name, "", rest)) };
    let end = match rest.as_bytes().first() {
        Some(b'{' | b'[' | b'"') => scan::squashed_end(rest.as_bytes(), 0),
        _ => plain_argument_end(rest),
    };
    let (argument, rest) = rest.split_at(end);
    Some((name, argument, rest))
}

/// An argument that is no JSON ends at the next pipe outside of brackets and quotes.
fn plain_argument_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'|' => return at,
            b'{' | b'[' | b'"' | b'(' => at = scan::squashed_end(bytes, at),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Applies the modifier that a path starts with: what it makes, and the rest of the path. `None` if there is
/// none: then it is a key like any other. An empty text is no value.
pub(crate) fn apply<'p>(
    json: &str,
    path: &'p str,
    work: &Work,
    depth: usize,
) -> Result<Option<(Zeroizing<String>, &'p str)>, PropertyError> {
    let Some((name, argument, rest)) = split(path) else { return Ok(None) };
    work.spend(json.len())?;
    let same = || Zeroizing::new(json.to_owned());
    let made = match (name, scan::parse(json)) {
        ("keys" | "values", None) => Zeroizing::new("[]".to_owned()),
        ("keys", Some(value)) => keys(value),
        ("values", Some(value)) if value.json_type != JsonType::Array => {
            listed(values(value).map(|value| value.text))
        }
        ("reverse", Some(value)) if value.is_container() => reverse(value),
        ("flatten", Some(value)) if value.json_type == JsonType::Array => {
            flatten(value, is_set(argument, "deep"))?
        }
        ("join", Some(value)) if value.json_type == JsonType::Array => {
            join(value.text, is_set(argument, "preserve"))
        }
        ("ugly", _) => ugly(json),
        ("pretty", Some(value)) => pretty::pretty(value, argument)?,
        ("tostr", _) => quote(json),
        ("fromstr" | "valid", _) if !scan::is_json(json) => Zeroizing::default(),
        ("fromstr", Some(value)) => printed(value),
        ("group", Some(value)) if value.json_type == JsonType::Object => group(value.text),
        ("group", _) => Zeroizing::default(),
        ("dig", _) => dig(json, argument, work, depth)?,
        _ => same(),
    };
    if made.len() > MAX_TEXT {
        return Err(PropertyError::TooDeep);
    }
    work.spend(made.len())?;
    Ok(Some((made, rest)))
}

/// A value as text, as gjson prints it.
pub(crate) fn printed(value: Raw<'_>) -> Zeroizing<String> {
    match value.json_type {
        JsonType::Null => Zeroizing::default(),
        JsonType::False => Zeroizing::new("false".to_owned()),
        JsonType::True => Zeroizing::new("true".to_owned()),
        JsonType::Number => Zeroizing::new(scan::print_number(value.text)),
        JsonType::String => scan::unquote(value.text),
        JsonType::Array | JsonType::Object => Zeroizing::new(value.text.to_owned()),
    }
}

fn is_set(argument: &str, name: &str) -> bool {
    scan::is_json(argument)
        && scan::parse(argument).is_some_and(|value| value.json_type == JsonType::Object)
        && scan::entries(argument)
            .any(|(key, value)| *scan::unquote(key) == name && value.json_type == JsonType::True)
}

/// The values in a container; a scalar by itself.
fn values(value: Raw<'_>) -> Box<dyn Iterator<Item = Raw<'_>> + '_> {
    match value.json_type {
        JsonType::Object => Box::new(scan::entries(value.text).map(|(_, value)| value)),
        JsonType::Array => Box::new(scan::elements(value.text)),
        _ => Box::new(std::iter::once(value)),
    }
}

fn keys(value: Raw<'_>) -> Zeroizing<String> {
    match value.json_type {
        JsonType::Object => listed(scan::entries(value.text).map(|(key, _)| key)),
        _ => listed(values(value).map(|_| "null")),
    }
}

fn listed<'a>(items: impl IntoIterator<Item = &'a str>) -> Zeroizing<String> {
    enclosed('[', items.into_iter().map(|item| [item, "", ""]), ']')
}

/// A JSON object of quoted keys and values.
pub(crate) fn mapped<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Zeroizing<String> {
    enclosed('{', entries.into_iter().map(|(key, value)| [key, ":", value]), '}')
}

fn enclosed<'a>(
    open: char,
    items: impl Iterator<Item = [&'a str; 3]>,
    close: char,
) -> Zeroizing<String> {
    let items: Vec<_> = items.collect();
    let size: usize = items.iter().flatten().map(|text| text.len()).sum();
    let mut out = Zeroizing::new(String::with_capacity(size + items.len() + 2));
    out.push(open);
    for (nth, item) in items.iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        out.extend(item.iter().copied());
    }
    out.push(close);
    out
}

fn reverse(value: Raw<'_>) -> Zeroizing<String> {
    if value.json_type == JsonType::Array {
        let items: Vec<_> = scan::elements(value.text).map(|item| item.text).collect();
        return listed(items.into_iter().rev());
    }
    let items: Vec<_> = scan::entries(value.text).map(|(key, item)| (key, item.text)).collect();
    mapped(items.into_iter().rev())
}

/// Puts the elements of inner arrays in their place: those of the next level, as they are written, or of all
/// levels.
fn flatten(array: Raw<'_>, deep: bool) -> Result<Zeroizing<String>, PropertyError> {
    if !deep {
        let inner = scan::elements(array.text).map(|value| match value.json_type {
            JsonType::Array => unwrapped(value.text).trim(),
            _ => value.text,
        });
        return Ok(listed(inner.filter(|text| !text.is_empty())));
    }
    let reversed = |value| values(value).collect::<Vec<_>>().into_iter().rev();
    let mut out = Vec::new();
    let mut open: Vec<(Raw<'_>, usize)> = reversed(array).map(|value| (value, 1)).collect();
    while let Some((value, level)) = open.pop() {
        if level > MAX_DEPTH {
            return Err(PropertyError::TooDeep);
        }
        if value.json_type == JsonType::Array {
            open.extend(reversed(value).map(|value| (value, level + 1)));
        } else {
            out.push(value.text);
        }
    }
    Ok(listed(out))
}

/// What is between the brackets of an array or object.
fn unwrapped(json: &str) -> &str {
    json.get(1..json.len().saturating_sub(1)).unwrap_or("")
}

/// Merges the objects of an array; the later wins, in the order in which keys first appear.
fn join(json: &str, preserve: bool) -> Zeroizing<String> {
    let objects = scan::elements(json).filter(|value| value.json_type == JsonType::Object);
    if preserve {
        return enclosed('{', objects.map(|object| [unwrapped(object.text), "", ""]), '}');
    }
    let mut merged: Vec<(&str, &str)> = Vec::new();
    let mut slots = std::collections::HashMap::new();
    for (key, value) in objects.flat_map(|object| scan::entries(object.text)) {
        let place = *slots.entry(scan::unquote(key).to_string()).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(known) => known.1 = value.text,
            None => merged.push((key, value.text)),
        }
    }
    mapped(merged)
}

/// One object for each place in the arrays of an object: with what the arrays have there.
fn group(json: &str) -> Zeroizing<String> {
    let mut slots: Vec<Vec<(&str, &str)>> = Vec::new();
    for (key, value) in scan::entries(json).filter(|(_, value)| value.json_type == JsonType::Array)
    {
        for (place, item) in scan::elements(value.text).enumerate() {
            if place == slots.len() {
                slots.push(Vec::new());
            }
            slots[place].push((key, item.text));
        }
    }
    let objects: Vec<_> = slots.into_iter().map(mapped).collect();
    listed(objects.iter().map(|object| object.as_str()))
}

/// What a path finds in a value and in everything inside it, the outer first.
fn dig(
    json: &str,
    path: &str,
    work: &Work,
    depth: usize,
) -> Result<Zeroizing<String>, PropertyError> {
    let mut found: Vec<Zeroizing<String>> = Vec::new();
    let mut open: Vec<_> = scan::parse(json).into_iter().collect();
    while let Some(value) = open.pop() {
        work.spend(value.text.len())?;
        if let Some(hit) = path::get(value.text, path, work, depth)? {
            work.spend(hit.raw().text.len())?;
            found.push(Zeroizing::new(hit.raw().text.to_owned()));
        }
        if value.is_container() {
            open.extend(values(value).collect::<Vec<_>>().into_iter().rev());
        }
    }
    Ok(listed(found.iter().map(|hit| hit.as_str())))
}

/// Without white space between the tokens.
fn ugly(json: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(json.len()));
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        let space = c <= ' ';
        if quoted || !space {
            out.push(c);
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

/// A text as a JSON string. Characters that matter in HTML are escaped, too, as in Go.
pub(crate) fn quote(text: &str) -> Zeroizing<String> {
    quoted(text, true)
}

/// A text as a JSON string, with or without the escapes for HTML.
pub(crate) fn quoted(text: &str, html: bool) -> Zeroizing<String> {
    use std::fmt::Write;
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 6 + 2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if !html => out.push(c),
            c if foreign::is_foreign(c) => out.push_str("\\ufffd"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
