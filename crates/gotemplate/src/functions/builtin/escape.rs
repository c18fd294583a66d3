//! `html`, `js`, `urlquery`.

use super::super::super::{
    budget::Context,
    buffer::Buffer,
    error::Failure,
    eval::NO_VALUE,
    format,
    function::Args,
    rune,
    value::{Text, Value},
};

/// The arguments as `print` writes them, but nil as actions print it.
fn printed(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Text, Failure> {
    if let [Value::String(text)] = args.from(0) {
        return Ok(text.clone());
    }
    let mut values = args.from(0).to_vec();
    for value in &mut values {
        if matches!(value, Value::Nil) {
            *value = Value::String(Text::from(NO_VALUE));
        }
    }
    format::print(cx, &values)
}

/// Escapes by a function from the place in a text to a replacement and the bytes it stands for.
fn escaped(
    cx: &mut Context<'_>,
    text: &[u8],
    replace: impl Fn(&[u8], &mut Buffer) -> usize,
) -> Result<Value, Failure> {
    cx.step(text.len() / 8)?;
    let mut buffer = cx.buffer(text.len().max(32))?;
    let (mut at, mut paid) = (0, buffer.allocated());
    while let Some(byte) = text.get(at) {
        if buffer.allocated() > paid {
            cx.allocate(buffer.allocated() - paid)?;
            paid = buffer.allocated();
        }
        match replace(&text[at..], &mut buffer) {
            0 => {
                buffer.push(*byte);
                at += 1;
            }
            width => at += width,
        }
    }
    cx.allocate(buffer.allocated() - paid)?;
    Ok(Value::String(buffer.into_text()))
}

fn hexadecimal(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Escapes for the text of HTML.
pub(super) fn html(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = printed(cx, args)?;
    escaped(cx, &text, |rest, buffer| {
        let escape: &[u8] = match rest[0] {
            0 => "\u{fffd}".as_bytes(),
            b'"' => b"&#34;",
            b'\'' => b"&#39;",
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            _ => return 0,
        };
        buffer.extend(escape);
        1
    })
}

/// Escapes for a string of JavaScript.
pub(super) fn js(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = printed(cx, args)?;
    escaped(cx, &text, |rest, buffer| {
        let byte = rest[0];
        match byte {
            b'\\' | b'\'' | b'"' => buffer.extend(&[b'\\', byte]),
            b'<' | b'>' | b'&' | b'=' | 0..=0x1f => {
                let [high, low] = hexadecimal(byte);
                buffer.extend(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            0x80.. => {
                let (rune, width) = rune::first(rest).unwrap_or(('\u{fffd}', 1));
                if rune::is_printable(rune) {
                    buffer.extend(&rest[..width]);
                } else {
                    buffer.extend(format!("\\u{:04X}", u32::from(rune)).as_bytes());
                }
                return width;
            }
            _ => return 0,
        }
        1
    })
}

/// Escapes for the query of a URL.
pub(super) fn urlquery(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = printed(cx, args)?;
    escaped(cx, &text, |rest, buffer| {
        match rest[0] {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => return 0,
            b' ' => buffer.push(b'+'),
            byte => {
                let [high, low] = hexadecimal(byte);
                buffer.extend(&[b'%', high, low]);
            }
        }
        1
    })
}
