//! What RUN hands to a shell.

use parse_dockerfile::{Command, RunInstruction};

/// The text of a RUN: continued lines joined, comments left out, here-documents included.
pub(crate) fn text(run: &RunInstruction<'_>) -> String {
    let own = match &run.arguments {
        Command::Shell(shell) => shell.value.to_owned(),
        Command::Exec(words) => {
            let words: Vec<_> = words.value.iter().map(|word| quoted(&word.value)).collect();
            words.join(" ")
        }
        _ => String::new(),
    };
    let mut text = String::new();
    let documents = run.here_docs.iter().flat_map(|document| document.value.lines());
    for line in own.lines().chain(documents) {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some(continued) = line.strip_suffix('\\') {
            text.push_str(continued);
        } else {
            text.push_str(line);
            text.push('\n');
        }
        text.push(' ');
    }
    text
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
    use super::*;
    use crate::check::shell::steps;

    #[test]
    fn continued_lines_and_here_documents_are_one_text() {
        let file = "FROM a\nRUN apk add \\\n  # why\n  curl\nRUN <<EOF\nmake\nEOF\nRUN [\"go\", \"build\"]\n";
        let dockerfile = parse_dockerfile::parse(file).unwrap();
        let texts: Vec<_> = dockerfile
            .instructions
            .iter()
            .filter_map(|instruction| match instruction {
                parse_dockerfile::Instruction::Run(run) => Some(text(run)),
                _ => None,
            })
            .collect();
        assert_eq!(steps(&texts[0])[0].words, ["apk", "add", "curl"]);
        assert!(steps(&texts[1]).iter().any(|step| step.program() == "make"), "{texts:?}");
        assert_eq!(steps(&texts[2])[0].program(), "go");
    }
}
