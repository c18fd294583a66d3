//! Values into JSON.

use std::fmt::Write;

use base64::Engine;

use crate::{
    Buffer, Context, Failure, List, Map, Object, Text, Type, Value, format,
    functions::sprig::layout, rune, value::FloatType,
};

/// How JSON looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// On one line; `<`, `>` and `&` escaped.
    Html,
    /// As [`Style::Html`], but indented by two spaces.
    Pretty,
    /// On one line; `<`, `>` and `&` as they are.
    Raw,
}

/// Go's `json.Marshal`; a failure of kind `Function` where a value has no JSON.
pub(crate) fn encode(cx: &mut Context<'_>, value: &Value, style: Style) -> Result<Text, Failure> {
    let out = match value {
        Value::String(text) => cx.buffer(text.len() + 2)?,
        _ => Buffer::default(),
    };
    let paid = out.allocated();
    let mut encoder = Encoder { cx, out, paid, style, level: 0 };
    encoder.value(value)?;
    encoder.pay()?;
    Ok(encoder.out.into_text())
}

struct Encoder<'e, 'a> {
    cx: &'e mut Context<'a>,
    out: Buffer,
    /// Bytes of `out` that the budget knows.
    paid: usize,
    style: Style,
    level: usize,
}

impl Encoder<'_, '_> {
    fn pay(&mut self) -> Result<(), Failure> {
        let owed = self.out.allocated() - self.paid;
        self.paid = self.out.allocated();
        self.cx.allocate(owed)
    }

    fn str(&mut self, text: &str) {
        self.out.extend(text.as_bytes());
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to memory cannot fail.
        let _ = self.out.write_fmt(text);
    }

    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        self.cx.step(1)?;
        match value {
            Value::Nil => self.str("null"),
            Value::Bool(truth) => self.str(if *truth { "true" } else { "false" }),
            Value::Int(_, number) => self.write(format_args!("{number}")),
            Value::Uint(_, number) => self.write(format_args!("{number}")),
            Value::Float(type_, number) => {
                if let Some(whole) = format::whole(*number) {
                    self.write(format_args!("{whole}"));
                    return self.pay();
                }
                let text = float(*number, *type_ == FloatType::Float32)
                    .ok_or_else(|| unsupported("an infinity or NaN"))?;
                self.str(&text);
            }
            Value::String(text) => self.string(text)?,
            Value::Time(time) => {
                let text = layout::format(b"2006-01-02T15:04:05.999999999Z07:00", time);
                self.string(&text)?;
            }
            Value::List(list) => self.list(list)?,
            Value::Map(map) => self.map(map)?,
            Value::Object(object) => self.object(object.as_ref())?,
            Value::Complex(..) => return Err(unsupported("a complex number")),
        }
        self.pay()
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.pay()?;
        append_string(self.cx, &mut self.out, text, self.style != Style::Raw)?;
        self.paid = self.out.allocated();
        Ok(())
    }

    fn list(&mut self, list: &List) -> Result<(), Failure> {
        if list.is_nil() {
            self.str("null");
            return Ok(());
        }
        if *list.element() == Type::BYTE {
            return self.bytes(list);
        }
        self.members(*b"[]", list.iter(), Self::value)
    }

    fn bytes(&mut self, list: &List) -> Result<(), Failure> {
        self.cx.allocate(list.len() * 4)?;
        let byte = |byte: &Value| match byte {
            Value::Uint(_, byte) => u8::try_from(*byte).unwrap_or_default(),
            _ => 0,
        };
        let bytes: Vec<u8> = list.iter().map(byte).collect();
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        self.str(&format!("\"{text}\""));
        Ok(())
    }

    fn map(&mut self, map: &Map) -> Result<(), Failure> {
        if map.is_nil() {
            self.str("null");
            return Ok(());
        }
        let entries = map.read();
        let entries = entries.as_deref().map_or(&[][..], |entries| entries);
        self.members(*b"{}", entries.iter(), |encoder, (key, value)| {
            encoder.string(key)?;
            encoder.colon();
            encoder.value(value)
        })
    }

    /// Structs with their fields; of the others, those that print themselves as a text.
    fn object(&mut self, object: &dyn Object) -> Result<(), Failure> {
        if let Some(text) = object.display() {
            return self.string(&text);
        }
        self.members(*b"{}", object.fields().into_iter(), |encoder, (name, value)| {
            encoder.string(name.as_bytes())?;
            encoder.colon();
            encoder.value(&value)
        })
    }

    fn colon(&mut self) {
        self.str(if self.style == Style::Pretty { ": " } else { ":" });
    }

    /// Elements or entries between brackets, each on a line of its own where that is the style.
    fn members<T>(
        &mut self,
        brackets: [u8; 2],
        members: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let [open, close] = brackets;
        let broken = self.style == Style::Pretty && members.len() > 0;
        self.out.push(open);
        self.level += 1;
        self.cx.enter()?;
        for (nth, member) in members.enumerate() {
            if nth > 0 {
                self.out.push(b',');
            }
            if broken {
                self.newline()?;
            }
            write(self, member)?;
        }
        self.cx.leave();
        self.level -= 1;
        if broken {
            self.newline()?;
        }
        self.out.push(close);
        Ok(())
    }

    fn newline(&mut self) -> Result<(), Failure> {
        self.out.push(b'\n');
        self.out.fill(b' ', 2 * self.level);
        self.pay()
    }
}

fn unsupported(what: &str) -> Failure {
    Failure::function(format!("JSON cannot write {what}"))
}

/// As Go's JSON writes floats: exponents only far from 1, without leading zeros. None of infinities and NaN.
fn float(number: f64, single: bool) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation)] // it was a float32 before
    let small_enough = match number.abs() {
        0.0 => true,
        size if single => (1e-6_f32..1e21_f32).contains(&(size as f32)),
        size => (1e-6..1e21).contains(&size),
    };
    if small_enough {
        return Some(format::append_float(number, 'f', None, single));
    }
    let text = format::append_float(number, 'e', None, single);
    match text.split_once("e-0") {
        Some((mantissa, digit)) => Some(format!("{mantissa}e-{digit}")),
        None => Some(text),
    }
}

/// A text between quotes, accounted for. Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn append_string(
    cx: &mut Context<'_>,
    out: &mut Buffer,
    text: &[u8],
    html: bool,
) -> Result<(), Failure> {
    cx.step(text.len() / 16)?;
    out.reserve_within(cx, text.len() + 2)?;
    out.push(b'"');
    let mut plain = 0;
    for (at, rune, width) in rune::runes(text) {
        let escape = match rune {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\u{2028}' => "\\u2028",
            '\u{2029}' => "\\u2029",
            '<' if html => "\\u003c",
            '>' if html => "\\u003e",
            '&' if html => "\\u0026",
            _ if rune < ' ' => "",
            _ if rune::is_invalid(rune, width) => "\\ufffd",
            _ => continue,
        };
        out.reserve_within(cx, at - plain + LONGEST_ESCAPE)?;
        out.extend(&text[plain..at]);
        if escape.is_empty() {
            out.extend(format!("\\u{:04x}", u32::from(rune)).as_bytes());
        } else {
            out.extend(escape.as_bytes());
        }
        plain = at + width;
    }
    out.reserve_within(cx, text.len() - plain + 1)?;
    out.extend(&text[plain..]);
    out.push(b'"');
    Ok(())
}

/// Bytes of `\\u0000`.
const LONGEST_ESCAPE: usize = 6;
