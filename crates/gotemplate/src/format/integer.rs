//! Integers under verbs.

use super::{
    super::{error::Failure, quote, rune, value::Value},
    Printer,
};

impl Printer<'_, '_> {
    /// An integer by magnitude and sign.
    pub(super) fn integer(
        &mut self,
        magnitude: u64,
        negative: bool,
        signed: bool,
        verb: char,
        value: &Value,
    ) -> Result<(), Failure> {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                let result = self.digits(magnitude, negative, 16, verb);
                self.flags.sharp = sharp;
                result
            }
            'v' | 'd' => self.digits(magnitude, negative, 10, verb),
            'b' => self.digits(magnitude, negative, 2, verb),
            'o' | 'O' => self.digits(magnitude, negative, 8, verb),
            'x' | 'X' => self.digits(magnitude, negative, 16, verb),
            'c' => {
                let rune = code_point(magnitude, negative);
                self.pad(rune.encode_utf8(&mut [0; 4]).as_bytes())
            }
            'q' => {
                let rune = code_point(magnitude, negative);
                let bytes = rune.encode_utf8(&mut [0; 4]).as_bytes().to_vec();
                let quoted = quote::quote(self.cx, &bytes, '\'', self.flags.plus)?;
                self.pad(quoted.bytes())
            }
            'U' => self.unicode(magnitude, negative),
            _ => self.bad_verb(verb, value),
        }
    }

    /// Digits in a base, with the zeros that precision or width ask for, prefix and sign.
    fn digits(
        &mut self,
        magnitude: u64,
        negative: bool,
        base: u32,
        verb: char,
    ) -> Result<(), Failure> {
        if base == 10 && self.flags.is_plain() {
            self.plain(magnitude, negative);
            return Ok(());
        }
        let (width, precision) = (self.flags.width, self.flags.precision);
        let signed = negative || self.flags.plus || self.flags.space;
        let least = match (precision, width) {
            // Zero with precision zero is nothing but padding, on whichever side.
            (Some(0), _) if magnitude == 0 => {
                self.pay(width.unwrap_or(0))?;
                self.out.fill(b' ', width.unwrap_or(0));
                return Ok(());
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width.saturating_sub(usize::from(signed))
            }
            _ => 0,
        };
        let mut digits = match base {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 if verb == 'X' => format!("{magnitude:X}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        if digits.len() < least {
            self.pay(least)?;
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        let prefix = match base {
            _ if verb == 'O' => "0o",
            2 if self.flags.sharp => "0b",
            8 if self.flags.sharp && !digits.starts_with('0') => "0",
            16 if self.flags.sharp && verb == 'X' => "0X",
            16 if self.flags.sharp => "0x",
            _ => "",
        };
        let octal =
            if verb == 'O' && self.flags.sharp && !digits.starts_with('0') { "0" } else { "" };
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (.., true) => " ",
            _ => "",
        };
        self.pad_blank(format!("{sign}{prefix}{octal}{digits}").as_bytes())
    }

    /// A decimal without anything that flags ask for: by far the most common integer.
    pub(super) fn plain(&mut self, mut magnitude: u64, negative: bool) {
        let (mut text, mut at) = ([b'0'; 20], 20);
        while at == 20 || magnitude > 0 {
            at -= 1;
            text[at] += u8::try_from(magnitude % 10).unwrap_or(0);
            magnitude /= 10;
        }
        if negative {
            self.out.push(b'-');
        }
        self.out.extend(&text[at..]);
    }

    /// `U+0078`, and with `#` the character behind it.
    fn unicode(&mut self, magnitude: u64, negative: bool) -> Result<(), Failure> {
        let code = if negative { magnitude.wrapping_neg() } else { magnitude };
        let precision = self.flags.precision.unwrap_or(4).max(4);
        let mut digits = format!("{code:X}");
        if digits.len() < precision {
            self.pay(precision)?;
            digits.insert_str(0, &"0".repeat(precision - digits.len()));
        }
        let known = u32::try_from(code).ok().and_then(char::from_u32);
        let shown = match known.filter(|known| self.flags.sharp && rune::is_printable(*known)) {
            Some(known) => format!("U+{digits} '{known}'"),
            None => format!("U+{digits}"),
        };
        self.pad_blank(shown.as_bytes())
    }
}

/// The rune of a number; U+FFFD where there is none.
fn code_point(magnitude: u64, negative: bool) -> char {
    let known =
        if negative { None } else { u32::try_from(magnitude).ok().and_then(char::from_u32) };
    known.unwrap_or(char::REPLACEMENT_CHARACTER)
}
