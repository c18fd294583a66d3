//! JSON as Go's `encoding/json` writes and reads it.

mod decode;
mod encode;

pub(crate) use decode::decode;
pub(crate) use encode::{Style, append_string, encode};

use crate::{Args, Context, Failure, Function, Type, Value};

const ANY: Type = Type::Any;

/// This family.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function::new("toJson", &[ANY], |cx, args| lenient(cx, args, Style::Html)),
    Function::new("mustToJson", &[ANY], |cx, args| strict(cx, args, Style::Html)),
    Function::new("toPrettyJson", &[ANY], |cx, args| lenient(cx, args, Style::Pretty)),
    Function::new("mustToPrettyJson", &[ANY], |cx, args| strict(cx, args, Style::Pretty)),
    Function::new("toRawJson", &[ANY], |cx, args| strict(cx, args, Style::Raw)),
    Function::new("mustToRawJson", &[ANY], |cx, args| strict(cx, args, Style::Raw)),
    Function::new("fromJson", &[Type::String], from_json),
    Function::new("mustFromJson", &[Type::String], must_from_json),
];

fn strict(cx: &mut Context<'_>, args: &Args<'_>, style: Style) -> Result<Value, Failure> {
    encode(cx, args.any(0), style).map(Value::String)
}

/// What JSON cannot write gives an empty text. A bound that was reached stays a failure.
fn lenient(cx: &mut Context<'_>, args: &Args<'_>, style: Style) -> Result<Value, Failure> {
    match encode(cx, args.any(0), style) {
        Err(failure) if failure.kind == crate::ErrorKind::Function => cx.text(""),
        result => result.map(Value::String),
    }
}

/// Text that is no JSON gives nil. A number too large for a float becomes nil, the rest is read.
fn from_json(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let decoded = decode(cx, args.text(0)?)?;
    Ok(decoded.value.unwrap_or_default())
}

fn must_from_json(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let decoded = decode(cx, args.text(0)?)?;
    match decoded.value {
        Some(value) if !decoded.too_large => Ok(value),
        Some(_) => Err(Failure::function("the JSON has a number that no float64 holds")),
        None => Err(Failure::function("the text is not valid JSON")),
    }
}
