//! Durations on the command line, as Go writes them: `90s`, `1h30m`, `1.5h`.

use std::time::Duration;

use crate::duration;

/// Parses a Go duration without a sign.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let unsigned = Some(text.trim()).filter(|text| !text.starts_with(['+', '-']));
    unsigned
        .and_then(duration::parse)
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("{text:?} is not a duration: write it like 90s, 5m or 1h30m"))
}
