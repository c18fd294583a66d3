//! Number constants of templates: Go's ideal constants.

use super::quote;

/// A constant under each type that can hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Number {
    /// As a signed integer.
    pub int: Option<i64>,
    /// As an unsigned integer.
    pub uint: Option<u64>,
    /// As a float.
    pub float: Option<f64>,
    /// Real and imaginary part.
    pub complex: Option<(f64, f64)>,
    /// Where nothing asks for a type: true when its spelling makes it a float.
    pub is_float: bool,
}

/// Why a constant is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It follows no syntax of Go.
    Syntax,
    /// It is an integer that 64 bits do not hold.
    Overflow,
}

impl Number {
    /// A character constant with its quotes.
    pub(crate) fn character(text: &[u8]) -> Result<Self, Malformed> {
        let rune = quote::unquote_character(text).ok_or(Malformed::Syntax)?;
        Ok(Self { is_float: false, ..Self::from_int(rune) })
    }

    /// A number: decimal, hexadecimal, octal, binary, float, imaginary.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if let Some(imaginary) = text.strip_suffix('i').and_then(float) {
            return Ok(Self::from_complex(0.0, imaginary));
        }
        let (int, uint) = integers(text);
        if int.is_some() || uint.is_some() {
            #[expect(clippy::cast_precision_loss)] // as Go converts
            let float = int.map(|int| int as f64).or(uint.map(|uint| uint as f64));
            return Ok(Self { int, uint, float, is_float: looks_float(text), ..Self::default() });
        }
        let float = float(text).ok_or(Malformed::Syntax)?;
        if !text.contains(FLOAT_MARKS) {
            return Err(Malformed::Overflow);
        }
        Ok(Self { is_float: looks_float(text), ..Self::from_float(float) })
    }

    /// Two numbers, the second one signed and imaginary: `1+2i`.
    pub(crate) fn complex(text: &str) -> Result<Self, Malformed> {
        let body = text.strip_suffix('i').ok_or(Malformed::Syntax)?;
        let exponent = |at: usize| body[..at].ends_with(['e', 'E', 'p', 'P']);
        let split = body
            .char_indices()
            .skip(1)
            .filter(|(at, c)| matches!(c, '+' | '-') && !exponent(*at))
            .map(|(at, _)| at)
            .last()
            .ok_or(Malformed::Syntax)?;
        match (float(&body[..split]), float(&body[split..])) {
            (Some(real), Some(imaginary)) => Ok(Self::from_complex(real, imaginary)),
            _ => Err(Malformed::Syntax),
        }
    }

    fn from_int(int: i64) -> Self {
        #[expect(clippy::cast_precision_loss)] // as Go converts
        let float = int as f64;
        Self {
            int: Some(int),
            uint: u64::try_from(int).ok(),
            float: Some(float),
            ..Self::default()
        }
    }

    fn from_float(float: f64) -> Self {
        // Go converts to the integer and back and looks whether that is the same float.
        let whole = float.fract() == 0.0;
        let (signed, unsigned) = (-TWO_TO_63..TWO_TO_63, 0.0..2.0 * TWO_TO_63);
        #[expect(clippy::cast_possible_truncation)] // in range
        let int = (whole && signed.contains(&float)).then_some(float as i64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
        let uint = (whole && unsigned.contains(&float)).then_some(float as u64);
        Self { int, uint, float: Some(float), ..Self::default() }
    }

    fn from_complex(real: f64, imaginary: f64) -> Self {
        let complex = Some((real, imaginary));
        if imaginary == 0.0 {
            Self { complex, ..Self::from_float(real) }
        } else {
            Self { complex, ..Self::default() }
        }
    }
}

/// The spelling that Go takes for a float's. The `e` of a negative hexadecimal integer is such a mark, too.
fn looks_float(text: &str) -> bool {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    text.contains(FLOAT_MARKS) && (!hexadecimal || text.contains(['p', 'P']))
}

const FLOAT_MARKS: [char; 5] = ['.', 'e', 'E', 'p', 'P'];
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Go's `ParseInt` and `ParseUint` with base 0.
fn integers(text: &str) -> (Option<i64>, Option<u64>) {
    let (negative, signed, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), true, digits),
        None => (false, false, text),
    };
    let Some(magnitude) = magnitude(digits) else { return (None, None) };
    let int = if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    // ParseUint takes no sign at all, but zero is an unsigned number with any.
    let uint = (!signed || int == Some(0)).then_some(magnitude);
    (int, uint)
}

/// Digits with a prefix for their base. Underscores stand between digits or after the prefix.
pub(crate) fn magnitude(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if !underscores_are_right(&lower) {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&digits, base).ok()
}

/// Go's rule: an underscore stands between two digits, or between a prefix for the base and a digit.
fn underscores_are_right(text: &str) -> bool {
    let (hexadecimal, digits) = match text.as_bytes() {
        [b'0', b'x', ..] => (true, &text[2..]),
        [b'0', b'b' | b'o', ..] => (false, &text[2..]),
        _ => (false, text),
    };
    let mut previous = if digits.len() == text.len() { '.' } else { '0' };
    for c in digits.chars() {
        let digit = c.is_ascii_digit() || hexadecimal && c.is_ascii_hexdigit();
        let kind = match c {
            '_' if previous != '0' => return false,
            '_' => '_',
            _ if digit => '0',
            _ if previous == '_' => return false,
            _ => '.',
        };
        previous = kind;
    }
    previous != '_'
}

/// Go's `ParseFloat`, hexadecimal floats too.
pub(crate) fn float(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (negative, digits) = match lower.strip_prefix(['+', '-']) {
        Some(digits) => (lower.starts_with('-'), digits),
        None => (false, lower.as_str()),
    };
    if digits.contains('_') && !underscores_are_right(digits) {
        return None;
    }
    let digits = digits.replace('_', "");
    // Rust also takes words, such as "inf".
    if !digits.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = match digits.strip_prefix("0x") {
        Some(digits) => hexadecimal_float(digits)?,
        None => digits.parse::<f64>().ok().filter(|number| number.is_finite())?,
    };
    Some(if negative { -number } else { number })
}

/// `1.8p3` after the prefix: hexadecimal mantissa, decimal exponent of two, which is not optional.
fn hexadecimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let mut exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.abs() < 100_000)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (mut bits, mut any, mut sticky) = (0_u64, false, false);
    for (digit, fractional) in
        whole.chars().map(|c| (c, false)).chain(fraction.chars().map(|c| (c, true)))
    {
        let value = digit.to_digit(16)?;
        any = true;
        if bits >> 58 == 0 {
            bits = bits << 4 | u64::from(value);
            exponent -= if fractional { 4 } else { 0 };
        } else {
            // Beyond what a float holds: only whether anything is there decides rounding.
            sticky |= value != 0;
            exponent += if fractional { 0 } else { 4 };
        }
    }
    if !any {
        return None;
    }
    bits |= u64::from(sticky);
    #[expect(clippy::cast_precision_loss)] // rounds to nearest even, as Go does
    let mut number = bits as f64;
    // In two steps, so that neither overflows on its own.
    for _ in 0..4 {
        let step = exponent.clamp(-500, 500);
        number *= 2_f64.powi(step);
        exponent -= step;
    }
    (number.is_finite() && (number == 0.0 || exponent == 0)).then_some(number)
}
