//! Kubernetes quantities, compared exactly.
//!
//! A quantity is held in billionths, the finest unit that Kubernetes keeps; finer fractions are rounded up and
//! values beyond 2^63-1 are capped, as the API server does.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;
const CAP: i128 = (i64::MAX as i128) * NANO;
const MAX_FRACTION: usize = 18;

/// An exact amount.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    binary: bool,
}

impl Quantity {
    /// Nothing.
    pub(crate) const ZERO: Self = Self { nanos: 0, binary: false };

    /// A whole amount.
    pub(crate) fn whole(amount: i64) -> Self {
        Self { nanos: i128::from(amount) * NANO, binary: false }
    }

    /// Reads the text of a quantity; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (unit, binary) = unit(suffix)?;
        let nanos = magnitude(whole, fraction, unit)?;
        Some(Self { nanos: if negative { -nanos } else { nanos }, binary })
    }

    /// The sum, capped like any quantity.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        let nanos = self.nanos.saturating_add(other.nanos).clamp(-CAP, CAP);
        Self { nanos, binary: self.binary || other.binary }
    }

    /// So many times the amount, capped like any quantity.
    #[must_use]
    pub(crate) fn times(self, count: i64) -> Self {
        let nanos = self.nanos.saturating_mul(i128::from(count)).clamp(-CAP, CAP);
        Self { nanos, ..self }
    }

    /// A text that is the same for equal amounts, whatever their notation.
    pub(crate) fn exact(self) -> String {
        format!("{}n", self.nanos)
    }

    /// Whether the amount has no fraction.
    pub(crate) fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// Whether the amount is below zero.
    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }
}

/// Size of a suffix in billionths, and whether it is a power of two.
fn unit(suffix: &str) -> Option<(Unit, bool)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if let Some(power) = BINARY.iter().position(|s| *s == suffix) {
        let power = u32::try_from(power).ok()? + 1;
        return Some((Unit::Nanos(1024_i128.pow(power) * NANO), true));
    }
    if let Some(power) = DECIMAL.iter().position(|s| *s == suffix) {
        return Some((Unit::Nanos(1000_i128.pow(u32::try_from(power).ok()?)), false));
    }
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = digits.parse().ok()?;
    Some(match exponent {
        19.. => (Unit::Huge, false),
        -9..=18 => (Unit::Nanos(10_i128.pow(u32::try_from(exponent + 9).ok()?)), false),
        _ => (Unit::Tiny, false),
    })
}

#[derive(Clone, Copy)]
enum Unit {
    Nanos(i128),
    Huge,
    Tiny,
}

fn magnitude(whole: &str, fraction: &str, unit: Unit) -> Option<i128> {
    let zero = whole.bytes().chain(fraction.bytes()).all(|b| b == b'0');
    let unit = match unit {
        _ if zero => return Some(0),
        Unit::Huge => return Some(CAP),
        Unit::Tiny => return tiny(whole),
        Unit::Nanos(unit) => unit,
    };
    let whole = whole.trim_start_matches('0');
    if whole.len() > 28 {
        return Some(CAP);
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (kept, cut) = fraction.split_at(fraction.len().min(MAX_FRACTION));
    let sticky = i128::from(cut.bytes().any(|b| b != b'0'));
    let tenth = 10_i128.pow(u32::try_from(kept.len()).ok()?);
    let kept: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let part = share(kept, tenth, unit).saturating_add(sticky);
    Some(whole.saturating_mul(unit).saturating_add(part).min(CAP))
}

/// `kept / tenth * unit`, rounded up; the product is split so that it cannot overflow.
fn share(kept: i128, tenth: i128, unit: i128) -> i128 {
    let coarse = unit / NANO;
    if coarse == 0 {
        return (kept * unit + tenth - 1) / tenth;
    }
    let product = kept * coarse;
    (product / tenth) * NANO + ((product % tenth) * NANO + tenth - 1) / tenth
}

/// A number far below a billionth rounds up to one, unless it is so long that it is not below.
fn tiny(whole: &str) -> Option<i128> {
    (whole.trim_start_matches('0').len() < 2).then_some(1)
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: the largest suffix that leaves no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.binary && self.nanos % NANO == 0 {
            let mut amount = self.nanos / NANO;
            let mut suffix = "";
            for larger in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
                if amount % 1024 != 0 {
                    break;
                }
                amount /= 1024;
                suffix = larger;
            }
            return write!(f, "{amount}{suffix}");
        }
        let mut amount = self.nanos;
        let mut suffix = "n";
        for larger in ["u", "m", "", "k", "M", "G", "T", "P", "E"] {
            if amount % 1000 != 0 {
                break;
            }
            amount /= 1000;
            suffix = larger;
        }
        write!(f, "{amount}{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|| panic!("{text} is a quantity"))
    }

    #[test]
    fn equal_amounts_in_different_units_are_equal() {
        for (a, b) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1k", "1e3"),
            ("1E", "1e18"),
            ("1E3", "1000"),
            ("0.001Ki", "1024m"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+3", "3"),
            ("1e-3", "1m"),
            ("0Ei", "-0"),
            ("0.1n", "1n"),
            ("1e-20", "1n"),
            ("100E", "9223372036854775807"),
        ] {
            assert_eq!(q(a), q(b), "{a} {b}");
        }
        assert!(q("1Gi") > q("1G") && q("999m") < q("1") && q("-1") < q("0"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "12potatoes",
            "Ki",
            "1ki",
            "1 Gi",
            "1..2",
            "1.2.3",
            "--1",
            "e3",
            "1e",
            "1e+",
            "0x1",
            "1Mib",
            ".",
        ] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_text_is_the_canonical_one() {
        for (text, canonical) in [
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1536Mi", "1536Mi"),
            ("2000m", "2"),
            ("80Gi", "80Gi"),
            ("1e3", "1k"),
        ] {
            assert_eq!(q(text).to_string(), canonical);
        }
        assert_eq!(q("40Gi").plus(q("40960Mi")).to_string(), "80Gi");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_crash(text in "[-+]?[0-9.]{0,45}[a-zA-Z]{0,3}[0-9]{0,12}") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn the_canonical_text_means_the_same(
            whole in 0_u64..10_000_000_000, fraction in "[0-9]{0,9}",
            suffix in prop::sample::select(vec!["", "m", "k", "M", "Ki", "Mi", "Gi"]),
        ) {
            let text = if fraction.is_empty() { format!("{whole}{suffix}") } else { format!("{whole}.{fraction}{suffix}") };
            let parsed = q(&text);
            prop_assert_eq!(q(&parsed.to_string()), parsed);
        }

        #[test]
        fn order_agrees_with_whole_bytes(a in 0_i64..1 << 52, b in 0_i64..1 << 52) {
            prop_assert_eq!(q(&format!("{a}Ki")).cmp(&q(&format!("{b}Ki"))), a.cmp(&b));
            prop_assert_eq!(q(&format!("{a}Ki")), q(&(a * 1024).to_string()));
        }
    }
}
