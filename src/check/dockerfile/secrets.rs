//! Credentials in the variables, labels and commands of a Dockerfile; their values are never shown.

use parse_dockerfile::{Command, Instruction};

use super::{
    Model, finding, run,
    variables::{assignments, words},
};
use crate::check::credentials::{in_command, in_words, is_set};
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::rules::credentials::{is_literal_credential, looks_like_credential};

const READABLE: &str = "that everyone with the image can read";

/// Which instructions hold a credential. All stages count: those that are not shipped stay in caches, and
/// arguments stay in the history of the image.
pub(crate) fn evaluate(model: &Model<'_, '_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, instruction) in model.instructions.iter().enumerate() {
        let messages = in_instruction(instruction).into_iter();
        findings.extend(messages.map(|message| finding(ControlId::HbDfSecret, number, message)));
    }
    findings
}

fn in_instruction(instruction: &Instruction<'_>) -> Vec<String> {
    match instruction {
        Instruction::Env(_) | Instruction::Arg(_) => variables(instruction),
        Instruction::Label(label) => {
            let text = &label.arguments.value;
            let named = words(text)
                .iter()
                .any(|word| word.split_once('=').is_some_and(|(name, value)| is_set(name, value)));
            let held = named || looks_like_credential(text);
            held.then(|| format!("LABEL holds a credential {READABLE}")).into_iter().collect()
        }
        Instruction::Run(run) => {
            let said = in_command(&run::text(run));
            said.map(|said| format!("RUN {said} {READABLE}")).into_iter().collect()
        }
        Instruction::Cmd(cmd) => started("CMD", &cmd.arguments),
        Instruction::Entrypoint(entrypoint) => started("ENTRYPOINT", &entrypoint.arguments),
        _ => Vec::new(),
    }
}

fn variables(instruction: &Instruction<'_>) -> Vec<String> {
    let word = if matches!(instruction, Instruction::Env(_)) { "ENV" } else { "ARG" };
    let said = assignments(instruction).into_iter().filter_map(|(name, value)| match value {
        Some(value) if is_literal_credential(&name, &value) => {
            Some(format!("{word} {name} holds a credential {READABLE}"))
        }
        // A stand-in value: the name alone decides.
        None if is_literal_credential(&name, "g1ven") => Some(format!(
            "{word} {name} is given when building and stays in the history of the image"
        )),
        _ => None,
    });
    said.collect()
}

/// What the container starts with.
fn started(word: &str, command: &Command<'_>) -> Vec<String> {
    let held = match command {
        Command::Exec(list) => {
            let words: Vec<_> = list.value.iter().map(|word| word.value.as_ref()).collect();
            !in_words(&words).is_empty()
        }
        Command::Shell(shell) => in_command(shell.value).is_some(),
        _ => false,
    };
    held.then(|| format!("{word} holds a credential {READABLE}")).into_iter().collect()
}
