//! Text for a shell, taken apart just far enough to recognise commands, also those within `$(...)`, `<(...)`,
//! `sh -c '...'` and here-documents for a shell.

mod step;

#[cfg(test)]
mod tests;

use std::iter::Peekable;
use std::str::Chars;

pub(crate) use step::{Step, plain};

/// Texts within texts that are followed.
const DEEPEST: usize = 4;

/// The commands of a shell text, in order. Those within a command follow its pipeline.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    nested(text, 0)
}

fn nested(text: &str, depth: usize) -> Vec<Step> {
    if depth > DEEPEST {
        return Vec::new();
    }
    let mut reader = Reader {
        letters: text.chars().peekable(),
        depth,
        steps: Vec::new(),
        inner: Vec::new(),
        words: Vec::new(),
        word: String::new(),
        documents: Vec::new(),
        groups: 0,
        cases: 0,
    };
    reader.read();
    reader.steps
}

/// What ends a here-document, and whether tabs before it do not count.
struct Document {
    end: String,
    tabs: bool,
}

struct Reader<'t> {
    letters: Peekable<Chars<'t>>,
    depth: usize,
    /// Those that have ended.
    steps: Vec<Step>,
    /// Those within the pipeline that is being read.
    inner: Vec<Step>,
    words: Vec<String>,
    word: String,
    /// Here-documents that begin behind this line.
    documents: Vec<Document>,
    /// Parentheses that are open, and `case` without its `esac`.
    groups: usize,
    cases: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(c) = self.letters.next() {
            match c {
                '\\' => self.escaped(),
                '\'' => self.literal(),
                '"' => self.quoted(),
                '`' => self.backquoted(),
                '$' if self.letters.peek() == Some(&'(') => self.substituted('$'),
                '$' if self.letters.peek() == Some(&'\'') => self.escaped_literal(),
                '<' | '>' if self.letters.peek() == Some(&'(') => self.substituted(c),
                '<' if self.letters.peek() == Some(&'<') => self.document(),
                '#' if self.word.is_empty() => {
                    while self.letters.next_if(|c| *c != '\n').is_some() {}
                }
                '(' if self.word.is_empty() => {
                    self.groups += 1;
                    self.end(false);
                }
                ')' => self.closed(),
                ';' => self.end(false),
                '\n' => {
                    self.end(false);
                    self.documents();
                }
                '&' if self.word.ends_with(['>', '<']) || self.letters.peek() == Some(&'>') => {
                    self.word.push(c);
                }
                '&' => {
                    self.letters.next_if_eq(&'&');
                    self.end(false);
                }
                '|' if self.letters.next_if_eq(&'|').is_some() => self.end(false),
                '|' => {
                    self.letters.next_if_eq(&'&');
                    self.end(true);
                }
                c if c.is_whitespace() => self.end_word(),
                c => self.word.push(c),
            }
        }
        self.end(false);
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    /// A parenthesis closes a group, or ends a pattern of `case`, which is no command.
    fn closed(&mut self) {
        self.end_word();
        if self.groups > 0 {
            self.groups -= 1;
        } else if self.cases > 0 {
            // `a|b)`
            self.words.clear();
            while self.steps.pop_if(|step| step.piped).is_some() {}
        }
        self.end(false);
    }

    /// Ends a command. What stands behind the end of a group goes on from the last command in it.
    fn end(&mut self, piped: bool) {
        self.end_word();
        let step = Step { words: std::mem::take(&mut self.words), piped };
        match step.words.first().map(String::as_str) {
            Some("case") => self.cases += 1,
            Some("esac") => self.cases = self.cases.saturating_sub(1),
            _ => {}
        }
        if step.words.is_empty() || step.words == ["}"] {
            self.steps.last_mut().into_iter().for_each(|last| last.piped |= piped);
        } else {
            if let Some(script) = step.script() {
                self.inner.extend(nested(&script, self.depth + 1));
            }
            self.steps.push(step);
        }
        if !piped {
            self.steps.append(&mut self.inner);
        }
    }

    /// A line that goes on is one with the next.
    fn escaped(&mut self) {
        if let Some(next) = self.letters.next().filter(|next| *next != '\n') {
            self.word.extend(['\\', next]);
        }
    }

    fn literal(&mut self) {
        self.word.push('\'');
        for c in self.letters.by_ref() {
            self.word.push(c);
            if c == '\'' {
                break;
            }
        }
    }

    /// `$'...'`: a quote in it may be escaped.
    fn escaped_literal(&mut self) {
        self.letters.next();
        self.word.push('\'');
        while let Some(c) = self.letters.next().filter(|c| *c != '\'') {
            match (c, self.letters.peek()) {
                ('\\', Some('\'')) => self.word.push_str("'\\''"),
                ('\\', Some('\\')) => self.word.push('\\'),
                _ => {
                    self.word.push(c);
                    continue;
                }
            }
            self.letters.next();
        }
        self.word.push('\'');
    }

    fn quoted(&mut self) {
        self.word.push('"');
        while let Some(c) = self.letters.next() {
            match c {
                '\\' => {
                    self.word.push(c);
                    self.word.extend(self.letters.next());
                }
                '`' => self.backquoted(),
                '$' if self.letters.peek() == Some(&'(') => self.substituted('$'),
                c => self.word.push(c),
            }
            if c == '"' {
                break;
            }
        }
    }

    fn backquoted(&mut self) {
        let mut text = String::new();
        while let Some(c) = self.letters.next().filter(|c| *c != '`') {
            text.push(c);
            if c == '\\' {
                text.extend(self.letters.next());
            }
        }
        self.inner.extend(nested(&text, self.depth + 1));
        self.word.push('`');
        self.word.push_str(&text);
        self.word.push('`');
    }

    /// `$(...)`, `<(...)`. Arithmetic, as in `$((1 + 2))`, holds no commands.
    fn substituted(&mut self, sign: char) {
        self.letters.next();
        let is_arithmetic = sign == '$' && self.letters.peek() == Some(&'(');
        let text = self.balanced();
        if !is_arithmetic {
            self.inner.extend(nested(&text, self.depth + 1));
        }
        self.word.extend([sign, '(']);
        self.word.push_str(&text);
        self.word.push(')');
    }

    /// What stands before the parenthesis that closes.
    fn balanced(&mut self) -> String {
        let (mut text, mut open, mut quote) = (String::new(), 1_usize, None);
        while let Some(c) = self.letters.next() {
            match (c, quote) {
                (c, Some(own)) if c == own => quote = None,
                ('\'' | '"', None) => quote = Some(c),
                ('(', None) => open += 1,
                (')', None) => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
            text.push(c);
            if c == '\\' && quote != Some('\'') {
                text.extend(self.letters.next());
            }
        }
        text
    }

    /// `<<EOF`, `<<-'EOF'`; `<<<` is followed by a word.
    fn document(&mut self) {
        self.letters.next();
        self.end_word();
        if self.letters.next_if_eq(&'<').is_some() {
            self.words.push("<<<".to_owned());
            return;
        }
        let tabs = self.letters.next_if_eq(&'-').is_some();
        while self.letters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let mut end = String::new();
        let ends = |c: &char| c.is_whitespace() || "|&;<>()".contains(*c);
        while let Some(c) = self.letters.next_if(|c| !ends(c)) {
            end.push(c);
        }
        self.words.push(format!("<<{end}"));
        self.documents.push(Document { end: plain(&end), tabs });
    }

    /// The texts of here-documents: data, or what a shell runs.
    fn documents(&mut self) {
        for document in std::mem::take(&mut self.documents) {
            let mut text = String::new();
            while self.letters.peek().is_some() {
                let mut line = String::new();
                while let Some(c) = self.letters.next().filter(|c| *c != '\n') {
                    line.push(c);
                }
                let own = if document.tabs { line.trim_start_matches('\t') } else { &line };
                if own == document.end {
                    break;
                }
                text.push_str(&line);
                text.push('\n');
            }
            if self.steps.last().is_some_and(|step| step.is_shell() && step.reads_program()) {
                self.steps.extend(nested(&text, self.depth + 1));
            }
        }
    }
}
