//! Copies of registry credentials and the entries that use them, as they are seen and as they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::pull_secrets::{Credential, Sources, is_name};
use crate::meta::{ResourceVersion, Uid};

/// Label of every copy: what the watch asks for.
pub(crate) const COPY_LABEL: &str = "gabion.dev/pull-secret";
/// Its value.
pub(crate) const COPY: &str = "copy";
/// Annotation of a copy: the revision of the source that it holds.
pub(crate) const REVISION: &str = "gabion.dev/pull-secret-revision";
/// Field manager of copies and of entries in `imagePullSecrets`: none of the other writes may own these fields.
pub(crate) const COPIES_MANAGER: &str = "gabion-pull-secrets";
/// Annotation of a `ServiceAccount`: the names in its `imagePullSecrets` that we added.
pub(crate) const ATTACHED: &str = "gabion.dev/attached-pull-secrets";
/// Longest text of [`ATTACHED`]: as long as that of all copies of a namespace.
pub(crate) const LONGEST_ATTACHED: usize = MOST_TARGETS * 254;
/// Most copies in one namespace, of all baselines together.
pub(crate) const MOST_TARGETS: usize = 16;
/// Most entries of `imagePullSecrets` that an account may have: it is written whole.
pub(crate) const MOST_ENTRIES: usize = 64;

/// A copy as it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedCopy {
    /// Its uid.
    pub uid: Uid,
    /// Its resource version.
    pub resource_version: ResourceVersion,
    /// Whether we wrote it, by the record of the API server. Its label can be copied by anybody.
    pub ours: bool,
    /// The revision that it says it holds.
    pub revision: String,
    /// Whether nobody changed the value, or what it says of it, since we wrote both.
    pub intact: bool,
    /// Whoever wrote it last, apart from us.
    pub manager: String,
}

impl ObservedCopy {
    /// Reads the metadata of a Secret.
    pub(crate) fn of(meta: &ObjectMeta, manager: String) -> Self {
        let entries = meta.managed_fields.iter().flatten();
        let own: Vec<_> =
            entries.filter(|entry| entry.manager.as_deref() == Some(COPIES_MANAGER)).collect();
        let owns = |has: &dyn Fn(&serde_json::Value) -> bool| {
            own.iter().any(|entry| entry.fields_v1.as_ref().is_some_and(|fields| has(&fields.0)))
        };
        let note = format!("f:{REVISION}");
        let notes =
            |fields: &serde_json::Value| fields["f:metadata"]["f:annotations"].get(&note).is_some();
        let values = |fields: &serde_json::Value| {
            fields["f:data"]
                .as_object()
                .is_some_and(|data| data.keys().any(|key| key.starts_with("f:.docker")))
        };
        let annotations = meta.annotations.as_ref();
        let revision = annotations.and_then(|notes| notes.get(REVISION)).cloned();
        Self {
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            ours: !own.is_empty(),
            // What is not as long as ours is none of ours.
            revision: revision.filter(|text| text.len() <= 64).unwrap_or_default(),
            // Whoever changes a value takes the field over.
            intact: owns(&notes) && owns(&values) && meta.deletion_timestamp.is_none(),
            manager,
        }
    }
}

/// What is seen of the copies in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copies {
    /// Whether all are known: before that, what is not seen may be there.
    pub known: bool,
    /// Secrets with our label, by name.
    pub seen: BTreeMap<String, ObservedCopy>,
    /// Names that a Secret of somebody else had when a copy was to be made.
    pub taken: BTreeSet<String>,
    /// What may be copied.
    pub sources: Arc<Sources>,
}

/// What a `ServiceAccount` says about pull secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSecretsOf {
    /// The names in `imagePullSecrets`.
    pub entries: Vec<String>,
    /// Those of them that we added. Whoever may write this note may write the list as well, so it is believed.
    pub attached: Vec<String>,
    /// Whether there are more than [`MOST_ENTRIES`].
    pub too_many: bool,
}

impl PullSecretsOf {
    /// Reads a `ServiceAccount`; `None` if it says nothing.
    pub(crate) fn of(account: &ServiceAccount) -> Option<Box<Self>> {
        let all = account.image_pull_secrets.as_deref().unwrap_or_default();
        let notes = account.metadata.annotations.as_ref();
        let attached = notes.and_then(|notes| notes.get(ATTACHED)).map_or("", String::as_str);
        if all.is_empty() && attached.is_empty() {
            return None;
        }
        let attached: BTreeSet<_> = attached.split(',').filter(|name| is_name(name)).collect();
        Some(Box::new(Self {
            entries: all.iter().take(MOST_ENTRIES).map(|entry| entry.name.clone()).collect(),
            attached: attached.into_iter().take(MOST_TARGETS).map(ToOwned::to_owned).collect(),
            too_many: all.len() > MOST_ENTRIES,
        }))
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyStep {
    /// Make a copy, or bring the one that is seen up to date.
    Write {
        /// Its name.
        name: String,
        /// What it holds.
        credential: Arc<Credential>,
        /// Uid and resource version that it must have; without them it must not exist.
        live: Option<(Uid, ResourceVersion)>,
        /// Whoever wrote it last, apart from us.
        manager: String,
    },
    /// Delete a copy.
    Delete {
        /// Its name.
        name: String,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
    },
    /// Leave a copy to the namespace.
    Release {
        /// Its name.
        name: String,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
    },
    /// Write the pull secrets of a `ServiceAccount`.
    Attach(AttachPatch),
}

/// The pull secrets of one `ServiceAccount` as they shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachPatch {
    /// Name of the account.
    pub account: String,
    /// Uid that it must have.
    pub uid: Uid,
    /// Resource version that it must have: nobody's entry is lost.
    pub resource_version: ResourceVersion,
    /// All of `imagePullSecrets`.
    pub entries: Vec<String>,
    /// Those of them that we added.
    pub attached: Vec<String>,
    /// Whether somebody took away what we had added.
    pub drifted: bool,
    /// Whether anything of ours goes.
    pub removes: bool,
    /// Whoever wrote it last, apart from us.
    pub manager: String,
}

impl CopyStep {
    /// The object concerned, for messages.
    pub fn object(&self) -> String {
        match self {
            Self::Write { name, .. } | Self::Delete { name, .. } | Self::Release { name, .. } => {
                format!("Secret/{name}")
            }
            Self::Attach(patch) => field_of(&patch.account),
        }
    }

    /// Whether it takes back what a baseline brought.
    pub(crate) fn takes_back(&self) -> bool {
        match self {
            Self::Write { .. } => false,
            Self::Delete { .. } | Self::Release { .. } => true,
            Self::Attach(patch) => patch.removes,
        }
    }
}

/// The field of an account, for messages.
pub(super) fn field_of(account: &str) -> String {
    format!("ServiceAccount/{account} imagePullSecrets")
}
