//! Where secrets are read: providers behind one shared fetch plane.
//!
//! A provider translates between its own API and the closed types below. It never retries beyond its SDK's
//! two attempts, never logs a value, and never decides when to read: `plane` does.

mod secret_bytes;

use std::{fmt, sync::Arc};

pub use secret_bytes::SecretBytes;

/// Which revision of a remote secret is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Version {
    /// The current one (`AWSCURRENT`, or the newest of a provider without stages).
    #[default]
    Current,
    /// One exact version, by its id (`uuid/<id>` in an ExternalSecret).
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
pub struct Ask {
    /// Name or ARN of the remote secret as the user wrote it, without the store's prefix.
    pub key: String,
    /// Which revision.
    pub version: Version,
    /// Value or tags.
    pub content: Content,
}

/// One answer. Shared by everybody who asked the same thing, dropped when the last of them is done.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// The text form, where the secret has one.
    pub text: Option<SecretBytes>,
    /// The binary form, where the secret has one.
    pub binary: Option<SecretBytes>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("text", &self.text).field("binary", &self.binary).finish()
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

/// Who may wait longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Objects that were never synced, or that a person just edited.
    Urgent,
    /// Periodic refreshes.
    Periodic,
}
