//! Writing to a secret manager: what a PushSecret needs, beside what [`Provider`](super::Provider) reads.
//!
//! A writer does one thing for each call and decides nothing: who may be overwritten, and with what, is the caller's
//! to say. It changes nothing that a [`Change`] does not name.

use std::{collections::BTreeMap, fmt};

use futures::future::BoxFuture;

use super::{ProviderError, SecretBytes};
use crate::lane::Lane;

/// Key of the tag that says who manages a remote secret.
pub const OWNER_TAG: &str = "managed-by";
/// Its value on those that a PushSecret created, as External Secrets Operator has it.
pub const OWNER: &str = "external-secrets";

/// What is known of a remote secret without its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Id of its current version: another value has another one.
    pub revision: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its description.
    pub description: Option<String>,
    /// It is marked for deletion, and can be restored.
    pub deleting: bool,
    /// What a new version must repeat, or it would be lost.
    pub repeated: BTreeMap<&'static str, String>,
}

impl Remote {
    /// Whether a PushSecret, of this operator or another, created it.
    pub fn is_owned(&self) -> bool {
        self.tags.get(OWNER_TAG).is_some_and(|owner| owner == OWNER)
    }
}

/// Settings of a remote secret that a PushSecret names. What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Tags, beside that of the owner.
    pub tags: BTreeMap<String, String>,
    /// The description.
    pub description: Option<String>,
    /// The key of KMS.
    pub kms_key: Option<String>,
    /// Whether the value is stored as text (`Some(true)`) or binary.
    pub as_text: Option<bool>,
    /// Type of a parameter.
    pub parameter_type: Option<String>,
    /// Tier of a parameter.
    pub tier: Option<String>,
    /// Policies of a parameter, as JSON.
    pub policies: Option<String>,
}

/// How a remote secret is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// At once, without a way back.
    pub force: bool,
    /// For how many days it can be restored; the provider's default where there is none.
    pub recovery_days: Option<i64>,
}

/// One change of a remote secret.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// It does not exist: created with the tag of the owner and those of the settings.
    Create {
        /// Its value.
        value: &'a SecretBytes,
        /// Its settings.
        settings: &'a RemoteSettings,
    },
    /// A new version of it.
    Put {
        /// The value.
        value: &'a SecretBytes,
        /// The settings.
        settings: &'a RemoteSettings,
        /// What it is now.
        remote: &'a Remote,
    },
    /// Description and KMS key, where there is one.
    Describe {
        /// The description.
        description: Option<&'a str>,
        /// The key of KMS.
        kms_key: Option<&'a str>,
    },
    /// Tags to set.
    Tag(&'a BTreeMap<String, String>),
    /// Keys of tags to remove.
    Untag(&'a [String]),
    /// It is not marked for deletion any more.
    Restore,
    /// It is deleted. One that does not exist is success.
    Delete(Deletion),
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create { .. } => "Create",
            Self::Put { .. } => "Put",
            Self::Describe { .. } => "Describe",
            Self::Tag(_) => "Tag",
            Self::Untag(_) => "Untag",
            Self::Restore => "Restore",
            Self::Delete(_) => "Delete",
        })
    }
}

/// A provider that can be written to. Only [`fetcher`](super::fetcher) calls it.
pub trait Push: Send + Sync {
    /// What is known of a remote secret without its value; `None` if there is none.
    fn describe<'a>(
        &'a self,
        key: &'a str,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Option<Remote>, ProviderError>>;

    /// Makes one change. The id of the version that it made, if it made one.
    fn change<'a>(
        &'a self,
        key: &'a str,
        change: Change<'a>,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Option<String>, ProviderError>>;
}
