//! Go's package `unicode`: classes and simple case mappings of runes.

use std::sync::LazyLock;

use crate::rune::RuneClass;

/// Go's `unicode.IsSpace`.
pub(crate) fn is_space(rune: char) -> bool {
    matches!(
        rune,
        '\t'..='\r' | ' ' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
            | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Go's `unicode.IsLetter`.
pub(crate) fn is_letter(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_alphabetic() } else { LETTER.contains(rune) }
}

/// Go's `unicode.IsUpper`.
pub(crate) fn is_upper(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_uppercase() } else { UPPER.contains(rune) }
}

/// Go's `unicode.IsLower`.
pub(crate) fn is_lower(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_lowercase() } else { LOWER.contains(rune) }
}

/// Go's `unicode.IsTitle`.
pub(crate) fn is_title(rune: char) -> bool {
    !rune.is_ascii() && TITLE.contains(rune)
}

/// Go's `unicode.IsDigit`.
pub(crate) fn is_digit(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_digit() } else { DIGIT.contains(rune) }
}

/// Go's `unicode.IsNumber`.
pub(crate) fn is_number(rune: char) -> bool {
    if rune.is_ascii() { rune.is_ascii_digit() } else { NUMBER.contains(rune) }
}

/// Go's `unicode.IsPunct`.
pub(crate) fn is_punctuation(rune: char) -> bool {
    PUNCTUATION.contains(rune)
}

/// Go's `unicode.ToUpper`: one rune for one.
pub(crate) fn to_upper(rune: char) -> char {
    let mut upper = rune.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        // Where the full mapping has several runes, the simple one is the letter with iota below.
        _ => greek_title(rune).unwrap_or(rune),
    }
}

/// Go's `unicode.ToLower`: one rune for one.
pub(crate) fn to_lower(rune: char) -> char {
    if rune == '\u{130}' {
        return 'i';
    }
    let mut lower = rune.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => rune,
    }
}

/// Go's `unicode.ToTitle`: one rune for one.
pub(crate) fn to_title(rune: char) -> char {
    match rune {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals only for whole words.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => rune,
        _ => to_upper(rune),
    }
}

/// The letter with a subscript iota whose upper case is that of its base and a capital iota.
fn greek_title(rune: char) -> Option<char> {
    let code = u32::from(rune);
    match code {
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => char::from_u32(code + 8),
        0x1fb3 | 0x1fc3 | 0x1ff3 => char::from_u32(code + 9),
        _ => None,
    }
}

static LETTER: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{L}"));
static UPPER: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{Lu}"));
static LOWER: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{Ll}"));
static TITLE: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{Lt}"));
static DIGIT: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{Nd}"));
static NUMBER: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{N}"));
static PUNCTUATION: LazyLock<RuneClass> = LazyLock::new(|| RuneClass::new(r"\p{P}"));
