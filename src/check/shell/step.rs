//! One command of a shell.

/// Shells of Unix.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "ksh"];

/// Other programs that run what they read.
const INTERPRETERS: [&str; 6] = ["python", "perl", "ruby", "node", "php", "lua"];

/// Words of a shell before a command.
const KEYWORDS: [&str; 10] = ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "("];

/// Programs that run another one: flags with a value, and words before that program.
const WRAPPERS: [(&str, &[&str], usize); 16] = [
    ("sudo", &["-u", "-g", "-h", "-p", "-C", "-r", "-t", "--user", "--group"], 0),
    ("doas", &["-u", "-C"], 0),
    ("env", &["-u", "-C", "--unset", "--chdir"], 0),
    ("exec", &["-a"], 0),
    ("command", &[], 0),
    ("builtin", &[], 0),
    ("time", &[], 0),
    ("nohup", &[], 0),
    ("setsid", &[], 0),
    ("busybox", &[], 0),
    ("nice", &["-n"], 0),
    ("ionice", &["-c", "-n"], 0),
    ("stdbuf", &["-i", "-o", "-e"], 0),
    ("timeout", &["-k", "-s"], 1),
    ("gosu", &[], 1),
    ("su-exec", &[], 1),
];

/// A command with what joins it to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its words, as they are written, quotes included.
    pub(crate) words: Vec<String>,
    /// Its output goes into the next command.
    pub(crate) piped: bool,
}

impl Step {
    /// The name of the program, without its folder, behind `sudo`, variables and keywords.
    pub(crate) fn program(&self) -> &str {
        self.arguments().0
    }

    /// The program and what follows it.
    pub(crate) fn arguments(&self) -> (&str, &[String]) {
        let at = self.start();
        let word = self.words.get(at).map_or("", String::as_str);
        (named(word), self.words.get(at + 1..).unwrap_or_default())
    }

    /// The word that names the program, as it is written.
    pub(crate) fn command(&self) -> &str {
        self.words.get(self.start()).map_or("", String::as_str)
    }

    /// Number of the word that names the program.
    fn start(&self) -> usize {
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            let name = named(word);
            let is_document = word.starts_with("<<") && !word.starts_with("<<<");
            if is_assignment(word) || is_document || KEYWORDS.contains(&name) {
                at += 1;
            } else if name == "command"
                && self.words.get(at + 1).is_some_and(|flag| is_question(flag))
            {
                break;
            } else if let Some((_, valued, more)) = WRAPPERS.iter().find(|(own, ..)| *own == name) {
                at += 1;
                while let Some(flag) = self.words.get(at).filter(|word| word.starts_with('-')) {
                    at += if valued.contains(&flag.as_str()) { 2 } else { 1 };
                }
                at += more;
            } else {
                break;
            }
        }
        at
    }

    /// Whether the program only says what it is, as in `make --version`.
    pub(crate) fn only_tells(&self) -> bool {
        matches!(self.arguments().1, [word, ..] if matches!(word.as_str(), "--version" | "-version" | "--help"))
    }

    /// Whether a word is among the arguments.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// Whether a shell of Unix runs.
    pub(crate) fn is_shell(&self) -> bool {
        SHELLS.contains(&self.program())
    }

    /// The text that a shell is given to run.
    pub(crate) fn script(&self) -> Option<String> {
        let (program, arguments) = self.arguments();
        if program == "eval" {
            let words: Vec<_> = arguments.iter().map(|word| plain(word)).collect();
            return Some(words.join(" "));
        }
        if !self.is_shell() && program != "su" {
            return None;
        }
        let flag = |word: &String| is_short(word) && word.contains('c') || word == "--command";
        let at = arguments.iter().position(flag)?;
        let rest = arguments.get(at + 1..).unwrap_or_default();
        rest.iter().find(|word| !word.starts_with('-')).map(|word| plain(word))
    }

    /// Whether the program runs what it reads from its input, and no file and no argument.
    pub(crate) fn reads_program(&self) -> bool {
        let (program, arguments) = self.arguments();
        let is_shell = self.is_shell();
        let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        if !is_shell && !INTERPRETERS.contains(&name) {
            return false;
        }
        // With these flags the program stands in an argument.
        let elsewhere: &[char] = if is_shell { &['c'] } else { &['c', 'm', 'e', 'n', 'p', 'r'] };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-" | "/dev/stdin" => return true,
                "-o" | "+o" if is_shell => {
                    words.next();
                }
                word if is_short(word) && word.contains(elsewhere) => return false,
                word if is_short(word) && is_shell && word.contains('s') => return true,
                word if word.starts_with("--eval") => return false,
                word if word.starts_with('-') || is_redirection(word) => {}
                _ => return false,
            }
        }
        true
    }
}

/// The name of a program without its folder. A substitution is none.
fn named(word: &str) -> &str {
    let word = word.trim_matches(['"', '\'']);
    if word.contains("$(") || word.contains('`') {
        return word;
    }
    word.rsplit('/').next().unwrap_or(word)
}

/// `command -v NAME` looks a command up and runs nothing.
fn is_question(flag: &str) -> bool {
    matches!(flag, "-v" | "-V" | "-pv" | "-pV")
}

fn is_short(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--")
}

/// `2>&1`, `>file`; `<(...)` is a file.
fn is_redirection(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
    rest.starts_with(['<', '>']) && !rest.starts_with("<(")
}

/// `NAME=value`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '+')
    })
}

/// A word without its quotes and escapes.
pub(crate) fn plain(word: &str) -> String {
    let (mut text, mut quote) = (String::new(), None);
    let mut letters = word.chars().peekable();
    while let Some(c) = letters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            ('\\', None) => text.extend(letters.next()),
            ('\\', Some('"')) => {
                let next = letters.next_if(|c| matches!(c, '"' | '\\' | '$' | '`'));
                text.push(next.unwrap_or('\\'));
            }
            (c, _) => text.push(c),
        }
    }
    text
}
