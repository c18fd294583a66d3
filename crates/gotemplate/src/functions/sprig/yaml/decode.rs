//! YAML into values, the way Go's `sigs.k8s.io/yaml` reads it: go-yaml 2 makes a tree, JSON of that a dictionary.

use std::{collections::HashMap, fmt};

use base64::Engine;
use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::resolve::{Scalar, resolve};
use crate::{Context, Failure, Map, Text, Value, format, functions::sprig::dicts};

/// Why a text cannot be read. Never a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Bytes that are no UTF-8, or control characters.
    Characters,
    /// The syntax, near this line.
    Syntax(usize),
    /// An escape that go-yaml does not know, on this line.
    Escape(usize, &'static str),
    /// A tag that the scalar does not fit.
    Tag,
    /// A key that is neither text nor number nor boolean.
    Key,
    /// `<<` without a mapping.
    Merge,
    /// An alias inside of what it stands for.
    Alias,
    /// A number that JSON does not know.
    Number(&'static str),
    /// Something else than a mapping: this type of JSON.
    NoMapping(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self {
            Self::Syntax(line) => {
                return write!(f, "error converting YAML to JSON: yaml: line {line}: syntax");
            }
            Self::Escape(line, problem) => {
                // Go does not count the first line.
                let place = if *line > 1 { format!("line {line}: ") } else { String::new() };
                return write!(f, "error converting YAML to JSON: yaml: {place}{problem}");
            }
            Self::NoMapping(type_) => {
                return write!(
                    f,
                    "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {type_} \
                     into Go value of type map[string]interface {{}}"
                );
            }
            Self::Number(number) => {
                return write!(
                    f,
                    "error converting YAML to JSON: json: unsupported value: {number}"
                );
            }
            Self::Characters => "yaml: control characters are not allowed",
            Self::Tag => "yaml: a scalar does not fit its tag",
            Self::Key => "unsupported map key",
            Self::Merge => "yaml: map merge requires map or sequence of maps as the value",
            Self::Alias => "yaml: an anchor's value contains itself",
        };
        write!(f, "error converting YAML to JSON: {problem}")
    }
}

/// What scalars that are no strings become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalars {
    /// The types of JSON.
    Json,
    /// Strings, as when Go unmarshals into a `map[string]string`.
    Strings,
}

/// Reads the first document. The outer error is a bound that was reached.
pub(crate) fn decode(
    cx: &mut Context<'_>,
    text: &[u8],
    scalars: Scalars,
) -> Result<Result<Value, Problem>, Failure> {
    cx.step(text.len() / 3)?;
    let refused = |c: char| {
        matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}')
            || matches!(c, '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
    };
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| !text.contains(refused)) else {
        return Ok(Err(Problem::Characters));
    };
    if let Some(problem) = refused_start(text) {
        return Ok(Err(problem));
    }
    let options = granit_parser::options! {
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let anchors = HashMap::new();
    let mut decoder = Decoder { cx, text, parser, scalars, anchors, line: 1, later: None };
    match decoder.document() {
        Ok(value) => Ok(decoder.later.map_or_else(|| mapping(value), Err)),
        Err(Stop::Problem(problem)) => Ok(Err(problem)),
        Err(Stop::Bound(failure)) => Err(failure),
    }
}

/// What YAML 1.2 reads but go-yaml does not, at the start of a text: directives other than `%YAML 1.1` and
/// `%TAG`, a tab in front of the first key, the end of a document that has not begun.
fn refused_start(text: &str) -> Option<Problem> {
    for (nth, line) in text.lines().enumerate() {
        let known = match line.split_whitespace().next() {
            None | Some("%TAG") => true,
            Some("%YAML") => line.split_whitespace().nth(1) == Some("1.1"),
            Some(word) if word.starts_with('#') => true,
            Some(word) => {
                let broken = word.starts_with('%') || word == "..." || line.starts_with('\t');
                return broken.then_some(Problem::Syntax(nth + 1));
            }
        };
        if !known {
            return Some(Problem::Syntax(nth + 1));
        }
    }
    None
}

/// Escapes of YAML 1.2 and of JSON that go-yaml does not know: `\/`, and a character written as two halves.
fn refused_escape(quoted: &str) -> Option<&'static str> {
    let mut rest = quoted;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at + 1..];
        let half = |digits: &str| matches!(u32::from_str_radix(digits, 16), Ok(0xd800..=0xdfff));
        if escape.starts_with('/') {
            return Some("found unknown escape character");
        }
        if escape.starts_with('u') && escape.get(1..5).is_some_and(half) {
            return Some("found invalid Unicode character escape code");
        }
        rest = escape.char_indices().nth(1).map_or("", |(second, _)| &escape[second..]);
    }
    None
}

