//! Variables of a Dockerfile, as far as the file itself tells them.

use std::collections::BTreeMap;

use parse_dockerfile::Instruction;

/// Values by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// The defaults of the arguments before the first stage.
    pub(crate) fn of(head: &[Instruction<'_>]) -> Self {
        let mut variables = Self::default();
        for instruction in head {
            variables.learn(instruction);
        }
        variables
    }

    /// Remembers what an instruction sets.
    pub(crate) fn learn(&mut self, instruction: &Instruction<'_>) {
        for (name, value) in assignments(instruction) {
            if let Some(value) = value.and_then(|value| self.expand(&value)) {
                self.values.insert(name, value);
            }
        }
    }

    /// The text with its variables replaced; `None` if one is not known.
    pub(crate) fn expand(&self, text: &str) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (inside, after) = if let Some(braced) = after.strip_prefix('{') {
                braced.split_once('}')?
            } else {
                after.split_at(after.find(|c| !word(c)).unwrap_or(after.len()))
            };
            let (name, fallback) = match inside.split_once(":-").or(inside.split_once('-')) {
                Some((name, fallback)) => (name, Some(fallback.to_owned())),
                None => (inside, None),
            };
            expanded.push_str(&self.values.get(name).cloned().or(fallback)?);
            rest = after;
        }
        expanded.push_str(rest);
        Some(expanded)
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
        assert_eq!(variables.expand("${BROKEN"), None);
        let env = assignments(&dockerfile.instructions[4]);
        assert_eq!(env, [("OLD".to_owned(), Some("some words".to_owned()))]);
    }
}
