//! Strings under verbs, and padding.

use super::{
    super::{error::Failure, quote, rune, value::Value},
    Printer,
};

impl Printer<'_, '_> {
    /// Text with padding up to the width, counted in runes.
    pub(super) fn pad(&mut self, text: &[u8]) -> Result<(), Failure> {
        let padding = match self.flags.width {
            Some(width) if width > 0 => width.saturating_sub(rune::count(text)),
            _ => 0,
        };
        self.pay(padding + text.len())?;
        if self.flags.minus {
            self.out.extend(text);
            self.out.fill(b' ', padding);
        } else {
            self.out.fill(if self.flags.zero { b'0' } else { b' ' }, padding);
            self.out.extend(text);
        }
        Ok(())
    }

    /// As [`Self::pad`], but never with zeros.
    pub(super) fn pad_blank(&mut self, text: &[u8]) -> Result<(), Failure> {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        let result = self.pad(text);
        self.flags.zero = zero;
        result
    }

    /// A string of the value under a verb.
    pub(super) fn string(&mut self, text: &[u8], verb: char, value: &Value) -> Result<(), Failure> {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => {
                let text = self.truncated(text);
                self.pad(text)
            }
            'x' => self.hexadecimal(text, b"0123456789abcdefx"),
            'X' => self.hexadecimal(text, b"0123456789ABCDEFX"),
            'q' => self.quoted(text),
            _ => self.bad_verb(verb, value),
        }
    }

    /// At most as many runes as the precision says.
    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        let end = rune::runes(text).nth(precision).map_or(text.len(), |(at, ..)| at);
        &text[..end]
    }

    fn quoted(&mut self, text: &[u8]) -> Result<(), Failure> {
        let text = self.truncated(text);
        let quoted = if self.flags.sharp && quote::can_backquote(text) {
            let mut raw = super::Buffer::default();
            raw.push(b'`');
            raw.extend(text);
            raw.push(b'`');
            raw
        } else {
            quote::quote(self.cx, text, '"', self.flags.plus)?
        };
        self.pad(quoted.bytes())
    }

    /// Bytes as hexadecimal, at most as many as the precision says.
    fn hexadecimal(&mut self, text: &[u8], digits: &[u8; 17]) -> Result<(), Failure> {
        let text = &text[..text.len().min(self.flags.precision.unwrap_or(usize::MAX))];
        let (sharp, space) = (self.flags.sharp, self.flags.space);
        let prefix: &[u8] = if sharp { &[b'0', digits[16]] } else { b"" };
        let mut width = 2 * text.len();
        if space {
            width += prefix.len() * text.len() + text.len().saturating_sub(1);
        } else if !text.is_empty() {
            width += prefix.len();
        }
        let padding = self.flags.width.unwrap_or(0).saturating_sub(width);
        self.pay(padding + width)?;
        let fill = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        if !self.flags.minus || text.is_empty() {
            self.out.fill(fill, padding);
        }
        for (at, byte) in text.iter().enumerate() {
            if at == 0 || space {
                if at > 0 {
                    self.out.push(b' ');
                }
                self.out.extend(prefix);
            }
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            self.out.extend(&[digits[high], digits[low]]);
        }
        if self.flags.minus && !text.is_empty() {
            self.out.fill(fill, padding);
        }
        Ok(())
    }
}