/// What is nothing is a mapping without keys.
fn mapping(value: Value) -> Result<Value, Problem> {
    Err(Problem::NoMapping(match value {
        Value::Nil | Value::Map(_) => return Ok(value),
        Value::List(_) => "array",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        _ => "number",
    }))
}

enum Stop {
    Problem(Problem),
    Bound(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Bound(failure)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// A node that was read.
enum Node {
    Value(Value),
    /// A key, where the node can be one. Its type decides how it is written.
    Scalar(Value, Option<Text>),
    /// A plain `<<`.
    Merge,
}

impl Node {
    fn value(self) -> Value {
        match self {
            Self::Value(value) | Self::Scalar(value, _) => value,
            Self::Merge => Value::String(Text::from("<<")),
        }
    }
}

struct Decoder<'d, 'a, 't> {
    cx: &'d mut Context<'a>,
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    scalars: Scalars,
    anchors: HashMap<usize, Value>,
    line: usize,
    /// What is wrong for JSON, not for YAML: the rest is read first.
    later: Option<Problem>,
}

impl<'t> Decoder<'_, '_, 't> {
    fn next(&mut self) -> Result<Event<'t>, Stop> {
        self.cx.step(1)?;
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    self.line = span.start.line();
                    let quoted = matches!(event, Event::Scalar(_, ScalarStyle::DoubleQuoted, ..));
                    let source = span.slice(self.text).filter(|_| quoted);
                    if let Some(problem) = source.and_then(refused_escape) {
                        return Err(Problem::Escape(self.line, problem).into());
                    }
                    return Ok(event);
                }
                Some(Err(error)) => {
                    return Err(Problem::Syntax(error.marker().line()).into());
                }
                None => return Err(Problem::Syntax(self.line).into()),
            }
        }
    }

    /// The first document; nil when there is none.
    fn document(&mut self) -> Result<Value, Stop> {
        loop {
            match self.next()? {
                Event::StreamStart => {}
                Event::DocumentStart(..) => break,
                _ => return Ok(Value::Nil),
            }
        }
        let event = self.next()?;
        let value = self.node(event)?.value();
        match self.next()? {
            Event::DocumentEnd => Ok(value),
            _ => Err(Problem::Syntax(self.line).into()),
        }
    }

    fn node(&mut self, event: Event<'t>) -> Result<Node, Stop> {
        match event {
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned().ok_or(Problem::Alias)?;
                Ok(Node::Scalar(dicts::copied(self.cx, &value)?, key_of(&value)))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref())?;
                if let (true, Node::Scalar(value, _)) = (anchor > 0, &node) {
                    self.anchors.insert(anchor, value.clone());
                }
                Ok(node)
            }
            Event::SequenceStart(_, anchor, _) => {
                let value = self.deeper(Self::sequence)?;
                self.anchored(anchor, value)
            }
            Event::MappingStart(_, anchor, _) => {
                let value = self.deeper(Self::mapping)?;
                self.anchored(anchor, value)
            }
            _ => Err(Problem::Syntax(self.line).into()),
        }
    }

    fn deeper(&mut self, read: fn(&mut Self) -> Result<Value, Stop>) -> Result<Value, Stop> {
        self.cx.enter()?;
        let result = read(self);
        self.cx.leave();
        result
    }

    fn anchored(&mut self, anchor: usize, value: Value) -> Result<Node, Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, dicts::copied(self.cx, &value)?);
        }
        Ok(Node::Value(value))
    }

    fn sequence(&mut self) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(self.cx.list(items)?),
                event => items.push(self.node(event)?.value()),
            }
        }
    }

    /// Later keys win over earlier ones, also where `<<` brings them.
    fn mapping(&mut self) -> Result<Value, Stop> {
        let mut entries = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(self.cx.map(entries.into_iter().collect())?),
                event => self.node(event)?,
            };
            let event = self.next()?;
            let value = self.node(event)?.value();
            match key {
                Node::Merge => self.merge(&mut entries, &value)?,
                Node::Scalar(_, Some(key)) => entries.push((key, value)),
                Node::Scalar(..) => self.later = self.later.or(Some(Problem::Key)),
                Node::Value(_) => return Err(Problem::Key.into()),
            }
        }
    }

    /// Of several mappings the first is the strongest.
    fn merge(&mut self, entries: &mut Vec<(Text, Value)>, value: &Value) -> Result<(), Stop> {
        let maps: Vec<Map> = match value {
            Value::Map(map) => vec![map.clone()],
            Value::List(list) => list
                .iter()
                .rev()
                .map(|item| match item {
                    Value::Map(map) => Ok(map.clone()),
                    _ => Err(Problem::Merge),
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(Problem::Merge.into()),
        };
        for map in maps {
            self.cx.step(map.len())?;
            entries.extend(map.entries());
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, Stop> {
        let plain = style == ScalarStyle::Plain;
        let full = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
        let tag = full.as_deref().map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag));
        if text == "<<" && (plain && tag.is_none() || tag == Some("merge")) {
            return Ok(Node::Merge);
        }
        let found = resolve(text);
        let scalar = match tag {
            None if plain => found,
            Some("binary") => return self.binary(text),
            Some(tag @ ("int" | "float" | "bool" | "null" | "timestamp")) => tagged(tag, found)?,
            // A text, quoted or tagged, or a tag that says nothing to us.
            _ => Scalar::Text,
        };
        #[expect(clippy::cast_precision_loss)] // all numbers are floats in JSON
        let value = match scalar {
            _ if self.scalars == Scalars::Strings => self.string(text, scalar)?,
            Scalar::Null => Value::Nil,
            Scalar::Bool(truth) => Value::Bool(truth),
            Scalar::Int(number) => Value::float(number as f64),
            Scalar::Uint(number) => Value::float(number as f64),
            Scalar::Float(number) => {
                let unknown = match number {
                    f64::INFINITY => Some("+Inf"),
                    f64::NEG_INFINITY => Some("-Inf"),
                    _ => number.is_nan().then_some("NaN"),
                };
                self.later = self.later.or(unknown.map(Problem::Number));
                Value::float(number)
            }
            Scalar::Timestamp | Scalar::Text => self.cx.text(text)?,
        };
        let key = match scalar {
            Scalar::Int(number) => Some(Text::from(number.to_string())),
            Scalar::Uint(_) => None,
            Scalar::Float(number) => Some(Text::from(float_key(number))),
            _ => key_of(&value),
        };
        Ok(Node::Scalar(value, key))
    }

    /// A scalar as a string; null stays what it is.
    fn string(&mut self, text: &str, scalar: Scalar) -> Result<Value, Stop> {
        let text = match scalar {
            Scalar::Null => return Ok(Value::Nil),
            Scalar::Bool(truth) => truth.to_string(),
            Scalar::Int(number) => number.to_string(),
            Scalar::Uint(number) => number.to_string(),
            // Go's library rounds to a `float32`, as it does with keys.
            Scalar::Float(number) => format::append_float(number, 'g', None, true),
            Scalar::Timestamp | Scalar::Text => return Ok(self.cx.text(text)?),
        };
        Ok(self.cx.text(text)?)
    }

    fn binary(&mut self, text: &str) -> Result<Node, Stop> {
        self.cx.allocate(text.len() * 2)?;
        let clean: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(clean);
        let bytes = bytes.map_err(|_| Problem::Tag)?;
        // JSON is text: bytes that are none are lost.
        let value = self.cx.text(String::from_utf8_lossy(&bytes).into_owned())?;
        let key = key_of(&value);
        Ok(Node::Scalar(value, key))
    }
}

/// What a tag makes of a scalar that stands for something else.
fn tagged(tag: &str, found: Scalar) -> Result<Scalar, Problem> {
    #[expect(clippy::cast_precision_loss)] // as Go converts
    match (tag, found) {
        ("int", Scalar::Int(_) | Scalar::Uint(_))
        | ("float", Scalar::Float(_))
        | ("bool", Scalar::Bool(_))
        | ("null", Scalar::Null)
        | ("timestamp", Scalar::Timestamp) => Ok(found),
        ("float", Scalar::Int(number)) => Ok(Scalar::Float(number as f64)),
        _ => Err(Problem::Tag),
    }
}

/// The key that a value becomes, where that does not depend on how it was written.
fn key_of(value: &Value) -> Option<Text> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(Text::from(truth.to_string())),
        Value::Float(_, number) => Some(Text::from(float_key(*number))),
        _ => None,
    }
}

/// Floats become keys as `float32`.
fn float_key(number: f64) -> String {
    match number {
        _ if number.is_nan() => ".nan".to_owned(),
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        _ => format::append_float(number, 'g', None, true),
    }
}
