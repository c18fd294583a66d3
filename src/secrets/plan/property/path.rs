//! Following a path.

use zeroize::Zeroizing;

use super::{PropertyError, modifier, query::Query, scan};
use crate::secrets::plan::property::scan::Kind;

/// How many parts, queries and pipes may be inside one another.
pub const MAX_DEPTH: usize = 64;

/// A JSON value: a part of the secret, or made by a modifier.
pub enum Found<'a> {
    /// Part of the text that was searched.
    Part(&'a str),
    /// Made on the way.
    Made(Zeroizing<String>),
}

impl Found<'_> {
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Part(text) => text,
            Self::Made(text) => text,
        }
    }

    fn detach<'b>(self) -> Found<'b> {
        match self {
            Self::Part(text) => Found::Made(Zeroizing::new(text.to_owned())),
            Self::Made(text) => Found::Made(text),
        }
    }
}

/// What was found, and the path after a pipe that is still to be followed.
type Step<'a, 'p> = Option<(Found<'a>, Option<&'p str>)>;

/// The value at a path.
pub fn get<'a>(
    json: &'a str,
    path: &str,
    depth: usize,
) -> Result<Option<Found<'a>>, PropertyError> {
    if depth > MAX_DEPTH {
        return Err(PropertyError::TooDeep);
    }
    match path.as_bytes() {
        [b'@', ..] => {
            if let Some((made, rest)) = modifier::apply(json, path)? {
                let Some(made) = made else { return Ok(None) };
                return match rest.strip_prefix(['|', '.']) {
                    Some(rest) => Ok(get(&made, rest, depth + 1)?.map(Found::detach)),
                    None => Ok(Some(Found::Made(made))),
                };
            }
        }
        [b'[' | b'{', ..] => return Err(PropertyError::Unsupported("a multipath")),
        [b'!', ..] => return Err(PropertyError::Unsupported("a literal")),
        [b'.', b'.', ..] => return Err(PropertyError::Unsupported("JSON lines")),
        _ => {}
    }
    match walk(json, path, depth)? {
        None => Ok(None),
        Some((found, None)) => Ok(Some(found)),
        Some((found, Some(pipe))) => Ok(get(found.as_str(), pipe, depth + 1)?.map(Found::detach)),
    }
}

fn walk<'a, 'p>(json: &'a str, path: &'p str, depth: usize) -> Result<Step<'a, 'p>, PropertyError> {
    if depth > MAX_DEPTH {
        return Err(PropertyError::TooDeep);
    }
    match scan::kind(json) {
        Kind::Object => walk_object(json, path, depth),
        Kind::Array => walk_array(json, path, depth),
        _ => Ok(None),
    }
}

fn walk_object<'a, 'p>(
    json: &'a str,
    path: &'p str,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    let part = Part::parse(path);
    for (key, value) in scan::entries(json) {
        let key = scan::unquote(key);
        let hit = if part.wild { matches(&key, &part.name) } else { *key == part.name };
        if !hit {
            continue;
        }
        match part.rest {
            Rest::End => return Ok(Some((Found::Part(value), None))),
            Rest::Pipe(pipe) => return Ok(Some((Found::Part(value), Some(pipe)))),
            // A later key of the same name, or one that matches as well, may lead further.
            Rest::More(rest) => {
                if let found @ Some(_) = walk(value, rest, depth + 1)? {
                    return Ok(found);
                }
            }
        }
    }
    Ok(None)
}

fn walk_array<'a, 'p>(
    json: &'a str,
    path: &'p str,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    if let Some(rest) = path.strip_prefix("#.") {
        let (inner, pipe) = split_pipe(rest);
        return Ok(Some((Found::Made(collect(json, inner, depth, |_| Ok(true))?), pipe)));
    }
    if path.starts_with("#(") || path.starts_with("#[") {
        return walk_query(json, path, depth);
    }
    // Escapes mean nothing in an array: neither an index nor a count has any.
    if !path.starts_with(|c: char| c == '#' || c.is_ascii_digit()) {
        return Ok(None);
    }
    let part = Part::parse(path);
    if part.name == "#" {
        let count = Found::Made(Zeroizing::new(scan::elements(json).count().to_string()));
        return Ok(match part.rest {
            Rest::End => Some((count, None)),
            Rest::Pipe(pipe) => Some((count, Some(pipe))),
            Rest::More(_) => None,
        });
    }
    let index =
        part.name.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.name.parse::<usize>());
    let Some(Ok(index)) = index else { return Ok(None) };
    let Some(value) = scan::elements(json).nth(index) else { return Ok(None) };
    match part.rest {
        Rest::End => Ok(Some((Found::Part(value), None))),
        Rest::Pipe(pipe) => Ok(Some((Found::Part(value), Some(pipe)))),
        Rest::More(rest) => walk(value, rest, depth + 1),
    }
}

