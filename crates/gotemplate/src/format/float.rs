//! Floats under verbs, and `strconv.FormatFloat`.

use super::{
    super::{error::Failure, value::Value},
    Printer,
};

/// More digits than this are zeros: no double has more behind the point.
const EXACT: usize = 1100;

impl Printer<'_, '_> {
    pub(super) fn float(
        &mut self,
        number: f64,
        single: bool,
        verb: char,
        value: &Value,
    ) -> Result<(), Failure> {
        match verb {
            'v' => match whole(number) {
                // Longer ones have an exponent.
                Some(whole) if whole.unsigned_abs() < 1_000_000 && self.flags.is_plain() => {
                    self.cx.step(1)?;
                    self.plain(whole.unsigned_abs(), whole < 0);
                    Ok(())
                }
                _ => self.format_float(number, single, 'g', None),
            },
            'b' | 'g' | 'G' | 'x' | 'X' => self.format_float(number, single, verb, None),
            'f' | 'e' | 'E' => self.format_float(number, single, verb, Some(6)),
            'F' => self.format_float(number, single, 'f', Some(6)),
            _ => self.bad_verb(verb, value),
        }
    }

    pub(super) fn complex(
        &mut self,
        real: f64,
        imaginary: f64,
        verb: char,
        value: &Value,
    ) -> Result<(), Failure> {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad_verb(verb, value);
        }
        self.out.push(b'(');
        self.float(real, false, verb, value)?;
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float(imaginary, false, verb, value)?;
        self.flags.plus = plus;
        self.str("i)");
        Ok(())
    }

    fn format_float(
        &mut self,
        number: f64,
        single: bool,
        verb: char,
        precision: Option<usize>,
    ) -> Result<(), Failure> {
        let precision = self.flags.precision.or(precision);
        self.pay(precision.unwrap_or(0))?;
        // Digits of very small and very large numbers take long.
        self.cx.step(2 + precision.unwrap_or(0).min(EXACT) / 4)?;
        let mut text = append_float(number, verb, precision, single);
        if !text.starts_with('-') && !text.starts_with('+') {
            text.insert(0, '+');
        }
        if self.flags.space && text.starts_with('+') && !self.flags.plus {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            // No zeros before words; infinity keeps its sign, which is no number's.
            let bare = number.is_nan() && !self.flags.space && !self.flags.plus;
            return self.pad_blank(&text.as_bytes()[usize::from(bare)..]);
        }
        if self.flags.sharp && verb != 'b' {
            restore_zeros(&mut text, verb, precision);
        }
        if !self.flags.plus && text.starts_with('+') {
            return self.pad(&text.as_bytes()[1..]);
        }
        // The sign goes before the zeros.
        let width = self.flags.width.unwrap_or(0);
        if self.flags.zero && !self.flags.minus && width > text.len() {
            self.pay(width)?;
            self.out.extend(&text.as_bytes()[..1]);
            self.out.fill(b'0', width - text.len());
            self.out.extend(&text.as_bytes()[1..]);
            return Ok(());
        }
        self.pad(text.as_bytes())
    }
}

/// The integer that a float is, if it is one of at most 15 digits: nearly every number in JSON.
pub(crate) fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation)] // it is in range where it counts
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, clippy::float_cmp)] // both are exact
    let same = whole as f64 == number && (whole != 0 || number.is_sign_positive());
    (same && whole.unsigned_abs() < 1_000_000_000_000_000).then_some(whole)
}

