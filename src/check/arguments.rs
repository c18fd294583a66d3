//! Credentials in the command line of a container. Admission does not read command lines; files are where they are
//! written, so only they are checked.

use serde_json::Value;

use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Settings;
use crate::policy::Subject;
use crate::policy::rules::credentials::{is_literal_credential, looks_like_credential};

/// Which arguments hold a credential.
pub(crate) fn evaluate(settings: &Settings, subject: &Subject<'_>) -> Vec<Finding> {
    if settings.literal_credential_env == Verdict::Ignore {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let containers = subject.spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            for field in ["command", "args"] {
                let words: Vec<_> = container[field].as_array().into_iter().flatten().collect();
                let name = container["name"].as_str().unwrap_or_default();
                for number in held(&words) {
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

/// The words that hold a credential.
fn held(words: &[&Value]) -> Vec<usize> {
    let text = |number: usize| words.get(number).and_then(|word| word.as_str());
    let numbers = (0..words.len()).filter(|number| {
        let Some(word) = text(*number) else { return false };
        let flag = number.checked_sub(1).and_then(text).and_then(|flag| flag.strip_prefix("--"));
        let behind_flag = flag.filter(|flag| !flag.contains('='));
        looks_like_credential(word)
            || behind_flag.is_some_and(|flag| !word.starts_with('-') && is_set(flag, word))
            || word.split([' ', '\t', '\n', ';', '&', '|']).any(assigns)
    });
    numbers.collect()
}

/// `--password=x`, `DB_PASSWORD=x`.
fn assigns(word: &str) -> bool {
    let Some((name, value)) = word.trim_start_matches('-').split_once('=') else { return false };
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    plain && is_set(name, value)
}

fn is_set(name: &str, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    // What a shell or the kubelet puts in is not written here.
    !value.starts_with(['$', '`']) && is_literal_credential(name, value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_in_command_lines_are_found() {
        let found = |words: Value| held(&words.as_array().unwrap().iter().collect::<Vec<_>>());
        assert_eq!(found(json!(["serve", "--password=hunter2"])), [1]);
        assert_eq!(found(json!(["--db-password", "hunter2", "--port", "80"])), [1]);
        assert_eq!(found(json!(["sh", "-c", "export DB_PASSWORD=hunter2; ./run"])), [2]);
        assert_eq!(found(json!(["--url", "postgres://a:hunter2@db/x"])), [1]);
        for fine in [
            json!(["--password=$(DB_PASSWORD)", "--token-file=/x", "--max-tokens=4096"]),
            json!(["--password", "--verbose", "--password-hasher", "bcrypt", "-c", 1]),
            json!(["sh", "-c", "DB_PASSWORD=\"$(cat /run/x)\" ./run --token=$TOKEN"]),
        ] {
            assert_eq!(found(fine.clone()), [0; 0], "{fine}");
        }
    }
}
