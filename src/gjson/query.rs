//! `#(path op value)`: picking elements of an array.

use std::cmp::Ordering;

use super::{
    PropertyError,
    part::Rest,
    path,
    pattern::matches,
    scan::{self, JsonType, Raw},
    work::Work,
};

/// One query. One that cannot be read takes the first element.
#[derive(Default)]
pub(crate) struct Query<'p> {
    path: &'p str,
    test: Option<(Op, String)>,
    /// Whether it wants all elements that pass, or the first.
    pub(crate) all: bool,
    /// What follows it.
    pub(crate) rest: Rest<'p>,
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

static OPS: [(&str, Op); 9] = [
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
    /// Reads `#(...)` or `#(...)#`. What stands between it and the next dot or pipe means nothing.
    pub(crate) fn parse(text: &'p str) -> Option<Self> {
        let end = end(text, 1)?;
        let inner = text.get(2..end - 1)?;
        let after = text.get(end..)?;
        let all = after.starts_with('#');
        let next = after.find(['.', '|']);
        let rest = match next.and_then(|at| Some((at, after.get(at + 1..)?))) {
            None => Rest::End,
            Some((at, rest)) if after.as_bytes().get(at) == Some(&b'.') => Rest::More(rest),
            Some((_, rest)) => Rest::Pipe(rest),
        };
        let Some((at, operator)) = operator(inner) else {
            return Some(Query { path: trim(inner), test: None, all, rest });
        };
        let path = trim(inner.get(..at)?);
        let Some((sign, op)) = operator else {
            return Some(Query { path, test: None, all, rest });
        };
        let value = trim(inner.get(at + sign.len()..)?);
        let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        let value = if quoted { scan::unquote(value).to_string() } else { value.to_owned() };
        Some(Query { path, test: Some((*op, value)), all, rest })
    }

    /// Whether an element passes.
    pub(crate) fn accepts(
        &self,
        element: Raw<'_>,
        work: &Work,
        depth: usize,
    ) -> Result<bool, PropertyError> {
        let found;
        let value = if element.is_container() {
            found = path::get(element.text, self.path, work, depth)?;
            found.as_ref().map(path::Found::raw)
        } else if self.path.is_empty() {
            Some(element)
        } else {
            return Ok(false);
        };
        match (&self.test, value) {
            (Some((op, wanted)), value) if wanted.starts_with('~') => Ok(tilde(*op, wanted, value)),
            (_, None) => Ok(false),
            (None, Some(_)) => Ok(true),
            (Some((op, wanted)), Some(value)) => compare(*op, value, wanted, work),
        }
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// Where the bracket that opens at `start` closes: the index after it.
pub(crate) fn end(text: &str, start: usize) -> Option<usize> {
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

/// The first operator that is neither quoted nor inside a nested query. A lone `!` is one that asks for nothing.
fn operator(text: &str) -> Option<(usize, Option<&'static (&'static str, Op)>)> {
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
                return Some((at, OPS.iter().find(|(sign, _)| rest.starts_with(sign))));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn compare(op: Op, value: Raw<'_>, wanted: &str, work: &Work) -> Result<bool, PropertyError> {
    Ok(match value.json_type {
        JsonType::String => {
            let text = scan::unquote(value.text);
            match op {
                Op::Like => matches(&text, wanted, work)?,
                Op::NotLike => !matches(&text, wanted, work)?,
                _ => op.holds(text.as_str().cmp(wanted)),
            }
        }
        JsonType::Number => {
            let number = scan::number(value.text);
            let wanted = scan::number(wanted);
            number.partial_cmp(&wanted).is_some_and(|ordering| op.holds(ordering))
        }
        JsonType::True => truth(op, true, wanted),
        JsonType::False => truth(op, false, wanted),
        JsonType::Null | JsonType::Object | JsonType::Array => false,
    })
}

/// A truth value against a word: false is less than true, and any other word is neither.
fn truth(op: Op, value: bool, wanted: &str) -> bool {
    let same = wanted == if value { "true" } else { "false" };
    let other = wanted == if value { "false" } else { "true" };
    match op {
        Op::Equal => same,
        Op::NotEqual => !same,
        Op::Greater => value && other,
        Op::GreaterOrEqual => value,
        Op::Less => !value && other,
        Op::LessOrEqual => !value,
        Op::Like | Op::NotLike => false,
    }
}

/// `~true`, `~false`, `~null` and `~*`: whether a value is as good as that.
fn tilde(op: Op, wanted: &str, value: Option<Raw<'_>>) -> bool {
    let json_type = value.map(|value| value.json_type);
    let number = || value.map_or(0.0, |value| scan::number(value.text));
    let text =
        || value.map(|value| scan::unquote(value.text)).unwrap_or_default().to_ascii_lowercase();
    let truthy = |words: &[&str]| words.contains(&text().as_str());
    let is = match wanted {
        "~*" => value.is_some(),
        "~null" => matches!(json_type, None | Some(JsonType::Null)),
        "~true" => match json_type {
            Some(JsonType::True) => true,
            Some(JsonType::String) => truthy(&["1", "t", "true"]),
            Some(JsonType::Number) => number() != 0.0,
            _ => false,
        },
        "~false" => match json_type {
            None | Some(JsonType::False | JsonType::Null) => true,
            Some(JsonType::String) => truthy(&["0", "f", "false"]),
            Some(JsonType::Number) => number() == 0.0,
            _ => false,
        },
        _ => return false,
    };
    truth(op, is, "true")
}
