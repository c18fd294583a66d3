//! Patterns in the substitutions of a Dockerfile: `*` and `?`, as BuildKit translates them.

use regex::Regex;

/// Why a word cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// A quote or a brace does not end, or a substitution is none.
    Syntax,
    /// A variable is not known.
    Unknown,
}

/// Longest value and pattern that are compared.
const LONGEST: usize = 4096;

fn compiled(pattern: &str, greedy: bool, anchored: bool) -> Result<Regex, Bad> {
    if pattern.len() > LONGEST {
        return Err(Bad::Unknown);
    }
    let mut text = if anchored { "^".to_owned() } else { String::new() };
    let mut letters = pattern.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '*' => text.push_str(if greedy { ".*" } else { ".*?" }),
            '?' => text.push('.'),
            // These two are escaped for the braces, and mean themselves.
            '\\' if matches!(letters.peek(), Some('}' | '/')) => {}
            '\\' => match letters.next() {
                Some(next @ ('*' | '?' | '\\')) => text.extend(['\\', next]),
                _ => return Err(Bad::Syntax),
            },
            c => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    Regex::new(&text).map_err(|_| Bad::Unknown)
}

/// The pattern, and whether the longest part goes: the sign is written twice then.
fn greedy(pattern: &str, sign: char) -> (&str, bool) {
    pattern.strip_prefix(sign).map_or((pattern, false), |rest| (rest, true))
}

/// `${name#pattern}`.
pub(super) fn without_prefix(pattern: &str, value: &str) -> Result<String, Bad> {
    let (pattern, greedy) = greedy(pattern, '#');
    trimmed(pattern, value, greedy)
}

/// `${name%pattern}`: the same from the other end.
pub(super) fn without_suffix(pattern: &str, value: &str) -> Result<String, Bad> {
    let (pattern, greedy) = greedy(pattern, '%');
    let value: String = value.chars().rev().collect();
    let rest = trimmed(&reversed(pattern), &value, greedy)?;
    Ok(rest.chars().rev().collect())
}

fn trimmed(pattern: &str, value: &str, greedy: bool) -> Result<String, Bad> {
    let found = compiled(pattern, greedy, true)?.find(value).map_or(0, |found| found.end());
    Ok(value.get(found..).unwrap_or_default().to_owned())
}

/// Escapes stay before what they escape.
fn reversed(pattern: &str) -> String {
    let mut parts = Vec::new();
    let mut letters = pattern.chars();
    while let Some(c) = letters.next() {
        let next = if c == '\\' { letters.next() } else { None };
        parts.push((c, next));
    }
    parts.iter().rev().flat_map(|(c, next)| std::iter::once(*c).chain(*next)).collect()
}

/// `${name/pattern/replacement}`.
pub(super) fn replaced(
    pattern: &str,
    replacement: &str,
    value: &str,
    all: bool,
) -> Result<String, Bad> {
    if value.len() > LONGEST || replacement.len() > LONGEST {
        return Err(Bad::Unknown);
    }
    let pattern = compiled(pattern, true, false)?;
    if all {
        return Ok(pattern.replace_all(value, replacement).into_owned());
    }
    Ok(pattern.replacen(value, 1, regex::NoExpand(replacement)).into_owned())
}