fn walk_query<'a, 'p>(
    json: &'a str,
    path: &'p str,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    let Some((query, all, rest)) = Query::parse(path) else { return Ok(None) };
    let (inner, pipe) = match rest.as_bytes().first() {
        None => (None, None),
        Some(b'|') => (None, rest.get(1..)),
        Some(b'.') => {
            let (inner, pipe) = split_pipe(rest.get(1..).unwrap_or(""));
            (Some(inner), pipe)
        }
        Some(_) => return Ok(None),
    };
    if all {
        let made = collect(json, inner.unwrap_or("@this"), depth, |value| {
            query.accepts(value, depth + 1)
        })?;
        return Ok(Some((Found::Made(made), pipe)));
    }
    for value in scan::elements(json) {
        if query.accepts(value, depth + 1)? {
            let found = match inner {
                None => Some(Found::Part(value)),
                Some(inner) => get(value, inner, depth + 1)?,
            };
            return Ok(found.map(|found| (found, pipe)));
        }
    }
    Ok(None)
}

/// An array of what `path` finds in those elements that pass.
fn collect(
    json: &str,
    path: &str,
    depth: usize,
    passes: impl Fn(&str) -> Result<bool, PropertyError>,
) -> Result<Zeroizing<String>, PropertyError> {
    // Never longer than the array, unless modifiers are at work: no copy is left behind by growing.
    let mut out = Zeroizing::new(String::with_capacity(json.len() + 2));
    out.push('[');
    for value in scan::elements(json) {
        if !passes(value)? {
            continue;
        }
        if let Some(found) = get(value, path, depth + 1)? {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(found.as_str());
        }
    }
    out.push(']');
    Ok(out)
}

/// One part of a path and what follows it.
struct Part<'p> {
    name: String,
    wild: bool,
    rest: Rest<'p>,
}

enum Rest<'p> {
    End,
    More(&'p str),
    Pipe(&'p str),
}

impl<'p> Part<'p> {
    fn parse(path: &'p str) -> Self {
        let mut part = Part { name: String::new(), wild: false, rest: Rest::End };
        let mut chars = path.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => part.name.extend(chars.next().map(|(_, escaped)| escaped)),
                '|' => {
                    part.rest = Rest::Pipe(&path[at + 1..]);
                    break;
                }
                '.' => {
                    let rest = &path[at + 1..];
                    let pipes = modifier::is_next(rest) || rest.starts_with(['[', '{', '(', '!']);
                    part.rest = if pipes { Rest::Pipe(rest) } else { Rest::More(rest) };
                    break;
                }
                _ => {
                    part.wild |= matches!(c, '*' | '?');
                    part.name.push(c);
                }
            }
        }
        part
    }
}

/// Splits at the first `|` that is not inside a query.
fn split_pipe(path: &str) -> (&str, Option<&str>) {
    let bytes = path.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'|' => return (&path[..at], path.get(at + 1..)),
            b'#' if matches!(bytes.get(at + 1), Some(b'(' | b'[')) => {
                at = Query::end(path, at + 1).unwrap_or(bytes.len());
            }
            _ => at += 1,
        }
    }
    (path, None)
}

/// Whether a text matches a pattern of `*`, `?` and, after a backslash, literal characters.
pub fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let (literal, width) = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => (Some(text[t]), 1),
            Some('\\') => (pattern.get(p + 1).copied(), 2),
            other => (other.copied(), 1),
        };
        if literal == Some(text[t]) {
            t += 1;
            p += width;
        } else if let Some((star_at, from)) = star {
            // Let the last star take one character more.
            star = Some((star_at, from + 1));
            t = from + 1;
            p = star_at + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}
