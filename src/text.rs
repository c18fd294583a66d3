//! Texts for people.

/// The start of a text in at most so many bytes, with dots where something is missing.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(longest.saturating_sub(3))])
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_only_if_it_is_too_long() {
        for (text, longest, want) in [
            ("", 0, ""),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc..."),
            ("ééé", 5, "é..."),
            ("🦀🦀", 7, "🦀..."),
            ("🦀🦀", 6, "..."),
        ] {
            assert_eq!(shortened(text, longest), want, "{text} in {longest}");
        }
    }
}
