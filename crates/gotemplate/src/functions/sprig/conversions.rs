//! Numbers out of any value: the rules of the library `cast`, which never fails but gives 0.

use super::printed::printed;
use crate::{Args, Context, Failure, Function, Type, Value, number};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("atoi", &[Type::String], atoi),
    Function::new("int64", &[Type::Any], |cx, args| Ok(Value::int64(int(cx, args.any(0))?))),
    Function::new("int", &[Type::Any], |cx, args| Ok(Value::int(int(cx, args.any(0))?))),
    Function::new("float64", &[Type::Any], |cx, args| Ok(Value::float(float(cx, args.any(0))?))),
    Function::new("toDecimal", &[Type::Any], to_decimal),
];

/// As `cast.ToInt64`.
pub(super) fn int(cx: &mut Context<'_>, value: &Value) -> Result<i64, Failure> {
    Ok(match value {
        Value::Int(_, number) => *number,
        Value::Uint(_, number) => number.cast_signed(),
        Value::Float(_, number) => truncated(*number),
        Value::Bool(truth) => i64::from(*truth),
        Value::String(text) => numeral(cx, text)?.and_then(whole).unwrap_or(0),
        _ => 0,
    })
}

/// As Go converts on amd64: what no `int64` holds becomes the smallest one.
pub(super) fn truncated(number: f64) -> i64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if (-TWO_TO_63..TWO_TO_63).contains(&number) {
        #[expect(clippy::cast_possible_truncation)] // that is what it is for
        return number as i64;
    }
    i64::MIN
}

/// As `cast.ToFloat64`.
#[expect(clippy::cast_precision_loss)] // as Go converts
pub(super) fn float(cx: &mut Context<'_>, value: &Value) -> Result<f64, Failure> {
    Ok(match value {
        Value::Int(_, number) => *number as f64,
        Value::Uint(_, number) => *number as f64,
        Value::Float(_, number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::String(text) => numeral(cx, text)?.and_then(parse_float).unwrap_or(0.0),
        _ => 0.0,
    })
}

/// A text that may be a number; accounts for reading it.
pub(super) fn numeral<'t>(
    cx: &mut Context<'_>,
    text: &'t [u8],
) -> Result<Option<&'t str>, Failure> {
    cx.step(text.len() / 16)?;
    Ok(std::str::from_utf8(text).ok())
}

/// With any prefix for the base. A fraction is cut off, if nothing but digits and one point is there.
fn whole(text: &str) -> Option<i64> {
    let Some((whole, fraction)) = text.split_once('.') else { return parse_int(text, 0).ok() };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.strip_prefix(['+', '-']).unwrap_or(whole)) || !digits(fraction) {
        return None;
    }
    match whole {
        "" | "+" | "-" => Some(0),
        whole => parse_int(whole, 0).ok(),
    }
}

/// Go's `strconv.ParseInt`; base 0 looks at the prefix. The error is the number that Go gives beside its own:
/// 0, or the nearest when it is too large.
pub(super) fn parse_int(text: &str, base: u32) -> Result<i64, i64> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let nearest = if negative { i64::MIN } else { i64::MAX };
    let magnitude =
        if base == 0 { number::magnitude(digits).ok_or(0) } else { radix(digits, base) };
    let magnitude = magnitude.map_err(|large| if large == 0 { 0 } else { nearest })?;
    let number = if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    number.ok_or(nearest)
}

/// Digits to their end or to where the number gets too large, whatever follows; the error is 0 where no digit
/// stands.
fn radix(digits: &str, base: u32) -> Result<u64, u64> {
    if digits.is_empty() {
        return Err(0);
    }
    digits.chars().try_fold(0_u64, |number, c| {
        let digit = u64::from(c.to_digit(base).ok_or(0_u64)?);
        let number =
            number.checked_mul(u64::from(base)).and_then(|number| number.checked_add(digit));
        number.ok_or(u64::MAX)
    })
}

/// Go's `strconv.ParseFloat`: none of what is no number or too large for one.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        _ => number::float(text),
    }
}

/// Decimal only, without prefix; 0 when it is none, the nearest when it is too large.
fn atoi(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = numeral(cx, args.text(0)?)?.unwrap_or_default();
    Ok(Value::int(parse_int(text, 10).unwrap_or_else(|nearest| nearest)))
}

/// Reads what prints of the value as an octal number: the name is sprig's.
fn to_decimal(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = printed(cx, args.any(0))?;
    let number = numeral(cx, &text)?.and_then(|text| parse_int(text, 8).ok());
    Ok(Value::int64(number.unwrap_or(0)))
}
