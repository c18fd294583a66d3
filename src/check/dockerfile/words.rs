//! Words of a Dockerfile: flags, quotes, escapes and variables, as BuildKit reads them.

pub(super) use super::patterns::Bad;

/// What stands between words of a line.
pub(super) const BLANKS: [char; 5] = [' ', '\t', '\u{b}', '\u{c}', '\r'];

/// The words of a text.
pub(super) fn split(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let blank = |c: char| BLANKS.contains(&c);
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(blank) {
        let (word, after) = rest.split_at(at);
        words.push(word.to_owned());
        rest = after.trim_start_matches(blank);
    }
    words.push(rest.to_owned());
    words
}

/// The first word, and what follows it.
pub(super) fn cut(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BLANKS).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANKS))
}

/// Flags before the arguments, quotes and escapes removed, and what follows them. BuildKit reads bytes here, and so
/// does not take blanks beyond ASCII for blanks.
pub(crate) fn flags(line: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = line.trim_start_matches(is_blank);
    while rest.starts_with("--") {
        let (word, after) = flag(rest, escape);
        rest = after;
        if word.as_deref() == Some("--") {
            return (flags, rest);
        }
        flags.extend(word);
        rest = rest.trim_start_matches(is_blank);
    }
    (flags, rest)
}

/// One flag, and what follows it. There is none if nothing but an escape is left of it.
fn flag(text: &str, escape: char) -> (Option<String>, &str) {
    let (mut word, mut quote, mut was_quoted) = (String::new(), None, false);
    let mut letters = text.char_indices();
    while let Some((at, c)) = letters.next() {
        match quote {
            None if is_blank(c) => {
                return (
                    (was_quoted || !word.is_empty()).then_some(word),
                    text.get(at..).unwrap_or_default(),
                );
            }
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => (quote, was_quoted) = (Some(c), true),
            _ if c == escape => word.extend(letters.next().map(|(_, next)| next)),
            _ => word.push(c),
        }
    }
    // At the end of the line two dashes alone are no flag.
    let is_flag = word != "--" && (was_quoted || !word.is_empty());
    (is_flag.then_some(word), "")
}

