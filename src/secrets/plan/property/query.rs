//! `#(path op value)`: picking elements of an array.

use std::cmp::Ordering;

use super::{
    PropertyError, path,
    scan::{self, Kind},
};

/// One query.
pub struct Query<'p> {
    path: &'p str,
    test: Option<(Op, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
}

impl Op {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Like | Self::NotLike => false,
        }
    }
}

const OPS: [(&str, Op); 9] = [
    ("==", Op::Equal),
    ("!=", Op::NotEqual),
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("!%", Op::NotLike),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
    ("%", Op::Like),
];

impl<'p> Query<'p> {
    /// Reads `#(...)` or `#(...)#`. Returns the query, whether it wants all matches, and what follows.
    pub fn parse(text: &'p str) -> Option<(Self, bool, &'p str)> {
        let end = Self::end(text, 1)?;
        let inner = text.get(2..end - 1)?;
        let rest = text.get(end..)?;
        let (all, rest) = match rest.strip_prefix('#') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let query = match operator(inner) {
            None => Query { path: inner.trim(), test: None },
            Some((at, width, op)) => {
                let value = inner.get(at + width..)?.trim();
                let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
                let value =
                    if quoted { scan::unquote(value).to_string() } else { value.to_owned() };
                Query { path: inner.get(..at)?.trim(), test: Some((op, value)) }
            }
        };
        Some((query, all, rest))
    }

    /// Where the bracket that opens at `start` closes: the index after it.
    pub fn end(text: &str, start: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let (mut at, mut open, mut quoted) = (start, 0_usize, false);
        loop {
            match bytes.get(at)? {
                b'\\' => at += 1,
                b'"' => quoted = !quoted,
                b'(' | b'[' if !quoted => open += 1,
                b')' | b']' if !quoted => {
                    open -= 1;
                    if open == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Whether an element passes.
    pub fn accepts(&self, element: &str, depth: usize) -> Result<bool, PropertyError> {
        let found = match scan::kind(element) {
            Kind::Object | Kind::Array => path::get(element, self.path, depth)?,
            _ if self.path.is_empty() => Some(path::Found::Part(element)),
            _ => return Ok(false),
        };
        let value = found.as_ref().map(path::Found::as_str);
        Ok(match (&self.test, value) {
            (Some((op, wanted)), value) if wanted.starts_with('~') => tilde(*op, wanted, value),
            (_, None) => false,
            (None, Some(_)) => true,
            (Some((op, wanted)), Some(value)) => compare(*op, value, wanted),
        })
    }
}

/// The first operator that is neither quoted nor inside a nested query.
fn operator(text: &str) -> Option<(usize, usize, Op)> {
    let bytes = text.as_bytes();
    let (mut at, mut open, mut quoted) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'(' | b'[' | b'{' if !quoted => open += 1,
            b')' | b']' | b'}' if !quoted => open = open.saturating_sub(1),
            b'=' | b'!' | b'<' | b'>' | b'%' if !quoted && open == 0 => {
                let rest = text.get(at..)?;
                let (sign, op) = OPS.iter().find(|(sign, _)| rest.starts_with(sign))?;
                return Some((at, sign.len(), *op));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn compare(op: Op, value: &str, wanted: &str) -> bool {
    match scan::kind(value) {
        Kind::String => {
            let text = scan::unquote(value);
            match op {
                Op::Like => path::matches(&text, wanted),
                Op::NotLike => !path::matches(&text, wanted),
                _ => op.holds(text.as_str().cmp(wanted)),
            }
        }
        Kind::Number => {
            let number = value.parse::<f64>().unwrap_or(0.0);
            number
                .partial_cmp(&wanted.parse().unwrap_or(0.0))
                .is_some_and(|ordering| op.holds(ordering))
        }
        Kind::True => match op {
            Op::Greater => wanted == "false",
            Op::GreaterOrEqual => true,
            Op::Equal => wanted == "true",
            Op::NotEqual => wanted != "true",
            _ => false,
        },
        Kind::False => match op {
            Op::Less => wanted == "true",
            Op::LessOrEqual => true,
            Op::Equal => wanted == "false",
            Op::NotEqual => wanted != "false",
            _ => false,
        },
        Kind::Null | Kind::Object | Kind::Array => false,
    }
}

/// `~true`, `~false`, `~null` and `~*`: whether a value is as good as that.
fn tilde(op: Op, wanted: &str, value: Option<&str>) -> bool {
    let kind = value.map(scan::kind);
    let number = || value.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
    let text = || value.map(scan::unquote).unwrap_or_default().to_ascii_lowercase();
    let truthy = |words: &[&str]| words.contains(&text().as_str());
    let is = match wanted {
        "~*" => value.is_some(),
        "~null" => matches!(kind, None | Some(Kind::Null)),
        "~true" => match kind {
            Some(Kind::True) => true,
            Some(Kind::String) => truthy(&["1", "t", "true"]),
            Some(Kind::Number) => number() != 0.0,
            _ => false,
        },
        "~false" => match kind {
            None | Some(Kind::False | Kind::Null) => true,
            Some(Kind::String) => truthy(&["0", "f", "false"]),
            Some(Kind::Number) => number() == 0.0,
            _ => false,
        },
        _ => return false,
    };
    compare(op, if is { "true" } else { "false" }, "true")
}
