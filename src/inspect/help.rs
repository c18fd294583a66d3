//! What a reason means and what to do about it, from the page that lists all reasons.

const PAGE: &str = include_str!("../../docs/reasons.md");

/// Meaning and remedy of the first word in the texts that is a reason.
pub(crate) fn of<'a>(
    texts: impl IntoIterator<Item = &'a str>,
) -> Option<(&'static str, &'static str)> {
    texts.into_iter().flat_map(words).find_map(row)
}

/// The first word of a text that is a reason of that page.
pub(crate) fn reason(text: &str) -> Option<&str> {
    words(text).find(|word| row(word).is_some())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 3)
}

fn row(reason: &str) -> Option<(&'static str, &'static str)> {
    PAGE.lines().find_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let found = cells.next()?.strip_prefix('`')?.strip_suffix('`')? == reason;
        let (meaning, remedy) = (cells.next()?, cells.next()?);
        found.then_some((meaning, remedy))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_in_the_page_and_a_word_that_is_none_is_not() {
        let (meaning, remedy) = of(["no reason here", "AccessDenied: denied"]).unwrap();
        assert!(meaning.contains("identity") && remedy.contains("IAM"), "{meaning} {remedy}");
        assert!(of(["nothing", ""]).is_none());
        assert_eq!(reason("data[0]: AccessDenied: denied"), Some("AccessDenied"));
        assert_eq!(reason("data[0]: denied"), None);
    }
}
