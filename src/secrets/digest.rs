//! What is remembered of a Secret: marks and versions, never a value.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::plan::{
    existing::{CREATED_BY, DATA_HASH, MANAGED},
    generate::GENERATED,
    hash,
    rollout::revision::{self, REVISION},
};
use crate::meta::{ResourceVersion, Uid};

/// What is remembered of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Its uid.
    pub(crate) uid: Uid,
    /// Its resourceVersion.
    pub(crate) resource_version: ResourceVersion,
    /// It carries the managed label.
    pub(crate) managed: bool,
    /// Value of the created-by label.
    pub(crate) created_by: Option<String>,
    /// Value of the data-hash annotation.
    pub(crate) data_hash: Option<String>,
    /// Value of the annotation that says for which refresh values were made.
    pub(crate) generated: Option<String>,
    /// Somebody else's manager wrote data after ours.
    pub(crate) touched: bool,
    /// How often its data changed, where somebody asked to count it.
    pub(crate) revision: Option<Box<Revision>>,
    /// The watch has shown it: whoever reads the Secret now reads this or a later state.
    pub(crate) shown: bool,
}

/// A state of the data of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// Its number.
    pub(crate) number: u64,
    /// When ExternalSecrets last wrote, by the clock of the API server.
    pub(crate) at: Timestamp,
}

impl Digest {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        let label = |name: &str| meta.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
        let annotation =
            |name: &str| meta.annotations.as_ref().and_then(|notes| notes.get(name)).cloned();
        Self {
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            managed: label(MANAGED).as_deref() == Some("true"),
            created_by: label(CREATED_BY),
            data_hash: annotation(DATA_HASH),
            generated: annotation(GENERATED),
            touched: touched_by_others(meta),
            revision: annotation(REVISION).and_then(|number| {
                Some(Box::new(Revision { number: revision::parse(&number)?, at: written_at(meta) }))
            }),
            shown: true,
        }
    }

    pub(crate) fn is_older_than(&self, other: &Self) -> bool {
        self.uid == other.uid && self.resource_version.is_older_than(&other.resource_version)
    }
}

/// When data was last written by an ExternalSecret; of a Secret that nobody says so of, when it was made.
fn written_at(meta: &ObjectMeta) -> Timestamp {
    let entries = meta.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| {
        let writes_data = entry.fields_v1.as_ref().is_some_and(|f| f.0.get("f:data").is_some());
        writes_data && entry.manager.as_deref().is_some_and(|name| name.starts_with(hash::MANAGER))
    });
    let last = ours.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
    let made = || meta.creation_timestamp.as_ref().map(|time| time.0);
    last.or_else(made).unwrap_or_default()
}

/// True when a field manager other than External Secrets wrote data after the last write of one.
///
/// Lets a Secret that was edited while no operator ran be found without reading any value.
fn touched_by_others(meta: &ObjectMeta) -> bool {
    let mut ours = None;
    let mut theirs = None;
    for entry in meta.managed_fields.iter().flatten() {
        let writes_data = entry.fields_v1.as_ref().is_some_and(|f| f.0.get("f:data").is_some());
        if !writes_data {
            continue;
        }
        let time = entry.time.as_ref().map(|time| time.0);
        let manager = entry.manager.as_deref().unwrap_or_default();
        let latest = if manager.starts_with(hash::MANAGER) { &mut ours } else { &mut theirs };
        *latest = (*latest).max(time);
    }
    theirs.is_some() && theirs > ours
}
