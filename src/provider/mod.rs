//! Where secrets are read: providers behind one shared fetcher.
//!
//! A provider translates between its own API and the closed types below. It never retries beyond its SDK's
//! two attempts, but for a throttled page of a list; never logs a value; and never decides when to read: `fetcher` does.

pub mod aws;
pub(crate) mod endpoint;
pub mod fake;
pub mod fetcher;
pub(crate) mod kubernetes;
pub mod metrics;
pub mod push;
pub mod rate_limit;

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::lane::Lane;
use crate::meta::Uid;

pub use crate::secret_bytes::SecretBytes;

/// Which revision of a remote secret is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Version {
    /// The current one (`AWSCURRENT`, or the newest of a provider without stages).
    #[default]
    Current,
    /// One exact version, by its id (`uuid/<id>` in a manifest).
    Id(String),
    /// The version that carries a stage label.
    Stage(String),
}

/// What of a remote secret is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Content {
    /// Its value.
    #[default]
    Value,
    /// Its tags, as a JSON object (`metadataPolicy: Fetch`).
    Tags,
}

/// One question to a provider. Equal questions of one identity share one answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadRequest {
    /// Name or ARN of the remote secret as the user wrote it, without the store's prefix.
    pub key: String,
    /// Which revision.
    pub version: Version,
    /// Value or tags.
    pub content: Content,
}

/// Which secrets a provider lists. Equal filters of one identity share one list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Filter {
    /// Only names that begin with this, byte for byte. Empty: any.
    pub path: String,
    /// Only secrets that have each of these tags, key and value exactly.
    pub tags: BTreeMap<String, String>,
}

/// The names of the secrets that a filter selects. Never their values.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Listing {
    /// What stands in front of each key: together they are the full name.
    pub prefix: String,
    /// As [`ReadRequest::key`] has it: without the store's prefix.
    pub keys: Vec<String>,
}

/// A list is given up beyond this many names: it is shared, and held in memory as a whole.
pub const MOST_LISTED: usize = 20_000;

/// One answer. Shared by everybody who asked the same thing, dropped when the last of them is done.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// The text form, where the secret has one.
    pub text: Option<SecretBytes>,
    /// The binary form, where the secret has one.
    pub binary: Option<SecretBytes>,
    /// Its keys, where the provider's secrets consist of keys. The text is all of them as a JSON object.
    pub keys: Option<BTreeMap<String, SecretBytes>>,
    /// The Secret that was read, where it is one of Kubernetes: it may be the one that is to be written.
    pub uid: Option<Uid>,
    /// The id of the version that was read, where the provider tells it.
    pub version: Option<String>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.as_ref().map(BTreeMap::len);
        f.debug_struct("Fetched")
            .field("text", &self.text)
            .field("binary", &self.binary)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

/// Every way a read can fail, for every provider. `Display` is safe to show to users: it holds names and
/// fixed text. Sources go to the log only.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The secret does not exist, or is marked for deletion.
    #[error("secret {key:?} does not exist")]
    NotFound {
        /// The key as asked.
        key: String,
    },
    /// The secret exists but not in the version asked for.
    #[error("secret {key:?} has no version {version}; it has {}", available.join(", "))]
    NoSuchVersion {
        /// The key as asked.
        key: String,
        /// The version or stage as asked.
        version: String,
        /// The versions and stages that do exist (at most ten), or a note that they may not be listed.
        available: Vec<String>,
    },
    /// The identity may not do this.
    #[error("access denied: {identity} may not call {action} on {key:?}")]
    Denied {
        /// Who asked: a role, a user or "the store's credentials".
        identity: String,
        /// The provider's name of the operation.
        action: &'static str,
        /// The key as asked.
        key: String,
    },
    /// Credentials are missing, malformed, expired or refused.
    #[error("no usable credentials: {reason}")]
    Credentials {
        /// Fixed text and object names.
        reason: String,
    },
    /// The request was refused as wrong (an invalid name, a wrong region).
    #[error("the provider refused the request for {key:?}: {reason}")]
    Invalid {
        /// The key as asked.
        key: String,
        /// Fixed text, or the provider's error code.
        reason: String,
    },
    /// A setting of the store itself cannot work, whatever is asked: nothing was sent.
    #[error("the store's settings cannot work: {field}: {reason}")]
    Settings {
        /// Path of the field, as in the store's manifest.
        field: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// More secrets than a list may hold.
    #[error(
        "more than {} secrets have this path and these tags: set find.path or find.tags to select fewer",
        MOST_LISTED
    )]
    TooManyListed,
    /// Too many calls.
    #[error("the provider is throttling requests")]
    Throttled,
    /// No answer in time, or the provider cannot be reached.
    #[error("the provider cannot be reached: {reason}")]
    Unavailable {
        /// Fixed text, no payload.
        reason: String,
        /// For the log.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
}

/// What a check of a store found out when nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Credentials can be obtained. Says nothing about permissions.
    Ready,
    /// The provider cannot tell.
    Unknown {
        /// Fixed text for the store's condition.
        reason: String,
    },
}

/// Something a store's owner should know although everything works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The identity may not call the batch operation, so every secret is read on its own.
    SingleReads {
        /// Who was refused, as in [`ProviderError::Denied`].
        identity: String,
        /// The permission to add.
        action: &'static str,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SingleReads { identity, action } => write!(
                f,
                "{identity} may not call {action}: every secret is read with a call of its own"
            ),
        }
    }
}

/// Where a web identity token comes from: a file, or a `TokenRequest` for a service account.
pub trait TokenSource: Send + Sync {
    /// A token that is valid now. Called once per credential refresh.
    fn token(&self) -> BoxFuture<'_, Result<SecretBytes, ProviderError>>;
}

/// A connected provider: one identity's view of one secret manager.
///
/// Only [`fetcher`] calls it. It is asked each thing once, however many callers want it.
pub trait Provider: Send + Sync {
    /// How many requests like this one fit into one call of [`Provider::read_many`]; 1 = it is read alone.
    fn batch(&self, _ask: &ReadRequest) -> usize {
        1
    }

    /// Reads one thing.
    fn read<'a>(
        &'a self,
        request: &'a ReadRequest,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Fetched, ProviderError>>;

    /// Reads several things. The answer has exactly one entry per request, in the order of the requests.
    fn read_many<'a>(
        &'a self,
        requests: &'a [&'a ReadRequest],
        lane: Lane,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                answers.push(self.read(request, lane).await);
            }
            answers
        })
    }

    /// Lists names, all pages of them. What the provider's own filters do not tell apart is told apart here.
    fn list<'a>(
        &'a self,
        filter: &'a Filter,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Listing, ProviderError>>;

    /// Whether credentials can be obtained.
    fn validate(&self) -> BoxFuture<'_, Result<Validation, ProviderError>>;

    /// What the store's owner should know.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// The writing side, if it has one.
    fn push(&self) -> Option<&dyn push::Push> {
        None
    }
}
