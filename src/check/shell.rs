//! Text for a shell, taken apart just far enough to recognise commands.

/// A command with what joins it to the next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its words, as they are written, quotes included.
    pub(crate) words: Vec<String>,
    /// Its output goes into the next command.
    pub(crate) piped: bool,
}

impl Step {
    /// The name of the program, without its folder, after `sudo`, variables and keywords.
    pub(crate) fn program(&self) -> &str {
        self.arguments().0
    }

    /// The program and what follows it.
    pub(crate) fn arguments(&self) -> (&str, &[String]) {
        let skipped =
            ["sudo", "env", "exec", "command", "time", "then", "do", "else", "if", "!", "{", "("];
        let first = self.words.iter().position(|word| {
            !skipped.contains(&word.as_str()) && !word.contains('=') && !word.starts_with('-')
        });
        let Some(first) = first else { return ("", &[]) };
        let name = self.words.get(first).map_or("", String::as_str);
        let name = name.rsplit('/').next().unwrap_or(name);
        (name.trim_start_matches('('), self.words.get(first + 1..).unwrap_or_default())
    }

    /// Whether a word is among the arguments.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }
}

/// The commands of a shell text, in order.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    let mut steps = vec![Step { words: vec![String::new()], piped: false }];
    let (mut quote, mut letters) = (None, text.chars().peekable());
    while let Some(c) = letters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (';' | '\n', None) => next(&mut steps, false),
            ('&', None) if letters.peek() == Some(&'&') => next(&mut steps, false),
            ('|', None) if letters.next_if_eq(&'|').is_some() => next(&mut steps, false),
            ('|', None) => next(&mut steps, true),
            _ => {}
        }
        let Some(step) = steps.last_mut() else { continue };
        if c.is_whitespace() && quote.is_none() {
            step.words.push(String::new());
        } else if !(quote.is_none() && matches!(c, ';' | '&' | '|')) {
            step.words.last_mut().into_iter().for_each(|word| word.push(c));
        }
    }
    for step in &mut steps {
        step.words.retain(|word| !word.is_empty());
    }
    steps.retain(|step| !step.words.is_empty());
    steps
}

fn next(steps: &mut Vec<Step>, piped: bool) {
    if let Some(step) = steps.last_mut() {
        step.piped = piped;
    }
    steps.push(Step { words: vec![String::new()], piped: false });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart() {
        let found = steps(
            "apt-get update && apt-get install -y curl; X=1 sudo /bin/sh -c 'a && b' | tee x || true\n",
        );
        let programs: Vec<_> = found.iter().map(|step| (step.program(), step.piped)).collect();
        let wanted =
            [("apt-get", false), ("apt-get", false), ("sh", true), ("tee", false), ("true", false)];
        assert_eq!(programs, wanted);
        assert_eq!(found[2].words.last().map(String::as_str), Some("'a && b'"));
    }
}
