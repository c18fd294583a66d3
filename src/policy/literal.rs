//! The one place where text becomes part of a CEL expression.

use std::fmt::Write as _;

/// A CEL string literal that means exactly `text`.
///
/// Only plain characters are written as they are; everything else, quotes, backslashes, control characters and
/// all that is not ASCII, is written as its code point, so that no text can end the literal or start something.
pub(crate) fn text(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || " _-./:@=,;+()[]{}<>|*#%!?~^&$".contains(c) {
            literal.push(c);
        } else if u32::from(c) <= 0xffff {
            let _ = write!(literal, "\\u{:04x}", u32::from(c));
        } else {
            let _ = write!(literal, "\\U{:08x}", u32::from(c));
        }
    }
    literal.push('\'');
    literal
}

/// A CEL list of string literals.
pub(crate) fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.into_iter().map(text).collect();
    format!("[{}]", items.join(", "))
}

/// Whether one of the alternatives holds: unrolled, which costs the API server less than a list. Nothing holds
/// when there is none.
pub(crate) fn any_of(alternatives: impl IntoIterator<Item = String>) -> String {
    joined(alternatives, " || ", "false")
}

/// Whether all of the conditions hold.
pub(crate) fn all_of(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " && ", "true")
}

/// A condition in which `name` stands for a value that is evaluated once. CEL has no `let`: it is a walk over a
/// list of one.
pub(crate) fn bound(name: &str, value: &str, condition: &str) -> String {
    format!("[{value}].all({name}, {condition})")
}

fn joined(parts: impl IntoIterator<Item = String>, by: &str, none: &str) -> String {
    let parts: Vec<_> = parts.into_iter().collect();
    match parts.len() {
        0 => none.to_owned(),
        _ => format!("({})", parts.join(by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_end_a_literal_is_written_as_its_code_point() {
        assert_eq!(text("registry.corp:5000/a_b"), "'registry.corp:5000/a_b'");
        assert_eq!(text("'"), r"'\u0027'");
        assert_eq!(text("\\"), r"'\u005c'");
        assert_eq!(text("a\nb\r\t\0"), r"'a\u000ab\u000d\u0009\u0000'");
        assert_eq!(text("\"`"), r"'\u0022\u0060'");
        assert_eq!(text("é\u{2028}😀"), r"'\u00e9\u2028\U0001f600'");
        assert_eq!(texts(["a", "b'"]), r"['a', 'b\u0027']");
        assert_eq!((any_of([]), all_of([])), ("false".to_owned(), "true".to_owned()));
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_literal(input in any_text()) {
            let literal = text(&input);
            let inner = &literal[1..literal.len() - 1];
            prop_assert!(literal.is_ascii());
            prop_assert!(!inner.contains(['\'', '"', '`', '\n', '\r']));
            // Each backslash begins an escape of ours.
            for (at, _) in inner.match_indices('\\') {
                let rest = &inner[at + 1..];
                let digits = if rest.starts_with('u') { 4 } else { 8 };
                prop_assert!(rest.starts_with(['u', 'U']));
                prop_assert!(rest[1..=digits].bytes().all(|b| b.is_ascii_hexdigit()));
            }
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop::collection::vec(any_char(), 0..24).prop_map(|chars| chars.into_iter().collect())
    }

    fn any_char() -> impl Strategy<Value = char> {
        prop_oneof![
            prop::char::any(),
            prop::sample::select(vec!['\'', '"', '\\', '\n', '$', '{', '}', '`', '\0', '😀']),
        ]
    }
}
