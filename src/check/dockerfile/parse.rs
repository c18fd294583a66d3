//! The instructions of a Dockerfile, as BuildKit reads them: continued lines and comments in them, directives,
//! here-documents behind any word, JSON or words. What BuildKit refuses is refused, with its line.

use super::forms;
use super::here_documents::{self, Document};
use super::instruction::{Instruction, Wrong};

/// Instructions that may have here-documents.
const DOCUMENTED: [&str; 3] = ["ADD", "COPY", "RUN"];

/// A Dockerfile.
#[derive(Debug)]
pub(crate) struct Dockerfile {
    /// Its instructions, in order.
    pub(crate) instructions: Vec<Instruction>,
    /// The frontend that it asks for, and the line that does.
    pub(crate) syntax: Option<(String, usize)>,
}

/// Reads a Dockerfile.
pub(crate) fn parse(text: &str) -> Result<Dockerfile, Wrong> {
    let own = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        lines: own.split_inclusive('\n'),
        at: text.len() - own.len(),
        number: 0,
        escape: '\\',
        directives: Directives::default(),
    };
    let mut file = Dockerfile { instructions: Vec::new(), syntax: None };
    while let Some((at, line)) = reader.next() {
        let own = trimmed(line).trim_start();
        reader.directive(own, &mut file)?;
        let start = at + (line.len() - line.trim_start().len());
        if own.starts_with('#') || own.is_empty() {
            continue;
        }
        let first = reader.number;
        let joined = reader.joined(own);
        let wrong = |problem: String| Wrong { line: first, problem };
        let mut instruction = forms::instruction(&joined, reader.escape).map_err(wrong)?;
        instruction.last = reader.number;
        if DOCUMENTED.contains(&instruction.kept().name.as_str()) && joined.contains("<<") {
            instruction.documents = reader.documents(&joined).map_err(wrong)?;
            let documents = instruction.documents.clone();
            instruction
                .later
                .as_mut()
                .into_iter()
                .for_each(|later| later.documents.clone_from(&documents));
        }
        (instruction.start, instruction.lines) = (start, (first, reader.number));
        file.instructions.push(instruction);
    }
    forms::in_order(&file.instructions)?;
    Ok(file)
}

/// A line without what ends it.
fn trimmed(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Directives at the top, which end with the first line that is none.
#[derive(Default)]
struct Directives {
    seen: Vec<&'static str>,
    ended: bool,
}

impl Directives {
    /// The directive of a line, if it is one.
    fn read<'l>(&mut self, line: &'l str) -> Result<Option<(&'static str, &'l str)>, String> {
        if self.ended {
            return Ok(None);
        }
        let Some((known, value)) = directive(line) else {
            self.ended = true;
            return Ok(None);
        };
        if self.seen.contains(&known) {
            return Err(format!("the directive {known} is given twice"));
        }
        self.seen.push(known);
        Ok(Some((known, value)))
    }
}

/// `# name = value` with a name that is known.
fn directive(line: &str) -> Option<(&'static str, &str)> {
    let blank = |c: char| matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ');
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim_matches(blank), value.trim_matches(blank));
    let known =
        ["syntax", "escape", "check"].into_iter().find(|own| own.eq_ignore_ascii_case(name))?;
    (!value.is_empty()).then_some((known, value))
}

/// The lines of a text.
struct Reader<'t> {
    lines: std::str::SplitInclusive<'t, char>,
    at: usize,
    /// Number of the last line, from 1.
    number: usize,
    escape: char,
    directives: Directives,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<(usize, &'t str)> {
        let line = self.lines.next()?;
        let start = self.at;
        self.at += line.len();
        self.number += 1;
        Some((start, line))
    }

    fn directive(&mut self, line: &str, file: &mut Dockerfile) -> Result<(), Wrong> {
        let wrong = |problem: String| Wrong { line: self.number, problem };
        match self.directives.read(line).map_err(wrong)? {
            Some(("escape", "\\")) => self.escape = '\\',
            Some(("escape", "`")) => self.escape = '`',
            Some(("escape", _)) => {
                return Err(wrong("escape must be a backslash or a backtick".to_owned()));
            }
            Some(("syntax", value)) => file.syntax = Some((value.to_owned(), self.number)),
            _ => {}
        }
        Ok(())
    }

    /// A line with those that continue it.
    fn joined(&mut self, first: &str) -> String {
        let mut continued = continued(first, self.escape);
        let mut joined = continued.unwrap_or(first).to_owned();
        while continued.is_some() {
            let Some((_, line)) = self.next() else { break };
            let line = trimmed(line);
            let own = line.trim_start();
            if own.is_empty() || own.starts_with('#') {
                continue;
            }
            continued = self::continued(line, self.escape);
            joined.push_str(continued.unwrap_or(line));
        }
        joined
    }

    /// The here-documents that a line begins.
    fn documents(&mut self, line: &str) -> Result<Vec<Document>, String> {
        let mut documents = here_documents::begun(line)?;
        for document in &mut documents {
            loop {
                let Some((_, line)) = self.next() else {
                    return Err(format!("no line ends the here-document {:?}", document.end));
                };
                let bare = trimmed(line);
                let bare = if document.tabs { bare.trim_start_matches('\t') } else { bare };
                if bare == document.end {
                    break;
                }
                document.text.push_str(line);
            }
        }
        Ok(documents)
    }
}

/// What is left of a line that goes on in the next one; `None` if it does not.
fn continued(line: &str, escape: char) -> Option<&str> {
    let own = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!own.ends_with(escape)).then_some(own)
}
