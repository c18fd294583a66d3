//! One instruction of a Dockerfile.

use super::here_documents::{self, Document};
use super::words;

/// An instruction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instruction {
    /// Its name, in upper case.
    pub(crate) name: String,
    /// Its flags, such as `--from=build`.
    pub(crate) flags: Vec<String>,
    /// What follows: continued lines are joined, comments between them left out.
    pub(crate) text: String,
    /// The same where it is a list in JSON.
    pub(crate) list: Option<Vec<String>>,
    /// Its here-documents.
    pub(crate) documents: Vec<Document>,
    /// The instruction that ONBUILD keeps for later.
    pub(crate) later: Option<Box<Instruction>>,
    /// The byte at which it starts.
    pub(crate) start: usize,
    /// Its lines, counted from 1, here-documents included.
    pub(crate) lines: (usize, usize),
    /// The last of its lines before its here-documents.
    pub(crate) last: usize,
    /// The character that escapes others.
    pub(crate) escape: char,
}

/// Why a text is no Dockerfile, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) problem: String,
}

impl Instruction {
    /// The value of a flag.
    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find_map(|flag| {
            let flag = flag.strip_prefix("--")?;
            let (own, value) = flag.split_once('=').unwrap_or((flag, ""));
            (own == name).then_some(value)
        })
    }

    /// What it mounts, each as it is written.
    pub(crate) fn mounts(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().filter_map(|flag| flag.strip_prefix("--mount="))
    }

    /// Its words: those of the list, or what blanks separate.
    pub(crate) fn words(&self) -> Vec<String> {
        match &self.list {
            Some(list) => list.clone(),
            None => words::split(&self.text),
        }
    }

    /// What COPY and ADD put into the image, here-documents left out.
    pub(crate) fn sources(&self) -> Vec<String> {
        let mut words = self.words();
        words.pop();
        words.retain(|word| !matches!(here_documents::of(word), Ok(Some(_))));
        if self.list.is_none() {
            // Quotes and escapes are no part of a name; what cannot be read stays as it is.
            for word in &mut words {
                *word = words::plain(word, self.escape).unwrap_or_else(|_| word.clone());
            }
        }
        words
    }

    /// Names with their values as they are written, quotes included; `None` where there is no value.
    pub(crate) fn assignments(&self) -> Vec<(String, Option<String>)> {
        let words = words::raw(&self.text, self.escape);
        if self.name != "ARG" && words.first().is_some_and(|first| !first.contains('=')) {
            // `ENV NAME the rest is the value`
            let (name, value) = words::cut(&self.text);
            return vec![(name.to_owned(), Some(value.to_owned()))];
        }
        let pair = |word: &String| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.clone(), None),
        };
        words.iter().map(pair).collect()
    }

    /// Itself, or what ONBUILD keeps.
    pub(crate) fn kept(&self) -> &Self {
        self.later.as_deref().unwrap_or(self)
    }
}
