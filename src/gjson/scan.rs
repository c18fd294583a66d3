//! Walking over text that should be JSON, as lazily as gjson does: nothing is validated, and what does not belong
//! is skipped. Nothing here recurses.

use zeroize::Zeroizing;

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonType {
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A value as it is written.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a> {
    /// What it is.
    pub(crate) json_type: JsonType,
    /// Its text. A broken value may be longer or shorter than its type allows: `nul`, `1x2`.
    pub(crate) text: &'a str,
}

impl Raw<'_> {
    /// Whether it is an array or an object.
    pub(crate) fn is_container(&self) -> bool {
        matches!(self.json_type, JsonType::Array | JsonType::Object)
    }
}

/// Whether a text is one JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The value that a text starts with, after white space. An object or array takes everything that follows.
pub(crate) fn parse(text: &str) -> Option<Raw<'_>> {
    let text = text.trim_start_matches(|c| c <= ' ');
    let json_type = type_at(text.as_bytes(), 0)?;
    let end = match json_type {
        JsonType::Object | JsonType::Array => text.len(),
        _ => end_at(text.as_bytes(), 0, json_type).unwrap_or(text.len()),
    };
    Some(Raw { json_type, text: text.get(..end)? })
}

/// What starts at a byte: nothing, if no value starts so.
pub(crate) fn type_at(bytes: &[u8], at: usize) -> Option<JsonType> {
    Some(match bytes.get(at)? {
        b'{' => JsonType::Object,
        b'[' => JsonType::Array,
        b'"' => JsonType::String,
        b't' => JsonType::True,
        b'f' => JsonType::False,
        // `nan` is a number.
        b'n' if bytes.get(at + 1).is_none_or(|next| *next == b'u') => JsonType::Null,
        b'n' | b'N' | b'i' | b'I' | b'+' | b'-' | b'0'..=b'9' => JsonType::Number,
        _ => return None,
    })
}

/// Where a value of this type ends that starts at `start`. None for a string that is not closed. A container that ends
/// inside of such a string ends one byte behind the text: as in gjson, nothing closes the array around it.
pub(crate) fn end_at(bytes: &[u8], start: usize, json_type: JsonType) -> Option<usize> {
    let run = |ends: fn(u8) -> bool| {
        let length = bytes.iter().skip(start + 1).position(|byte| ends(*byte));
        length.map_or(bytes.len(), |length| start + 1 + length)
    };
    Some(match json_type {
        JsonType::String => return closing_quote(bytes, start).map(|quote| quote + 1),
        JsonType::Object | JsonType::Array => open_end(bytes, start + 1).unwrap_or(bytes.len() + 1),
        JsonType::Number => run(|byte| byte <= b' ' || matches!(byte, b',' | b']' | b'}')),
        JsonType::Null | JsonType::True | JsonType::False => run(|byte| !byte.is_ascii_lowercase()),
    })
}

/// The next value at or after a byte, whatever comes before it, and where it ends.
pub(crate) fn next(text: &str, start: usize) -> Option<(Raw<'_>, usize)> {
    let bytes = text.as_bytes();
    let at = (start..bytes.len()).find(|at| type_at(bytes, *at).is_some())?;
    let json_type = type_at(bytes, at)?;
    let end = end_at(bytes, at, json_type)?;
    Some((Raw { json_type, text: text.get(at..end.min(text.len()))? }, end))
}

/// Keys (quoted) and values of an object.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (&str, Raw<'_>)> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        let start = at + bytes.get(at..)?.iter().position(|byte| *byte == b'"')?;
        let end = closing_quote(bytes, start)? + 1;
        let (value, after) = next(text, after_separators(bytes, end))?;
        at = after + 1;
        Some((text.get(start..end)?, value))
    })
}

/// Values of an array.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = Raw<'_>> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let (value, after) = next(text, after_separators(text.as_bytes(), at))?;
        // As in gjson, one byte separates two elements.
        at = after + 1;
        Some(value)
    })
}

fn after_separators(bytes: &[u8], at: usize) -> usize {
    let skipped = bytes.iter().skip(at).take_while(|byte| **byte <= b' ' || b",:".contains(byte));
    at + skipped.count()
}

/// Where the bracket or the quote that opens at `start` closes: round brackets count as well.
pub(crate) fn squashed_end(bytes: &[u8], start: usize) -> usize {
    if bytes.get(start) == Some(&b'"') {
        return string_end(bytes, start);
    }
    open_end(bytes, start + 1).unwrap_or(bytes.len())
}

