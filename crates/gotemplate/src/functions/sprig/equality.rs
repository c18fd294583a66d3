//! Go's `reflect.DeepEqual`.

use crate::{Context, Failure, Value};

/// Equal in type and content; a nil slice or map equals no empty one.
pub(super) fn deep_equal(cx: &mut Context<'_>, one: &Value, two: &Value) -> Result<bool, Failure> {
    cx.step(1)?;
    if one.type_() != two.type_() {
        return Ok(false);
    }
    Ok(match (one, two) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(one), Value::Bool(two)) => one == two,
        (Value::Int(_, one), Value::Int(_, two)) => one == two,
        (Value::Uint(_, one), Value::Uint(_, two)) => one == two,
        #[expect(clippy::float_cmp)] // as Go compares
        (Value::Float(_, one), Value::Float(_, two)) => one == two,
        #[expect(clippy::float_cmp)] // as Go compares
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::String(one), Value::String(two)) => {
            cx.step(one.len().min(two.len()) / 32)?;
            one == two
        }
        (Value::Time(one), Value::Time(two)) => one.is_same(two),
        (Value::List(one), Value::List(two)) => {
            if one.is_nil() != two.is_nil() || one.len() != two.len() {
                return Ok(false);
            }
            if one.is_same(two) {
                return Ok(true);
            }
            cx.nested(|cx| {
                for (one, two) in one.iter().zip(two.iter()) {
                    if !deep_equal(cx, one, two)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?
        }
        (Value::Map(one), Value::Map(two)) => {
            if one.is_nil() != two.is_nil() || one.len() != two.len() {
                return Ok(false);
            }
            if one.is_same(two) {
                return Ok(true);
            }
            cx.nested(|cx| {
                for (key, value) in one.read().iter().flat_map(|entries| entries.iter()) {
                    // A search compares the key several times.
                    let searched = usize::BITS - one.len().leading_zeros();
                    cx.step(key.len() / 32 * searched as usize)?;
                    let Some(other) = two.get(key) else { return Ok(false) };
                    if !deep_equal(cx, value, &other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?
        }
        (Value::Object(one), Value::Object(two)) => {
            if std::rc::Rc::ptr_eq(one, two) {
                return Ok(true);
            }
            let (one, two) = (one.display(), two.display());
            cx.step(one.iter().chain(&two).map(Vec::len).sum::<usize>() / 16)?;
            one == two
        }
        _ => false,
    })
}
