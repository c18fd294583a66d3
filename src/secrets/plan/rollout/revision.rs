//! The number that grows with the data of a Secret, and the list of such numbers in a pod template.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::external_secret::RolloutStatus;

/// Annotation of an ExternalSecret: which workloads roll. One without it asks for no rollouts.
pub(crate) const ROLLOUT: &str = "gabion.dev/rollout";
/// Annotation of a Secret: how often its data changed. It says nothing about the data.
pub(crate) const REVISION: &str = "gabion.dev/revision";
/// Annotation of a pod template: for which revision of which Secret its pods were made.
pub(crate) const SECRETS: &str = "gabion.dev/secrets";
/// The largest integer that every reader of JSON keeps.
const LARGEST: u64 = (1 << 53) - 1;
/// Entries of that list.
const MAX_ENTRIES: usize = 64;

/// The rollouts that an object's status tells of.
pub(crate) fn stored(object: &ExternalSecret) -> Option<&RolloutStatus> {
    object.status.as_ref()?.gabion.as_ref()?.rollout.as_deref()
}

/// Reads a revision. A number that JSON does not carry exactly is none.
pub(crate) fn parse(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= LARGEST)
}

/// The revision that a Secret carries.
pub(crate) fn present(annotations: &BTreeMap<String, String>) -> Option<u64> {
    parse(annotations.get(REVISION)?)
}

/// The highest revision that the status of an object knows.
fn known(object: &ExternalSecret) -> u64 {
    stored(object).map_or(0, |status| status.done.max(status.revision.unwrap_or_default()))
}

/// The revision that a write of changed data sets. `None`: the object asks for no rollouts.
pub(crate) fn next(object: &ExternalSecret, present: Option<u64>) -> Option<u64> {
    let asks = object.annotations().contains_key(ROLLOUT);
    asks.then(|| (present.unwrap_or_default().max(known(object)) + 1).min(LARGEST))
}

/// The revision of a Secret that is made anew with the data that it had.
pub(crate) fn again(object: &ExternalSecret) -> Option<u64> {
    let asks = object.annotations().contains_key(ROLLOUT);
    asks.then(|| known(object)).filter(|known| *known > 0)
}

/// Reads the list of a pod template. What is no entry is not there.
pub(crate) fn listed(text: &str) -> BTreeMap<String, u64> {
    let entries = text.split(',').filter_map(|entry| {
        let (name, revision) = entry.trim().split_once('=')?;
        Some((name.to_owned(), parse(revision)?))
    });
    entries.take(MAX_ENTRIES).collect()
}

/// Writes the list.
pub(crate) fn list(entries: &BTreeMap<String, u64>) -> String {
    let entries: Vec<_> = entries.iter().map(|(name, number)| format!("{name}={number}")).collect();
    entries.join(",")
}