/// Where the bracket closes that was open before the first byte: at the end of the text, if nothing closes it, and
/// nowhere, if the text ends inside of a string.
pub(crate) fn open_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut open = 1_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = closing_quote(bytes, at)?,
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open -= 1,
            _ => {}
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    Some(at.min(bytes.len()))
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    closing_quote(bytes, start).map_or(bytes.len(), |quote| quote + 1)
}

/// Where the quote is that closes the one at `start`.
pub(crate) fn closing_quote(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A quoted string without quotes and escapes.
pub(crate) fn unquote(raw: &str) -> Zeroizing<String> {
    let inner = raw.strip_prefix('"').unwrap_or(raw);
    let closed = closing_quote(raw.as_bytes(), 0).is_some_and(|quote| quote + 1 == raw.len());
    let inner = if closed { inner.strip_suffix('"').unwrap_or(inner) } else { inner };
    if inner.contains('\\') { unescape(inner) } else { Zeroizing::new(inner.to_owned()) }
}

/// A quoted string of valid JSON, decoded as Go's `encoding/json` does.
pub(crate) fn decode(raw: &str) -> Zeroizing<String> {
    let inner = raw.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(raw);
    unescaped(inner, false)
}

/// A string without its escapes. As in gjson, one with escapes ends at a control character and at an escape that JSON
/// does not know.
pub(crate) fn unescape(text: &str) -> Zeroizing<String> {
    unescaped(text, true)
}

/// `lazy` is gjson's way: the second half of a surrogate pair goes, whatever it is.
fn unescaped(text: &str, lazy: bool) -> Zeroizing<String> {
    // No escape is shorter than what it stands for, so this never grows and leaves no copy behind.
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    loop {
        let at = rest.find(|c| c < ' ' || c == '\\').unwrap_or(rest.len());
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut chars = rest.chars();
        if chars.next() != Some('\\') {
            return out;
        }
        let (c, used) = match chars.next() {
            Some('u') => match unescape_unicode(rest, lazy) {
                Some(read) => read,
                None => return out,
            },
            Some('n') => ('\n', 2),
            Some('t') => ('\t', 2),
            Some('r') => ('\r', 2),
            Some('b') => ('\u{8}', 2),
            Some('f') => ('\u{c}', 2),
            Some(c @ ('"' | '\\' | '/')) => (c, 2),
            _ => return out,
        };
        out.push(c);
        rest = rest.get(used..).unwrap_or("");
    }
}

/// The character of a `\u` escape, with its second half if it has one, and how many bytes it took. None if the text ends
/// before the escape does. Digits that are none count as 0, and half a surrogate pair becomes U+FFFD, as in gjson.
fn unescape_unicode(text: &str, lazy: bool) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4).filter(|digits| !digits.starts_with('+'));
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
    };
    if text.len() < 6 {
        return None;
    }
    let first = unit(2);
    let mut used = 6;
    let mut code = Some(first);
    if (0xd800..0xe000).contains(&first) {
        code = None;
        if text.get(6..).is_some_and(|rest| rest.len() >= 6 && rest.starts_with("\\u")) {
            let second = unit(8);
            let pair = first < 0xdc00 && (0xdc00..0xe000).contains(&second);
            code = pair.then(|| 0x10000 + ((first - 0xd800) << 10) + second.wrapping_sub(0xdc00));
            used = if pair || lazy { 12 } else { 6 };
        }
    }
    // A character that the digits cut in two goes as a whole.
    while !text.is_char_boundary(used) {
        used += 1;
    }
    let c = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((c, used))
}

/// Whether a number is digits and nothing else but a sign.
pub(crate) fn is_integer(raw: &str) -> bool {
    raw.strip_prefix('-').unwrap_or(raw).bytes().all(|byte| byte.is_ascii_digit())
}

/// A number as gjson prints it: digits as they are, everything else as the shortest decimal without exponent.
pub(crate) fn print_number(raw: &str) -> String {
    if is_integer(raw) {
        return raw.to_owned();
    }
    match number(raw) {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => number.to_string(),
    }
}

/// A number as Go's `ParseFloat` reads it, with underscores between digits; 0 if it is none.
pub(crate) fn number(raw: &str) -> f64 {
    if !raw.contains('_') {
        return raw.parse().unwrap_or(0.0);
    }
    let between = raw
        .as_bytes()
        .windows(3)
        .filter(|three| three[1] == b'_' && three[0].is_ascii_digit() && three[2].is_ascii_digit());
    let all = raw.bytes().filter(|byte| *byte == b'_').count();
    if between.count() == all { raw.replace('_', "").parse().unwrap_or(0.0) } else { 0.0 }
}
