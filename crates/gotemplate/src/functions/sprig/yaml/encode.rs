//! Values into YAML. What JSON makes of them decides: that is the way Go takes.

use super::{
    emit::Emitter,
    order,
    resolve::{Scalar, is_base60, resolve},
    scalar::Style,
};
use crate::{
    Buffer, Context, ErrorKind, Failure, List, Map, Text, Type, Value, format,
    functions::sprig::json, rune,
};

/// YAML without the newline at the end; none where Go's JSON or YAML refuses a value.
pub(crate) fn encode(cx: &mut Context<'_>, value: &Value) -> Result<Option<Text>, Failure> {
    let mut encoder = Encoder { cx, emitter: Emitter::default(), paid: 0 };
    match encoder.value(value, Parent::Root) {
        Ok(()) => {}
        Err(failure) if failure.kind == ErrorKind::Function => return Ok(None),
        Err(failure) => return Err(failure),
    }
    encoder.pay()?;
    Ok(Some(encoder.emitter.finish()))
}

/// What directly encloses a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    Root,
    Item,
    Entry,
}

struct Encoder<'e, 'a> {
    cx: &'e mut Context<'a>,
    emitter: Emitter,
    paid: usize,
}

impl Encoder<'_, '_> {
    fn pay(&mut self) -> Result<(), Failure> {
        let owed = self.emitter.allocated().saturating_sub(self.paid);
        self.paid = self.emitter.allocated();
        self.cx.allocate(owed)
    }

    fn value(&mut self, value: &Value, parent: Parent) -> Result<(), Failure> {
        self.cx.step(1)?;
        self.pay()?;
        match value {
            Value::Nil => self.emitter.plain("null"),
            Value::Bool(truth) => self.emitter.plain(if *truth { "true" } else { "false" }),
            Value::Int(_, number) => self.emitter.plain(&number.to_string()),
            Value::Uint(_, number) => self.emitter.plain(&number.to_string()),
            Value::Float(..) | Value::Complex(..) => return self.float(value),
            Value::String(text) => return self.text(text),
            Value::List(list) if list.is_nil() => self.emitter.plain("null"),
            Value::List(list) if *list.element() == Type::BYTE => return self.as_json(value),
            Value::List(list) => return self.list(list, parent),
            Value::Map(map) if map.is_nil() => self.emitter.plain("null"),
            Value::Map(map) => return self.map(map),
            Value::Time(_) => return self.as_json(value),
            Value::Object(object) if object.display().is_some() => return self.as_json(value),
            Value::Object(object) => {
                let fields = object.fields().into_iter();
                let fields: Vec<_> =
                    fields.map(|(name, value)| (Text::from(name), value)).collect();
                return self.entries(&fields);
            }
        }
        Ok(())
    }

    /// Numbers as YAML reads those of JSON: `1e+06` was an integer there.
    fn float(&mut self, value: &Value) -> Result<(), Failure> {
        let text = json::encode(self.cx, value, json::Style::Html)?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        match resolve(text) {
            Scalar::Int(number) => self.emitter.plain(&number.to_string()),
            Scalar::Uint(number) => self.emitter.plain(&number.to_string()),
            Scalar::Float(number) => {
                self.emitter.plain(&format::append_float(number, 'g', None, false));
            }
            _ => return Err(refused()),
        }
        Ok(())
    }

    /// A value that JSON writes as a text.
    fn as_json(&mut self, value: &Value) -> Result<(), Failure> {
        let text = json::encode(self.cx, value, json::Style::Html)?;
        let text =
            text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(&text);
        self.text(text)
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.cx.allocate(text.len())?;
        let text = through_json(text).ok_or_else(refused)?;
        let style = style(&text);
        self.emitter.scalar(&text, style);
        self.paid = self.paid.saturating_add(text.len()).min(self.emitter.allocated());
        self.pay()
    }

    fn list(&mut self, list: &List, parent: Parent) -> Result<(), Failure> {
        if list.is_empty() {
            self.emitter.empty("[]");
            return Ok(());
        }
        self.cx.enter()?;
        self.emitter.open_sequence(parent == Parent::Entry);
        for item in list.iter() {
            self.emitter.item();
            self.value(item, Parent::Item)?;
        }
        self.emitter.close();
        self.cx.leave();
        Ok(())
    }

    fn map(&mut self, map: &Map) -> Result<(), Failure> {
        self.cx.step(map.len())?;
        let entries = map.read();
        self.entries(entries.as_deref().map_or(&[][..], |entries| entries))
    }

    fn entries(&mut self, entries: &[(Text, Value)]) -> Result<(), Failure> {
        if entries.is_empty() {
            self.emitter.empty("{}");
            return Ok(());
        }
        let mut keyed = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            // Comparing looks at every rune of two keys, more than once.
            self.cx.step(key.len())?;
            self.cx.allocate(key.len())?;
            keyed.push((json_key(self.cx, key)?.ok_or_else(refused)?, value));
        }
        let keyed = order::sorted(keyed);
        self.cx.enter()?;
        self.emitter.open_mapping();
        for (key, value) in &keyed {
            self.emitter.key(key, style(key));
            self.value(value, Parent::Entry)?;
        }
        self.emitter.close();
        self.cx.leave();
        Ok(())
    }
}

fn refused() -> Failure {
    Failure::function("YAML cannot write this value")
}

/// A text that would be read as something else stands between quotes; one of several lines as a block.
fn style(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if matches!(resolve(text), Scalar::Text) && !is_base60(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

/// A key whose JSON is longer than 1024 characters is more than go-yaml looks ahead.
fn json_key(cx: &mut Context<'_>, key: &[u8]) -> Result<Option<String>, Failure> {
    let mut json = Buffer::default();
    json::append_string(cx, &mut json, key, true)?;
    let characters = String::from_utf8_lossy(json.bytes()).chars().count();
    // A key of two lines is none.
    let broken = json.bytes().windows(2).any(|pair| pair == "\u{85}".as_bytes());
    Ok(through_json(key).filter(|_| characters <= 1024 && !broken))
}

/// What arrives when a text is written as JSON and that is read as YAML: none where it holds characters that
/// YAML does not read.
fn through_json(text: &[u8]) -> Option<String> {
    let text: String = rune::runes(text).map(|(_, rune, _)| rune).collect();
    let refused =
        |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(refused) {
        return None;
    }
    if !text.contains('\u{85}') {
        return Some(text);
    }
    Some(folded(&text))
}

/// The one line break that JSON does not escape, U+0085: one becomes a space, more become one less.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{85}') {
        out += rest[..at].trim_end_matches(' ');
        let blank = |c: char| c == ' ' || c == '\u{85}';
        let end = rest[at..].find(|c| !blank(c)).map_or(rest.len(), |length| at + length);
        let breaks = rest[at..end].matches('\u{85}').count();
        if breaks == 1 {
            out.push(' ');
        } else {
            out.extend(std::iter::repeat_n('\n', breaks - 1));
        }
        rest = &rest[end..];
    }
    out + rest
}
