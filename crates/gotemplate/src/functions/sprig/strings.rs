//! Strings: cutting, padding, replacing, quoting.

use super::{
    bytes,
    printed::{accounted, each, joined, printed},
};
use crate::{Args, Context, Failure, Function, Text, Type, Value, format, quote, rune};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("hello", &[], |cx, _| cx.text("Hello!")),
    Function::new("trim", &[Type::String], |cx, args| cut(cx, args, 0, bytes::trim_space)),
    Function::new("trimall", &[Type::String, Type::String], trim_all),
    Function::new("trimAll", &[Type::String, Type::String], trim_all),
    Function::new("trimSuffix", &[Type::String, Type::String], trim_suffix),
    Function::new("trimPrefix", &[Type::String, Type::String], trim_prefix),
    Function::new("trunc", &[Type::INT, Type::String], trunc),
    Function::new("substr", &[Type::INT, Type::INT, Type::String], substr),
    Function::new("repeat", &[Type::INT, Type::String], repeat),
    Function::new("contains", &[Type::String, Type::String], contains),
    Function::new("hasPrefix", &[Type::String, Type::String], has_prefix),
    Function::new("hasSuffix", &[Type::String, Type::String], has_suffix),
    Function::variadic("quote", &[], Type::Any, quoted),
    Function::variadic("squote", &[], Type::Any, squote),
    Function::variadic("cat", &[], Type::Any, cat),
    Function::new("indent", &[Type::INT, Type::String], |cx, args| indented(cx, args, b"")),
    Function::new("nindent", &[Type::INT, Type::String], |cx, args| indented(cx, args, b"\n")),
    Function::new("replace", &[Type::String, Type::String, Type::String], replace),
    Function::new("plural", &[Type::String, Type::String, Type::INT], plural),
    Function::new("toString", &[Type::Any], to_string),
];

/// Part of the text at this place.
fn cut(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    at: usize,
    part: impl Fn(&[u8]) -> &[u8],
) -> Result<Value, Failure> {
    let text = args.text(at)?;
    cx.step(text.len() / 32)?;
    Ok(Value::String(text.part(part(text))))
}

fn trim_all(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (cutset, text) = (args.text(0)?, args.text(1)?);
    cx.allocate(cutset.len())?;
    let trimmed = text.part(bytes::trim_set(text, cutset));
    // Each character that goes is looked up.
    cx.step(text.len() / 32 + (text.len() - trimmed.len()) / 4)?;
    Ok(Value::String(trimmed))
}

fn trim_suffix(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let suffix = args.text(0)?;
    cut(cx, args, 1, |text| text.strip_suffix(&**suffix).unwrap_or(text))
}

fn trim_prefix(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let prefix = args.text(0)?;
    cut(cx, args, 1, |text| text.strip_prefix(&**prefix).unwrap_or(text))
}

/// So many bytes from the start, or from the end when negative.
fn trunc(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let length = args.int(0)?;
    let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    cut(cx, args, 1, |text| match length {
        ..0 => &text[text.len().saturating_sub(size)..],
        _ => &text[..size.min(text.len())],
    })
}

/// Bytes from a start to an end; a negative start means from the beginning, a negative end to the end.
fn substr(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (start, end, text) = (args.int(0)?, args.int(1)?, args.text(2)?);
    let length = text.len();
    let range = match (usize::try_from(start), usize::try_from(end)) {
        (Err(_), Ok(end)) => 0..end,
        (Ok(start), Ok(end)) if end <= length => start..end,
        (Ok(start), _) => start..length,
        (Err(_), Err(_)) => return Err(Failure::function("slice bounds out of range")),
    };
    let part = text.get(range).ok_or_else(|| Failure::function("slice bounds out of range"))?;
    Ok(Value::String(text.part(part)))
}

