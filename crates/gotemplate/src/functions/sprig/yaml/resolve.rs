//! What a plain scalar of YAML 1.1 stands for, as `go-yaml` 2 decides.

use crate::{
    functions::sprig::{
        conversions::{parse_float, parse_int},
        layout,
    },
    number,
};

/// A resolved scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A date, perhaps with a time. It is read as a text, but written between quotes.
    Timestamp,
    Text,
}

/// Resolves a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'y'
        | b'Y'
        | b'n'
        | b'N'
        | b't'
        | b'T'
        | b'f'
        | b'F'
        | b'o'
        | b'O'
        | b'~'
        | b'.'
        | b'+'
        | b'-'
        | b'0'..=b'9' => {}
        b'<' if text == "<<" => return Scalar::Text,
        _ => return Scalar::Text,
    }
    if let Some(known) = known(text) {
        return known;
    }
    match first {
        b'.' => parse_float(text).map_or(Scalar::Text, Scalar::Float),
        b'+' | b'-' | b'0'..=b'9' if is_timestamp(text) => Scalar::Timestamp,
        b'+' | b'-' | b'0'..=b'9' => number(&text.replace('_', "")).unwrap_or(Scalar::Text),
        _ => Scalar::Text,
    }
}

fn known(text: &str) -> Option<Scalar> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// Without underscores: an integer with any prefix for its base, or a decimal float.
fn number(text: &str) -> Option<Scalar> {
    if let Ok(number) = parse_int(text, 0) {
        return Some(Scalar::Int(number));
    }
    if let Some(number) = number::magnitude(text) {
        return Some(Scalar::Uint(number));
    }
    if is_decimal(text)
        && let Some(number) = parse_float(text)
    {
        return Some(Scalar::Float(number));
    }
    // Two signs are an accident of the original: `-0b-1`.
    let (prefix, digits) = match text.strip_prefix("-0b") {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix("0b")?),
    };
    parse_int(&format!("{prefix}{digits}"), 2).ok().map(Scalar::Int)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

/// Dates as `go-yaml` knows them: year of four digits, then any digits of month and day.
fn is_timestamp(text: &str) -> bool {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    let forms: [&[u8]; 4] = [
        b"2006-1-2T15:4:5.999999999Z07:00",
        b"2006-1-2t15:4:5.999999999Z07:00",
        b"2006-1-2 15:4:5.999999999",
        b"2006-1-2",
    ];
    year == 4
        && text.as_bytes().get(4) == Some(&b'-')
        && forms.iter().any(|form| layout::parse(form, text.as_bytes()).is_some())
}

/// True of `190:20:30`: YAML 1.1 counts it in base 60. It is not read so, but written between quotes.
pub(super) fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default().as_bytes();
    let plain = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'_');
    let sixtieth = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    };
    text.contains(':')
        && first.first().is_some_and(u8::is_ascii_digit)
        && plain(first)
        && plain(fraction.as_bytes())
        && parts.all(sixtieth)
}
