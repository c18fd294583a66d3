//! One part of a path, and what separates it from the next.

use super::{
    modifier,
    query::{self, Query},
    scan,
};

/// One part of a path and what follows it.
pub(crate) struct Part<'p> {
    /// The key, without its escapes.
    pub(crate) name: String,
    /// Whether the key is a pattern.
    pub(crate) wild: bool,
    /// What follows.
    pub(crate) rest: Rest<'p>,
}

/// What follows a part.
#[derive(Clone, Copy, Default)]
pub(crate) enum Rest<'p> {
    /// Nothing.
    #[default]
    End,
    /// A path in the values that the part selects.
    More(&'p str),
    /// A path in the one value that all before it leads to.
    Pipe(&'p str),
}

impl<'p> Rest<'p> {
    /// The path that goes on inside.
    pub(crate) fn more(self) -> Option<&'p str> {
        match self {
            Self::More(path) => Some(path),
            Self::End | Self::Pipe(_) => None,
        }
    }

    /// The path after a pipe.
    pub(crate) fn pipe(self) -> Option<&'p str> {
        match self {
            Self::Pipe(path) => Some(path),
            Self::End | Self::More(_) => None,
        }
    }

    /// What follows a dot: modifiers and multipaths take the value as a whole.
    pub(crate) fn after_dot(path: &'p str) -> Self {
        if modifier::is_next(path) || path.starts_with(['[', '{']) {
            Self::Pipe(path)
        } else {
            Self::More(path)
        }
    }
}

impl<'p> Part<'p> {
    /// The first part of a path in an object.
    pub(crate) fn parse(path: &'p str) -> Self {
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
                    part.rest = Rest::after_dot(&path[at + 1..]);
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

/// The first part of a path in an array, and what follows it.
pub(crate) enum ArrayPart<'p> {
    /// The element with this index. None selects nothing.
    Index(Option<usize>, Rest<'p>),
    /// `#`: the number of elements, or what a path finds in each of them.
    Each(Option<&'p str>, Rest<'p>),
    /// `#(...)`
    Query(Query<'p>),
}

impl<'p> ArrayPart<'p> {
    /// The first part of a path. Escapes mean nothing here: neither an index nor a count has any.
    pub(crate) fn parse(path: &'p str) -> Self {
        if path.starts_with("#(") || path.starts_with("#[") {
            return Self::Query(Query::parse(path).unwrap_or_default());
        }
        if let Some(path) = path.strip_prefix("#.") {
            return Self::Each(Some(path), Rest::End);
        }
        let end = path.find(['.', '|']).unwrap_or(path.len());
        let (name, rest) = (&path[..end], path.get(end + 1..).unwrap_or(""));
        let rest = match path.as_bytes().get(end) {
            None => Rest::End,
            Some(b'.') if name.contains('#') => Rest::More(rest),
            Some(b'.') => Rest::after_dot(rest),
            Some(_) => Rest::Pipe(rest),
        };
        if name == "#" {
            return Self::Each(None, rest);
        }
        let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        Self::Index(if digits { name.parse().ok() } else { None }, rest)
    }

    /// What follows the part.
    pub(crate) fn rest(&self) -> Rest<'p> {
        match self {
            Self::Index(_, rest) | Self::Each(_, rest) => *rest,
            Self::Query(query) => query.rest,
        }
    }
}

/// Splits at the first `|` that is not inside a query. As in gjson, one right after `.#` is none.
pub(crate) fn split_pipe(path: &str) -> (&str, Option<&str>) {
    let bytes = path.as_bytes();
    if path.starts_with('{') {
        let end = if bytes.len() > 1 { scan::squashed_end(bytes, 1) } else { 1 };
        return match path.split_at_checked(end) {
            Some((multipath, rest)) if rest.starts_with('|') => (multipath, rest.get(1..)),
            _ => (path, None),
        };
    }
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'|', _) => return (&path[..at], path.get(at + 1..)),
            (b'\\', _) => at += 2,
            (b'.', Some(b'#')) => {
                at += 2;
                if matches!(bytes.get(at), Some(b'(' | b'[')) {
                    at = query::end(path, at).unwrap_or(bytes.len());
                } else {
                    at += 1;
                }
            }
            _ => at += 1,
        }
    }
    (path, None)
}
