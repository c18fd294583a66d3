//! Strings into lists and back.

use super::{
    bytes,
    printed::{all_printed, joined, printed},
};
use crate::{Args, Context, Entries, Failure, Function, Text, Type, Value};

const STRING: Type = Type::String;

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("split", &[STRING, STRING], |cx, args| numbered(cx, args, 1, -1)),
    Function::new("splitn", &[STRING, Type::INT, STRING], |cx, args| {
        numbered(cx, args, 2, args.int(1)?)
    }),
    Function::new("splitList", &[STRING, STRING], |cx, args| {
        let pieces = pieces(cx, args, 1, -1)?;
        cx.list_of(&STRING, pieces)
    }),
    Function::new("join", &[STRING, Type::Any], join),
    Function::new("toStrings", &[Type::Any], |cx, args| {
        let texts = all_printed(cx, args.any(0))?;
        cx.list_of(&STRING, texts.into_iter().map(Value::String).collect())
    }),
    Function::new("sortAlpha", &[Type::Any], sort_alpha),
];

/// The text at this place cut at the first argument; the pieces share its bytes.
fn pieces(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    at: usize,
    limit: i64,
) -> Result<Vec<Value>, Failure> {
    let (separator, text) = (args.text(0)?, args.text(at)?);
    // A long separator takes preparation.
    cx.step(text.len() / 32 + separator.len() / 8)?;
    let count = bytes::count(text, separator).min(usize::try_from(limit).unwrap_or(usize::MAX));
    cx.allocate(count.saturating_mul(size_of::<Value>()))?;
    let mut pieces = Vec::with_capacity(count);
    let all = bytes::split(text, separator, limit);
    pieces.extend(all.map(|piece| Value::String(text.part(piece))));
    Ok(pieces)
}

/// The pieces by number: `_0`, `_1`.
fn numbered(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    at: usize,
    limit: i64,
) -> Result<Value, Failure> {
    let pieces = pieces(cx, args, at, limit)?;
    let entries: Entries = pieces
        .into_iter()
        .enumerate()
        .map(|(nth, piece)| (Text::from(format!("_{nth}")), piece))
        .collect();
    cx.map_of(&STRING, entries)
}

fn join(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let separator = args.text(0)?;
    let texts = all_printed(cx, args.any(1))?;
    joined(cx, texts, separator)
}

fn sort_alpha(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let texts = match args.any(0) {
        list @ Value::List(_) => {
            let mut texts = all_printed(cx, list)?;
            // Comparisons look at the bytes that two texts have in common.
            let size: usize = texts.iter().map(|text| 1 + text.len() / 32).sum();
            cx.step(size.saturating_mul(1 + texts.len().checked_ilog2().unwrap_or(0) as usize))?;
            texts.sort_unstable();
            texts
        }
        other => vec![printed(cx, other)?],
    };
    cx.list_of(&STRING, texts.into_iter().map(Value::String).collect())
}
