//! Durations as Go writes them: `1h0m0s`, `1.5h`, `-3ms`, `0`.

use jiff::SignedDuration;

/// Nanoseconds of each unit, the longer names first where one is the start of another.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration without a sign, as flags have it.
///
/// # Errors
/// A text that says how to write one.
pub(crate) fn unsigned(text: &str) -> Result<std::time::Duration, String> {
    let digits_first = Some(text.trim()).filter(|text| !text.starts_with(['+', '-']));
    digits_first
        .and_then(parse)
        .and_then(|duration| duration.try_into().ok())
        .ok_or_else(|| format!("{text:?} is not a duration: write it like 90s, 5m or 1h30m"))
}

/// Reads a duration. `None` if it is none, or longer than about 292 years.
pub(crate) fn parse(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let (amount, after) = parse_part(rest)?;
        total = total.checked_add(amount)?;
        rest = after;
    }
    let nanos = i64::try_from(if negative { -total } else { total }).ok()?;
    Some(SignedDuration::from_nanos(nanos))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn parse_part(text: &str) -> Option<(i128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // "ms" must not be read as "m": the unit ends where the next number starts.
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits below a nanosecond of the longest unit cannot matter.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part: i64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some((i128::from(whole) * nanos + i128::from(part) * nanos / scale, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("1h0m0s", 3_600_000_000_000),
            ("1h15m30.918s", 4_530_918_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("-1m", -60_000_000_000),
            ("10ns11us12µs13μs14ms", 14_036_010),
            ("0.333333333333333333333s", 333_333_333),
        ] {
            assert_eq!(parse(text), Some(SignedDuration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in
            ["", "-", "+", ".", "3", "s", "1d", "1 h", "1h ", "1.2.3s", "9999999999h", "--1s"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
