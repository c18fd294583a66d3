//! Any value as text, the way sprig makes it.

use crate::{Context, Failure, Text, Type, Value, format};

/// sprig's `strval`: bytes as they are, everything else as `%v` prints it.
pub(super) fn printed(cx: &mut Context<'_>, value: &Value) -> Result<Text, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::List(list) if *list.element() == Type::BYTE => {
            cx.allocate(list.len())?;
            let bytes = list.iter().map(|byte| match byte {
                Value::Uint(_, byte) => u8::try_from(*byte).unwrap_or_default(),
                _ => 0,
            });
            Ok(Text::new(bytes.collect()))
        }
        other => format::display(cx, other),
    }
}

/// sprig's `strslice`: the elements as texts, without the nil ones; of anything else its text alone.
pub(super) fn all_printed(cx: &mut Context<'_>, value: &Value) -> Result<Vec<Text>, Failure> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(list) => each(cx, list, printed),
        other => Ok(vec![printed(cx, other)?]),
    }
}

/// The values that are not nil, each as the text that `text` makes of it.
pub(super) fn each(
    cx: &mut Context<'_>,
    values: &[Value],
    text: fn(&mut Context<'_>, &Value) -> Result<Text, Failure>,
) -> Result<Vec<Text>, Failure> {
    cx.allocate(values.len() * size_of::<Text>())?;
    let mut texts = Vec::with_capacity(values.len());
    for value in values.iter().filter(|value| !matches!(value, Value::Nil)) {
        texts.push(text(cx, value)?);
    }
    Ok(texts)
}

/// A text whose bytes are accounted for already.
pub(super) fn accounted(bytes: Vec<u8>) -> Value {
    Value::String(Text::new(bytes))
}

/// The parts with a separator between them.
pub(super) fn joined(
    cx: &mut Context<'_>,
    mut parts: Vec<Text>,
    separator: &[u8],
) -> Result<Value, Failure> {
    if parts.len() < 2 {
        return Ok(Value::String(parts.pop().unwrap_or_default()));
    }
    let gaps = parts.len().saturating_sub(1);
    let texts: usize = parts.iter().map(|part| part.len()).sum();
    let size = texts.saturating_add(gaps.saturating_mul(separator.len()));
    cx.allocate(size)?;
    let mut out = Vec::with_capacity(size);
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            out.extend(separator);
        }
        out.extend(&**part);
    }
    Ok(accounted(out))
}
