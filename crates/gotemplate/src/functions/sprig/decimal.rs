//! Decimal numbers of any length, for `addf` and its kin: sums without binary rounding.

use std::cmp::Ordering;

/// `digits * 10^exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Most significant first, no zeros in front; none of zero.
    digits: Vec<u8>,
    exponent: i32,
}

/// Digits after the point that a quotient is rounded to.
const QUOTIENT_PLACES: i32 = 16;

impl Decimal {
    /// The shortest decimal that stands for the float; none of infinities and what is no number.
    pub(super) fn from_float(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        if number == 0.0 {
            return Some(Self { negative: false, digits: Vec::new(), exponent: 0 });
        }
        let shown = format!("{:e}", number.abs());
        let (mantissa, exponent) = shown.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().ok()?;
        let digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        let places = i32::try_from(fraction.len()).ok()?;
        Some(Self { negative: number < 0.0, digits, exponent: exponent - places })
    }

    /// The nearest float.
    pub(super) fn to_float(&self) -> f64 {
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let magnitude: f64 = format!("0{digits}e{}", self.exponent).parse().unwrap_or(f64::NAN);
        if self.negative { -magnitude } else { magnitude }
    }

    /// Number of digits: what calculating with it costs.
    pub(super) fn length(&self) -> usize {
        self.digits.len()
    }

    /// How many digits a sum with the other one has at most.
    pub(super) fn aligned_length(&self, other: &Self) -> usize {
        let gap = usize::try_from((self.exponent - other.exponent).unsigned_abs()).unwrap_or(0);
        self.length().max(other.length()) + gap + 1
    }

    /// Sum.
    pub(super) fn add(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let (one, two) = (self.scaled(exponent), other.scaled(exponent));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, sum(&one, &two))
        } else {
            match compare(&one, &two) {
                Ordering::Less => (other.negative, difference(&two, &one)),
                _ => (self.negative, difference(&one, &two)),
            }
        };
        Self::new(negative, digits, exponent)
    }

    /// Difference.
    pub(super) fn subtract(&self, other: &Self) -> Self {
        self.add(&Self { negative: !other.negative, ..other.clone() })
    }

    /// Product.
    pub(super) fn multiply(&self, other: &Self) -> Self {
        let digits = product(&self.digits, &other.digits);
        Self::new(
            self.negative != other.negative,
            digits,
            self.exponent.saturating_add(other.exponent),
        )
    }

    /// Quotient, rounded half away from zero to 16 places; none of a division by zero.
    pub(super) fn divide(&self, other: &Self) -> Option<Self> {
        if other.digits.is_empty() {
            return None;
        }
        // The quotient counts in units of 10^-16.
        let shift = self.exponent.saturating_sub(other.exponent).saturating_add(QUOTIENT_PLACES);
        let (mut dividend, mut divisor) = (self.digits.clone(), other.digits.clone());
        let zeros = usize::try_from(shift.unsigned_abs()).ok()?;
        let scaled = if shift < 0 { &mut divisor } else { &mut dividend };
        if !scaled.is_empty() {
            scaled.resize(scaled.len() + zeros, 0);
        }
        let (mut quotient, rest) = quotient(&dividend, &divisor);
        if compare(&sum(&rest, &rest), &divisor) != Ordering::Less {
            quotient = sum(&quotient, &[1]);
        }
        Some(Self::new(self.negative != other.negative, quotient, -QUOTIENT_PLACES))
    }

    fn new(negative: bool, digits: Vec<u8>, exponent: i32) -> Self {
        // Zeros at the end say nothing and cost time.
        let mut digits = digits;
        let mut exponent = exponent;
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent }
    }

    /// The digits in units of a smaller power of ten.
    fn scaled(&self, exponent: i32) -> Vec<u8> {
        let mut digits = self.digits.clone();
        let zeros = usize::try_from(self.exponent - exponent).unwrap_or(0);
        if !digits.is_empty() {
            digits.resize(digits.len() + zeros, 0);
        }
        digits
    }
}

fn without_leading_zeros(mut digits: Vec<u8>) -> Vec<u8> {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
    digits
}

fn compare(one: &[u8], two: &[u8]) -> Ordering {
    one.len().cmp(&two.len()).then_with(|| one.cmp(two))
}

fn sum(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut digits: Vec<u8> = (0..=one.len().max(two.len()))
        .map(|place| {
            let digit = digit(one, place) + digit(two, place) + carry;
            carry = digit / 10;
            digit % 10
        })
        .collect();
    digits.reverse();
    without_leading_zeros(digits)
}

/// Of a number and one that is not larger.
fn difference(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = (0..one.len())
        .map(|place| {
            let (upper, lower) = (digit(one, place) + 10, digit(two, place) + borrow);
            let digit = upper - lower;
            borrow = u8::from(digit < 10);
            digit % 10
        })
        .collect();
    digits.reverse();
    without_leading_zeros(digits)
}

fn product(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut sums = vec![0_u32; one.len() + two.len()];
    for (i, a) in one.iter().rev().enumerate() {
        for (j, b) in two.iter().rev().enumerate() {
            sums[i + j] += u32::from(a * b);
        }
    }
    let mut carry = 0;
    let mut digits: Vec<u8> = sums
        .into_iter()
        .map(|sum| {
            let sum = sum + carry;
            carry = sum / 10;
            u8::try_from(sum % 10).unwrap_or(0)
        })
        .collect();
    digits.reverse();
    without_leading_zeros(digits)
}

/// Whole quotient and rest, digit by digit as on paper.
fn quotient(dividend: &[u8], divisor: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut digits, mut rest) = (Vec::with_capacity(dividend.len()), Vec::new());
    for &next in dividend {
        if next != 0 || !rest.is_empty() {
            rest.push(next);
        }
        let mut digit = 0;
        while compare(&rest, divisor) != Ordering::Less {
            rest = difference(&rest, divisor);
            digit += 1;
        }
        digits.push(digit);
    }
    (without_leading_zeros(digits), rest)
}

/// The digit at a place counted from the right, 0 beyond the left end.
fn digit(digits: &[u8], place: usize) -> u8 {
    digits.len().checked_sub(place + 1).map_or(0, |at| digits[at])
}
