//! Credentials in the variables and commands of a Dockerfile; their values are never shown.

use std::sync::LazyLock;

use parse_dockerfile::Instruction;
use regex::Regex;

use super::{Model, finding, shell, variables::assignments};
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::rules::credentials::{is_literal_credential, looks_like_credential};

/// A user and a password in an address.
static PASSWORD_IN_URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"[a-z]://[^/\s:@$"']+:[^/\s@$"']+@"#).ok());

/// A credential in a header that is written out.
static HEADER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)authorization: *(bearer|basic|token) +[^$`"' ]"#).ok());

/// What a command says beside the variables that it sets.
fn in_command(text: &str) -> Option<&'static str> {
    if HEADER.as_ref().is_some_and(|header| header.is_match(text)) {
        return Some("RUN sends a credential in a header");
    }
    let steps = shell::steps(text);
    let literal = |step: &shell::Step| {
        let mut words = step.words.iter().skip(1);
        words.any(|word| {
            word.trim_matches(['"', '\'']).split_once(':').is_some_and(|(_, p)| !p.starts_with('$'))
        })
    };
    let sets = steps.windows(2).any(|pair| match pair {
        [first, second] => {
            let echoes = matches!(first.program(), "echo" | "printf") && first.piped;
            echoes && second.program() == "chpasswd" && literal(first)
        }
        _ => false,
    });
    sets.then_some("RUN sets a password that everyone with the image can read")
}

/// Which instructions hold a credential. All stages count: those that are not shipped stay in caches, and
/// arguments stay in the history of the image.
pub(crate) fn evaluate(model: &Model<'_, '_>) -> Vec<Finding> {
    let control = ControlId::HbDfSecret;
    let mut findings = Vec::new();
    for (number, instruction) in model.instructions.iter().enumerate() {
        let word = if matches!(instruction, Instruction::Env(_)) { "ENV" } else { "ARG" };
        for (name, value) in assignments(instruction) {
            let message = match &value {
                Some(value) if is_literal_credential(&name, value) => {
                    format!(
                        "{word} {name} holds a credential that everyone with the image can read"
                    )
                }
                // A stand-in value: the name alone decides.
                None if is_literal_credential(&name, "g1ven") => {
                    format!(
                        "{word} {name} is given when building and stays in the history of the image"
                    )
                }
                _ => continue,
            };
            findings.push(finding(control, number, message));
        }
        if let Instruction::Label(label) = instruction
            && looks_like_credential(&label.arguments.value)
        {
            let message = "LABEL holds a credential that everyone with the image can read";
            findings.push(finding(control, number, message));
        }
        if let Instruction::Run(run) = instruction {
            let text = shell::text(run);
            findings.extend(in_command(&text).map(|message| finding(control, number, message)));
            if PASSWORD_IN_URL.as_ref().is_some_and(|pattern| pattern.is_match(&text)) {
                let message = "RUN names an address with a password in it";
                findings.push(finding(control, number, message));
            }
            let exported = shell::steps(&text).into_iter().filter(|step| step.program() != "echo");
            let names = exported.flat_map(|step| step.words).filter_map(|word| {
                let (name, value) = word.split_once('=')?;
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                let value = value.trim_matches(['"', '\'']);
                let literal = !value.starts_with(['$', '`']);
                (plain && literal && is_literal_credential(name, value)).then(|| name.to_owned())
            });
            findings.extend(
                names.map(|name| {
                    finding(control, number, format!("RUN sets {name} to a credential"))
                }),
            );
        }
    }
    findings
}