/// `#` asks for a decimal point, and for the zeros that `%g` leaves out.
fn restore_zeros(text: &mut String, verb: char, precision: Option<usize>) {
    let mut digits = match verb {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let exponent: &[char] =
        if matches!(verb, 'x' | 'X') { &['p', 'P'] } else { &['e', 'E', 'p', 'P'] };
    let end = text.find(exponent).unwrap_or(text.len());
    let tail = text.split_off(end);
    let (mut point, mut nonzero) = (false, false);
    for c in text.chars().skip(1) {
        point |= c == '.';
        nonzero |= !matches!(c, '.' | '0');
        if nonzero && c != '.' {
            digits = digits.saturating_sub(1);
        }
    }
    if !point {
        if text.len() == 2 && text.ends_with('0') {
            digits = digits.saturating_sub(1);
        }
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', digits));
    text.push_str(&tail);
}

/// `strconv.FormatFloat(number, verb, precision, bits)`; no precision asks for as few digits as tell the number
/// from its neighbours.
pub(crate) fn append_float(
    number: f64,
    verb: char,
    precision: Option<usize>,
    single: bool,
) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_infinite() {
        return if sign.is_empty() { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let size = number.abs();
    let digits = match verb {
        'b' => return format!("{sign}{}", binary(size, single)),
        'x' | 'X' => return format!("{sign}{}", hexadecimal(size, precision, single, verb)),
        'e' | 'E' | 'g' | 'G' => Digits::of(size, precision, single, verb),
        _ => match precision {
            Some(precision) => return format!("{sign}{}", fixed(size, precision)),
            None => Digits::of(size, None, single, verb),
        },
    };
    let body = match verb {
        'e' | 'E' => digits.scientific(precision.unwrap_or(digits.len().saturating_sub(1)), verb),
        'f' => digits.positional(digits.fraction()),
        _ => digits.general(precision, if verb == 'G' { 'E' } else { 'e' }),
    };
    format!("{sign}{body}")
}

fn fixed(size: f64, precision: usize) -> String {
    let exact = precision.min(EXACT);
    let mut text = format!("{size:.exact$}");
    text.extend(std::iter::repeat_n('0', precision - exact));
    text
}

/// Decimal digits without zeros at the end: `0.DIGITS` times ten to the `point`.
struct Digits {
    digits: String,
    point: i32,
}

impl Digits {
    fn of(size: f64, precision: Option<usize>, single: bool, verb: char) -> Self {
        #[expect(clippy::cast_possible_truncation)] // the value is one of a float32
        let text = match precision {
            None if single => format!("{:e}", size as f32),
            None => format!("{size:e}"),
            Some(precision) => {
                let after_point = match verb {
                    'e' | 'E' => precision,
                    _ => precision.max(1) - 1,
                };
                format!("{size:.*e}", after_point.min(EXACT))
            }
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.replace('.', "").trim_end_matches('0').to_owned();
        let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
        Self { digits, point }
    }

    fn len(&self) -> usize {
        self.digits.len()
    }

    /// Digits behind the point.
    fn fraction(&self) -> usize {
        let point = usize::try_from(self.point).unwrap_or(0);
        let leading = usize::try_from(-self.point).unwrap_or(0);
        (self.len() + leading).saturating_sub(point)
    }

    fn digit(&self, at: i32) -> char {
        let digit = usize::try_from(at).ok().and_then(|at| self.digits.as_bytes().get(at));
        char::from(digit.copied().unwrap_or(b'0'))
    }

    /// `d.ddde+dd`
    fn scientific(&self, precision: usize, mark: char) -> String {
        let mut text = String::from(self.digit(0));
        if precision > 0 {
            text.push('.');
            let rest = self.digits.get(1..).unwrap_or_default();
            text.push_str(&rest[..rest.len().min(precision)]);
            text.extend(std::iter::repeat_n('0', precision.saturating_sub(rest.len())));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        text + &format!("{mark}{sign}{:02}", exponent.abs())
    }

    /// `ddd.ddd`
    fn positional(&self, precision: usize) -> String {
        let mut text: String = (0..self.point).map(|at| self.digit(at)).collect();
        if text.is_empty() {
            text.push('0');
        }
        if precision > 0 {
            text.push('.');
            let end = i32::try_from(precision).unwrap_or(i32::MAX);
            text.extend((0..end).map(|at| self.digit(self.point.saturating_add(at))));
        }
        text
    }

    /// The shorter of both, by Go's rule.
    fn general(&self, precision: Option<usize>, mark: char) -> String {
        let count = i32::try_from(self.len()).unwrap_or(i32::MAX);
        let wanted = precision.map(|precision| precision.max(1));
        let limit = match wanted.map(|wanted| i32::try_from(wanted).unwrap_or(i32::MAX)) {
            None => 6,
            Some(wanted) if wanted > count && count >= self.point => count,
            Some(wanted) => wanted,
        };
        let exponent = self.point - 1;
        if exponent < -4 || exponent >= limit {
            let digits = wanted.unwrap_or(self.len()).min(self.len());
            return self.scientific(digits.saturating_sub(1), mark);
        }
        self.positional(self.fraction())
    }
}

/// The bits of a float: mantissa, exponent, size of the mantissa.
fn parts(size: f64, single: bool) -> (u64, i32, u32) {
    #[expect(clippy::cast_possible_truncation)] // the value is one of a float32
    let (bits, width, biased, bias) = if single {
        let bits = u64::from((size as f32).to_bits());
        (bits, 23, (bits >> 23) & 0xff, 127)
    } else {
        let bits = size.to_bits();
        (bits, 52, (bits >> 52) & 0x7ff, 1023)
    };
    let fraction = bits & ((1 << width) - 1);
    let biased = i32::try_from(biased).unwrap_or(0);
    if biased == 0 {
        return (fraction, 1 - bias, width);
    }
    (fraction | 1 << width, biased - bias, width)
}

/// `4503599627370496p-52`
fn binary(size: f64, single: bool) -> String {
    let (mantissa, exponent, width) = parts(size, single);
    let exponent = exponent - i32::try_from(width).unwrap_or(0);
    format!("{mantissa}p{exponent:+}")
}

/// `0x1.8p+01`
fn hexadecimal(size: f64, precision: Option<usize>, single: bool, verb: char) -> String {
    let (mut mantissa, mut exponent, width) = parts(size, single);
    if mantissa == 0 {
        exponent = 0;
    }
    // The leading one goes to bit 60.
    mantissa <<= 60 - width;
    while mantissa != 0 && mantissa & (1 << 60) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(digits @ 0..15) = precision {
        let shift = digits * 4;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let lead = (mantissa >> 60) & 1;
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) => {
            format!("{digits:0<precision$.precision$}", precision = precision.min(EXACT))
        }
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let mut text = format!("0x{lead}{point}{fraction}p{sign}{:02}", exponent.abs());
    if verb == 'X' {
        text.make_ascii_uppercase();
    }
    text
}
