//! The parser against BuildKit's own, over what `dev/dockerfiles` writes.

use serde::Deserialize;

use super::here_documents::Document;
use super::instruction::Instruction;
use super::parse::parse;
use super::words::{self, Bad, Values};

#[derive(Deserialize)]
struct Golden {
    files: Vec<File>,
    words: Vec<Word>,
}

#[derive(Deserialize)]
struct File {
    text: String,
    refused: bool,
    invalid: String,
    instructions: Vec<Wanted>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Wanted {
    name: String,
    lines: (usize, usize),
    flags: Vec<String>,
    arguments: Vec<String>,
    list: bool,
    documents: Vec<WantedDocument>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct WantedDocument {
    end: String,
    expands: bool,
    tabs: bool,
    number: u64,
    text: String,
}

#[derive(Deserialize)]
struct Word {
    text: String,
    escape: char,
    result: String,
    error: bool,
}

fn golden() -> Golden {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dockerfiles.json");
    let path = std::env::var("GOLDEN").unwrap_or_else(|_| own.to_owned());
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// The arguments as BuildKit's tree has them.
fn arguments(own: &Instruction) -> Vec<String> {
    if let Some(list) = own.list.clone().filter(|_| own.name != "HEALTHCHECK") {
        return list;
    }
    match own.name.as_str() {
        "ENV" | "LABEL" => {
            let raw = words::raw(&own.text, own.escape);
            let is_old = raw.first().is_some_and(|first| !first.contains('='));
            let sign = if is_old { "" } else { "=" };
            let pairs = own.assignments().into_iter();
            pairs
                .flat_map(|(name, value)| [name, value.unwrap_or_default(), sign.to_owned()])
                .collect()
        }
        "ARG" => words::raw(&own.text, own.escape),
        "ADD" | "COPY" | "EXPOSE" | "FROM" | "VOLUME" => own.words(),
        "HEALTHCHECK" => {
            let (kind, rest) = own.text.split_once(char::is_whitespace).unwrap_or((&own.text, ""));
            let rest = own.list.clone().unwrap_or_else(|| vec![rest.trim().to_owned()]);
            let all = std::iter::once(kind.to_owned()).chain(rest);
            all.filter(|word| !word.is_empty()).collect()
        }
        "ONBUILD" => {
            let later = own.later.iter();
            let parts = |later: &Instruction| {
                [vec![later.name.clone()], later.flags.clone(), arguments(later)].concat()
            };
            later.flat_map(|later| parts(later)).collect()
        }
        _ if own.text.is_empty() => Vec::new(),
        _ => vec![own.text.clone()],
    }
}

fn read(own: &Instruction) -> Wanted {
    let document = |d: &Document| WantedDocument {
        end: d.end.clone(),
        expands: d.expands,
        tabs: d.tabs,
        number: d.number,
        text: d.text.clone(),
    };
    Wanted {
        name: own.name.clone(),
        lines: own.lines,
        flags: own.flags.clone(),
        arguments: arguments(own),
        list: own.list.is_some(),
        documents: own.documents.iter().map(document).collect(),
    }
}

/// How a file is read differently; `None` if it is not.
fn difference(file: &File) -> Option<String> {
    let unread = file.refused || file.invalid == "build";
    match parse(&file.text) {
        Err(_) if unread || file.invalid == "flag" => None,
        Err(wrong) => Some(format!("{:?}\n  ours {wrong:?}\n  theirs reads it", file.text)),
        Ok(_) if unread => Some(format!("{:?}\n  ours reads it\n  theirs refuses it", file.text)),
        Ok(own) => {
            let found: Vec<_> = own.instructions.iter().map(read).collect();
            let wanted = &file.instructions;
            (found != *wanted)
                .then(|| format!("{:?}\n  ours {found:?}\n  theirs {wanted:?}", file.text))
        }
    }
}

fn none(wrong: &[String], of: usize) {
    let first: Vec<_> = wrong.iter().take(15).cloned().collect();
    assert!(wrong.is_empty(), "{} of {of} differ:\n{}", wrong.len(), first.join("\n"));
}

#[test]
fn dockerfiles_are_read_as_buildkit_reads_them() {
    let files = golden().files;
    let refused = files.iter().filter(|file| file.refused || file.invalid == "build").count();
    assert!(files.len() > 300 && refused > 100 && files.len() > refused + 300, "{}", files.len());
    let wrong: Vec<_> = files.iter().filter_map(difference).collect();
    none(&wrong, files.len());
}

/// The variables that the golden words know.
struct Known;

impl Values for Known {
    fn value(&self, name: &str) -> Result<Option<String>, Bad> {
        let known = [
            ("A", "one"),
            ("B", ""),
            ("V", "1.22.3-alpine"),
            ("P", "/usr/local/bin"),
            ("S", "x y"),
            ("Q", "it's"),
            ("ABC", "abcabc"),
        ];
        let found = known.into_iter().find(|(own, _)| *own == name);
        Ok(found.map(|(_, value)| value.to_owned()))
    }
}

#[test]
fn words_mean_what_they_mean_to_buildkit() {
    let words = golden().words;
    assert!(words.len() > 300, "{}", words.len());
    let differs = |word: &Word| {
        let found = words::expand(&word.text, word.escape, &Known).ok();
        let wanted = (!word.error).then(|| word.result.clone());
        (found != wanted).then(|| {
            format!("{:?} with {}: ours {found:?}, theirs {wanted:?}", word.text, word.escape)
        })
    };
    let wrong: Vec<_> = words.iter().filter_map(differs).collect();
    none(&wrong, words.len());
}
