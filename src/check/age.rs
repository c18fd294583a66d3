//! Spans of time as baselines write them, and ages of reports.

use jiff::Timestamp;

/// Seconds of a Go duration such as `168h` or `1h30m`.
pub(crate) fn seconds(text: &str) -> Result<i64, String> {
    let (mut total, mut number) = (0_i64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let factor = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => 0,
        };
        let count: Option<i64> = number.parse().ok().filter(|_| factor > 0);
        let more = count.and_then(|count| count.checked_mul(factor));
        let sum = more.and_then(|more| total.checked_add(more));
        total =
            sum.ok_or_else(|| format!("{text:?} is not hours, minutes and seconds like 168h"))?;
        number.clear();
    }
    if number.is_empty() && !text.is_empty() {
        return Ok(total);
    }
    Err(format!("{text:?} has no unit: write it like 168h"))
}

/// Age in seconds of what was made at this time; `None` for what is no time.
pub(crate) fn of(made: &str, now: Timestamp) -> Option<i64> {
    let made: Timestamp = made.parse().ok()?;
    Some(now.as_second() - made.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_ages_are_seconds() {
        assert_eq!(seconds("168h"), Ok(604_800));
        assert_eq!(seconds("1h30m5s"), Ok(5405));
        assert!(seconds("5").is_err() && seconds("").is_err() && seconds("1.5h").is_err());
        assert!(seconds("99999999999999999999h").is_err() && seconds("3d").is_err());
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        assert_eq!(of("2026-01-01T01:00:00.5+01:00", now), Some(3600));
        assert_eq!(of("yesterday", now), None);
    }
}
