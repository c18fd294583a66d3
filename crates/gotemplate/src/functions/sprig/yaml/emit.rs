//! Writing YAML the way libyaml's emitter does: where it breaks lines, how far it indents.

use super::scalar::{Style, chosen, is_break, is_multiline, is_printable};
use crate::{Buffer, Text};

/// Lines longer than this are broken at the next single space.
const WIDTH: usize = 80;
const INDENT: usize = 2;

/// Writes one document.
pub(super) struct Emitter {
    out: Buffer,
    /// Indentation of the open containers; none at the root.
    indent: Option<usize>,
    outer: Vec<Option<usize>>,
    column: usize,
    /// The last character was white space, or it is as if.
    whitespace: bool,
    /// Nothing but indentation and indicators stands on the line.
    indention: bool,
    /// A key is being written.
    key: bool,
}

impl Default for Emitter {
    /// A document starts on a fresh line.
    fn default() -> Self {
        let (out, outer) = (Buffer::default(), Vec::new());
        Self { out, indent: None, outer, column: 0, whitespace: true, indention: true, key: false }
    }
}

impl Emitter {
    /// Bytes allocated so far.
    pub(super) fn allocated(&self) -> usize {
        self.out.allocated()
    }

    /// The document, without the newline at its end.
    pub(super) fn finish(mut self) -> Text {
        if self.out.bytes().ends_with(b"\n") {
            self.out.truncate(self.out.len() - 1);
        }
        self.out.into_text()
    }

    /// A number, a boolean or null.
    pub(super) fn plain(&mut self, text: &str) {
        self.scalar(text, Style::Plain);
    }

    /// A text, in this style if it allows that.
    pub(super) fn scalar(&mut self, text: &str, style: Style) {
        // A scalar at the root is indented as in a container.
        self.descend(Some(INDENT), false);
        match chosen(text, style, self.key) {
            Style::Plain => self.write_plain(text),
            Style::Single => self.write_single(text),
            Style::Double => self.write_double(text),
            Style::Literal => self.write_literal(text),
        }
        self.close();
    }

    /// `[]` or `{}`
    pub(super) fn empty(&mut self, brackets: &str) {
        self.indicator(brackets, true, false);
    }

    /// Items follow. As the value of a key they stand below the key itself.
    pub(super) fn open_sequence(&mut self, value: bool) {
        let below = value && !self.indention;
        self.descend(Some(0), below);
    }

    /// The next item is written.
    pub(super) fn item(&mut self) {
        self.write_indent();
        self.indicator("-", true, true);
    }

    /// Keys and values follow.
    pub(super) fn open_mapping(&mut self) {
        self.descend(Some(0), false);
    }

    /// The next key, and what separates it from its value.
    pub(super) fn key(&mut self, text: &str, style: Style) {
        self.write_indent();
        if !is_multiline(text) && text.len() <= 128 {
            self.key = true;
            self.scalar(text, style);
            self.key = false;
            self.indicator(":", false, false);
        } else {
            self.indicator("?", true, true);
            self.scalar(text, style);
            self.write_indent();
            self.indicator(":", true, true);
        }
    }

    /// Ends a container.
    pub(super) fn close(&mut self) {
        self.indent = self.outer.pop().flatten();
    }

    fn descend(&mut self, root: Option<usize>, same: bool) {
        self.outer.push(self.indent);
        self.indent = match self.indent {
            None => root,
            Some(indent) if same => Some(indent),
            Some(indent) => Some(indent + INDENT),
        };
    }

    fn put(&mut self, c: char) {
        self.out.rune(c);
        self.column += 1;
    }

    fn line_break(&mut self, c: char) {
        self.out.rune(c);
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        let behind = self.column > indent || self.column == indent && !self.whitespace;
        if !self.indention || behind {
            self.line_break('\n');
        }
        let missing = indent.saturating_sub(self.column);
        self.out.fill(b' ', missing);
        self.column += missing;
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, spaced: bool, indention: bool) {
        if spaced && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = false;
        self.indention &= indention;
    }

    fn start_scalar(&mut self) {
        if !self.whitespace {
            self.put(' ');
        }
    }

    fn end_scalar(&mut self) {
        self.whitespace = false;
        self.indention = false;
    }

    /// True where a line is broken instead of writing this space.
    fn breaks_at(&self, previous_space: bool) -> bool {
        !self.key && !previous_space && self.column > WIDTH
    }

    fn write_plain(&mut self, text: &str) {
        self.start_scalar();
        let mut space = false;
        for (at, c) in text.char_indices() {
            if c == ' ' && self.breaks_at(space) && !text[at + 1..].starts_with(' ') {
                self.write_indent();
            } else {
                self.put(c);
                if c != ' ' {
                    self.indention = false;
                }
            }
            space = c == ' ';
        }
        self.end_scalar();
    }

    fn write_single(&mut self, text: &str) {
        self.indicator("'", true, false);
        let (mut space, mut after_break) = (false, false);
        for (at, c) in text.char_indices() {
            let inside = at > 0 && at + 1 < text.len();
            if c == ' ' {
                if self.breaks_at(space) && inside && !text[at + 1..].starts_with(' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                space = true;
                continue;
            }
            if is_break(c) {
                if !after_break && c == '\n' {
                    self.line_break('\n');
                }
                self.line_break(c);
                self.indention = true;
                after_break = true;
                continue;
            }
            if after_break {
                self.write_indent();
            }
            if c == '\'' {
                self.put(c);
            }
            self.put(c);
            self.indention = false;
            (space, after_break) = (false, false);
        }
        self.indicator("'", false, false);
        self.end_scalar();
    }

    fn write_double(&mut self, text: &str) {
        self.indicator("\"", true, false);
        let mut space = false;
        // The original asks of every character whether the text starts with a byte order mark.
        let marked = text.starts_with('\u{feff}');
        for (at, c) in text.char_indices() {
            if marked || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                escaped(c).chars().for_each(|c| self.put(c));
                space = false;
            } else if c == ' ' {
                if self.breaks_at(space) && at > 0 && at + 1 < text.len() {
                    self.write_indent();
                    if text[at + 1..].starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                space = true;
            } else {
                self.put(c);
                space = false;
            }
        }
        self.indicator("\"", false, false);
        self.end_scalar();
    }

    fn write_literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false);
        }
        let mut from_end = text.chars().rev();
        match (from_end.next().is_some_and(is_break), from_end.next().is_none_or(is_break)) {
            (false, _) => self.indicator("-", false, false),
            (true, true) => self.indicator("+", false, false),
            (true, false) => {}
        }
        self.line_break('\n');
        self.indention = true;
        self.whitespace = true;
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.line_break(c);
                self.indention = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                self.put(c);
                self.indention = false;
            }
            after_break = is_break(c);
        }
    }
}

fn escaped(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            return match u32::from(c) {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
