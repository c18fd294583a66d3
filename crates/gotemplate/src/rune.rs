//! Go's view of text: bytes that may be UTF-8, read rune by rune.

use std::sync::LazyLock;

use regex_syntax::hir::{self, HirKind};

/// The first rune and its width in bytes: U+FFFD and 1 where the bytes are no UTF-8. None at the end.
pub(crate) fn first(bytes: &[u8]) -> Option<(char, usize)> {
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
pub(crate) fn is_invalid(rune: char, width: usize) -> bool {
    rune == char::REPLACEMENT_CHARACTER && width == 1
}

/// Runes with the offsets at which they start, as Go's `range` over a string gives them.
pub(crate) fn runes(bytes: &[u8]) -> impl Iterator<Item = (usize, char, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (rune, width) = first(&bytes[at..])?;
        let start = at;
        at += width;
        Some((start, rune, width))
    })
}

/// Number of runes.
pub(crate) fn count(bytes: &[u8]) -> usize {
    runes(bytes).count()
}

/// Go's `unicode.IsLetter` or `unicode.IsDigit`, or an underscore: what names are made of.
pub(crate) fn is_name(rune: char) -> bool {
    static NAME: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"[\p{L}\p{Nd}]"));
    if rune.is_ascii() { rune == '_' || rune.is_ascii_alphanumeric() } else { NAME.contains(rune) }
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the space.
pub(crate) fn is_printable(rune: char) -> bool {
    static PRINTABLE: LazyLock<RuneClass> =
        LazyLock::new(|| RuneClass::new(r"[\p{L}\p{M}\p{N}\p{P}\p{S}]"));
    if rune.is_ascii() { (' '..='~').contains(&rune) } else { PRINTABLE.contains(rune) }
}

/// A class of runes, such as Unicode's letters, to be made once and asked often.
pub(crate) struct RuneClass(Box<[(char, char)]>);

impl RuneClass {
    /// From a class in the syntax of regular expressions: `[\p{L}\p{Nd}]`. Anything else is the empty class.
    pub(crate) fn new(syntax: &str) -> Self {
        let parsed = regex_syntax::parse(syntax).map(regex_syntax::hir::Hir::into_kind);
        let ranges = match &parsed {
            Ok(HirKind::Class(hir::Class::Unicode(class))) => class.ranges(),
            _ => &[],
        };
        Self(ranges.iter().map(|range| (range.start(), range.end())).collect())
    }

    /// True of the class's runes.
    pub(crate) fn contains(&self, rune: char) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= rune);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| rune <= *end)
    }
}
