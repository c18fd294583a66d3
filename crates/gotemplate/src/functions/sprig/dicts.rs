//! Dictionaries. `set`, `unset` and `merge` change the one they are given, for everyone who holds it.

use std::collections::BTreeSet;

use super::{defaults::is_empty, printed::printed, reflection::kind};
use crate::{Args, Context, Entries, Failure, Function, Map, Text, Type, Value};

const STRING: Type = Type::String;
const DICT: Type = Type::DICT;

/// This family. Keys and values come in the order of the keys; in Go they come in any.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("dict", &[], Type::Any, dict),
    Function::new("get", &[DICT, STRING], get),
    Function::new("set", &[DICT, STRING, Type::Any], set),
    Function::new("unset", &[DICT, STRING], unset),
    Function::new("hasKey", &[DICT, STRING], has_key),
    Function::variadic("pluck", &[STRING], DICT, pluck),
    Function::variadic("keys", &[], DICT, keys),
    Function::variadic("pick", &[DICT], STRING, pick),
    Function::variadic("omit", &[DICT], STRING, omit),
    Function::variadic("merge", &[DICT], DICT, |cx, args| merge(cx, args, false)),
    Function::variadic("mustMerge", &[DICT], DICT, |cx, args| merge(cx, args, false)),
    Function::variadic("mergeOverwrite", &[DICT], DICT, |cx, args| merge(cx, args, true)),
    Function::variadic("mustMergeOverwrite", &[DICT], DICT, |cx, args| merge(cx, args, true)),
    Function::new("values", &[DICT], values),
    Function::new("deepCopy", &[Type::Any], deep_copy),
    Function::new("mustDeepCopy", &[Type::Any], deep_copy),
    Function::variadic("dig", &[], Type::Any, dig),
];

/// Of keys and values in turn; a last key without a value has an empty text.
fn dict(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut entries = Vec::with_capacity(args.len().div_ceil(2));
    for pair in args.from(0).chunks(2) {
        let key = printed(cx, &pair[0])?;
        cx.step(key.len() / 32)?;
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::String(Text::default()));
        entries.push((key, value));
    }
    cx.map(entries.into_iter().collect())
}

/// A key, and a step for every 32 bytes that looking it up compares.
fn key<'v>(cx: &mut Context<'_>, args: &Args<'v>, at: usize) -> Result<&'v Text, Failure> {
    let key = args.text(at)?;
    cx.step(1 + key.len() / 32)?;
    Ok(key)
}

/// An absent key gives an empty text.
fn get(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let found = args.map(0)?.get(key(cx, args, 1)?);
    Ok(found.unwrap_or_else(|| Value::String(Text::default())))
}

fn set(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let map = args.map(0)?;
    let key = key(cx, args, 1)?.clone();
    cx.set(map, key, args.any(2).clone())?;
    Ok(args.any(0).clone())
}

fn unset(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let key = key(cx, args, 1)?;
    cx.unset(args.map(0)?, key)?;
    Ok(args.any(0).clone())
}

fn has_key(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(args.map(0)?.contains(key(cx, args, 1)?)))
}

fn pluck(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let key = key(cx, args, 0)?;
    cx.step(2 * args.len())?;
    let found = (1..args.len()).filter_map(|at| args.map(at).ok()?.get(key)).collect();
    cx.list(found)
}

fn keys(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut keys = Vec::new();
    for at in 0..args.len() {
        let map = args.map(at)?;
        cx.step(map.len())?;
        let entries = map.read();
        let entries = entries.iter().flat_map(|entries| entries.iter());
        keys.extend(entries.map(|(key, _)| Value::String(key.clone())));
    }
    cx.list_of(&STRING, keys)
}

fn values(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let map = args.map(0)?;
    cx.step(map.len())?;
    cx.list(map.entries().into_iter().map(|(_, value)| value).collect())
}

fn pick(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let map = args.map(0)?;
    cx.step(args.len())?;
    let mut entries = Vec::new();
    for at in 1..args.len() {
        let key = key(cx, args, at)?;
        if let Some(value) = map.get(key) {
            entries.push((key.clone(), value));
        }
    }
    cx.map(entries.into_iter().collect())
}

fn omit(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let map = args.map(0)?;
    cx.step(map.len() + args.len())?;
    let mut left_out = BTreeSet::new();
    for at in 1..args.len() {
        left_out.insert(key(cx, args, at)?);
    }
    let entries = map.entries().into_iter().filter(|(key, _)| !left_out.contains(key));
    cx.map(entries.collect())
}

