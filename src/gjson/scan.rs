//! Walking over the text of valid JSON. Nothing here recurses.

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

/// Whether a text is one JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The one value in a text, without what surrounds it; after an object or an array, everything stays.
pub(crate) fn value(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r']);
    let end = match kind(text) {
        JsonType::Object | JsonType::Array => text.len(),
        JsonType::Number => text.find(|c| c <= ' ' || ",]}".contains(c)).unwrap_or(text.len()),
        _ => value_end(text.as_bytes(), 0),
    };
    text.get(..end).unwrap_or(text)
}

/// What a value is, by its first character.
pub(crate) fn kind(raw: &str) -> JsonType {
    match raw.as_bytes().first() {
        Some(b'{') => JsonType::Object,
        Some(b'[') => JsonType::Array,
        Some(b'"') => JsonType::String,
        Some(b't') => JsonType::True,
        Some(b'f') => JsonType::False,
        Some(b'n') | None => JsonType::Null,
        Some(_) => JsonType::Number,
    }
}

/// Keys (quoted) and values of an object.
pub(crate) fn entries(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut items = Items::new(raw);
    std::iter::from_fn(move || Some((items.next()?, items.next()?)))
}

/// Values of an array.
pub(crate) fn elements(raw: &str) -> impl Iterator<Item = &str> {
    Items::new(raw)
}

/// Every value between the outer brackets, whatever separates them.
struct Items<'a> {
    raw: &'a str,
    at: usize,
}

impl<'a> Items<'a> {
    fn new(raw: &'a str) -> Self {
        Self { raw, at: 1 }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.raw.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') {
            self.at += 1;
        }
        if matches!(bytes.get(self.at)?, b'}' | b']') {
            return None;
        }
        let start = self.at;
        self.at = value_end(bytes, start);
        self.raw.get(start..self.at)
    }
}

/// Where the value that starts at `start` ends.
pub(crate) fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut open = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if open == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' if open <= 1 => return if open == 1 { at + 1 } else { at },
            b'}' | b']' => open -= 1,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if open == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Where the bracket or the quote that opens at `start` closes: round brackets count as well.
pub(crate) fn squashed_end(bytes: &[u8], start: usize) -> usize {
    if bytes.get(start) == Some(&b'"') {
        return string_end(bytes, start);
    }
    open_end(bytes, start + 1)
}

/// Where the bracket closes that was open before the first byte.
pub(crate) fn open_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut open = 1_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at) - 1,
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open -= 1,
            _ => {}
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A quoted string without quotes and escapes. Half a surrogate pair becomes U+FFFD, as in Go.
pub(crate) fn unquote(raw: &str) -> Zeroizing<String> {
    let inner = raw.strip_prefix('"').unwrap_or(raw);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    unescape(inner)
}

/// A string without its escapes.
pub(crate) fn unescape(text: &str) -> Zeroizing<String> {
    // No escape is shorter than what it stands for, so this never grows and leaves no copy behind.
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let mut escape = rest[at + 1..].chars();
        let (c, used) = match escape.next() {
            Some('u') => unescape_unicode(&rest[at..]),
            Some('n') => ('\n', 2),
            Some('t') => ('\t', 2),
            Some('r') => ('\r', 2),
            Some('b') => ('\u{8}', 2),
            Some('f') => ('\u{c}', 2),
            Some(c) => (c, 1 + c.len_utf8()),
            None => ('\\', 1),
        };
        out.push(c);
        rest = rest.get(at + used..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// The character of a `\u` escape, with its second half if it has one, and how many bytes it took.
fn unescape_unicode(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if let Some(c) = char::from_u32(first) {
        return (c, 6);
    }
    match unit(6) {
        Some(second @ 0xdc00..=0xdfff) if first < 0xdc00 => {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
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
    match raw.parse::<f64>() {
        Ok(number) if number == f64::INFINITY => "+Inf".to_owned(),
        Ok(number) if number == f64::NEG_INFINITY => "-Inf".to_owned(),
        Ok(number) => number.to_string(),
        // Only a literal in a path can be that.
        Err(_) => "0".to_owned(),
    }
}
