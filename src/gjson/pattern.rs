//! `*` and `?` in keys and in queries.

use super::{PropertyError, work::Work};

/// Whether a text matches a pattern of `*`, `?` and, after a backslash, literal characters.
pub(crate) fn matches(text: &str, pattern: &str, work: &Work) -> Result<bool, PropertyError> {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&next) = text.get(t) {
        work.spend(1)?;
        let (literal, width) = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => (Some(next), 1),
            Some('\\') => (pattern.get(p + 1).copied(), 2),
            other => (other.copied(), 1),
        };
        if literal == Some(next) {
            t += 1;
            p += width;
        } else if let Some((star_at, from)) = star {
            // Let the last star take one character more.
            star = Some((star_at, from + 1));
            t = from + 1;
            p = star_at + 1;
        } else {
            return Ok(false);
        }
    }
    Ok(pattern.iter().skip(p).all(|c| *c == '*'))
}
