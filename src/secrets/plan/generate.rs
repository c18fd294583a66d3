//! What an `ExternalSecret` asks of generators, and when a value that was made is made anew.
//!
//! A password that is made here exists in the Secret alone. So it changes when a refresh is due, and never by what is
//! no refresh: a restart, a status that was not written, or the repair of something else in the Secret.

use std::collections::BTreeMap;

use super::due::{self, Due, Known, Why};
use super::error::PlanError;
use super::hash;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::external_secret::ExternalSecretSpec;
use crate::api::external_secrets::external_secret::GeneratorKind;
use crate::api::external_secrets::external_secret::GeneratorRef;
use crate::provider::SecretBytes;

/// Annotation of a Secret that says for which refresh the values in it were made.
pub(crate) const GENERATED: &str = "gabion.dev/generated";
const API_VERSION: &str = "generators.external-secrets.io/v1alpha1";
/// Most generators of one object.
const MAX_USES: usize = 16;

/// What generators made, by the index of the entry of `dataFrom`.
pub(crate) type Generated = BTreeMap<usize, BTreeMap<String, SecretBytes>>;

/// One reference to a generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorUse {
    /// Index of the entry of `dataFrom`.
    pub(crate) nth: usize,
    /// Its kind.
    pub(crate) kind: GeneratorKind,
    /// Its name.
    pub(crate) name: String,
}

impl GeneratorUse {
    /// Where it is in the object.
    pub(crate) fn field(&self) -> String {
        format!("dataFrom[{}].sourceRef.generatorRef", self.nth)
    }
}

/// Every generator that an object names.
pub fn uses(spec: &ExternalSecretSpec) -> Result<Vec<GeneratorUse>, PlanError> {
    let mut uses = Vec::new();
    for (nth, entry) in spec.data_from.iter().enumerate() {
        let source = entry.source_ref.as_ref().and_then(|source| source.generator_ref.as_ref());
        let Some(GeneratorRef { api_version, kind, name }) = source else { continue };
        let found = GeneratorUse { nth, kind: kind.clone(), name: name.clone() };
        if let Some(version) = api_version.as_deref().filter(|version| !version.is_empty())
            && version != API_VERSION
        {
            let field = format!("{}.apiVersion", found.field());
            return Err(PlanError::UnknownValue { field, value: version.to_owned() });
        }
        if let GeneratorKind::Other(value) = kind {
            let field = format!("{}.kind", found.field());
            return Err(PlanError::UnknownValue { field, value: value.clone() });
        }
        uses.push(found);
    }
    if uses.len() > MAX_USES {
        return Err(PlanError::TooManyGenerators { count: uses.len() });
    }
    Ok(uses)
}

/// Whether an object may name a generator whose values exist in the Secret alone. What a ClusterGenerator makes is not
/// known before it is read.
pub(crate) fn may_mint(uses: &[GeneratorUse]) -> bool {
    uses.iter().any(|one| {
        matches!(
            one.kind,
            GeneratorKind::Password
                | GeneratorKind::Uuid
                | GeneratorKind::SshKey
                | GeneratorKind::EcrAuthorizationToken
                | GeneratorKind::StsSessionToken
                | GeneratorKind::Webhook
                | GeneratorKind::ClusterGenerator
        )
    })
}

/// Whether a reconcile for this reason is a refresh, for which new values are made. What is in disorder, what has failed
/// and what a clock says is none, unless the interval has passed as well.
pub(crate) fn is_refresh(object: &ExternalSecret, known: Known, why: Why) -> bool {
    match why {
        Why::NeverSynced | Why::Edited | Why::Interval => true,
        Why::Template | Why::Event => false,
        Why::Drift | Why::Clock | Why::Failed => {
            let mut calm = object.clone();
            if let Some(status) = &mut calm.status {
                status.conditions.clear();
            }
            let known = Known { in_order: true, template_changed: false, event: false, ..known };
            let due = due::due(&calm, known);
            matches!(due, Ok(Due::Now(Why::NeverSynced | Why::Edited | Why::Interval)))
        }
    }
}

/// Names the refresh for which values are made: it is the same until the status says that it is done.
pub(crate) fn refresh_mark(object: &ExternalSecret) -> String {
    let status = object.status.as_ref();
    let time = status.and_then(|status| status.refresh_time.as_ref());
    let time = time.map(|time| time.0.to_string()).unwrap_or_default();
    let synced = status.and_then(|status| status.synced_resource_version.clone());
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let parts = [
        ("uid", uid.to_owned()),
        ("version", due::version(object)),
        ("refreshTime", time),
        ("synced", synced.unwrap_or_default()),
    ];
    hash::text_map(&parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Keeps what is in the Secret of all that depends on values that were made. `data` and `other` are the same but for
/// those: each was rendered from values of its own. False, and nothing is changed, if something of it is not in the
/// Secret.
pub(crate) fn keep(
    data: &mut BTreeMap<String, SecretBytes>,
    other: &BTreeMap<String, SecretBytes>,
    existing: &BTreeMap<String, SecretBytes>,
) -> bool {
    if data.keys().ne(other.keys()) {
        return false; // keys that depend on values are no keys that could be found again
    }
    let made: Vec<_> =
        data.keys().filter(|key| data.get(*key) != other.get(*key)).cloned().collect();
    if made.iter().any(|key| !existing.contains_key(key)) {
        return false;
    }
    for key in made {
        if let Some(kept) = existing.get(&key) {
            data.insert(key, kept.clone());
        }
    }
    true
}

#[cfg(test)]
mod tests;
