//! `[path,path]` and `{"name":path}`: new arrays and objects; `!literal`: what is not in the secret.

use zeroize::Zeroizing;

use super::{
    PropertyError, modifier, path, scan,
    work::{MAX_TEXT, Work},
};

/// A name, where it is given, and a path.
type Selector<'p> = (Option<&'p str>, &'p str);

/// The array or object that a multipath makes, and the rest of the path. `None` if there is none: then it is
/// a key like any other.
pub(crate) fn apply<'p>(
    json: &str,
    path: &'p str,
    work: &Work,
    depth: usize,
) -> Result<Option<(Zeroizing<String>, &'p str)>, PropertyError> {
    let Some((selectors, rest)) = parse(path) else { return Ok(None) };
    if !(rest.is_empty() || rest.starts_with(['.', '|'])) {
        return Ok(None);
    }
    let object = path.starts_with('{');
    let mut out = Zeroizing::new(String::with_capacity(json.len() + path.len() + 2));
    out.push(if object { '{' } else { '[' });
    for (name, path) in selectors {
        let Some(found) = path::get(json, path, work, depth)? else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        if object {
            out.push_str(&key(name, path));
            out.push(':');
        }
        let value = found.raw().text;
        work.spend(value.len())?;
        out.push_str(value);
        if out.len() > MAX_TEXT {
            return Err(PropertyError::TooDeep);
        }
    }
    out.push(if object { '}' } else { ']' });
    Ok(Some((out, rest)))
}

/// A key of the object: as it is given, else the last part of the path, unless that is an expression.
fn key(name: Option<&str>, path: &str) -> Zeroizing<String> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) if name.starts_with('"') && scan::is_json(name) => {
            Zeroizing::new(name.to_owned())
        }
        Some(name) => modifier::quote(name),
        None => {
            let last = last_part(path);
            let simple = !last.contains(|c: char| c < ' ' || "[]{}()#|!".contains(c));
            modifier::quote(if simple { last } else { "_" })
        }
    }
}

fn last_part(path: &str) -> &str {
    let bytes = path.as_bytes();
    let separates =
        |at: &usize| matches!(bytes[*at], b'|' | b'.') && (*at == 0 || bytes[*at - 1] != b'\\');
    match (0..bytes.len()).rev().find(separates) {
        Some(at) => &path[at + 1..],
        None => path,
    }
}

/// The selectors between the outer brackets, and what follows.
fn parse(path: &str) -> Option<(Vec<Selector<'_>>, &str)> {
    let bytes = path.as_bytes();
    let mut selectors = Vec::new();
    let (mut at, mut start, mut open) = (1, 1, 1_usize);
    // A colon separates a name only if it comes before any modifier, whose argument it would separate.
    let (mut colon, mut modified) = (None, false);
    loop {
        let byte = *bytes.get(at)?;
        let ends = matches!(byte, b']' | b')' | b'}');
        open -= usize::from(ends);
        match byte {
            b'\\' => at += 1,
            b'@' => modified |= matches!(bytes[at - 1], b'.' | b'|'),
            b':' if open == 1 && !modified && colon.is_none() => colon = Some(at),
            b'"' => at = string_end(bytes, at),
            b'[' | b'(' | b'{' => open += 1,
            _ => {}
        }
        if (byte == b',' && open == 1) || (ends && open == 0) {
            selectors.push(match colon.take() {
                Some(colon) => (path.get(start..colon), path.get(colon + 1..at)?),
                None => (None, path.get(start..at)?),
            });
            modified = false;
            start = at + 1;
        }
        at += 1;
        if open == 0 {
            return Some((selectors, path.get(at..)?));
        }
    }
}

/// Where the quote is that closes the one at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => break,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The value of a path that starts with a literal, and the rest of the path.
///
/// What does not start with a bracket takes all of the path, unless that has a closing one too many.
pub(crate) fn literal(path: &str) -> Option<(&str, &str)> {
    let text = path.strip_prefix('!')?;
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'{' | b'[' | b'"' | b'+' | b'-' | b'0'..=b'9' => {
            text.split_at_checked(scan::open_end(bytes, 1).unwrap_or(bytes.len()))
        }
        _ => {
            let (word, rest) = text.split_at(text.find(['|', '.']).unwrap_or(text.len()));
            matches!(word, "true" | "false" | "null").then_some((word, rest))
        }
    }
}