/// Blanks of ASCII, and the two of Latin-1 that Go's `unicode.IsSpace` knows.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Words as they are written, quotes and escapes included.
pub(crate) fn raw(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if quote.is_none() && c.is_whitespace() {
            if begun || !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            begun = false;
            continue;
        }
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => (quote, begun) = (Some(c), true),
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            // One at the end of the line is nothing.
            let Some(next) = letters.next() else { break };
            word.extend([c, next]);
        } else {
            word.push(c);
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// What is asked for the values of variables.
pub(crate) trait Values {
    /// The value of a variable: nothing if it is not set.
    fn value(&self, name: &str) -> Result<Option<String>, Bad>;
}

/// Nothing is set, and what is not set stays as it is written.
struct AsWritten;

impl Values for AsWritten {
    fn value(&self, _: &str) -> Result<Option<String>, Bad> {
        Ok(None)
    }
}

/// How words are read.
#[derive(Clone, Copy)]
struct Manner {
    escape: char,
    /// Quotes stay in the result.
    keeps_quotes: bool,
    /// Escapes stay in the result.
    keeps_escapes: bool,
    /// Variables that are not set stay as they are written.
    keeps_unset: bool,
}

/// The word with its variables replaced, without quotes and escapes.
pub(crate) fn expand(word: &str, escape: char, values: &dyn Values) -> Result<String, Bad> {
    let manner = Manner { escape, keeps_quotes: false, keeps_escapes: false, keeps_unset: false };
    Lexer::new(word, manner, values).read(None).map(|read| read.text)
}

/// The word without its quotes and escapes, variables left as they are.
pub(crate) fn plain(word: &str, escape: char) -> Result<String, Bad> {
    let manner = Manner { escape, keeps_quotes: false, keeps_escapes: false, keeps_unset: true };
    Lexer::new(word, manner, &AsWritten).read(None).map(|read| read.text)
}

/// The words of a line in which here-documents begin; whatever BuildKit's escape is, here it is a backslash. A line
/// that cannot be read has none.
pub(crate) fn shell(
    line: &str,
    keeps_quotes: bool,
    keeps_escapes: bool,
) -> Result<Vec<String>, Bad> {
    let manner = Manner { escape: '\\', keeps_quotes, keeps_escapes, keeps_unset: true };
    Lexer::new(line, manner, &AsWritten).read(None).map(|read| read.words)
}

/// A text that has been read: as a whole, and its words.
#[derive(Default)]
struct Read {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Read {
    /// Part of a word, blanks included.
    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    /// Letters of which blanks end a word.
    fn split(&mut self, text: &str) {
        self.text.push_str(text);
        for c in text.chars() {
            if c.is_whitespace() {
                self.end();
            } else {
                self.word.push(c);
            }
        }
    }

    fn end(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }
}

/// Braces within braces that are followed.
const DEEPEST: usize = 40;

struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    manner: Manner,
    values: &'t dyn Values,
    depth: usize,
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str, manner: Manner, values: &'t dyn Values) -> Self {
        Self { rest: text.chars().peekable(), manner, values, depth: 0 }
    }

    /// Reads to the end, or to a letter that has to come.
    fn read(&mut self, stop: Option<char>) -> Result<Read, Bad> {
        if self.depth > DEEPEST {
            return Err(Bad::Unknown);
        }
        let mut read = Read::default();
        while let Some(c) = self.rest.next() {
            match c {
                c if Some(c) == stop => {
                    read.end();
                    return Ok(read);
                }
                '\'' => read.raw(&self.single()?),
                '"' => read.raw(&self.double()?),
                '$' => read.split(&self.dollar()?),
                '<' => read.raw(&self.document()),
                c if c == self.manner.escape => {
                    if self.manner.keeps_escapes {
                        read.raw(&c.to_string());
                    }
                    let Some(next) = self.rest.next() else { break };
                    read.raw(&next.to_string());
                }
                c => read.split(&c.to_string()),
            }
        }
        read.end();
        if stop.is_some() { Err(Bad::Syntax) } else { Ok(read) }
    }

    fn quote(&self, quote: char) -> String {
        if self.manner.keeps_quotes { quote.to_string() } else { String::new() }
    }

    fn single(&mut self) -> Result<String, Bad> {
        let mut text = self.quote('\'');
        loop {
            match self.rest.next().ok_or(Bad::Syntax)? {
                '\'' => break,
                c => text.push(c),
            }
        }
        text.push_str(&self.quote('\''));
        Ok(text)
    }

    fn double(&mut self) -> Result<String, Bad> {
        let mut text = self.quote('"');
        loop {
            match self.rest.next().ok_or(Bad::Syntax)? {
                '"' => break,
                '$' => text.push_str(&self.dollar()?),
                c if c == self.manner.escape => {
                    if self.manner.keeps_escapes {
                        text.push(c);
                    }
                    let escape = self.manner.escape;
                    // Only these can be escaped here; before others the escape stays.
                    let next = self.rest.next_if(|c| matches!(*c, '"' | '$') || *c == escape);
                    text.push(match next {
                        Some(next) => next,
                        None if self.rest.peek().is_none() => continue,
                        None => c,
                    });
                }
                c => text.push(c),
            }
        }
        text.push_str(&self.quote('"'));
        Ok(text)
    }

    /// What begins a here-document keeps the blanks behind it.
    fn document(&mut self) -> String {
        let mut text = "<".to_owned();
        if self.rest.next_if_eq(&'<').is_some() {
            text.push('<');
            while let Some(blank) = self.rest.next_if(|c| matches!(c, '\t' | '\r' | ' ')) {
                text.push(blank);
            }
        }
        text
    }

    fn dollar(&mut self) -> Result<String, Bad> {
        if self.rest.next_if_eq(&'{').is_some() {
            return self.braced();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        match self.values.value(&name)? {
            None if self.manner.keeps_unset => Ok(format!("${name}")),
            value => Ok(value.unwrap_or_default()),
        }
    }

    /// A name of letters, digits and underscores, a number, or one sign.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.rest.peek().copied() {
            let digits = name.is_empty() && c.is_numeric();
            if digits {
                while let Some(digit) = self.rest.next_if(|c| c.is_numeric()) {
                    name.push(digit);
                }
                break;
            }
            if name.is_empty() && "@*#?-$!".contains(c) {
                name.extend(self.rest.next());
                break;
            }
            if !(c.is_alphanumeric() || c == '_') {
                break;
            }
            name.extend(self.rest.next());
        }
        name
    }

    /// What stands between braces: a name, and what is made of its value.
    fn braced(&mut self) -> Result<String, Bad> {
        if matches!(self.rest.peek(), None | Some('{' | '}' | ':')) {
            return Err(Bad::Syntax);
        }
        let name = self.name();
        let mut modifier = String::new();
        match self.rest.next().ok_or(Bad::Syntax)? {
            '}' => {
                return match self.values.value(&name)? {
                    None if self.manner.keeps_unset => Ok(format!("${{{name}}}")),
                    value => Ok(value.unwrap_or_default()),
                };
            }
            '/' => return self.replaced(&name),
            ':' => {
                modifier.push(':');
                modifier.push(self.rest.next().ok_or(Bad::Syntax)?);
            }
            c @ ('+' | '-' | '?' | '#' | '%') => modifier.push(c),
            _ => return Err(Bad::Syntax),
        }
        self.modified(&name, &modifier)
    }

    /// What stands up to a letter, escapes kept or not.
    fn within(&mut self, stop: char, keeps_escapes: bool) -> Result<String, Bad> {
        let before = std::mem::replace(&mut self.manner.keeps_escapes, keeps_escapes);
        self.depth += 1;
        let read = self.read(Some(stop));
        self.depth -= 1;
        self.manner.keeps_escapes = before;
        Ok(read?.text)
    }

    fn modified(&mut self, name: &str, modifier: &str) -> Result<String, Bad> {
        let trims = modifier.contains(['#', '%']);
        if trims && modifier.len() > 1 {
            return Err(Bad::Syntax);
        }
        let word = self.within('}', trims)?;
        let value = match self.values.value(name) {
            // What is taken otherwise counts for an image that is built without a value.
            Err(Bad::Unknown) if modifier.ends_with('-') => return Ok(word),
            value => value?,
        };
        if value.is_none() && self.manner.keeps_unset {
            return Ok(format!("${{{name}{modifier}{word}}}"));
        }
        let set = value.filter(|value| !(modifier.starts_with(':') && value.is_empty()));
        match modifier.trim_start_matches(':') {
            "-" => Ok(set.unwrap_or(word)),
            "+" => Ok(if set.is_some() { word } else { String::new() }),
            "?" => set.ok_or(Bad::Syntax),
            "#" => super::patterns::without_prefix(&word, &set.unwrap_or_default()),
            "%" => super::patterns::without_suffix(&word, &set.unwrap_or_default()),
            _ => Err(Bad::Syntax),
        }
    }

    /// `${name/pattern/replacement}`.
    fn replaced(&mut self, name: &str) -> Result<String, Bad> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let pattern = self.within('/', true)?;
        let replacement = self.within('}', true)?;
        match self.values.value(name)? {
            None if self.manner.keeps_unset => Ok(format!("${{{name}/{pattern}/{replacement}}}")),
            value => {
                super::patterns::replaced(&pattern, &replacement, &value.unwrap_or_default(), all)
            }
        }
    }
}