/// Merges the further dictionaries into the first one, which is what comes out.
fn merge(cx: &mut Context<'_>, args: &Args<'_>, overwrite: bool) -> Result<Value, Failure> {
    let mut target = args.map(0)?.clone();
    for at in 1..args.len() {
        let from = args.map(at)?;
        if target.is_nil() && !from.is_nil() {
            target = Map::new(&Type::Any, Entries::default());
        }
        merge_into(cx, &target, from, overwrite)?;
    }
    Ok(Value::Map(target))
}

/// What is empty in the target is filled, everything else only overwritten when asked for. Dictionaries in
/// both are merged in turn. A value that is nil is passed over, unless it overwrites.
fn merge_into(
    cx: &mut Context<'_>,
    target: &Map,
    from: &Map,
    overwrite: bool,
) -> Result<(), Failure> {
    cx.step(from.len())?;
    for (key, value) in from.entries() {
        // Found, and compared on the way with one key after another.
        cx.step(key.len() / 8)?;
        if matches!(value, Value::Nil) {
            if overwrite {
                assign(cx, target, from, key, value)?;
            }
            continue;
        }
        let present = target.get(&key);
        if let (Value::Map(inner), Some(Value::Map(below))) = (&value, &present)
            && (!below.is_nil() || inner.is_nil())
        {
            cx.nested(|cx| merge_into(cx, below, inner, overwrite))?;
            if !below.is_empty() {
                continue;
            }
        }
        if overwrite || present.as_ref().is_none_or(is_empty) {
            assign(cx, target, from, key, value)?;
        }
    }
    Ok(())
}

/// Puts an entry from one map into another, if Go's types allow it.
fn assign(
    cx: &mut Context<'_>,
    target: &Map,
    from: &Map,
    key: Text,
    value: Value,
) -> Result<(), Failure> {
    let type_ = target.element();
    if *type_ != Type::Any && type_ != from.element() {
        return Err(Failure::function(format!(
            "a value of type {} cannot be merged into a map of type {}",
            from.element().name(),
            Type::Map(type_).name()
        )));
    }
    cx.set(target, key, value)
}

fn deep_copy(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    match args.any(0) {
        Value::Nil => Err(Failure::function("nil cannot be copied")),
        value => copied(cx, value),
    }
}

/// A copy that shares nothing with what it was made of.
pub(super) fn copied(cx: &mut Context<'_>, value: &Value) -> Result<Value, Failure> {
    cx.step(1)?;
    match value {
        Value::List(list) if !list.is_nil() => {
            let items = cx.nested(|cx| {
                list.iter().map(|item| copied(cx, item)).collect::<Result<Vec<_>, _>>()
            })?;
            cx.list_of(list.element(), items)
        }
        Value::Map(map) if !map.is_nil() => {
            let entries = cx.nested(|cx| {
                let copy = |(key, value): (Text, Value)| Ok((key, copied(cx, &value)?));
                map.entries().into_iter().map(copy).collect::<Result<Entries, Failure>>()
            })?;
            cx.map_of(map.element(), entries)
        }
        other => Ok(other.clone()),
    }
}

/// Follows keys into dictionaries: `dig "a" "b" DEFAULT DICT`.
fn dig(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (keys, default, start) = match args.from(0) {
        [keys @ .., default, start] if !keys.is_empty() => (keys, default, start),
        _ => return Err(Failure::function("dig needs at least three arguments")),
    };
    cx.step(keys.len())?;
    if let Some(key) = keys.iter().find(|key| !matches!(key, Value::String(_))) {
        return Err(Failure::function(format!("a key is a {}, not a string", kind(key))));
    }
    let mut here = start.clone();
    for key in keys {
        let (Value::String(key), Value::Map(map)) = (key, &here) else {
            return Err(no_dict(&here));
        };
        cx.step(key.len() / 32)?;
        if *map.element() != Type::Any {
            return Err(no_dict(&here));
        }
        match map.get(key) {
            Some(next) => here = next,
            None => return Ok(default.clone()),
        }
    }
    Ok(here)
}

fn no_dict(value: &Value) -> Failure {
    Failure::function(format!(
        "keys lead into values of type map[string]interface {{}}, not {}",
        value.type_name()
    ))
}
