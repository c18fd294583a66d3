//! Instructions with another effect than they seem to have.

use std::collections::BTreeMap;

use super::{Model, finding};
use crate::check::shell::Step;
use crate::policy::ControlId;
use crate::policy::Finding;

/// What is wrong with single instructions.
pub(crate) fn evaluate(model: &Model<'_>) -> Vec<Finding> {
    let mut findings = commands(model);
    // Behind an absolute folder, a relative one is known.
    let mut is_known = false;
    model.walk(&mut |number, step, variables| {
        if step.name != "WORKDIR" {
            return;
        }
        let folder = variables.expand(&step.text, step.escape);
        let is_relative = folder.as_deref().is_some_and(|folder| !is_absolute(folder));
        if is_relative && !is_known {
            let folder = folder.unwrap_or_default();
            let message = format!("WORKDIR {folder} is relative to the folder of the base image");
            findings.push(finding(ControlId::HbDfWorkdir, number, message));
        }
        is_known |= !is_relative;
    });
    for (number, steps) in model.commands() {
        if steps.iter().any(is_sudo) {
            let message = "RUN uses sudo: switch users with USER";
            findings.push(finding(ControlId::HbDfSudo, number, message));
        }
    }
    findings
}

/// Every CMD and ENTRYPOINT of a stage but the last.
fn commands(model: &Model<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stage in &model.stages {
        let mut last = BTreeMap::<&str, usize>::new();
        for (number, step) in model.steps_of(stage) {
            let name = step.name.as_str();
            if !matches!(name, "CMD" | "ENTRYPOINT") {
                continue;
            }
            if let Some(earlier) = last.insert(name, number) {
                let message = format!("a later {name} of the same stage replaces this one");
                findings.push(finding(ControlId::HbDfCmd, earlier, message));
            }
        }
    }
    findings
}

/// Also of Windows.
fn is_absolute(folder: &str) -> bool {
    let folder = folder.trim_matches(['"', '\'']);
    folder.starts_with(['/', '\\']) || folder.chars().nth(1) == Some(':')
}

/// Whether sudo runs the command, and is not an argument of it.
fn is_sudo(step: &Step) -> bool {
    let skipped = ["env", "exec", "command", "time", "then", "do", "else", "if", "!", "{", "("];
    let mut words = step.words.iter().map(String::as_str);
    words.find(|word| !skipped.contains(word) && !word.contains('=')) == Some("sudo")
}
