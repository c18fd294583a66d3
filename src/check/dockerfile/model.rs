//! The stages of a Dockerfile, what each starts from, and what its commands are.

use std::collections::BTreeMap;

use super::instruction::Instruction;
use super::parse::Dockerfile;
use super::variables::Variables;
use super::{run, words};
use crate::check::shell::{self, Step};

/// A stage with what is known of it.
#[derive(Debug)]
pub(super) struct Stage {
    /// Numbers of its instructions in the file, its FROM first.
    pub(super) range: std::ops::Range<usize>,
    /// Its name, in lower case.
    pub(super) name: Option<String>,
    /// The image that it starts from, variables resolved; `None` where one is not known.
    pub(super) image: Option<String>,
    /// The image as it is written.
    pub(super) written: String,
    /// The earlier stage that it starts from.
    pub(super) parent: Option<usize>,
}

/// A Dockerfile: its instructions, its stages and its global arguments.
pub(super) struct Model<'d> {
    pub(super) file: &'d Dockerfile,
    pub(super) instructions: &'d [Instruction],
    pub(super) stages: Vec<Stage>,
    /// Arguments before the first stage.
    pub(super) globals: Variables,
    /// Stages by their names.
    names: BTreeMap<String, usize>,
    /// The commands of each RUN, also of those that ONBUILD keeps.
    commands: Vec<Vec<Step>>,
}

impl<'d> Model<'d> {
    pub(super) fn of(file: &'d Dockerfile) -> Self {
        let instructions = file.instructions.as_slice();
        let starts: Vec<_> = instructions
            .iter()
            .enumerate()
            .filter(|(_, instruction)| instruction.name == "FROM")
            .map(|(number, _)| number)
            .collect();
        let head = instructions.get(..starts.first().copied().unwrap_or_default());
        let globals = Variables::of(head.unwrap_or_default());
        let (mut stages, mut names) = (Vec::new(), BTreeMap::new());
        for (index, start) in starts.iter().copied().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(instructions.len());
            let Some(from) = instructions.get(start) else { continue };
            let mut words = words::split(&from.text).into_iter();
            let written = words.next().unwrap_or_default();
            let image = globals.expand(&written, from.escape);
            let parent = image.as_ref().and_then(|image| names.get(&image.to_lowercase()).copied());
            let name = words.nth(1).map(|name| name.to_lowercase());
            names.extend(name.clone().map(|name| (name, index)));
            stages.push(Stage { range: start..end, name, image, written, parent });
        }
        let commands = commands(instructions, &stages);
        Self { file, instructions, stages, globals, names, commands }
    }

    /// Whether a stage has this name.
    pub(super) fn is_stage(&self, name: &str) -> bool {
        self.names.contains_key(&name.to_lowercase())
    }

    /// The instructions of a stage after FROM, with their numbers.
    pub(super) fn steps_of(
        &self,
        stage: &Stage,
    ) -> impl Iterator<Item = (usize, &'d Instruction)> + use<'d> {
        let from = stage.range.start + 1;
        let steps = self.instructions.get(from..stage.range.end).unwrap_or_default();
        steps.iter().enumerate().map(move |(offset, step)| (from + offset, step))
    }

    /// Visits the instructions of the final stage and of those that it starts from, in order, each with its number
    /// and with the variables before it. What ONBUILD keeps is visited where it is built.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(usize, &'d Instruction, &Variables)) {
        let mut variables = Variables::default();
        let mut parent: Option<&Stage> = None;
        for stage in self.lineage().into_iter().rev() {
            variables.enter_stage(&self.globals, stage.image.as_deref());
            let kept = parent.into_iter().flat_map(|parent| self.steps_of(parent));
            let kept = kept.filter_map(|(number, step)| Some((number, step.later.as_deref()?)));
            for (number, step) in kept.chain(self.steps_of(stage)) {
                visit(number, step, &variables);
                variables.learn(step, &self.globals);
            }
            parent = Some(stage);
        }
    }

    /// The final stage and those that it starts from, last first.
    pub(super) fn lineage(&self) -> Vec<&Stage> {
        let mut next = self.stages.len().checked_sub(1);
        let mut lineage = Vec::new();
        while let Some(stage) = next.and_then(|index| self.stages.get(index)) {
            lineage.push(stage);
            next = stage.parent;
        }
        lineage
    }

    /// The commands of every RUN, with its number.
    pub(super) fn commands(&self) -> impl Iterator<Item = (usize, &[Step])> {
        let all = self.commands.iter().map(Vec::as_slice).enumerate();
        all.filter(|(_, steps)| !steps.is_empty())
    }

    /// The commands of an instruction; none if it is no RUN.
    pub(super) fn steps(&self, number: usize, step: &Instruction) -> &[Step] {
        let own = self.commands.get(number).filter(|_| step.name == "RUN");
        own.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an instruction counts where it stands, and is not kept for later.
    pub(super) fn is_own(&self, number: usize) -> bool {
        self.instructions.get(number).is_some_and(|own| own.later.is_none())
    }
}

/// The commands of each RUN, as far as a shell of Unix runs them. A stage has the shell of the one that it starts from.
fn commands(instructions: &[Instruction], stages: &[Stage]) -> Vec<Vec<Step>> {
    let mut commands = vec![Vec::new(); instructions.len()];
    let mut left_foreign: Vec<bool> = Vec::with_capacity(stages.len());
    for stage in stages {
        let inherited = stage.parent.and_then(|parent| left_foreign.get(parent));
        let mut is_foreign = inherited.copied().unwrap_or_default();
        let own = instructions.get(stage.range.clone()).unwrap_or_default();
        let places = commands.get_mut(stage.range.clone()).unwrap_or_default();
        for (instruction, place) in own.iter().zip(places) {
            if instruction.name == "SHELL" {
                is_foreign = is_shell_of_windows(instruction);
            }
            let own = instruction.kept();
            if own.name == "RUN" && (own.list.is_some() || !is_foreign) {
                *place = shell::steps(&run::text(own));
            }
        }
        left_foreign.push(is_foreign);
    }
    commands
}

fn is_shell_of_windows(instruction: &Instruction) -> bool {
    let program = instruction.list.iter().flatten().next().map(|one| one.to_lowercase());
    let program = program.unwrap_or_default();
    ["cmd", "powershell", "pwsh"].iter().any(|name| program.contains(name))
}
