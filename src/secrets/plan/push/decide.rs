//! What has to be done about one remote secret, given what is known of it.

use std::collections::BTreeMap;

use super::{PushError, entries::Group, json, settings::Settings};
use crate::api::external_secrets::push_secret::PushUpdatePolicy;
use crate::provider::push::Remote;
use crate::provider::{ProviderError, SecretBytes};

/// Whether, and how, a remote secret may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is none.
    Create,
    /// It is there, and is not to be replaced.
    Skip,
    /// It is ours: brought up to date, after it was restored where it is marked for deletion.
    Update { restore: bool },
}

/// Whether, and how, this remote secret may be written. One that nobody handed over is never touched.
pub(crate) fn admit(
    group: &Group,
    remote: Option<&Remote>,
    policy: &PushUpdatePolicy,
) -> Result<Admission, PushError> {
    let Some(remote) = remote else { return Ok(Admission::Create) };
    if *policy == PushUpdatePolicy::IfNotExists && !remote.deleting {
        return Ok(Admission::Skip);
    }
    if !remote.is_owned() {
        let (remote, store) = (group.remote_key.clone(), shown(&group.store));
        return Err(PushError::NotManaged { remote, store });
    }
    Ok(Admission::Update { restore: remote.deleting })
}

/// A store as messages name it.
pub(crate) fn shown(store: &str) -> String {
    match store.split_once('/') {
        Some((kind, name)) => format!("{kind} {name:?}"),
        None => format!("{store:?}"),
    }
}

/// What a remote secret needs beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corrections {
    /// Tags to set.
    pub(crate) tag: BTreeMap<String, String>,
    /// Tags to remove.
    pub(crate) untag: Vec<String>,
    /// Description to set.
    pub(crate) description: Option<String>,
    /// KMS key to set.
    pub(crate) kms_key: Option<String>,
    /// A setting that is written with a new version.
    pub(crate) with_value: bool,
}

/// What a remote secret needs beside its value. `before` are the settings that were pushed last, where that is known:
/// a tag is removed only if it was set from them and nobody has changed it since, and a KMS key is set only if the
/// setting changed, because a provider names keys in several ways.
pub(crate) fn corrections(
    remote: &Remote,
    settings: &Settings,
    before: Option<&Settings>,
) -> Corrections {
    let wanted = &settings.remote;
    let is_set = |(key, value): &(&String, &String)| remote.tags.get(*key) == Some(*value);
    let tag = wanted.tags.iter().filter(|pair| !is_set(pair));
    let gone = before.into_iter().flat_map(|before| &before.remote.tags);
    let untag = gone.filter(|(key, _)| !wanted.tags.contains_key(*key)).filter(is_set);
    let description = wanted.description.clone();
    let kms_key = wanted.kms_key.clone();
    let differs = |wanted: &Option<String>, field: &str| {
        wanted.as_ref().is_some_and(|wanted| {
            remote.repeated.get(field).is_some_and(|now| now != wanted)
                && wanted != "Intelligent-Tiering"
        })
    };
    Corrections {
        tag: tag.map(|(key, value)| (key.clone(), value.clone())).collect(),
        untag: untag.map(|(key, _)| key.clone()).collect(),
        description: description.filter(|text| remote.description.as_ref() != Some(text)),
        kms_key: kms_key
            .filter(|key| before.is_some_and(|before| before.remote.kms_key.as_ref() != Some(key))),
        with_value: differs(&wanted.parameter_type, "Type")
            || differs(&wanted.tier, "Tier")
            || before.is_some_and(|before| {
                wanted.policies.is_some() && wanted.policies != before.remote.policies
            }),
    }
}

/// Whether a creation that failed so has certainly made nothing. One whose answer was lost may have.
pub(crate) fn has_made_nothing(error: &ProviderError) -> bool {
    match error {
        ProviderError::Denied { .. }
        | ProviderError::Credentials { .. }
        | ProviderError::Settings { .. }
        | ProviderError::Throttled => true,
        // It is there already: perhaps by a call before.
        ProviderError::Invalid { reason, .. } => !reason.contains("Exists"),
        _ => false,
    }
}

/// What is to become of a remote secret, or of properties of it, that is not pushed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Nothing: it is gone, or somebody else's.
    Leave,
    /// It is deleted.
    Delete,
    /// Its value is read first.
    NeedsValue,
    /// This is what is left of it.
    Put(SecretBytes),
}

/// What is to become of a remote secret of which these properties are not pushed any more; an empty one means all of
/// it.
pub(crate) fn removal(
    remote: Option<&Remote>,
    properties: &[String],
    value: Option<&SecretBytes>,
) -> Removal {
    let Some(remote) = remote else { return Removal::Leave };
    if remote.deleting || !remote.is_owned() || properties.is_empty() {
        return Removal::Leave;
    }
    if properties.iter().any(String::is_empty) {
        return Removal::Delete;
    }
    let Some(value) = value else { return Removal::NeedsValue };
    let mut left = value.clone();
    for property in properties {
        match json::remove(left.expose(), property) {
            Ok(Some(without)) => left = without,
            Ok(None) => return Removal::Delete,
            // It is no object any more: what was pushed there is not there.
            Err(json::NotAnObject) => return Removal::Leave,
        }
    }
    if left == *value { Removal::Leave } else { Removal::Put(left) }
}

/// Whether the value is in order without a look at it: what was put there last is what is wanted, and nobody has made
/// another version since.
pub(crate) fn is_known(known: Option<&Known>, remote: &Remote, digest: &str) -> bool {
    known.is_some_and(|known| {
        !known.revision.is_empty() && known.revision == remote.revision && known.digest == digest
    })
}

/// What a process remembers of a remote secret that was in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its version then.
    pub(crate) revision: String,
    /// Digest of what was put there.
    pub(crate) digest: String,
}
