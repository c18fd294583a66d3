//! Text to tokens.

use super::{
    Delimiters,
    error::{Error, ErrorKind},
    position::Position,
    rune,
};

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Text outside actions.
    Text,
    /// Opens an action.
    Left,
    /// Closes an action.
    Right,
    /// Blanks between operands.
    Space,
    /// `.`
    Dot,
    /// `.name`
    Field,
    /// `$` or `$name`
    Variable,
    /// A name: a function, or a word of the language.
    Name,
    /// `true` or `false`
    Bool,
    /// A number of any spelling.
    Number,
    /// `1+2i`
    Complex,
    /// `'x'`
    Character,
    /// `"..."`
    String,
    /// Between backticks.
    RawString,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    /// `|`
    Pipe,
    /// `(`
    LeftParenthesis,
    /// `)`
    RightParenthesis,
    /// Any other printable ASCII character.
    Other,
    /// The end of the text.
    End,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    /// What it is.
    pub kind: TokenKind,
    /// Its offset in the text.
    pub at: usize,
    /// Its bytes.
    pub text: &'t [u8],
}

impl Token<'_> {
    /// True of this word of the language.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Name && self.text == word.as_bytes()
    }
}

/// Cuts a text into tokens, one at a time.
pub(crate) struct Lexer<'t> {
    name: &'t str,
    text: &'t [u8],
    left: &'t [u8],
    right: &'t [u8],
    at: usize,
    in_action: bool,
    parentheses: usize,
    /// Offset of the action that is open.
    action: usize,
    /// Offset and position of what [`Lexer::position`] was asked last: places are asked in order, nearly.
    last: (usize, Position),
}

impl<'t> Lexer<'t> {
    /// A lexer at the start of the text.
    pub(crate) fn new(name: &'t str, text: &'t [u8], delimiters: &'t Delimiters) -> Self {
        let start = (0, Position { line: 1, column: 1 });
        let (left, right) = (delimiters.left.as_bytes(), delimiters.right.as_bytes());
        let (in_action, parentheses, action) = (false, 0, 0);
        Self { name, text, left, right, at: 0, in_action, parentheses, action, last: start }
    }

    /// Line and column of an offset.
    pub(crate) fn position(&mut self, at: usize) -> Position {
        let (mut from, mut position) = self.last;
        if at < from {
            (from, position) = (0, Position { line: 1, column: 1 });
        }
        for byte in &self.text[from..at.min(self.text.len())] {
            if *byte == b'\n' {
                position.line = position.line.saturating_add(1);
                position.column = 1;
            } else {
                position.column = position.column.saturating_add(1);
            }
        }
        self.last = (at, position);
        position
    }

    /// A mistake at an offset.
    pub(crate) fn error(&mut self, at: usize, message: impl Into<String>) -> Error {
        let position = self.position(at);
        Error::new(ErrorKind::Parse, self.name, position, message)
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token<'t>, Error> {
        if self.in_action { self.inside() } else { self.outside() }
    }

