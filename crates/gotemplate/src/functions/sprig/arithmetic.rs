//! Integer arithmetic on `int64`, which wraps, and decimal arithmetic on floats.

use super::{
    conversions::{float, int},
    decimal::Decimal,
};
use crate::{Args, Context, Failure, Function, Type, Value};

const ANY: Type = Type::Any;

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("add1", &[ANY], |cx, args| {
        Ok(Value::int64(int(cx, args.any(0))?.wrapping_add(1)))
    }),
    Function::variadic("add", &[], ANY, |cx, args| fold(cx, 0, args.from(0), i64::wrapping_add)),
    Function::new("sub", &[ANY, ANY], |cx, args| folded(cx, args, i64::wrapping_sub)),
    Function::new("div", &[ANY, ANY], |cx, args| quotient(cx, args, i64::wrapping_div)),
    Function::new("mod", &[ANY, ANY], |cx, args| quotient(cx, args, i64::wrapping_rem)),
    Function::variadic("mul", &[ANY], ANY, |cx, args| folded(cx, args, i64::wrapping_mul)),
    Function::variadic("max", &[ANY], ANY, |cx, args| folded(cx, args, i64::max)),
    Function::variadic("biggest", &[ANY], ANY, |cx, args| folded(cx, args, i64::max)),
    Function::variadic("min", &[ANY], ANY, |cx, args| folded(cx, args, i64::min)),
    Function::variadic("maxf", &[ANY], ANY, |cx, args| extreme(cx, args, true)),
    Function::variadic("minf", &[ANY], ANY, |cx, args| extreme(cx, args, false)),
    Function::new("add1f", &[ANY], |cx, args| decimals(cx, args.any(0), &[Value::int(1)], add)),
    Function::variadic("addf", &[], ANY, |cx, args| {
        decimals(cx, &Value::float(0.0), args.from(0), add)
    }),
    Function::variadic("subf", &[ANY], ANY, |cx, args| {
        decimals(cx, args.any(0), args.from(1), |cx, one, two| {
            cx.step(one.aligned_length(two))?;
            Ok(one.subtract(two))
        })
    }),
    Function::variadic("mulf", &[ANY], ANY, |cx, args| {
        decimals(cx, args.any(0), args.from(1), |cx, one, two| {
            cx.step(1 + one.length() * two.length() / 8)?;
            Ok(one.multiply(two))
        })
    }),
    Function::variadic("divf", &[ANY], ANY, |cx, args| {
        decimals(cx, args.any(0), args.from(1), divide)
    }),
    Function::new("ceil", &[ANY], |cx, args| Ok(Value::float(float(cx, args.any(0))?.ceil()))),
    Function::new("floor", &[ANY], |cx, args| Ok(Value::float(float(cx, args.any(0))?.floor()))),
    Function::variadic("round", &[ANY, Type::INT], Type::FLOAT64, round),
];

fn fold(
    cx: &mut Context<'_>,
    first: i64,
    rest: &[Value],
    operation: fn(i64, i64) -> i64,
) -> Result<Value, Failure> {
    cx.step(rest.len())?;
    let mut result = first;
    for value in rest {
        result = operation(result, int(cx, value)?);
    }
    Ok(Value::int64(result))
}

fn folded(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    operation: fn(i64, i64) -> i64,
) -> Result<Value, Failure> {
    let first = int(cx, args.any(0))?;
    fold(cx, first, args.from(1), operation)
}

fn quotient(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    operation: fn(i64, i64) -> i64,
) -> Result<Value, Failure> {
    let (dividend, divisor) = (int(cx, args.any(0))?, int(cx, args.any(1))?);
    if divisor == 0 {
        return Err(Failure::function("integer divide by zero"));
    }
    Ok(Value::int64(operation(dividend, divisor)))
}

/// The largest or the smallest. As in Go an infinity wins over what is no number, and that over the rest.
fn extreme(cx: &mut Context<'_>, args: &Args<'_>, largest: bool) -> Result<Value, Failure> {
    cx.step(args.len())?;
    let infinity = if largest { f64::INFINITY } else { f64::NEG_INFINITY };
    #[expect(clippy::float_cmp)] // infinities are exact
    let stronger = |one: f64, two: f64| {
        if one == infinity || two == infinity {
            infinity
        } else if one.is_nan() || two.is_nan() {
            f64::NAN
        } else if one == 0.0 && two == 0.0 {
            let negative = |number: f64| number.is_sign_negative() != largest;
            if negative(one) { one } else { two }
        } else if (one > two) == largest {
            one
        } else {
            two
        }
    };
    let mut result = float(cx, args.any(0))?;
    for value in args.from(1) {
        result = stronger(result, float(cx, value)?);
    }
    Ok(Value::float(result))
}

type Operation =
    for<'c, 'a> fn(&'c mut Context<'a>, &Decimal, &Decimal) -> Result<Decimal, Failure>;

fn add(cx: &mut Context<'_>, one: &Decimal, two: &Decimal) -> Result<Decimal, Failure> {
    cx.step(one.aligned_length(two))?;
    Ok(one.add(two))
}

fn divide(cx: &mut Context<'_>, one: &Decimal, two: &Decimal) -> Result<Decimal, Failure> {
    // Up to nine subtractions for each digit of the quotient.
    let length = one.aligned_length(two) + 16;
    cx.step(length.saturating_mul(length))?;
    one.divide(two).ok_or_else(|| Failure::function("decimal division by 0"))
}

fn decimals(
    cx: &mut Context<'_>,
    first: &Value,
    rest: &[Value],
    operation: Operation,
) -> Result<Value, Failure> {
    let mut result = decimal(cx, first)?;
    for value in rest {
        let next = decimal(cx, value)?;
        result = operation(cx, &result, &next)?;
    }
    Ok(Value::float(result.to_float()))
}

fn decimal(cx: &mut Context<'_>, value: &Value) -> Result<Decimal, Failure> {
    Decimal::from_float(float(cx, value)?)
        .ok_or_else(|| Failure::function("an infinity or NaN is no decimal number"))
}

/// To so many places; the optional third argument says from which fraction on it goes up.
fn round(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    cx.step(1)?;
    let number = float(cx, args.any(0))?;
    let from = if args.len() > 2 { args.float(2)? } else { 0.5 };
    #[expect(clippy::cast_precision_loss)] // as Go converts
    let power = 10_f64.powf(args.int(1)? as f64);
    let digits = power * number;
    let fraction = if digits.is_infinite() { f64::NAN } else { digits.fract() };
    let rounded = if fraction >= from { digits.ceil() } else { digits.floor() };
    Ok(Value::float(rounded / power))
}
