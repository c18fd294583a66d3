//! Any value as text, the way sprig makes it.

use crate::template::{Context, Failure, Text, Type, Value, format};

/// sprig's `strval`: bytes as they are, everything else as `%v` prints it.
pub fn printed(cx: &mut Context<'_>, value: &Value) -> Result<Text, Failure> {
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
pub fn all_printed(cx: &mut Context<'_>, value: &Value) -> Result<Vec<Text>, Failure> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(list) => {
            cx.step(list.len())?;
            list.iter()
                .filter(|item| !matches!(item, Value::Nil))
                .map(|item| printed(cx, item))
                .collect()
        }
        other => Ok(vec![printed(cx, other)?]),
    }
}

/// A text whose bytes are accounted for already.
pub fn accounted(bytes: Vec<u8>) -> Value {
    Value::String(Text::new(bytes))
}

/// The parts with a separator between them.
pub fn joined(cx: &mut Context<'_>, parts: &[Text], separator: &[u8]) -> Result<Value, Failure> {
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
