//! What a scalar means, as `kubectl` reads it: the rules of YAML 1.1 that its Go library keeps.

use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The value of a scalar.
pub(crate) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    match tag.and_then(Tag::core_suffix) {
        Some("str") => return Value::String(text.to_owned()),
        Some("null") => return Value::Null,
        _ if style != ScalarStyle::Plain => return Value::String(text.to_owned()),
        _ => {}
    }
    plain(text)
}

/// Whether a text can stand without quotes, in every style, and still means itself.
pub(crate) fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    starts && text.chars().all(safe) && plain(text) == Value::String(text.to_owned())
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    // Most strings begin with a letter, and no number does.
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && let Some(number) = number(text)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

fn number(text: &str) -> Option<Number> {
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match digits.get(..2) {
        Some("0x" | "0X") => u64::from_str_radix(&digits[2..], 16),
        Some("0b" | "0B") => u64::from_str_radix(&digits[2..], 2),
        Some("0o" | "0O") => u64::from_str_radix(&digits[2..], 8),
        _ if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        _ => digits.parse(),
    };
    let unsigned = digits.starts_with(|c: char| c.is_ascii_digit());
    let magnitude = magnitude.ok().filter(|_| unsigned)?;
    if negative {
        Some(Number::from(0_i64.checked_sub_unsigned(magnitude)?))
    } else {
        Some(Number::from(magnitude))
    }
}

/// `1.5`, `.5`, `1.`, `1e3`; infinity and not-a-number stay text, as JSON has neither.
fn float(text: &str) -> Option<Number> {
    let shaped =
        text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'))
            && text.contains(|c: char| c.is_ascii_digit());
    let value: f64 = if shaped { text.parse().ok()? } else { return None };
    Number::from_f64(value)
}
