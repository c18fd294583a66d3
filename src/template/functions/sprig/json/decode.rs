//! JSON into values: objects become `map[string]interface {}`, numbers `float64`.

use crate::template::{Buffer, Context, Entries, Failure, Text, Value, rune};

/// What was read.
pub struct Decoded {
    /// None where the text is no JSON.
    pub value: Option<Value>,
    /// A number was too large for a float; its place is nil.
    pub too_large: bool,
}

/// Go's `json.Unmarshal` into an empty interface. A failure is a bound that was reached.
pub fn decode(cx: &mut Context<'_>, text: &[u8]) -> Result<Decoded, Failure> {
    cx.step(text.len() / 32)?;
    let mut decoder = Decoder { cx, text, at: 0, too_large: false };
    let value = match decoder.document() {
        Ok(value) => Some(value),
        Err(Stop::Syntax) => None,
        Err(Stop::Bound(failure)) => return Err(failure),
    };
    Ok(Decoded { value, too_large: decoder.too_large })
}

/// Why reading stopped.
enum Stop {
    Syntax,
    Bound(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Bound(failure)
    }
}

struct Decoder<'d, 'a> {
    cx: &'d mut Context<'a>,
    text: &'d [u8],
    at: usize,
    too_large: bool,
}

impl Decoder<'_, '_> {
    fn document(&mut self) -> Result<Value, Stop> {
        let value = self.value()?;
        self.space();
        if self.at == self.text.len() { Ok(value) } else { Err(Stop::Syntax) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, text: &[u8]) -> Result<(), Stop> {
        let found = self.text[self.at..].starts_with(text);
        self.at += text.len();
        if found { Ok(()) } else { Err(Stop::Syntax) }
    }

    fn value(&mut self) -> Result<Value, Stop> {
        self.cx.step(1)?;
        self.space();
        match self.peek().ok_or(Stop::Syntax)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => Ok(Value::String(self.string()?)),
            b't' => self.expect(b"true").map(|()| Value::Bool(true)),
            b'f' => self.expect(b"false").map(|()| Value::Bool(false)),
            b'n' => self.expect(b"null").map(|()| Value::Nil),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Stop>) -> Result<Value, Stop> {
        self.cx.enter()?;
        let result = read(self);
        self.cx.leave();
        result
    }

    fn object(&mut self) -> Result<Value, Stop> {
        let mut entries = Entries::default();
        self.at += 1;
        self.space();
        if self.take(b'}') {
            return Ok(self.cx.map(entries)?);
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.expect(b":")?;
            let value = self.value()?;
            entries.insert(key, value);
            self.space();
            if self.take(b'}') {
                return Ok(self.cx.map(entries)?);
            }
            self.expect(b",")?;
        }
    }

    fn array(&mut self) -> Result<Value, Stop> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.take(b']') {
            return Ok(self.cx.list(items)?);
        }
        loop {
            // The list grows in places that are twice as large as it needs.
            self.cx.allocate(2 * size_of::<Value>())?;
            items.push(self.value()?);
            self.space();
            if self.take(b']') {
                return Ok(self.cx.list(items)?);
            }
            self.expect(b",")?;
        }
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(Stop::Syntax);
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(Stop::Syntax);
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(Stop::Syntax);
            }
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).map_err(|_| Stop::Syntax)?;
        let number: f64 = text.parse().map_err(|_| Stop::Syntax)?;
        if number.is_finite() {
            return Ok(Value::float(number));
        }
        self.too_large = true;
        Ok(Value::Nil)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<Text, Stop> {
        self.expect(b"\"")?;
        let rest = &self.text[self.at..];
        let end = memchr::memchr2(b'"', b'\\', rest).ok_or(Stop::Syntax)?;
        let mut out = Buffer::default();
        self.plain(&mut out, &rest[..end])?;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => {
                    self.cx.allocate(out.len() + 64)?;
                    return Ok(out.into_text());
                }
                b'\\' => {
                    let rune = self.escape()?;
                    out.rune(rune);
                }
                _ => {
                    self.at -= 1;
                    let rest = &self.text[self.at..];
                    let end = memchr::memchr2(b'"', b'\\', rest).ok_or(Stop::Syntax)?;
                    self.plain(&mut out, &rest[..end])?;
                }
            }
        }
        Err(Stop::Syntax)
    }

    /// Characters that stand for themselves; bytes that are no UTF-8 become U+FFFD.
    fn plain(&mut self, out: &mut Buffer, text: &[u8]) -> Result<(), Stop> {
        if text.iter().any(|byte| *byte < b' ') {
            return Err(Stop::Syntax);
        }
        if std::str::from_utf8(text).is_ok() {
            out.extend(text);
        } else {
            self.cx.allocate(text.len() * 3)?;
            for (_, rune, _) in rune::runes(text) {
                out.rune(rune);
            }
        }
        self.at += text.len();
        Ok(())
    }

    fn escape(&mut self) -> Result<char, Stop> {
        let byte = self.peek().ok_or(Stop::Syntax)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                let pair = |low: u32| 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
                    let after = self.at;
                    self.at += 2;
                    let low = self.unit()?;
                    if (0xdc00..0xe000).contains(&low) {
                        return char::from_u32(pair(low)).ok_or(Stop::Syntax);
                    }
                    self.at = after;
                }
                // Half of a pair stands for nothing.
                char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(Stop::Syntax),
        })
    }

    fn unit(&mut self) -> Result<u32, Stop> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Stop::Syntax)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| {
            char::from(*digit).to_digit(16).map(|digit| unit << 4 | digit).ok_or(Stop::Syntax)
        })
    }
}