    /// Text up to the next action, comments skipped.
    fn outside(&mut self) -> Result<Token<'t>, Error> {
        loop {
            let start = self.at;
            let rest = &self.text[start..];
            let Some(length) = find(rest, self.left) else {
                self.at = self.text.len();
                let kind = if rest.is_empty() { TokenKind::End } else { TokenKind::Text };
                return Ok(Token { kind, at: start, text: rest });
            };
            let after = &rest[length + self.left.len()..];
            let trims = opens_trimming(after);
            let kept = if trims { trim_end(&rest[..length]) } else { &rest[..length] };
            if !kept.is_empty() {
                self.at = start + length;
                return Ok(Token { kind: TokenKind::Text, at: start, text: kept });
            }
            let (at, marker) = (start + length, if trims { MARKER } else { 0 });
            self.at = at + self.left.len() + marker;
            if self.text[self.at..].starts_with(b"/*") {
                self.comment()?;
                continue;
            }
            (self.in_action, self.parentheses, self.action) = (true, 0, at);
            return Ok(Token { kind: TokenKind::Left, at, text: self.left });
        }
    }

    fn comment(&mut self) -> Result<(), Error> {
        let start = self.at;
        let Some(length) = find(&self.text[start + 2..], b"*/") else {
            return Err(self.error(start, "unclosed comment: */ is missing"));
        };
        self.at = start + 2 + length + 2;
        let Some(trims) = self.right_delimiter() else {
            return Err(self.error(
                start,
                "comment ends before closing delimiter: a comment stands alone in its action, without blanks",
            ));
        };
        self.close(trims);
        Ok(())
    }

    /// Whether the action ends here, and if so, whether it trims what follows.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = &self.text[self.at..];
        if closes_trimming(rest) && rest[MARKER..].starts_with(self.right) {
            return Some(true);
        }
        rest.starts_with(self.right).then_some(false)
    }

    fn close(&mut self, trims: bool) {
        self.at += self.right.len();
        if trims {
            self.at += MARKER;
            self.at += self.text[self.at..].iter().take_while(|byte| is_space(**byte)).count();
        }
    }

    fn inside(&mut self) -> Result<Token<'t>, Error> {
        let start = self.at;
        if let Some(trims) = self.right_delimiter() {
            if self.parentheses > 0 {
                return Err(self.error(start, "unclosed left paren"));
            }
            self.close(trims);
            self.in_action = false;
            return Ok(Token { kind: TokenKind::Right, at: start, text: self.right });
        }
        let Some((first, width)) = rune::first(&self.text[start..]) else {
            let action = self.action;
            return Err(self.error(action, "unclosed action"));
        };
        self.at += width;
        let next = self.text.get(self.at).copied();
        let kind = match first {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => TokenKind::Assign,
            ':' if next == Some(b'=') => {
                self.at += 1;
                TokenKind::Declare
            }
            ':' => return Err(self.error(start, "expected :=")),
            '|' => TokenKind::Pipe,
            '"' => self.quoted(b'"', TokenKind::String)?,
            '\'' => self.quoted(b'\'', TokenKind::Character)?,
            '`' => self.raw_string()?,
            '$' => self.field_or_variable(TokenKind::Variable, TokenKind::Variable)?,
            '.' if !next.is_some_and(|next| next.is_ascii_digit()) => {
                self.field_or_variable(TokenKind::Field, TokenKind::Dot)?
            }
            '.' | '+' | '-' | '0'..='9' => self.number(start)?,
            '(' => {
                self.parentheses += 1;
                TokenKind::LeftParenthesis
            }
            ')' => {
                let Some(open) = self.parentheses.checked_sub(1) else {
                    return Err(self.error(start, "unexpected right paren"));
                };
                self.parentheses = open;
                TokenKind::RightParenthesis
            }
            name if rune::is_name(name) => self.name(start)?,
            other if other.is_ascii() && rune::is_printable(other) => TokenKind::Other,
            other => {
                return Err(
                    self.error(start, format!("unrecognized character in action: {other:?}"))
                );
            }
        };
        Ok(Token { kind, at: start, text: &self.text[start..self.at] })
    }

    /// The first blank is read. The last one may belong to a delimiter that trims.
    fn space(&mut self) -> TokenKind {
        self.at += self.text[self.at..].iter().take_while(|byte| is_space(**byte)).count();
        let rest = &self.text[self.at - 1..];
        if closes_trimming(rest) && rest[MARKER..].starts_with(self.right) {
            self.at -= 1;
        }
        TokenKind::Space
    }

    fn quoted(&mut self, quote: u8, kind: TokenKind) -> Result<TokenKind, Error> {
        let start = self.at - 1;
        loop {
            let byte = self.text.get(self.at).copied();
            self.at += 1;
            match byte {
                Some(b'\\') if self.text.get(self.at).is_some_and(|next| *next != b'\n') => {
                    self.at += 1;
                }
                Some(b'\\' | b'\n') | None => {
                    let what = if kind == TokenKind::String {
                        "quoted string"
                    } else {
                        "character constant"
                    };
                    return Err(self.error(start, format!("unterminated {what}")));
                }
                Some(byte) if byte == quote => return Ok(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Result<TokenKind, Error> {
        let start = self.at;
        let Some(length) = self.text[start..].iter().position(|byte| *byte == b'`') else {
            return Err(self.error(start - 1, "unterminated raw quoted string"));
        };
        self.at += length + 1;
        Ok(TokenKind::RawString)
    }

    /// The dot or dollar is read.
    fn field_or_variable(&mut self, named: TokenKind, bare: TokenKind) -> Result<TokenKind, Error> {
        if self.at_terminator() {
            return Ok(bare);
        }
        self.skip_name();
        self.terminated(named)
    }

    fn name(&mut self, start: usize) -> Result<TokenKind, Error> {
        self.skip_name();
        let word = &self.text[start..self.at];
        let kind =
            if matches!(word, b"true" | b"false") { TokenKind::Bool } else { TokenKind::Name };
        self.terminated(kind)
    }

    fn skip_name(&mut self) {
        self.at += rune::runes(&self.text[self.at..])
            .take_while(|(_, rune, _)| rune::is_name(*rune))
            .map(|(_, _, width)| width)
            .sum::<usize>();
    }

    fn terminated(&mut self, kind: TokenKind) -> Result<TokenKind, Error> {
        if self.at_terminator() {
            return Ok(kind);
        }
        let (at, bad) = (self.at, rune::first(&self.text[self.at..]));
        let bad = bad.map_or(char::REPLACEMENT_CHARACTER, |(bad, _)| bad);
        Err(self.error(at, format!("bad character {bad:?}")))
    }

    /// True where a name may end: `.X.Y` is two tokens, `$x+2` is an error.
    fn at_terminator(&self) -> bool {
        let rest = &self.text[self.at..];
        match rest.first() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(') => {
                true
            }
            Some(_) => rest.starts_with(self.right),
        }
    }

    fn number(&mut self, start: usize) -> Result<TokenKind, Error> {
        self.at = start;
        let mut good = self.skip_number();
        let mut kind = TokenKind::Number;
        if good && matches!(self.text.get(self.at), Some(b'+' | b'-')) {
            kind = TokenKind::Complex;
            good = self.skip_number() && self.text[self.at - 1] == b'i';
        }
        if good { Ok(kind) } else { Err(self.error(start, "bad number syntax")) }
    }

    /// Reads what may be a number; false when a letter follows. Parsing it finds what is wrong inside.
    fn skip_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        let exponent: &[u8] = match digits.len() {
            11 => b"eE",
            23 => b"pP",
            _ => b"",
        };
        if self.accept(exponent) {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        !rune::first(&self.text[self.at..]).is_some_and(|(next, _)| rune::is_name(next))
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| set.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn accept_run(&mut self, set: &[u8]) {
        while self.accept(set) {}
    }
}

/// Length of a trim marker with its blank.
const MARKER: usize = 2;

fn opens_trimming(after: &[u8]) -> bool {
    matches!(after, [b'-', blank, ..] if is_space(*blank))
}

fn closes_trimming(before: &[u8]) -> bool {
    matches!(before, [blank, b'-', ..] if is_space(*blank))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn trim_end(text: &[u8]) -> &[u8] {
    let length = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1);
    &text[..length]
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
