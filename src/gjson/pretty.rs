//! `@pretty`: JSON with one member a line.

use zeroize::Zeroizing;

use super::{
    PropertyError,
    scan::{self, JsonType, Raw},
    work::MAX_TEXT,
};

/// How deep a value may be nested to be made pretty.
const MAX_NESTING: usize = 256;

struct Style {
    /// Arrays that fit into so many columns take one line.
    width: usize,
    prefix: String,
    indent: String,
    sorted: bool,
}

/// A value with line breaks, in the style that the argument asks for.
pub(crate) fn pretty(value: Raw<'_>, argument: &str) -> Result<Zeroizing<String>, PropertyError> {
    let style = Style::parse(argument);
    let mut out = Zeroizing::new(String::with_capacity(value.text.len() * 2));
    out.push_str(&style.prefix);
    let mut printer = Printer { style: &style, out: &mut out, line: 0 };
    printer.value(value, 0)?;
    if !out.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

impl Style {
    fn parse(argument: &str) -> Self {
        let mut style =
            Style { width: 80, prefix: String::new(), indent: "  ".to_owned(), sorted: false };
        let object = scan::parse(argument).is_some_and(|value| value.json_type == JsonType::Object);
        if !object || !scan::is_json(argument) {
            return style;
        }
        for (key, value) in scan::entries(argument) {
            let blank = || -> String {
                scan::unquote(value.text).chars().filter(|c| " \t\n\r".contains(*c)).collect()
            };
            match scan::unquote(key).as_str() {
                "sortKeys" => style.sorted = value.json_type == JsonType::True,
                "indent" => style.indent = blank(),
                "prefix" => style.prefix = blank(),
                "width" => style.width = value.text.parse().unwrap_or(0),
                _ => {}
            }
        }
        style
    }
}

struct Printer<'o> {
    style: &'o Style,
    out: &'o mut Zeroizing<String>,
    /// Where the line starts that is being written: its line break counts as one of its columns.
    line: usize,
}

impl Printer<'_> {
    fn value(&mut self, value: Raw<'_>, depth: usize) -> Result<(), PropertyError> {
        if depth > MAX_NESTING || self.out.len() > MAX_TEXT {
            return Err(PropertyError::TooDeep);
        }
        match value.json_type {
            JsonType::Object => self.object(value.text, depth),
            JsonType::Array => self.array(value.text, depth),
            _ => {
                self.out.push_str(value.text);
                Ok(())
            }
        }
    }

    fn object(&mut self, json: &str, depth: usize) -> Result<(), PropertyError> {
        let mut entries: Vec<_> = scan::entries(json).collect();
        if self.style.sorted {
            entries.sort_by(|(a, _), (b, _)| scan::unquote(a).as_str().cmp(&scan::unquote(b)));
        }
        self.out.push('{');
        for (nth, (key, value)) in entries.iter().enumerate() {
            if nth > 0 {
                self.out.push(',');
            }
            self.line = self.out.len();
            self.start_line(depth + 1);
            self.out.push_str(key);
            self.out.push_str(": ");
            self.value(*value, depth + 1)?;
        }
        self.close(entries.is_empty(), '}', depth);
        Ok(())
    }

    fn array(&mut self, json: &str, depth: usize) -> Result<(), PropertyError> {
        let room = self.style.width.saturating_sub(self.out.len() - self.line);
        if room > 3
            && let Some(line) = one_line(json, room)
        {
            self.out.push_str(&line);
            return Ok(());
        }
        self.out.push('[');
        let mut empty = true;
        for value in scan::elements(json) {
            if !empty {
                self.out.push(',');
            }
            self.line = self.out.len() + usize::from(!empty);
            empty = false;
            self.start_line(depth + 1);
            self.value(value, depth + 1)?;
        }
        self.close(empty, ']', depth);
        Ok(())
    }

    fn close(&mut self, empty: bool, bracket: char, depth: usize) {
        if !empty {
            self.line = self.out.len();
            self.start_line(depth);
        }
        self.out.push(bracket);
    }

    fn start_line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.push_str(&self.style.prefix);
        for _ in 0..depth {
            self.out.push_str(&self.style.indent);
        }
    }
}

/// An array in one line of at most so many bytes. One with objects inside takes several lines.
fn one_line(json: &str, room: usize) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(String::with_capacity(room + 8));
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'{' => return None,
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'[' | b']' | b',' => at + 1,
            _ => scan::type_at(bytes, at)
                .and_then(|json_type| scan::end_at(bytes, at, json_type))
                .unwrap_or(at + 1),
        };
        out.push_str(json.get(at..end)?);
        if *byte == b',' {
            out.push(' ');
        }
        if out.len() > room {
            return None;
        }
        at = end;
    }
    Some(out)
}
