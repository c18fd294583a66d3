//! `len`, `index`, `slice`.

use super::super::super::{
    budget::Context,
    error::Failure,
    eval::at_index,
    function::Args,
    value::{Type, Value},
};

/// Bytes of a string, elements of a slice, entries of a map.
pub(super) fn len(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(at_index(match args.any(0) {
        Value::String(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Nil => return Err(Failure::function("len of nil pointer")),
        other => return Err(Failure::function(format!("len of type {}", other.type_name()))),
    }))
}

/// `index x 1 2` is `x[1][2]`. A map that has not the key gives the zero value of its elements.
pub(super) fn index(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut item = args.any(0).clone();
    if matches!(item, Value::Nil) {
        return Err(Failure::function("index of untyped nil"));
    }
    for at in args.from(1) {
        item = match &item {
            Value::Nil => return Err(Failure::function("index of nil pointer")),
            Value::String(text) => {
                let at = position(at, text.len())?;
                Value::byte(*text.get(at).ok_or_else(out_of_range)?)
            }
            Value::List(list) => {
                let at = position(at, list.len())?;
                list.get(at).cloned().ok_or_else(out_of_range)?
            }
            Value::Map(map) => match at {
                Value::String(key) => {
                    cx.step(key.len() / 32)?;
                    map.get(key).unwrap_or_else(|| Value::zero_of(map.element()))
                }
                Value::Nil => {
                    return Err(Failure::function("value is nil; should be of type string"));
                }
                other => {
                    let got = other.type_name();
                    return Err(Failure::function(format!(
                        "value has type {got}; should be string"
                    )));
                }
            },
            other => {
                let type_ = other.type_name();
                return Err(Failure::function(format!("can't index item of type {type_}")));
            }
        };
    }
    Ok(item)
}

/// `slice x 1 2` is `x[1:2]`.
pub(super) fn slice(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (item, indexes) = (args.any(0), args.from(1));
    let length = match item {
        Value::Nil => return Err(Failure::function("slice of untyped nil")),
        Value::String(_) if indexes.len() == 3 => {
            return Err(Failure::function("cannot 3-index slice a string"));
        }
        Value::String(text) => text.len(),
        Value::List(list) => list.len(),
        other => {
            let type_ = other.type_name();
            return Err(Failure::function(format!("can't slice item of type {type_}")));
        }
    };
    if indexes.len() > 3 {
        return Err(Failure::function(format!("too many slice indexes: {}", indexes.len())));
    }
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length)?;
    }
    let [from, to, capacity] = bounds;
    if from > to || to > capacity {
        return Err(Failure::function("invalid slice index: the start is behind the end"));
    }
    match item {
        Value::String(text) => Ok(Value::String(text.part(text.get(from..to).unwrap_or_default()))),
        Value::List(list) if list.is_nil() => Ok(item.clone()),
        Value::List(list) => {
            cx.list_of(list.element(), list.get(from..to).unwrap_or_default().to_vec())
        }
        _ => Ok(Value::Nil),
    }
}

/// An index as Go takes it: any integer from 0 to the length.
fn position(index: &Value, length: usize) -> Result<usize, Failure> {
    let at = match index {
        Value::Int(_, at) => usize::try_from(*at).ok(),
        Value::Uint(_, at) => usize::try_from(*at).ok(),
        Value::Nil => return Err(Failure::function("cannot index slice/array with nil")),
        other => {
            let type_ = other.type_().map_or_else(|| Type::Any.name(), |type_| type_.name());
            return Err(Failure::function(format!("cannot index slice/array with type {type_}")));
        }
    };
    at.filter(|at| *at <= length).ok_or_else(out_of_range)
}

fn out_of_range() -> Failure {
    Failure::function("index out of range")
}
