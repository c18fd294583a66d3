//! What a reason means and what to do about it, from the page that lists all reasons.

use crate::survey::{Kind, Row, State};
use crate::text::shortened;

const PAGE: &str = include_str!("../../docs/reasons.md");

/// Remedies of that page that send the reader to the message.
const VAGUE: [&str; 2] = ["see the message", "nothing"];
/// Bytes of a message that are repeated.
const MAX_WORDS: usize = 300;

/// What the state of an object means and what to do about it; never empty. `None` if there is nothing to do.
///
/// It is the page's advice on the first word of the texts that is a reason, else the object's own words: the field that
/// its message begins with, or the message.
pub(crate) fn advice<'a>(
    row: &Row,
    texts: impl IntoIterator<Item = &'a str>,
) -> Option<(String, String)> {
    if !row.state.is_notable() {
        return None;
    }
    let known = texts.into_iter().flat_map(words).filter_map(self::row);
    let mut useful = known.filter(|(_, remedy)| !VAGUE.contains(remedy));
    let useful = useful.next().map(|(meaning, remedy)| (meaning.to_owned(), remedy.to_owned()));
    Some(useful.unwrap_or_else(|| own_words(row)))
}

/// Advice from what the object itself says.
fn own_words(row: &Row) -> (String, String) {
    let why = shortened(&row.why, MAX_WORDS);
    let within = if row.namespace.is_empty() { "" } else { &format!(" -n {}", row.namespace) };
    let (object, kind) = (format!("{}/{}{within}", row.kind.short(), row.name), row.kind.name());
    let (meaning, remedy) = match (row.state, field(&why)) {
        (State::Late, _) => (
            "what was promised for this object is overdue",
            "`gabion doctor` says whether the operator runs; if it does, its log and `/metrics` say what it is busy with".to_owned(),
        ),
        (State::Unsupported, _) => (
            "this release cannot do what the object asks for",
            "leave its store to another operator with `spec.controller`, or ask for something else".to_owned(),
        ),
        (State::Waiting, _) if row.kind == Kind::NamespaceHardening => (
            "it is not all in force",
            format!("`gabion explain {}` lists what is held back, and why", row.namespace),
        ),
        (State::Waiting, _) if row.kind == Kind::ExternalSecret && !row.store.is_empty() => (
            "it goes on when what it waits for is there",
            format!("wait; `gabion explain {}{within}` says whether its store is usable", row.store),
        ),
        (State::Waiting, _) => (
            "it goes on when what it waits for is there",
            format!("wait; `kubectl get {object} -o yaml` shows its finalizers and conditions"),
        ),
        (_, Some((field, rest))) => (
            "the last attempt failed at the field that the message names",
            format!("correct `{field}` of the {kind}: {rest}"),
        ),
        (_, None) if why.is_empty() => (
            "the last attempt failed, and the object does not say why",
            format!("`kubectl describe {object}` shows its events; the log of the operator has the rest"),
        ),
        (_, None) => ("the last attempt failed", format!("put right what the {kind} says: {why}")),
    };
    (meaning.to_owned(), remedy)
}

/// The field that a message begins with, and the rest: `data[0]: no such secret`.
fn field(message: &str) -> Option<(&str, &str)> {
    let (field, rest) = message.split_once(": ")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']' | '_' | '-');
    let is_path = field.starts_with(|c: char| c.is_ascii_lowercase()) && field.chars().all(fits);
    (is_path && field.contains(['.', '[']) && !rest.is_empty()).then_some((field, rest))
}

/// The first word of a text that is a reason of that page.
pub(crate) fn reason(text: &str) -> Option<&str> {
    words(text).find(|word| row(word).is_some())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 3)
}

fn row(reason: &str) -> Option<(&'static str, &'static str)> {
    PAGE.lines().find_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let found = cells.next()?.strip_prefix('`')?.strip_suffix('`')? == reason;
        let (meaning, remedy) = (cells.next()?, cells.next()?);
        found.then_some((meaning, remedy))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey;

    /// A row as the survey makes it of an object with this condition.
    fn of(kind: Kind, ready: &str, reason: &str, message: &str) -> Row {
        let object = serde_json::json!({
            "metadata": {"namespace": "shop", "name": "app"},
            "spec": {"secretStoreRef": {"name": "aws"}},
            "status": {"conditions": [
                {"type": "Ready", "status": ready, "reason": reason, "message": message},
            ]},
        });
        let settings = survey::Settings {
            now: jiff::Timestamp::UNIX_EPOCH,
            heartbeat: jiff::SignedDuration::from_mins(15),
            class: "default".to_owned(),
        };
        survey::row(kind, &object, &settings, &mut survey::Stores::default())
    }

    fn todo(ready: &str, reason: &str, message: &str) -> String {
        let row = of(Kind::ExternalSecret, ready, reason, message);
        advice(&row, [message, reason]).unwrap().1
    }

    #[test]
    fn a_reason_is_found_in_the_page_and_a_word_that_is_none_is_not() {
        assert!(todo("False", "SecretSyncedError", "data[0]: AccessDenied: no").contains("IAM"));
        assert_eq!(reason("data[0]: AccessDenied: denied"), Some("AccessDenied"));
        assert_eq!(reason("data[0]: denied"), None);
    }

    #[test]
    fn without_a_reason_the_object_speaks_for_itself() {
        let field = "spec.data[0].remoteRef: has no key";
        assert_eq!(
            todo("False", "SecretSyncedError", field),
            "correct `spec.data[0].remoteRef` of the ExternalSecret: has no key"
        );
        assert_eq!(
            todo("False", "", "no luck today"),
            "put right what the ExternalSecret says: no luck today"
        );
        assert!(todo("False", "", "").contains("kubectl describe es/app -n shop"));
        assert!(todo("Unknown", "", "").contains("gabion explain ss/aws -n shop"));
        let long = todo("False", "", &"x".repeat(5000));
        assert!(long.len() < 400, "{}", long.len());
    }

    proptest::proptest! {
        /// Whatever anybody writes into a condition, somebody who has to do something is told what.
        #[test]
        fn what_to_do_is_never_empty(
            ready in "True|False|Unknown|.{0,5}", reason in ".{0,20}|SecretSyncedError", message in ".{0,80}",
        ) {
            for kind in Kind::ALL {
                let row = of(kind, &ready, &reason, &message);
                let told = advice(&row, [&*message, &*reason]);
                proptest::prop_assert_eq!(told.is_some(), row.state.is_notable());
                let (meaning, todo) = told.unwrap_or(("x".into(), "x".into()));
                proptest::prop_assert!(!meaning.trim().is_empty() && !todo.trim().is_empty());
            }
        }
    }
}
