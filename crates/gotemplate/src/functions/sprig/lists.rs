//! Lists. Every function makes a new list: what was there stays as it is.

use super::{conversions, defaults::is_empty, equality::deep_equal, reflection::kind};
use crate::{Args, Context, Failure, Function, List, Type, Value};

const ANY: Type = Type::Any;

/// This family. Those with `must` fail where the others panic, which in a template is the same.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("tuple", &[], ANY, list),
    Function::variadic("list", &[], ANY, list),
    Function::new("append", &[ANY, ANY], push),
    Function::new("push", &[ANY, ANY], push),
    Function::new("mustAppend", &[ANY, ANY], push),
    Function::new("mustPush", &[ANY, ANY], push),
    Function::new("prepend", &[ANY, ANY], prepend),
    Function::new("mustPrepend", &[ANY, ANY], prepend),
    Function::new("first", &[ANY], first),
    Function::new("mustFirst", &[ANY], first),
    Function::new("last", &[ANY], last),
    Function::new("mustLast", &[ANY], last),
    Function::new("rest", &[ANY], |cx, args| without_one(cx, args, |items| &items[1..])),
    Function::new("mustRest", &[ANY], |cx, args| without_one(cx, args, |items| &items[1..])),
    Function::new("initial", &[ANY], |cx, args| without_one(cx, args, all_but_last)),
    Function::new("mustInitial", &[ANY], |cx, args| without_one(cx, args, all_but_last)),
    Function::new("reverse", &[ANY], reverse),
    Function::new("mustReverse", &[ANY], reverse),
    Function::new("compact", &[ANY], compact),
    Function::new("mustCompact", &[ANY], compact),
    Function::new("uniq", &[ANY], uniq),
    Function::new("mustUniq", &[ANY], uniq),
    Function::variadic("without", &[ANY], ANY, without),
    Function::variadic("mustWithout", &[ANY], ANY, without),
    Function::new("has", &[ANY, ANY], has),
    Function::new("mustHas", &[ANY, ANY], has),
    Function::variadic("slice", &[ANY], ANY, slice),
    Function::variadic("mustSlice", &[ANY], ANY, slice),
    Function::variadic("concat", &[], ANY, concat),
    Function::new("chunk", &[Type::INT, ANY], chunk),
    Function::new("mustChunk", &[Type::INT, ANY], chunk),
];

/// The list at this place, and a step for each of its elements.
fn items<'v>(cx: &mut Context<'_>, args: &Args<'v>, at: usize) -> Result<&'v List, Failure> {
    match args.any(at) {
        Value::List(list) => {
            cx.step(list.len())?;
            Ok(list)
        }
        other => Err(no_list(other)),
    }
}

fn no_list(value: &Value) -> Failure {
    Failure::function(format!("a list is needed, not a value of kind {}", kind(value)))
}

/// Fails before a list of so many elements is made.
fn room(cx: &mut Context<'_>, count: usize) -> Result<Vec<Value>, Failure> {
    cx.step(count)?;
    Ok(Vec::with_capacity(count))
}

fn list(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    cx.list(args.from(0).to_vec())
}

fn push(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    let mut all = room(cx, list.len() + 1)?;
    all.extend_from_slice(list);
    all.push(args.any(1).clone());
    cx.list(all)
}

fn prepend(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    let mut all = room(cx, list.len() + 1)?;
    all.push(args.any(1).clone());
    all.extend_from_slice(list);
    cx.list(all)
}

fn first(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(items(cx, args, 0)?.first().cloned().unwrap_or_default())
}

fn last(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(items(cx, args, 0)?.last().cloned().unwrap_or_default())
}

fn all_but_last(items: &[Value]) -> &[Value] {
    &items[..items.len() - 1]
}

/// Part of a list that is not empty; of an empty one the nil list.
fn without_one(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    part: fn(&[Value]) -> &[Value],
) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    if list.is_empty() {
        return Ok(Value::List(List::nil(&Type::Any)));
    }
    cx.list(part(list).to_vec())
}

fn reverse(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    cx.list(list.iter().rev().cloned().collect())
}

fn compact(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    cx.list(list.iter().filter(|item| !is_empty(item)).cloned().collect())
}

fn contains(cx: &mut Context<'_>, all: &[Value], wanted: &Value) -> Result<bool, Failure> {
    for item in all {
        if deep_equal(cx, wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    let mut kept: Vec<Value> = Vec::new();
    for item in list.iter() {
        if !contains(cx, &kept, item)? {
            kept.push(item.clone());
        }
    }
    cx.list(kept)
}

fn without(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (list, omitted) = (items(cx, args, 0)?, args.from(1));
    let mut kept = Vec::new();
    for item in list.iter() {
        if !contains(cx, omitted, item)? {
            kept.push(item.clone());
        }
    }
    cx.list(kept)
}

fn has(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    if matches!(args.any(1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let list = items(cx, args, 1)?;
    contains(cx, list, args.any(0)).map(Value::Bool)
}

/// From an index to another or to the end; it keeps the list's type. Of an empty list it is nil.
fn slice(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 0)?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let (start, end) = (index(cx, args, 1, 0)?, index(cx, args, 2, list.len())?);
    let part = list.get(start..end);
    let part = part.ok_or_else(|| Failure::function("slice index out of bounds"))?;
    cx.list_of(list.element(), part.to_vec())
}

fn index(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    at: usize,
    absent: usize,
) -> Result<usize, Failure> {
    match args.from(at).first() {
        Some(index) => Ok(usize::try_from(conversions::int(cx, index)?).unwrap_or(usize::MAX)),
        None => Ok(absent),
    }
}

fn concat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for at in 0..args.len() {
        all.extend_from_slice(items(cx, args, at)?);
    }
    if all.is_empty() {
        return Ok(Value::List(List::nil(&Type::Any)));
    }
    cx.list(all)
}

/// Lists of so many elements; the last one may be shorter.
fn chunk(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let list = items(cx, args, 1)?;
    let size = chunk_size(args.int(0)?, list.len())?;
    let chunks: Vec<Value> = size
        .map_or_else(Vec::new, |size| list.chunks(size).collect())
        .into_iter()
        .map(|chunk| cx.list(chunk.to_vec()))
        .collect::<Result<_, _>>()?;
    cx.list_of(&Type::LIST, chunks)
}

/// None for no chunks at all. sprig calculates with floats: some negative sizes give one chunk or none, others
/// are an error.
fn chunk_size(size: i64, length: usize) -> Result<Option<usize>, Failure> {
    let magnitude = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
    match length {
        _ if size > 0 => Ok(Some(magnitude)),
        1 if size < 0 => Ok(Some(1)),
        2.. if size < 0 && length - 1 <= magnitude => Ok(None),
        _ => Err(Failure::function("the size of a chunk is not positive")),
    }
}
