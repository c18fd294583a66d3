//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`.

use std::{cmp::Ordering, rc::Rc};

use super::super::super::{
    budget::Context,
    error::Failure,
    function::Args,
    value::{Object, Type, Value},
};

/// `a == b || a == c || ...`
pub(super) fn eq(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    if args.len() < 2 {
        return Err(Failure::function("missing argument for comparison"));
    }
    for other in args.from(1) {
        if equal(cx, args.any(0), other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// `a != b`
pub(super) fn ne(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(!equal(cx, args.any(0), args.any(1))?))
}

/// `a < b`
pub(super) fn lt(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(less(cx, args.any(0), args.any(1))?))
}

/// `a <= b`: less or equal, so that it differs from `not (gt a b)` where a float is no number.
pub(super) fn le(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(less_or_equal(cx, args)?))
}

/// `a > b`
pub(super) fn gt(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(!less_or_equal(cx, args)?))
}

/// `a >= b`
pub(super) fn ge(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(!less(cx, args.any(0), args.any(1))?))
}

fn less_or_equal(cx: &mut Context<'_>, args: &Args<'_>) -> Result<bool, Failure> {
    let (one, two) = (args.any(0), args.any(1));
    Ok(less(cx, one, two)? || equal(cx, one, two)?)
}

fn equal(cx: &mut Context<'_>, one: &Value, two: &Value) -> Result<bool, Failure> {
    Ok(match (one, two) {
        (Value::Bool(one), Value::Bool(two)) => one == two,
        #[expect(clippy::float_cmp)] // as Go compares
        (Value::Float(_, one), Value::Float(_, two)) => one == two,
        #[expect(clippy::float_cmp)]
        (Value::Complex(r, i), Value::Complex(s, j)) => r == s && i == j,
        (Value::String(one), Value::String(two)) => {
            cx.step(one.len().min(two.len()) / 32)?;
            one == two
        }
        (Value::Int(..) | Value::Uint(..), Value::Int(..) | Value::Uint(..)) => {
            integers(one, two) == Some(Ordering::Equal)
        }
        (Value::Nil, Value::Nil) => true,
        (Value::Nil, other) | (other, Value::Nil) => is_nil(other),
        _ if is_basic(one) || is_basic(two) => return Err(incompatible(one, two)),
        _ => return identical(cx, one, two),
    })
}

/// Values of kinds that Go compares only with nil, or by identity.
fn identical(cx: &mut Context<'_>, one: &Value, two: &Value) -> Result<bool, Failure> {
    let kinds = [one, two].map(|value| value.type_().map(|type_| type_.kind()));
    if kinds[0] != kinds[1] {
        let types = (one.type_name(), two.type_name());
        return Err(Failure::function(format!("non-comparable types {}, {}", types.0, types.1)));
    }
    if is_nil(one) || is_nil(two) {
        return Ok(is_nil(one) == is_nil(two));
    }
    match (one, two) {
        (Value::Time(one), Value::Time(two)) => Ok(one.is_same(two)),
        (Value::Object(one), Value::Object(two)) => objects(cx, one, two),
        (_, other) => Err(Failure::function(format!("non-comparable type {}", other.type_name()))),
    }
}

/// Pointers are equal when they are the same; structs, when their fields are.
fn objects(
    cx: &mut Context<'_>,
    one: &Rc<dyn Object>,
    two: &Rc<dyn Object>,
) -> Result<bool, Failure> {
    match (one.type_(), two.type_()) {
        (Type::Struct(a), Type::Struct(b)) if a == b => {
            for ((_, one), (_, two)) in one.fields().iter().zip(&two.fields()) {
                let (Value::String(one), Value::String(two)) = (one, two) else { return Ok(false) };
                cx.step(1 + one.len().min(two.len()) / 32)?;
                if one != two {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(std::ptr::addr_eq(Rc::as_ptr(one), Rc::as_ptr(two))),
    }
}

fn less(cx: &mut Context<'_>, one: &Value, two: &Value) -> Result<bool, Failure> {
    match (one, two) {
        (Value::Float(_, one), Value::Float(_, two)) => Ok(one < two),
        (Value::String(one), Value::String(two)) => {
            cx.step(one.len().min(two.len()) / 32)?;
            Ok(one < two)
        }
        (Value::Int(..) | Value::Uint(..), Value::Int(..) | Value::Uint(..)) => {
            Ok(integers(one, two) == Some(Ordering::Less))
        }
        _ if !is_basic(one) || !is_basic(two) => {
            Err(Failure::function("invalid type for comparison"))
        }
        (Value::Bool(_), Value::Bool(_)) | (Value::Complex(..), Value::Complex(..)) => {
            Err(Failure::function("invalid type for comparison"))
        }
        _ => Err(incompatible(one, two)),
    }
}

/// Integers compare by value, whatever their signs and sizes.
fn integers(one: &Value, two: &Value) -> Option<Ordering> {
    let wide = |value: &Value| match value {
        Value::Int(_, number) => Some(i128::from(*number)),
        Value::Uint(_, number) => Some(i128::from(*number)),
        _ => None,
    };
    Some(wide(one)?.cmp(&wide(two)?))
}

fn incompatible(one: &Value, two: &Value) -> Failure {
    let (one, two) = (one.type_name(), two.type_name());
    Failure::function(format!("incompatible types for comparison: {one} and {two}"))
}

fn is_basic(value: &Value) -> bool {
    matches!(
        value,
        Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::Complex(..)
            | Value::String(_)
    )
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        _ => false,
    }
}
