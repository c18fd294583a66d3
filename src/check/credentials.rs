//! Credentials outside of the environment: in command lines, ConfigMaps and commands of a shell. Admission does not
//! read these; files are where they are written, so only they are checked. Values are inspected and never shown.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::shell::{self, Step};
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Settings;
use crate::policy::Subject;
use crate::policy::rules::credentials::{
    is_literal_credential, is_of_known_shape, looks_like_credential,
};

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(HEADER, r#"(?i)authorization['"]?: *['"]?(bearer|basic|token) +[^$`"' <{]{6}"#);
// A key of a configuration file in any format, with its value.
pattern!(
    ASSIGNMENT,
    r#"^\s*(?:-\s+)?(?:export\s+|set\s+)?["']?([A-Za-z_][A-Za-z0-9_./-]*)["']?\s*(?:=>|:=|[=:])\s*(.*?)\s*[,;]?\s*$"#
);
pattern!(ELEMENT, r"<([A-Za-z][A-Za-z0-9_.-]*)>([^<>]+)</");
// The word and the value of formats without a sign between them.
pattern!(
    DIRECTIVE,
    r#"^\s*(requirepass|masterauth|password|passwd|secret)\s+["']?([^\s"']+)["']?\s*$"#
);
pattern!(NETRC, r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+[^\s$<{]");
pattern!(COMMENT, r"^\s*(#|// |;|-- |\* |/\*|<!--)");
// What a program reads or computes is not written here.
pattern!(
    CODE,
    r"^(!?[A-Za-z_][A-Za-z0-9_.]*[(\[]|(var|local|data|self|config|settings|process|os|env|each|module|secrets|values)[.]|lookup |function|new )"
);
// A name that says which object holds the credential.
pattern!(
    HOLDER,
    r"(^|[_.-])(existing|image_?pull|pull|from|use|tls|ca|k8s|kubernetes|default|store|secret)[_.-](secret|credential)s?$"
);

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Which arguments of a workload's containers hold a credential.
pub(crate) fn of_arguments(settings: &Settings, subject: &Subject<'_>) -> Vec<Finding> {
    if settings.literal_credential_env == Verdict::Ignore {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let containers = subject.spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            for field in ["command", "args"] {
                let words = container[field].as_array().into_iter().flatten();
                let words: Vec<_> = words.map(|word| word.as_str().unwrap_or_default()).collect();
                let name = container["name"].as_str().unwrap_or_default();
                for number in in_words(&words) {
                    let path = subject.in_spec(&[list]).index(index).key(field).index(number);
                    let message =
                        format!("container {name:?} has a credential in its command line");
                    findings.push(Finding::new(ControlId::HbSecretLiteral, path, message));
                }
            }
        }
    }
    findings
}

/// What is wrong with a ConfigMap: everyone who may read the namespace reads it.
pub(crate) fn of_config_map(object: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        let Some(value) = value.as_str() else { continue };
        let Some(line) = in_entry(key, value) else { continue };
        let place = if value.trim_end().contains('\n') {
            format!(" on its line {}", line + 1)
        } else {
            String::new()
        };
        let message = format!("the ConfigMap holds a credential in {key}{place}");
        let path = FieldPath::default().keys(&["data", key]);
        findings.push(Finding::new(ControlId::HbSecretConfig, path, message));
    }
    findings
}

/// The first line of an entry of a ConfigMap that holds a credential.
fn in_entry(key: &str, value: &str) -> Option<usize> {
    let lines: Vec<_> = value.trim_end().lines().collect();
    match lines.as_slice() {
        [one] if is_set(key, one.trim()) || is_in_line(one) => Some(0),
        [_] => None,
        lines => lines.iter().position(|line| is_in_line(line)),
    }
}

/// Whether a line of a configuration file holds a credential, in whichever format it is.
fn is_in_line(line: &str) -> bool {
    if matches(&COMMENT, line) {
        return is_of_known_shape(line);
    }
    if let Some(found) = ASSIGNMENT.as_ref().and_then(|pattern| pattern.captures(line)) {
        let part = |number| found.get(number).map_or("", |part| part.as_str());
        // `//registry:_authToken=x` of npm: the last part is the name.
        let (name, value) = (part(1), uncommented(part(2)));
        if is_set(name, value) {
            return true;
        }
        return is_shaped(value) || matches(&HEADER, line);
    }
    if let Some(found) = DIRECTIVE.as_ref().and_then(|pattern| pattern.captures(line)) {
        let part = |number| found.get(number).map_or("", |part| part.as_str());
        let always = matches!(part(1), "requirepass" | "masterauth");
        let telling = part(2).contains(|c: char| c.is_ascii_digit());
        return (always || telling) && is_set(part(1), part(2));
    }
    if let Some(found) = ELEMENT.as_ref().and_then(|pattern| pattern.captures(line)) {
        let part = |number| found.get(number).map_or("", |part| part.as_str());
        return is_set(part(1), part(2).trim());
    }
    let npm = line.trim().rsplit_once(":_").is_some_and(|(_, rest)| is_pair(rest));
    npm || matches(&NETRC, line) || matches(&HEADER, line) || is_shaped(line)
}

/// A value without the comment behind it.
fn uncommented(value: &str) -> &str {
    value.split(" #").next().unwrap_or(value).trim()
}

/// By its shape alone. A statement about a column called password is none.
fn is_shaped(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let query = ["select ", "update ", "insert ", "where "].iter().any(|word| lower.contains(word));
    !query && looks_like_credential(text)
}

/// The words of a command line that hold a credential.
pub(crate) fn in_words(words: &[&str]) -> Vec<usize> {
    let numbers = (0..words.len()).filter(|number| {
        let Some(word) = words.get(*number) else { return false };
        let flag = number.checked_sub(1).and_then(|before| words.get(before));
        let flag = flag.and_then(|flag| flag.strip_prefix("--"));
        let behind_flag = flag.filter(|flag| !flag.contains('='));
        looks_like_credential(word)
            || matches(&HEADER, word)
            || behind_flag.is_some_and(|flag| !word.starts_with('-') && is_set(flag, word))
            || is_pair(word.trim_start_matches('-'))
            // `-Ddb.password=x` of Java.
            || word.strip_prefix("-D").is_some_and(is_pair)
            || (word.contains([' ', '\n']) && in_command(word).is_some())
    });
    numbers.collect()
}

/// `DB_PASSWORD=x`.
fn is_pair(word: &str) -> bool {
    let Some((name, value)) = word.split_once('=') else { return false };
    is_name(name) && is_set(name, value)
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// What a command of a shell says, if it says a credential.
pub(crate) fn in_command(text: &str) -> Option<&'static str> {
    if matches(&HEADER, text) {
        return Some("sends a credential in a header");
    }
    let steps = shell::steps(text);
    if steps.windows(2).any(|pair| matches!(pair, [first, second] if sets_password(first, second)))
    {
        return Some("sets a password");
    }
    if matches(&NETRC, text) {
        return Some("writes a credential into a file");
    }
    let held = steps.iter().any(|step| {
        let written = matches!(step.program(), "echo" | "printf");
        let redirected = step.words.iter().any(|word| word.starts_with('>'));
        (!written || redirected || step.piped) && is_in_step(step, written)
    });
    let shaped = steps.iter().flat_map(|step| &step.words).any(|word| is_shaped(plain(word)));
    (held || shaped).then_some("holds a credential")
}

/// `echo user:password | chpasswd`.
fn sets_password(first: &Step, second: &Step) -> bool {
    let echoes = matches!(first.program(), "echo" | "printf") && first.piped;
    let mut words = first.words.iter().skip(1).map(|word| plain(word));
    let sets = matches!(second.program(), "chpasswd" | "passwd");
    echoes
        && sets
        && words.any(|word| word.split_once(':').is_some_and(|(_, p)| !p.starts_with(['$', '`'])))
}

fn is_in_step(step: &Step, written: bool) -> bool {
    let words: Vec<_> = step.words.iter().map(|word| plain(word)).collect();
    let (program, arguments) = step.arguments();
    let after = |flag: &str| {
        let at = arguments.iter().position(|word| word == flag)?;
        arguments.get(at + 1).map(|word| plain(word))
    };
    let given = |value: Option<&str>| value.is_some_and(|value| is_set("password", value));
    // Programs whose short flags take a password.
    let short = match program {
        "curl" => after("-u").or(after("--user")).is_some_and(|user| {
            user.split_once(':').is_some_and(|(_, password)| is_set("password", password))
        }),
        "sshpass" => given(after("-p")),
        "docker" | "podman" | "helm" | "skopeo" | "crane" => {
            arguments.iter().any(|word| word == "login") && given(after("-p"))
        }
        "redis-cli" => given(after("-a")),
        "mysql" | "mysqldump" | "mysqladmin" | "mariadb" => arguments
            .iter()
            .any(|word| word.strip_prefix("-p").is_some_and(|p| given(Some(plain(p))))),
        _ => false,
    };
    short
        || words.windows(2).any(|pair| match pair {
            [flag, value] => {
                let flag = flag.strip_prefix("--").filter(|flag| !flag.contains('='));
                flag.is_some_and(|flag| !value.starts_with('-') && is_set(flag, value))
            }
            _ => false,
        })
        || words.iter().any(|word| {
            let bare = word.trim_start_matches('-');
            let last = bare.rsplit([' ', '\n']).next().unwrap_or(bare);
            is_pair(bare)
                || (written && last != bare && is_pair(last))
                || word.strip_prefix("-D").is_some_and(is_pair)
                || word.rsplit_once(":_").is_some_and(|(_, rest)| is_pair(rest))
        })
}

/// A word without its quotes.
fn plain(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

/// Whether a setting of that name with that value is a credential.
pub(crate) fn is_set(name: &str, value: &str) -> bool {
    let quoted = value.len() > 1 && value.starts_with(['"', '\'']);
    let value = value.trim_matches(['"', '\'']);
    let name = snake(name.rsplit('/').next().unwrap_or(name));
    // What a shell or the kubelet puts in is not written here, nor what a program looks up.
    let elsewhere = value.starts_with(['$', '`', '@', '%', '<', '{', '[', '|', '>', '&', '*', '!'])
        || value.starts_with("__") && value.ends_with("__")
        || (!quoted && matches(&CODE, value));
    let set = !elsewhere && !matches(&HOLDER, &name) && is_literal_credential(&name, value);
    // Words about a credential, as in a help text or a message.
    set && !(value.contains(' ') && !looks_like_credential(value) && !quoted)
}

/// `dbPassword` as `db_password`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if lower && c.is_ascii_uppercase() {
            snake.push('_');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_in_command_lines_are_found() {
        assert_eq!(in_words(&["serve", "--password=hunter2"]), [1]);
        assert_eq!(in_words(&["--db-password", "hunter2", "--port", "80"]), [1]);
        assert_eq!(in_words(&["sh", "-c", "export DB_PASSWORD=hunter2; ./run"]), [2]);
        assert_eq!(in_words(&["--url", "postgres://a:hunter2@db/x"]), [1]);
        for fine in [
            vec!["--password=$(DB_PASSWORD)", "--token-file=/x", "--max-tokens=4096"],
            vec!["--password", "--verbose", "--password-hasher", "bcrypt", "-c", ""],
            vec!["sh", "-c", "DB_PASSWORD=\"$(cat /run/x)\" ./run --token=$TOKEN"],
        ] {
            assert_eq!(in_words(&fine), [0; 0], "{fine:?}");
        }
    }

    #[test]
    fn a_config_map_tells_key_and_line_and_no_value() {
        let map = json!({"data": {
            "DB_PASSWORD": "swordfish", "LOG_LEVEL": "info",
            "app.properties": "a=1\nspring.datasource.password=swordfish\n",
            "app.yaml": "auth:\n  existingSecret: db\n  maxTokens: 4096\n",
        }});
        let found = of_config_map(&map);
        let shown: Vec<_> = found.iter().map(|f| format!("{} {}", f.path, f.message)).collect();
        assert_eq!(
            shown,
            [
                "data.DB_PASSWORD the ConfigMap holds a credential in DB_PASSWORD",
                "data[\"app.properties\"] the ConfigMap holds a credential in app.properties on its line 2",
            ]
        );
        assert!(!format!("{found:?}").contains("swordfish"));
        assert!(of_config_map(&json!({"data": "x"})).is_empty());
    }

    #[test]
    fn every_pattern_compiles() {
        let patterns =
            [&ASSIGNMENT, &CODE, &COMMENT, &DIRECTIVE, &ELEMENT, &HEADER, &HOLDER, &NETRC];
        assert!(patterns.iter().all(|pattern| pattern.is_some()));
    }
}
