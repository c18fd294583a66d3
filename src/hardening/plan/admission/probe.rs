//! Trying a revision with two pods, in a namespace of its own.

use serde_json::{Value, json};

use super::digest::{Mark, hash};
use super::{AdmissionKey, AdmissionKind, Live, Trial, Wanted};

/// Label of probe pods: a probe binding reaches those with its own value. Bindings reach the API server in the
/// order in which they were written, so one that is seen to be in force says so of all that were written before.
pub(crate) const PROBE_LABEL: &str = "gabion.dev/probe";

/// How the API server answered a pod that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It would be created.
    Taken,
    /// It was refused, with these words.
    Refused(String),
}

/// What a probe proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    /// Denied as it must be.
    Denied,
    /// Taken: the binding is not in force yet.
    NotYet,
    /// The policies cost more than the API server spends.
    TooExpensive,
    /// Refused for another reason, in these words.
    Failed(String),
}

/// Reads the answer to a pod that must be denied with `sentinel`.
pub(crate) fn outcome(tried: &Tried, sentinel: &str) -> ProbeOutcome {
    match tried {
        Tried::Taken => ProbeOutcome::NotYet,
        Tried::Refused(words) if words.contains(sentinel) => ProbeOutcome::Denied,
        // One expression, or all of a policy, by the limits of the API server.
        Tried::Refused(words)
            if words.contains("cost limit exceeded") || words.contains("out of cost budget") =>
        {
            ProbeOutcome::TooExpensive
        }
        Tried::Refused(words) => ProbeOutcome::Failed(words.clone()),
    }
}

/// A short name for exactly these objects as they are stored now.
pub(super) fn stamp(objects: &[Wanted], live: &Live) -> String {
    let stored: Vec<_> = objects
        .iter()
        .map(|wanted| {
            let seen = live.get(&wanted.key);
            json!([
                wanted.key.name,
                wanted.digest,
                seen.map(|s| &s.uid),
                seen.map(|s| s.generation)
            ])
        })
        .collect();
    hash(&Value::Array(stored))
}

/// The label of what one trial tries: only the binding of that policy reaches it, so that each is seen to refuse.
pub(crate) fn label(stamp: &str, trial: usize) -> String {
    format!("{stamp}-{trial}")
}

/// The probe bindings for this stamp.
pub(super) fn bindings(trials: &[Trial], stamp: &str) -> Vec<Wanted> {
    let bindings = trials.iter().enumerate().map(|(nth, trial)| {
        let mut body = trial.binding.clone();
        body["spec"]["matchResources"]["objectSelector"] =
            json!({"matchLabels": {PROBE_LABEL: label(stamp, nth)}});
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let digest = Mark(&body).digest();
        Wanted { key: AdmissionKey { kind: AdmissionKind::Binding, name }, body, digest }
    });
    bindings.collect()
}
