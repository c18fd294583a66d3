//! Variables of a Dockerfile, as far as the file itself sets them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    instruction::Instruction,
    words::{self, Bad, Values},
};

/// What is known of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// Its value.
    Value(String),
    /// It is set when the image is built, or by the base.
    Later,
}

/// Arguments that a builder sets before the first stage.
const OF_BUILDER: [&str; 8] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
];

/// Variables that bases set.
const OF_BASES: [&str; 3] = ["PATH", "HOME", "HOSTNAME"];

/// Longest value that is followed: one that holds itself twice doubles with each line.
const LONGEST: usize = 16 << 10;

/// Variables at one place of a Dockerfile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    environment: BTreeMap<String, Known>,
    arguments: BTreeMap<String, Known>,
    /// Arguments that ended before this stage: here they are empty.
    ended: BTreeSet<String>,
    /// Nothing but this file sets anything, so that what it does not set is empty. Any other base may set more.
    is_whole: bool,
    in_stage: bool,
}

impl Variables {
    /// The defaults of the arguments before the first stage.
    pub(crate) fn of(head: &[Instruction]) -> Self {
        let mut variables = Self::default();
        let nothing = Self::default();
        let later = OF_BUILDER.map(|name| (name.to_owned(), Known::Later));
        variables.arguments.extend(later);
        for instruction in head {
            variables.learn(instruction, &nothing);
        }
        variables
    }

    /// Those at the start of a stage: what stages before it set in its environment, and no argument. The first one
    /// starts from `image`.
    pub(crate) fn enter_stage(&mut self, globals: &Self, image: Option<&str>) {
        self.ended.extend(std::mem::take(&mut self.arguments).into_keys());
        if !self.in_stage {
            self.ended.extend(globals.arguments.keys().cloned());
            self.is_whole = image == Some("scratch");
            let later = OF_BASES.map(|name| (name.to_owned(), Known::Later));
            self.environment.extend(later);
            self.in_stage = true;
        }
    }

    /// Remembers what an instruction sets. All of ENV is read with what was set before it. An argument of a stage that
    /// has no default takes that of the argument before the first stage, if there is one.
    pub(crate) fn learn(&mut self, instruction: &Instruction, globals: &Self) {
        let is_argument = instruction.name == "ARG";
        if !is_argument && instruction.name != "ENV" {
            return;
        }
        let mut learned = Vec::new();
        for (name, value) in instruction.assignments() {
            let name = self.expand(&name, instruction.escape).unwrap_or(name);
            let known = match value {
                Some(value) => {
                    self.expand(&value, instruction.escape).map_or(Known::Later, Known::Value)
                }
                None => globals.arguments.get(&name).cloned().unwrap_or(Known::Later),
            };
            if is_argument {
                // Each argument of an ARG is seen by the next.
                self.arguments.insert(name, known);
            } else {
                learned.push((name, known));
            }
        }
        self.environment.extend(learned);
    }

    /// The value of a variable: `None` if it is not known here, empty if nobody sets it.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match self.environment.get(name).or(self.arguments.get(name)) {
            Some(Known::Value(value)) => Some(value),
            Some(Known::Later) => None,
            None => self.is_empty(name).then_some(""),
        }
    }

    /// Whether a variable that is not set is certainly so.
    fn is_empty(&self, name: &str) -> bool {
        self.in_stage && (self.is_whole || self.ended.contains(name))
    }

    /// A text without its quotes and with its variables replaced; `None` if one is not known.
    pub(crate) fn expand(&self, text: &str, escape: char) -> Option<String> {
        // Most texts hold nothing to replace.
        if !text.contains(['$', '\'', '"', escape]) {
            return Some(text.to_owned());
        }
        words::expand(text, escape, self).ok().filter(|value| value.len() <= LONGEST)
    }
}

impl Values for Variables {
    fn value(&self, name: &str) -> Result<Option<String>, Bad> {
        match self.environment.get(name).or(self.arguments.get(name)) {
            Some(Known::Value(value)) => Ok(Some(value.clone())),
            None if self.is_empty(name) => Ok(None),
            Some(Known::Later) | None => Err(Bad::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::dockerfile::parse::parse;

    fn learned(text: &str) -> Variables {
        let file = parse(text).unwrap();
        let first = file.instructions.iter().position(|one| one.name == "FROM").unwrap();
        let globals = Variables::of(&file.instructions[..first]);
        let mut stage = Variables::default();
        stage.enter_stage(&globals, Some("scratch"));
        for instruction in &file.instructions[first..] {
            stage.learn(instruction, &globals);
        }
        stage
    }

    #[test]
    fn variables_are_read_as_a_builder_reads_them() {
        let text = "ARG TAG=3.20\nARG IMAGE=\"alpine:$TAG\"\nARG NONE\nFROM ${IMAGE}\n";
        let file = parse(text).unwrap();
        let variables = Variables::of(&file.instructions[..3]);
        let of = |text: &str| variables.expand(text, '\\');
        assert_eq!(of("${IMAGE}").as_deref(), Some("alpine:3.20"));
        assert_eq!(of("a$TAG-b").as_deref(), Some("a3.20-b"));
        assert_eq!(of("${NONE:-x}/y").as_deref(), Some("x/y"));
        assert_eq!(of("${TAG%.*}").as_deref(), Some("3"));
        assert_eq!(of("'$TAG'").as_deref(), Some("$TAG"));
        for unknown in ["$NONE", "$NOWHERE", "${BROKEN", "$TARGETARCH"] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
        let stage =
            learned("ARG G=1\nFROM a\nARG G\nARG A=2 B=$A\nENV OLD some 'words'\nENV C=$OLD\n");
        let of = |text: &str| stage.expand(text, '\\');
        assert_eq!(of("a${NOWHERE}b$G$A$B").as_deref(), Some("ab122"));
        assert_eq!(of("${A:+set}\\$A$").as_deref(), Some("set$A$"));
        assert_eq!(of("$C").as_deref(), Some("some words"));
        assert_eq!(of("$PATH"), None);
    }

    #[test]
    fn arguments_end_with_their_stage_and_the_environment_does_not() {
        let mut stage = learned("FROM a\nARG A=1\nENV B=$A\n");
        stage.enter_stage(&Variables::default(), None);
        assert_eq!((stage.value("A"), stage.value("B")), (Some(""), Some("1")));
        // ENV wins over ARG, wherever they stand.
        let both = learned("FROM a\nENV A=env\nARG A=arg\n");
        assert_eq!(both.value("A"), Some("env"));
    }

    #[test]
    fn one_instruction_is_read_with_what_was_set_before_it() {
        let stage = learned("FROM a\nENV A=1\nENV A=2 B=$A\n");
        assert_eq!((stage.value("A"), stage.value("B")), (Some("2"), Some("1")));
    }

    #[test]
    fn values_that_double_are_not_followed_for_ever() {
        let stage = learned(&format!("FROM a\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(200)));
        assert_eq!(stage.value("A"), None);
    }
}