fn repeat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (count, text) = (args.int(0)?, args.text(1)?);
    let count =
        usize::try_from(count).map_err(|_| Failure::function("the count to repeat is negative"))?;
    cx.allocate(count.saturating_mul(text.len()))?;
    Ok(accounted(if text.is_empty() { Vec::new() } else { text.repeat(count) }))
}

fn contains(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (part, text) = (args.text(0)?, args.text(1)?);
    cx.step((text.len() + part.len()) / 32)?;
    Ok(Value::Bool(bytes::contains(text, part)))
}

fn has_prefix(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (text, prefix) = (args.text(1)?, args.text(0)?);
    cx.step(text.len().min(prefix.len()) / 32)?;
    Ok(Value::Bool(text.starts_with(prefix)))
}

fn has_suffix(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (text, suffix) = (args.text(1)?, args.text(0)?);
    cx.step(text.len().min(suffix.len()) / 32)?;
    Ok(Value::Bool(text.ends_with(suffix)))
}

fn quoted(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let parts = each(cx, args.from(0), |cx, value| {
        let text = printed(cx, value)?;
        Ok(quote::quote(cx, &text, '"', false)?.into_text())
    })?;
    joined(cx, parts, b" ")
}

fn squote(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let parts = each(cx, args.from(0), |cx, value| {
        let text = format::display(cx, value)?;
        cx.allocate(text.len() + 2)?;
        Ok(Text::new([b"'", &*text, b"'"].concat()))
    })?;
    joined(cx, parts, b" ")
}

/// The arguments that are not nil with spaces between them. A format is made of them first, so a text's own
/// white space stays.
fn cat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let parts = each(cx, args.from(0), format::display)?;
    joined(cx, parts, b" ")
}

/// `lead`, then so many spaces before every line.
fn indented(cx: &mut Context<'_>, args: &Args<'_>, lead: &[u8]) -> Result<Value, Failure> {
    let (spaces, text) = (args.int(0)?, args.text(1)?);
    let spaces = usize::try_from(spaces)
        .map_err(|_| Failure::function("the number of spaces is negative"))?;
    cx.step(text.len() / 32)?;
    let lines = memchr::memchr_iter(b'\n', text).count() + 1;
    let size = spaces.saturating_mul(lines).saturating_add(text.len() + lead.len());
    cx.allocate(size)?;
    let mut out = Vec::with_capacity(size);
    out.extend(lead);
    for (nth, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if nth > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + spaces, b' ');
        out.extend(line);
    }
    Ok(accounted(out))
}

fn replace(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (old, new, text) = (args.text(0)?, args.text(1)?, args.text(2)?);
    // A long text to look for takes preparation.
    cx.step(text.len() / 32 + old.len() / 8)?;
    if old.is_empty() {
        return spread(cx, text, new);
    }
    let count = bytes::positions(text, old).count();
    if count == 0 {
        return Ok(Value::String(text.clone()));
    }
    let size = (text.len() - count * old.len()).saturating_add(count.saturating_mul(new.len()));
    cx.allocate(size)?;
    let (mut out, mut rest) = (Vec::with_capacity(size), 0);
    for at in bytes::positions(text, old) {
        out.extend(&text[rest..at]);
        out.extend(&**new);
        rest = at + old.len();
    }
    out.extend(&text[rest..]);
    Ok(accounted(out))
}

/// What replacing nothing does: the new text before every rune and at the end.
fn spread(cx: &mut Context<'_>, text: &[u8], new: &[u8]) -> Result<Value, Failure> {
    let size = (rune::count(text) + 1).saturating_mul(new.len()).saturating_add(text.len());
    cx.allocate(size)?;
    let mut out = Vec::with_capacity(size);
    for (at, _, width) in rune::runes(text) {
        out.extend(new);
        out.extend(&text[at..at + width]);
    }
    out.extend(new);
    Ok(accounted(out))
}

fn plural(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let word = usize::from(args.int(2)? != 1);
    Ok(Value::String(args.text(word)?.clone()))
}

fn to_string(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    printed(cx, args.any(0)).map(Value::String)
}
