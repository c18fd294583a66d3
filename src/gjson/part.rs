//! One part of a path, and what separates it from the next.

use super::{modifier, query};

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
#[derive(Clone, Copy)]
pub(crate) enum Rest<'p> {
    /// Nothing.
    End,
    /// A path in the values that the part selects.
    More(&'p str),
    /// A path in the one value that all before it leads to.
    Pipe(&'p str),
}

impl<'p> Rest<'p> {
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

    /// The first part of a path in an array. Escapes mean nothing there: neither an index nor a count has any.
    pub(crate) fn of_array(path: &'p str) -> Self {
        let end = path.find(['.', '|']).unwrap_or(path.len());
        let name = path[..end].to_owned();
        let rest = path.get(end + 1..).unwrap_or("");
        let rest = match path.as_bytes().get(end) {
            None => Rest::End,
            Some(b'.') if name.contains('#') => Rest::More(rest),
            Some(b'.') => Rest::after_dot(rest),
            Some(_) => Rest::Pipe(rest),
        };
        Part { name, wild: false, rest }
    }
}

/// Splits at the first `|` that is not inside a query. As in gjson, one right after `.#` is none.
pub(crate) fn split_pipe(path: &str) -> (&str, Option<&str>) {
    let bytes = path.as_bytes();
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
