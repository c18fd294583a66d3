//! Regular expressions of Go: its syntax, its matches, its replacements.
//!
//! The engine is the `regex` crate, which finds the same leftmost matches in linear time. `syntax` rewrites what the
//! two read differently; iteration and replacement are Go's, because they differ as well.

mod replacement;
mod syntax;

use regex::bytes::{Captures, Regex, RegexBuilder};

pub use replacement::Replacement;

/// Why a text is no regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Go refuses its syntax.
    Syntax,
    /// Its compiled form is larger than allowed.
    Size,
}

/// A compiled regular expression.
pub struct Regexp {
    regex: Regex,
    empty: bool,
}

impl Regexp {
    /// Compiles a regular expression in Go's syntax into at most so many bytes.
    pub fn compile(pattern: &str, size: usize) -> Result<Self, Refusal> {
        let translated = syntax::translate(pattern).ok_or(Refusal::Syntax)?;
        let built = RegexBuilder::new(&translated).size_limit(size).dfa_size_limit(size).build();
        match built {
            Ok(regex) => Ok(Self { regex, empty: pattern.is_empty() }),
            Err(regex::Error::CompiledTooBig(_)) => Err(Refusal::Size),
            Err(_) => Err(Refusal::Syntax),
        }
    }

    /// True when it matches anywhere.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// True of the empty expression, of which `Split` makes an exception.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// The matches one after another, as Go's `FindAll` gives them. An empty match right behind another one does
    /// not count.
    pub(crate) fn matches<'m, 't>(&'m self, text: &'t [u8]) -> Matches<'m, 't> {
        Matches { regexp: self, text, at: 0, previous_end: None }
    }

    /// Every match replaced, as Go's `ReplaceAllString`.
    pub fn replace_all(&self, text: &[u8], replacement: &Replacement) -> Vec<u8> {
        self.replace_all_within(text, replacement, usize::MAX).unwrap_or_default()
    }

    /// The same, or `None` as soon as what it makes is longer than `most` bytes.
    pub fn replace_all_within(
        &self,
        text: &[u8],
        replacement: &Replacement,
        most: usize,
    ) -> Option<Vec<u8>> {
        let (mut out, mut end) = (Vec::with_capacity(text.len()), 0);
        for found in self.matches(text) {
            let Some(whole) = found.get(0) else { continue };
            out.extend(&text[end..whole.start()]);
            replacement.append(&mut out, &found);
            end = whole.end();
            if out.len() > most {
                return None;
            }
        }
        out.extend(&text[end..]);
        (out.len() <= most).then_some(out)
    }
}

/// Iterator of [`Regexp::matches`].
pub(crate) struct Matches<'m, 't> {
    regexp: &'m Regexp,
    text: &'t [u8],
    at: usize,
    previous_end: Option<usize>,
}

impl Matches<'_, '_> {
    /// Bytes that the next search may look at.
    pub(crate) fn remaining(&self) -> usize {
        self.text.len().saturating_sub(self.at)
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Captures<'t>;

    fn next(&mut self) -> Option<Captures<'t>> {
        while self.at <= self.text.len() {
            let found = self.regexp.regex.captures_at(self.text, self.at)?;
            let whole = found.get(0)?;
            let (start, end) = (whole.start(), whole.end());
            if start == end && is_inside_rune(self.text, start) {
                self.at = start + 1;
                continue;
            }
            let repeated = start == end && Some(start) == self.previous_end;
            self.at = if end == self.at && start == end {
                end + super::rune::first(&self.text[end..]).map_or(1, |(_, width)| width)
            } else {
                end
            };
            self.previous_end = Some(end);
            if !repeated {
                return Some(found);
            }
        }
        None
    }
}

/// True between the bytes of one rune, where Go never looks.
fn is_inside_rune(text: &[u8], at: usize) -> bool {
    (1..4.min(at + 1))
        .any(|back| super::rune::first(&text[at - back..]).is_some_and(|(_, width)| width > back))
}

/// Go's `regexp.QuoteMeta`.
pub(crate) fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if br"\.+*?()|[]{}^$".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(pattern: &str) -> Regexp {
        Regexp::compile(pattern, 1 << 20).ok().unwrap()
    }

    fn replaced(pattern: &str, text: &str, replacement: &str) -> String {
        let replacement = Replacement::expanding(replacement.as_bytes());
        let bytes = compiled(pattern).replace_all(text.as_bytes(), &replacement);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn groups_are_named_by_the_longest_name() {
        assert_eq!(replaced("(a)(b)?", "ab", "$1x|${1}x|$2|$3|$$|$"), "|ax|b||$|$");
        assert_eq!(replaced("(?P<n>a)", "a", "$n ${n}s $ns $01 ${n"), "a as   ${n");
    }

    #[test]
    fn classes_are_those_of_ascii() {
        assert_eq!(replaced(r"\d+", "1٣2", "#"), "#٣#");
        assert_eq!(replaced(r"\w", "aé_", "#"), "#é#");
        assert_eq!(replaced(r"\s", "\u{b}\u{a0}\t", "#"), "\u{b}\u{a0}#");
        assert_eq!(replaced(r"\b", "é a", "|"), "é |a|");
    }

    #[test]
    fn empty_matches_stand_between_runes() {
        assert_eq!(replaced("", "aé", "-"), "-a-é-");
        assert_eq!(replaced("a*", "baac", "x"), "xbxcx");
        assert_eq!(replaced(r"\B", "aé", "|"), "aé|");
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in
            ["a**", "a{1001}", "(?x)a", r"\Z", r"(?=a)", r"\1", "(", "[b-a]", "*", r"\u0041"]
        {
            assert!(Regexp::compile(pattern, 1 << 20).is_err(), "{pattern}");
        }
        assert_eq!(Regexp::compile("((a{100}){100}){10}", 1 << 14).err(), Some(Refusal::Size));
    }

    #[test]
    fn what_only_go_reads_so_is_read_so() {
        assert_eq!(replaced(r"\Qa.b\E+", "a.bb", "x"), "x");
        assert_eq!(replaced("[a&&b]", "a&b", "x"), "xxx");
        assert_eq!(replaced("a{,2}", "a{,2}aa", "x"), "xaa");
        assert_eq!(replaced("[]a]", "]a", "x"), "xx");
        assert_eq!(replaced(r"\<a\>", "<a>", "x"), "x");
    }
}
