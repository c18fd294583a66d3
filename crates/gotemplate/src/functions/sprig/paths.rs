//! Paths with slashes; those of the operating system are the same.

use crate::{Args, Context, Failure, Function, Text, Type, Value};

const STRING: Type = Type::String;

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base", &[STRING], base),
    Function::new("dir", &[STRING], dir),
    Function::new("clean", &[STRING], clean),
    Function::new("ext", &[STRING], ext),
    Function::new("isAbs", &[STRING], is_abs),
    Function::new("osBase", &[STRING], base),
    Function::new("osDir", &[STRING], dir),
    Function::new("osClean", &[STRING], clean),
    Function::new("osExt", &[STRING], ext),
    Function::new("osIsAbs", &[STRING], is_abs),
];

fn path<'v>(cx: &mut Context<'_>, args: &Args<'v>) -> Result<&'v Text, Failure> {
    let path = args.text(0)?;
    cx.step(path.len() / 32)?;
    Ok(path)
}

/// The last element without slashes after it.
fn base(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let path = path(cx, args)?;
    if path.is_empty() {
        return cx.text(".");
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let start = memchr::memrchr(b'/', &path[..end]).map_or(0, |at| at + 1);
    if end == 0 { cx.text("/") } else { cx.text(&path[start..end]) }
}

fn dir(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let path = path(cx, args)?;
    let end = memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
    cleaned(cx, &path[..end])
}

fn clean(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    cleaned(cx, args.text(0)?)
}

/// The shortest path that means the same: no empty elements, no `.`, `..` only at the start.
fn cleaned(cx: &mut Context<'_>, path: &[u8]) -> Result<Value, Failure> {
    // Many short elements are the worst: a reference for every two bytes.
    cx.allocate(path.len() * 8)?;
    let rooted = path.starts_with(b"/");
    let mut elements: Vec<&[u8]> = Vec::new();
    for element in path.split(|byte| *byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match elements.last() {
                Some(last) if *last != b".." => {
                    elements.pop();
                }
                _ if rooted => {}
                _ => elements.push(element),
            },
            _ => elements.push(element),
        }
    }
    let body = elements.join(&b'/');
    match (rooted, body.is_empty()) {
        (true, _) => cx.text([b"/", &*body].concat()),
        (false, true) => cx.text("."),
        (false, false) => cx.text(body),
    }
}

/// From the last point of the last element on.
fn ext(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let path = path(cx, args)?;
    let name = memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
    let extension = memchr::memrchr(b'.', &path[name..]).map_or(path.len(), |at| name + at);
    cx.text(&path[extension..])
}

fn is_abs(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(args.text(0)?.starts_with(b"/")))
}
