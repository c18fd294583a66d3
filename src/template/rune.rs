//! Go's view of text: bytes that may be UTF-8, read rune by rune.

use std::sync::LazyLock;

use regex::Regex;

/// The first rune and its width in bytes: U+FFFD and 1 where the bytes are no UTF-8. None at the end.
pub fn first(bytes: &[u8]) -> Option<(char, usize)> {
    let byte = *bytes.first()?;
    if byte < 0x80 {
        return Some((char::from(byte), 1));
    }
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    Some(valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

/// True when the rune that [`first`] gave stands for a byte that is no UTF-8.
pub fn is_invalid(rune: char, width: usize) -> bool {
    rune == char::REPLACEMENT_CHARACTER && width == 1
}

/// Runes with the offsets at which they start, as Go's `range` over a string gives them.
pub fn runes(bytes: &[u8]) -> impl Iterator<Item = (usize, char, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (rune, width) = first(&bytes[at..])?;
        let start = at;
        at += width;
        Some((start, rune, width))
    })
}

/// Number of runes.
pub fn count(bytes: &[u8]) -> usize {
    runes(bytes).count()
}

/// Go's `unicode.IsLetter` or `unicode.IsDigit`, or an underscore: what names are made of.
pub fn is_name(rune: char) -> bool {
    if rune.is_ascii() {
        return rune == '_' || rune.is_ascii_alphanumeric();
    }
    NAME.as_ref().is_some_and(|class| matches(class, rune))
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the space.
pub fn is_printable(rune: char) -> bool {
    if rune.is_ascii() {
        return (' '..='~').contains(&rune);
    }
    PRINTABLE.as_ref().is_some_and(|class| matches(class, rune))
}

fn matches(class: &Regex, rune: char) -> bool {
    class.is_match(rune.encode_utf8(&mut [0; 4]))
}

static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A[\p{L}\p{Nd}]\z").ok());
static PRINTABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\A[\p{L}\p{M}\p{N}\p{P}\p{S}]\z").ok());
