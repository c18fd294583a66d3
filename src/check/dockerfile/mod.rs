//! Dockerfiles: what the guide asks of an image before there is one.

mod base;
mod base_user;
mod caches;
mod fetch;
mod files;
mod forms;
mod here_documents;
mod instruction;
mod instructions;
mod layers;
mod model;
mod packages;
mod parse;
mod patterns;
mod run;
mod secrets;
mod tools;
mod user;
mod variables;
mod words;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;

use super::{
    position::{Lines, Position},
    report::{Diagnostic, FileReport, Located},
    rules::Rules,
    suppression::Suppressions,
};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Segment;
use model::{Model, Stage};
use variables::Variables;

/// Evaluates a Dockerfile.
pub(crate) fn check(name: &str, text: &str, rules: &Rules) -> FileReport {
    let mut file = FileReport { name: name.to_owned(), ..FileReport::default() };
    let dockerfile = match parse::parse(text) {
        Ok(dockerfile) => dockerfile,
        Err(wrong) => {
            let position = Some(beginning(text, wrong.line));
            let message = format!("not a Dockerfile: {}", wrong.problem);
            file.faults.push(Diagnostic { position, message });
            return file;
        }
    };
    let model = Model::of(&dockerfile);
    let lines = Lines::of(text);
    let mut suppressions = Suppressions::default();
    comments(&mut suppressions, text, &model, &lines);
    let settings = &rules.settings;
    let findings = [
        base::evaluate(&model, settings),
        user::evaluate(&model),
        layers::evaluate(&model, settings),
        packages::evaluate(&model),
        instructions::evaluate(&model),
        secrets::evaluate(&model),
        files::evaluate(&model),
        fetch::evaluate(&model),
    ];
    let stages: Vec<_> = model.stages.iter().enumerate().map(title).collect();
    let mut located: Vec<_> = findings
        .into_iter()
        .flatten()
        .map(|finding| located(finding, &model, &stages, &lines))
        .collect();
    suppressions.apply(&mut located);
    file.objects = stages;
    file.findings = located;
    file.remarks = suppressions.finish();
    file
}

/// Where what stands on a line begins.
fn beginning(text: &str, line: usize) -> Position {
    let last = text.lines().count().max(1);
    let line = line.clamp(1, last);
    let own = text.lines().nth(line - 1).unwrap_or_default();
    Position { line, column: own.chars().take_while(|c| c.is_whitespace()).count() + 1 }
}

fn title((index, stage): (usize, &Stage)) -> String {
    stage.name.as_ref().map_or(format!("stage {index}"), |name| format!("stage {name}"))
}

/// A finding with this instruction as its path, which is what suppressions cover.
fn finding(id: ControlId, instruction: usize, message: impl Into<String>) -> Finding {
    Finding::new(id, FieldPath::default().index(instruction), message)
}

fn located(finding: Finding, model: &Model<'_>, stages: &[String], lines: &Lines<'_>) -> Located {
    let number = match finding.path.0.first() {
        Some(Segment::Index(number)) => *number,
        _ => 0,
    };
    let at = model.instructions.get(number).map_or(0, |instruction| instruction.start);
    // Stages are in order.
    let stage = model.stages.partition_point(|stage| stage.range.start <= number).checked_sub(1);
    let object = stage.and_then(|stage| stages.get(stage)).cloned();
    Located {
        // Instructions have no names; what is said of one names what it does.
        anchor: finding.message.clone(),
        finding,
        object: object.unwrap_or_else(|| "before the first stage".to_owned()),
        document: 0,
        position: lines.position(at),
        suppressed: None,
    }
}

/// Reads suppressions: one above all instructions covers the file, one in the middle of an instruction covers
/// that, any other the next instruction. What looks like a comment in a here-document is none.
fn comments(into: &mut Suppressions, text: &str, model: &Model<'_>, lines: &Lines<'_>) {
    let (mut at, mut next) = (0, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let own = index + 1;
        while model.instructions.get(next).is_some_and(|instruction| instruction.lines.1 < own) {
            next += 1;
        }
        if let Some(comment) = line.trim().strip_prefix('#') {
            let instruction = model.instructions.get(next);
            let is_within = instruction.is_some_and(|instruction| instruction.lines.0 <= own);
            let is_data = is_within && instruction.is_some_and(|one| own > one.last);
            let covers = instruction.map(|_| {
                let everything = FieldPath::default();
                if next == 0 && !is_within { everything } else { everything.index(next) }
            });
            if !is_data {
                into.comment(comment, covers, lines.position(at));
            }
        }
        at += line.len();
    }
}
