//! What RUN hands to a shell.

use super::here_documents::Document;
use super::instruction::Instruction;
use crate::check::shell;

/// The text of a RUN for a shell, with its here-documents. Empty if another program runs it.
pub(crate) fn text(run: &Instruction) -> String {
    if let Some(list) = &run.list {
        let words: Vec<_> = list.iter().map(|word| quoted(word)).collect();
        return words.join(" ");
    }
    let mut text = String::new();
    if is_script(run) {
        for document in run.documents.iter().filter(|document| is_for_shell(document)) {
            text.push_str(&document.text);
        }
        return text;
    }
    text.push_str(&run.text);
    text.push('\n');
    for document in &run.documents {
        text.push_str(&document.text);
        text.push_str(&document.end);
        text.push('\n');
    }
    text
}

/// Whether here-documents are all that there is: then they are what runs.
fn is_script(run: &Instruction) -> bool {
    let words = super::words::shell(&run.text, true, true).unwrap_or_default();
    !words.is_empty() && words.len() == run.documents.len()
}

/// The first line of a script may name another program.
fn is_for_shell(document: &Document) -> bool {
    let first = document.text.lines().next().unwrap_or_default();
    let Some(program) = first.strip_prefix("#!") else { return true };
    shell::steps(program).first().is_some_and(shell::Step::is_shell)
}

/// A word that a shell reads as it is.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use crate::check::{dockerfile::parse::parse, shell::steps};

    #[test]
    fn scripts_are_commands_and_data_is_none() {
        let runs = |run: &str| {
            let file = parse(&format!("FROM a\n{run}\n")).unwrap();
            let all = steps(&super::text(&file.instructions[1]));
            all.iter().map(|step| step.program().to_owned()).collect::<Vec<_>>()
        };
        for (run, wanted) in [
            ("RUN apk add \\\n  # why\n  curl", &["apk"][..]),
            ("RUN <<EOF\nmake # no\n# cmake\nninja\nEOF", &["make", "ninja"]),
            ("RUN <<-EOF\n\tmake\n\tEOF", &["make"]),
            ("RUN <<EOF\n#!/bin/bash -e\nmake\nEOF", &["make"]),
            ("RUN <<EOF\n#!/usr/bin/env python3\nmake\nEOF", &[]),
            ("RUN <<A <<B\nmake\nA\nninja\nB", &["make", "ninja"]),
            ("RUN bash -e <<EOF\nmake\nEOF", &["bash", "make"]),
            ("RUN python3 <<EOF\nmake\nEOF", &["python3"]),
            ("RUN cat <<EOF > x && ninja\nmake\nEOF", &["cat", "ninja"]),
            ("RUN <<EOF\ncat > x <<INNER\nmake\nINNER\nninja\nEOF", &["cat", "ninja"]),
            ("RUN [\"go\", \"build\"]", &["go"]),
            ("RUN [\"/bin/sh\", \"-c\", \"cmake 'x y'\"]", &["sh", "cmake"]),
        ] {
            assert_eq!(runs(run), wanted, "{run}");
        }
    }
}
