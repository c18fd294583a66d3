//! JSON into values: objects become `map[string]interface {}`, numbers `float64`.

use crate::{Buffer, Context, Failure, Text, Value, rune};

/// What was read.
pub(crate) struct Decoded {
    /// None where the text is no JSON.
    pub value: Option<Value>,
    /// A number was too large for a float; its place is nil.
    pub too_large: bool,
}

/// Go's `json.Unmarshal` into an empty interface. A failure is a bound that was reached.
///
/// Strings without escapes are parts of the text.
pub(crate) fn decode(cx: &mut Context<'_>, text: &Text) -> Result<Decoded, Failure> {
    cx.step(text.len() / 32)?;
    let (items, entries) = (Vec::new(), Vec::new());
    let mut decoder = Decoder { cx, text, at: 0, too_large: false, items, entries };
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
    text: &'d Text,
    at: usize,
    too_large: bool,
    /// Elements of the arrays that are open, the innermost last. What is closed takes as much room as it needs.
    items: Vec<Value>,
    /// Entries of the objects that are open.
    entries: Vec<(Text, Value)>,
}

impl<'d> Decoder<'d, '_> {
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
        let first = self.entries.len();
        self.at += 1;
        self.space();
        if !self.take(b'}') {
            loop {
                self.space();
                let key = self.string()?;
                self.space();
                self.expect(b":")?;
                let value = self.value()?;
                push(self.cx, &mut self.entries, (key, value))?;
                self.space();
                if self.take(b'}') {
                    break;
                }
                self.expect(b",")?;
            }
        }
        Ok(self.cx.map(self.entries.drain(first..).collect())?)
    }

    fn array(&mut self) -> Result<Value, Stop> {
        let first = self.items.len();
        self.at += 1;
        self.space();
        if !self.take(b']') {
            loop {
                let item = self.value()?;
                push(self.cx, &mut self.items, item)?;
                self.space();
                if self.take(b']') {
                    break;
                }
                self.expect(b",")?;
            }
        }
        // The outermost array takes the stack itself.
        let items = match first {
            0 => std::mem::take(&mut self.items),
            _ => self.items.drain(first..).collect(),
        };
        Ok(self.cx.list(items)?)
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
        let text = self.text;
        let start = self.at;
        let plain = self.plain()?;
        if self.take(b'"') && std::str::from_utf8(plain).is_ok() {
            return Ok(text.part(plain));
        }
        self.at = start;
        self.string_with_escapes()
    }

    /// Bytes that are no UTF-8 become U+FFFD.
    fn string_with_escapes(&mut self) -> Result<Text, Stop> {
        let mut out = Buffer::default();
        loop {
            let plain = self.plain()?;
            if std::str::from_utf8(plain).is_ok() {
                out.extend(plain);
            } else {
                self.cx.allocate(plain.len() * 3)?;
                rune::runes(plain).for_each(|(_, rune, _)| out.rune(rune));
            }
            if self.take(b'"') {
                self.cx.allocate(out.len() + 64)?;
                return Ok(out.into_text());
            }
            self.at += 1;
            let rune = self.escape()?;
            out.rune(rune);
        }
    }

    /// Characters that stand for themselves, up to a quote or a backslash.
    fn plain(&mut self) -> Result<&'d [u8], Stop> {
        let text: &'d [u8] = self.text;
        let rest = &text[self.at..];
        let plain = &rest[..memchr::memchr2(b'"', b'\\', rest).ok_or(Stop::Syntax)?];
        if plain.iter().any(|byte| *byte < b' ') {
            return Err(Stop::Syntax);
        }
        self.at += plain.len();
        Ok(plain)
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

/// Accounts for the places that a stack of unfinished values takes, too.
fn push<T>(cx: &mut Context<'_>, stack: &mut Vec<T>, value: T) -> Result<(), Failure> {
    if stack.len() == stack.capacity() {
        let more = stack.len().max(8);
        cx.allocate((stack.len() + more) * size_of::<T>())?;
        stack.reserve_exact(more);
    }
    stack.push(value);
    Ok(())
}
