//! Credentials in the variables, labels and commands of a Dockerfile; their values are never shown.

use super::{Model, finding, instruction::Instruction, run, words::plain};
use crate::check::credentials::{in_command, in_words, is_set};
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::rules::credentials::{is_literal_credential, looks_like_credential};

const READABLE: &str = "that everyone with the image can read";

/// Which instructions hold a credential. All stages count: those that are not shipped stay in caches, and
/// arguments stay in the history of the image.
pub(crate) fn evaluate(model: &Model<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, own) in model.instructions.iter().enumerate() {
        let messages = in_instruction(own.kept()).into_iter();
        findings.extend(messages.map(|message| finding(ControlId::HbDfSecret, number, message)));
    }
    findings
}

fn in_instruction(own: &Instruction) -> Vec<String> {
    let held = match own.name.as_str() {
        "ENV" | "ARG" => return variables(own),
        "LABEL" => own.assignments().iter().any(|(name, value)| {
            let value = unquoted(value.as_deref().unwrap_or_default(), own);
            looks_like_credential(&value) || is_set(&unquoted(name, own), &value)
        }),
        "RUN" => {
            let said = in_command(&run::text(own));
            return said.map(|said| format!("RUN {said} {READABLE}")).into_iter().collect();
        }
        "COPY" | "ADD" => own.documents.iter().any(|document| in_command(&document.text).is_some()),
        // What the container starts with.
        "CMD" | "ENTRYPOINT" => match &own.list {
            Some(list) => {
                let words: Vec<_> = list.iter().map(String::as_str).collect();
                !in_words(&words).is_empty()
            }
            None => in_command(&own.text).is_some(),
        },
        _ => false,
    };
    held.then(|| format!("{} holds a credential {READABLE}", own.name)).into_iter().collect()
}

/// A word without its quotes; as it is written where that cannot be read.
fn unquoted(word: &str, own: &Instruction) -> String {
    plain(word, own.escape).unwrap_or_else(|_| word.to_owned())
}

fn variables(own: &Instruction) -> Vec<String> {
    let word = &own.name;
    let said = own.assignments().into_iter().filter_map(|(name, value)| match value {
        Some(value) if is_literal_credential(&name, &unquoted(&value, own)) => {
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
