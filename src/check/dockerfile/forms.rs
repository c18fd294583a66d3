//! The forms of single instructions: which there are, what they take, and in which order they may stand.

use super::here_documents;
use super::instruction::{Instruction, Wrong};
use super::words::{self, BLANKS, cut, split};

/// Instructions with the fewest arguments that they take.
const KNOWN: [(&str, usize); 18] = [
    ("ADD", 2),
    ("ARG", 1),
    ("CMD", 0),
    ("COPY", 2),
    ("ENTRYPOINT", 0),
    ("ENV", 1),
    ("EXPOSE", 1),
    ("FROM", 1),
    ("HEALTHCHECK", 1),
    ("LABEL", 1),
    ("MAINTAINER", 1),
    ("ONBUILD", 1),
    ("RUN", 0),
    ("SHELL", 1),
    ("STOPSIGNAL", 1),
    ("USER", 1),
    ("VOLUME", 1),
    ("WORKDIR", 1),
];

/// Those that may be written as a list in JSON.
const LISTS: [&str; 7] = ["ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"];

/// An instruction from its line.
pub(super) fn instruction(line: &str, escape: char) -> Result<Instruction, String> {
    let (name, rest) = cut(line.trim());
    let name = name.to_ascii_uppercase();
    let Some((_, least)) = KNOWN.into_iter().find(|(own, _)| *own == name) else {
        let shown: String = name.chars().take(40).collect();
        return Err(format!("unknown instruction {shown:?}"));
    };
    let (flags, rest) = words::flags(rest, escape);
    let text = rest.trim().to_owned();
    let mut own = Instruction { name, flags, text, escape, ..Instruction::default() };
    if LISTS.contains(&own.name.as_str()) {
        own.list = list(&own.text)?;
    }
    if own.name == "HEALTHCHECK" {
        let command = own.text.split_once(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        own.list = list(command.map_or("", |(_, command)| command.trim_start()))?;
    }
    if own.name == "ONBUILD" && !own.text.is_empty() {
        own.later = Some(Box::new(later(&own.text, escape)?));
    }
    if matches!(own.name.as_str(), "ENV" | "LABEL") {
        assigned(&own)?;
    }
    if own.words().len() < least && own.name != "HEALTHCHECK" || own.text.is_empty() && least > 0 {
        let more = if least == 1 { "an argument" } else { "two arguments" };
        return Err(format!("{} needs {more}", own.name));
    }
    own_form(&own)?;
    Ok(own)
}

/// What only some instructions ask for.
fn own_form(own: &Instruction) -> Result<(), String> {
    match own.name.as_str() {
        "FROM" => stage(own),
        "HEALTHCHECK" => health(own),
        "SHELL" if own.list.is_none() => {
            Err("SHELL needs a list in JSON, such as [\"/bin/sh\", \"-c\"]".to_owned())
        }
        "ARG" if words::raw(&own.text, own.escape).iter().any(|word| word.starts_with('=')) => {
            Err("ARG has a value without a name".to_owned())
        }
        "VOLUME" if own.words().iter().any(|word| word.trim().is_empty()) => {
            Err("VOLUME has an empty path".to_owned())
        }
        "ADD" | "COPY" => {
            let words = own.words();
            let last = words.last().map_or("", String::as_str);
            match here_documents::of(last) {
                Ok(Some(_)) => Err(format!("{} cannot write to a here-document", own.name)),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// `HEALTHCHECK NONE`, `HEALTHCHECK CMD command`.
fn health(own: &Instruction) -> Result<(), String> {
    let (kind, rest) =
        own.text.split_once(|c: char| c.is_whitespace()).unwrap_or((own.text.as_str(), ""));
    let is_empty = own.list.as_ref().map_or(rest.trim().is_empty(), Vec::is_empty);
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if is_empty => Ok(()),
        "NONE" => Err("HEALTHCHECK NONE takes no argument".to_owned()),
        "CMD" if is_empty => Err("HEALTHCHECK CMD names no command".to_owned()),
        "CMD" => Ok(()),
        _ => Err("write HEALTHCHECK CMD command, or HEALTHCHECK NONE".to_owned()),
    }
}

/// What ONBUILD keeps.
fn later(text: &str, escape: char) -> Result<Instruction, String> {
    // The line may have flags of its own before the name.
    let kept = cut(text).0.to_ascii_uppercase();
    if matches!(kept.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(format!("ONBUILD cannot keep {kept}"));
    }
    instruction(text, escape)
}

/// `FROM image`, `FROM image AS name`.
fn stage(from: &Instruction) -> Result<(), String> {
    let words = split(&from.text);
    match words.as_slice() {
        [_] => Ok(()),
        [_, r#as, name] if r#as.eq_ignore_ascii_case("as") => {
            let lower = name.to_lowercase();
            let letter =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            let fits =
                lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.chars().all(letter);
            if fits { Ok(()) } else { Err(format!("{name:?} cannot be the name of a stage")) }
        }
        _ => Err("write FROM image, or FROM image AS name".to_owned()),
    }
}

/// Whether ENV or LABEL is written in one of its two forms.
fn assigned(own: &Instruction) -> Result<(), String> {
    let (name, words) = (&own.name, words::raw(&own.text, own.escape));
    let Some(first) = words.first() else { return Ok(()) };
    if !first.contains('=') {
        let is_whole = own.text.contains(BLANKS);
        return if is_whole { Ok(()) } else { Err(format!("{name} needs a name and a value")) };
    }
    if words.iter().any(|word| !word.contains('=')) {
        return Err(format!(
            "{name} has a word without =: write name=value, and quotes around blanks"
        ));
    }
    if words.iter().any(|word| word.starts_with('=')) {
        return Err(format!("{name} has a value without a name"));
    }
    Ok(())
}

/// A list of texts in JSON; `None` for anything else that is not one.
fn list(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let texts: Option<Vec<_>> =
        values.iter().map(|value| value.as_str().map(ToOwned::to_owned)).collect();
    texts.map(Some).ok_or_else(|| "a list in JSON holds something that is no text".to_owned())
}

/// Only arguments may stand before the first stage, and one stage there has to be.
pub(super) fn in_order(instructions: &[Instruction]) -> Result<(), Wrong> {
    for instruction in instructions {
        match instruction.name.as_str() {
            "FROM" => return Ok(()),
            "ARG" => {}
            name => {
                let problem = format!("{name} stands before the first FROM");
                return Err(Wrong { line: instruction.lines.0, problem });
            }
        }
    }
    let line = instructions.last().map_or(1, |last| last.lines.1);
    let problem = if instructions.is_empty() { "it has no instruction" } else { "it has no FROM" };
    Err(Wrong { line, problem: problem.to_owned() })
}
