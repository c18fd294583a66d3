//! The order of keys in YAML that Go writes: numbers inside texts count as numbers.

use std::cmp::Ordering;

use crate::functions::sprig::unicode;

/// The entries by their keys. The order is none, mathematically (`a01`, `a10` and `a1b` go in a circle), and the
/// standard library's sort may panic on such: this one only ever compares.
pub(super) fn sorted<T>(mut entries: Vec<(String, T)>) -> Vec<(String, T)> {
    if entries.len() < 2 {
        return entries;
    }
    let second = sorted(entries.split_off(entries.len() / 2));
    let (mut first, mut second) =
        (sorted(entries).into_iter().peekable(), second.into_iter().peekable());
    let mut merged = Vec::with_capacity(first.len() + second.len());
    while let (Some((one, _)), Some((two, _))) = (first.peek(), second.peek()) {
        let next =
            if compare(one, two) == Ordering::Greater { second.next() } else { first.next() };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

/// `a9` before `a10`, letters after everything else.
fn compare(one: &str, two: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    match (unicode::is_letter(a[at]), unicode::is_letter(b[at])) {
        (true, true) => return a[at].cmp(&b[at]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero behind other digits does not lead.
    let before = a[..at].iter().rev().take_while(|rune| unicode::is_digit(**rune));
    let inside = (a[at] == '0' || b[at] == '0') && before.clone().any(|digit| *digit != '0');
    let (first, first_digits) = number(&a[at..], inside);
    let (second, second_digits) = number(&b[at..], inside);
    first.cmp(&second).then(first_digits.cmp(&second_digits)).then_with(|| a[at].cmp(&b[at]))
}

/// Value and length of the digits at the start.
fn number(runes: &[char], inside: bool) -> (i64, usize) {
    let digits = runes.iter().take_while(|rune| unicode::is_digit(**rune));
    let value = digits.clone().fold(i64::from(inside), |value, digit| {
        let digit = i64::from(u32::from(*digit)) - i64::from(u32::from('0'));
        value.wrapping_mul(10).wrapping_add(digit)
    });
    (value, digits.count())
}
