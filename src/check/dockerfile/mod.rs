//! Dockerfiles: what the guide asks of an image before there is one.

mod base;
mod base_user;
mod caches;
mod fetch;
mod files;
mod here_documents;
mod instructions;
mod layers;
mod packages;
mod run;
mod secrets;
mod user;
mod variables;

#[cfg(test)]
mod tests;

use parse_dockerfile::{Dockerfile, Instruction};

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
use variables::Variables;

/// A stage with what is known of it.
#[derive(Debug)]
struct Stage<'d, 't> {
    /// Numbers of its instructions in the file, its FROM first.
    range: std::ops::Range<usize>,
    /// Its name, in lower case.
    name: Option<String>,
    /// The image that it starts from, variables resolved; `None` where one is not known.
    image: Option<String>,
    /// The image as it is written.
    written: &'d str,
    /// The earlier stage that it starts from.
    parent: Option<usize>,
    /// Everything in the file.
    instructions: &'d [Instruction<'t>],
}

impl<'d, 't> Stage<'d, 't> {
    /// Its instructions after FROM, with their numbers.
    fn steps(&self) -> impl Iterator<Item = (usize, &'d Instruction<'t>)> {
        let from = self.range.start + 1;
        let steps = self.instructions.get(from..self.range.end).unwrap_or_default();
        steps.iter().enumerate().map(move |(offset, step)| (from + offset, step))
    }
}

/// A Dockerfile: its instructions, its stages and its global arguments.
struct Model<'d, 't> {
    instructions: &'d [Instruction<'t>],
    stages: Vec<Stage<'d, 't>>,
    /// Arguments before the first stage.
    globals: Variables,
}

impl<'d, 't> Model<'d, 't> {
    fn of(dockerfile: &'d Dockerfile<'t>) -> Self {
        let instructions = dockerfile.instructions.as_slice();
        let starts: Vec<_> = instructions
            .iter()
            .enumerate()
            .filter(|(_, instruction)| matches!(instruction, Instruction::From(_)))
            .map(|(number, _)| number)
            .collect();
        let head = instructions.get(..starts.first().copied().unwrap_or_default());
        let globals = Variables::of(head.unwrap_or_default());
        let mut stages: Vec<Stage<'d, 't>> = Vec::new();
        for (index, start) in starts.iter().copied().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(instructions.len());
            let Some(Instruction::From(from)) = instructions.get(start) else { continue };
            let image = globals.expand(&from.image.value);
            let lower = image.as_ref().map(|image| image.to_lowercase());
            let parent =
                stages.iter().rposition(|stage| stage.name.is_some() && stage.name == lower);
            let name = from.as_.as_ref().map(|(_, name)| name.value.to_lowercase());
            let written = from.image.value.as_ref();
            stages.push(Stage { range: start..end, name, image, written, parent, instructions });
        }
        Self { instructions, stages, globals }
    }

    /// The instructions of the final stage and of those that it starts from, in order, each with its number and with
    /// the variables before it.
    fn walk(&self) -> Vec<(usize, &'d Instruction<'t>, Variables)> {
        let mut variables = Variables::default();
        let mut steps = Vec::new();
        for stage in self.lineage().into_iter().rev() {
            variables.enter_stage();
            for (number, step) in stage.steps() {
                steps.push((number, step, variables.clone()));
                variables.learn(step, &self.globals);
            }
        }
        steps
    }

    /// The final stage and those that it starts from, last first.
    fn lineage(&self) -> Vec<&Stage<'d, 't>> {
        let mut next = self.stages.len().checked_sub(1);
        let mut lineage = Vec::new();
        while let Some(stage) = next.and_then(|index| self.stages.get(index)) {
            lineage.push(stage);
            next = stage.parent;
        }
        lineage
    }
}

/// Evaluates a Dockerfile.
pub(crate) fn check(name: &str, text: &str, rules: &Rules) -> FileReport {
    let mut file = FileReport { name: name.to_owned(), ..FileReport::default() };
    let readable = here_documents::blanked(text);
    let text = readable.as_str();
    let dockerfile = match parse_dockerfile::parse(text) {
        Ok(dockerfile) => dockerfile,
        Err(error) => {
            let position = Some(instruction(text, error.line()));
            let message = format!("not a Dockerfile: {}", without_place(&error.to_string()));
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

/// Where what stands on a line begins. The parser's columns are not those of the line, and of an empty file it
/// counts lines from 0.
fn instruction(text: &str, line: usize) -> Position {
    let last = text.lines().count().max(1);
    let line = line.clamp(1, last);
    let own = text.lines().nth(line - 1).unwrap_or_default();
    Position { line, column: own.chars().take_while(|c| c.is_whitespace()).count() + 1 }
}

/// The parser repeats line and column, which the report shows anyway.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

fn title((index, stage): (usize, &Stage<'_, '_>)) -> String {
    stage.name.as_ref().map_or(format!("stage {index}"), |name| format!("stage {name}"))
}

/// A finding with this instruction as its path, which is what suppressions cover.
fn finding(id: ControlId, instruction: usize, message: impl Into<String>) -> Finding {
    Finding::new(id, FieldPath::default().index(instruction), message)
}

fn located(
    finding: Finding,
    model: &Model<'_, '_>,
    stages: &[String],
    lines: &Lines<'_>,
) -> Located {
    let number = match finding.path.0.first() {
        Some(Segment::Index(number)) => *number,
        _ => 0,
    };
    let at = model.instructions.get(number).map_or(0, start);
    let stage = model.stages.iter().position(|stage| stage.range.contains(&number));
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

/// Where an instruction starts.
fn start(instruction: &Instruction<'_>) -> usize {
    match instruction {
        Instruction::Add(i) => i.add.span.start,
        Instruction::Arg(i) => i.arg.span.start,
        Instruction::Cmd(i) => i.cmd.span.start,
        Instruction::Copy(i) => i.copy.span.start,
        Instruction::Entrypoint(i) => i.entrypoint.span.start,
        Instruction::Env(i) => i.env.span.start,
        Instruction::Expose(i) => i.expose.span.start,
        Instruction::From(i) => i.from.span.start,
        Instruction::Healthcheck(i) => i.healthcheck.span.start,
        Instruction::Label(i) => i.label.span.start,
        Instruction::Maintainer(i) => i.maintainer.span.start,
        Instruction::Onbuild(i) => i.onbuild.span.start,
        Instruction::Run(i) => i.run.span.start,
        Instruction::Shell(i) => i.shell.span.start,
        Instruction::Stopsignal(i) => i.stopsignal.span.start,
        Instruction::User(i) => i.user.span.start,
        Instruction::Volume(i) => i.volume.span.start,
        Instruction::Workdir(i) => i.workdir.span.start,
        _ => 0,
    }
}

/// Reads suppressions: one above all instructions covers the file, one in the middle of an instruction covers
/// that, any other the next instruction.
fn comments(into: &mut Suppressions, text: &str, model: &Model<'_, '_>, lines: &Lines<'_>) {
    let starts: Vec<_> = model.instructions.iter().map(start).collect();
    let (mut at, mut continued) = (0, false);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix('#') {
            let next = starts.partition_point(|start| *start <= at);
            let number = if continued { next.checked_sub(1) } else { Some(next) };
            let covers = number.filter(|number| *number < starts.len()).map(|number| {
                let everything = FieldPath::default();
                if number == 0 && !continued { everything } else { everything.index(number) }
            });
            into.comment(comment, covers, lines.position(at));
        } else if !trimmed.is_empty() {
            continued = trimmed.ends_with(['\\', '`']);
        }
        at += line.len();
    }
}
