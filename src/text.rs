//! Texts for people.

/// The start of a text in at most so many bytes, with dots where something is missing.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(longest.saturating_sub(3))])
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
