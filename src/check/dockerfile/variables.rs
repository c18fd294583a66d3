//! Variables of a Dockerfile, as far as the file itself sets them.

use std::collections::BTreeMap;

use parse_dockerfile::Instruction;

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

/// Variables at one place of a Dockerfile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    environment: BTreeMap<String, Known>,
    arguments: BTreeMap<String, Known>,
    /// Of a stage, where what nobody sets is empty. Before the first stage such a variable is not reported.
    in_stage: bool,
}

impl Variables {
    /// The defaults of the arguments before the first stage.
    pub(crate) fn of(head: &[Instruction<'_>]) -> Self {
        let mut variables = Self::default();
        let nothing = Self::default();
        let later = OF_BUILDER.map(|name| (name.to_owned(), Known::Later));
        variables.arguments.extend(later);
        for instruction in head {
            variables.learn(instruction, &nothing);
        }
        variables
    }

    /// Those at the start of a stage: what stages before it set in its environment, and no argument.
    pub(crate) fn enter_stage(&mut self) {
        self.arguments.clear();
        if !self.in_stage {
            let later = OF_BASES.map(|name| (name.to_owned(), Known::Later));
            self.environment.extend(later);
            self.in_stage = true;
        }
    }

    /// Remembers what an instruction sets. An argument of a stage that has no default takes that of the argument
    /// before the first stage, if there is one.
    pub(crate) fn learn(&mut self, instruction: &Instruction<'_>, globals: &Self) {
        let is_argument = matches!(instruction, Instruction::Arg(_));
        for (name, value) in assignments(instruction) {
            let known = match value {
                Some(value) => self.expand(&value).map_or(Known::Later, Known::Value),
                None => globals.arguments.get(&name).cloned().unwrap_or(Known::Later),
            };
            if is_argument {
                self.arguments.insert(name, known);
            } else {
                self.environment.insert(name, known);
            }
        }
    }

    /// The value of a variable: `None` if it is not known here, empty if nobody sets it.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match self.environment.get(name).or(self.arguments.get(name)) {
            Some(Known::Value(value)) => Some(value),
            Some(Known::Later) => None,
            None => self.in_stage.then_some(""),
        }
    }

    /// The text with its variables replaced; `None` if one is not known.
    pub(crate) fn expand(&self, text: &str) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            if let Some(before) = before.strip_suffix('\\') {
                expanded.push_str(before);
                expanded.push('$');
                rest = after;
                continue;
            }
            expanded.push_str(before);
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if let Some(braced) = after.strip_prefix('{') {
                let (inside, after) = braced.split_once('}')?;
                expanded.push_str(&self.modified(inside)?);
                rest = after;
            } else {
                let (name, after) = after.split_at(after.find(|c| !word(c)).unwrap_or(after.len()));
                expanded.push_str(if name.is_empty() { "$" } else { self.value(name)? });
                rest = after;
            }
        }
        expanded.push_str(rest);
        Some(expanded)
    }

    /// What stands between braces: a name, and what is taken if it is set or is not.
    fn modified(&self, inside: &str) -> Option<String> {
        let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, modifier) = inside.split_at(end.unwrap_or(inside.len()));
        let modifier = modifier.strip_prefix(':').unwrap_or(modifier);
        match (modifier.chars().next(), modifier.get(1..).unwrap_or_default()) {
            (None, _) => self.value(name).map(ToOwned::to_owned),
            (Some('-'), otherwise) => match self.value(name) {
                Some(value) if !value.is_empty() => Some(value.to_owned()),
                // What is built without a value has the default, too.
                _ => self.expand(otherwise),
            },
            (Some('+'), other) => match self.value(name)? {
                "" => Some(String::new()),
                _ => self.expand(other),
            },
            _ => None,
        }
    }
}

/// What ENV or ARG sets: names with their values, where they have one.
pub(crate) fn assignments(instruction: &Instruction<'_>) -> Vec<(String, Option<String>)> {
    match instruction {
        Instruction::Env(env) => {
            let words = words(&env.arguments.value);
            let old = words.first().is_some_and(|first| !first.contains('='));
            match env.arguments.value.trim().split_once(char::is_whitespace) {
                // `ENV NAME the rest is the value`
                Some((name, value)) if old => {
                    vec![(name.to_owned(), Some(value.trim().to_owned()))]
                }
                _ => words.iter().map(|word| pair(word)).collect(),
            }
        }
        Instruction::Arg(arg) => {
            words(&arg.arguments.value).iter().map(|word| pair(word)).collect()
        }
        _ => Vec::new(),
    }
}

fn pair(word: &str) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word.to_owned(), None),
    }
}

/// The words of a line, quotes and escapes removed.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => {
                if let Some(next) = letters.next().filter(|next| *next != '\n') {
                    word.get_or_insert_default().push(next);
                }
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_variables_are_read_as_a_builder_reads_them() {
        assert_eq!(
            words(r#"A=1 B="x y" C='q $D' D=a\ b E="#),
            ["A=1", "B=x y", "C=q $D", "D=a b", "E="]
        );
        let text =
            "ARG TAG=3.20\nARG IMAGE=alpine:$TAG\nARG NONE\nFROM ${IMAGE}\nENV OLD some words\n";
        let dockerfile = parse_dockerfile::parse(text).unwrap();
        let variables = Variables::of(&dockerfile.instructions[..3]);
        assert_eq!(variables.expand("${IMAGE}").as_deref(), Some("alpine:3.20"));
        assert_eq!(variables.expand("a$TAG-b").as_deref(), Some("a3.20-b"));
        assert_eq!(variables.expand("${NONE:-x}/y").as_deref(), Some("x/y"));
        assert_eq!(variables.expand("$NONE"), None);
        assert_eq!(variables.expand("$NOWHERE"), None);
        let mut stage = Variables::default();
        stage.enter_stage();
        assert_eq!(stage.expand("a${NOWHERE}b$TAG").as_deref(), Some("ab"));
        stage.learn(&dockerfile.instructions[0], &variables);
        assert_eq!(stage.expand("${TAG:+set} \\$TAG $").as_deref(), Some("set $TAG $"));
        assert_eq!(stage.expand("$PATH"), None);
        stage.enter_stage();
        assert_eq!(stage.expand("$TAG").as_deref(), Some(""));
        assert_eq!(variables.expand("${BROKEN"), None);
        let env = assignments(&dockerfile.instructions[4]);
        assert_eq!(env, [("OLD".to_owned(), Some("some words".to_owned()))]);
    }
}
