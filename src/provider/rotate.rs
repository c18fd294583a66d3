//! Rotating a remote secret: versions, and the labels that say which of them readers get.
//!
//! A label is moved from where the caller says it is. The provider refuses it if it is not there, so two writers cannot
//! both succeed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{ProviderError, SecretBytes};
use crate::lane::Lane;

/// What is known of a remote secret and its versions, without a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The labels of each version that has one.
    pub stages: BTreeMap<String, BTreeSet<String>>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The provider rotates it.
    pub rotates: bool,
    /// The service, or the kind of partner, that manages it.
    pub owner: Option<String>,
    /// The region of the secret that this one is a replica of, if that is another one.
    pub replica_of: Option<String>,
    /// It is marked for deletion.
    pub deleting: bool,
}

/// The value of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Valued {
    /// Id of the version.
    pub version: String,
    /// The value, if it is text.
    pub text: Option<SecretBytes>,
    /// When the version was made, by the provider's clock.
    pub created: Option<Timestamp>,
    /// When the provider answered, by its own clock.
    pub answered: Option<Timestamp>,
}

/// One effect.
#[derive(Clone, Copy)]
pub enum Effect<'a> {
    /// A new version with this id and this label, and no other. If there is a version of that id, nothing changes: a
    /// former try made it.
    Put {
        /// Id of the version.
        token: &'a str,
        /// Its label.
        label: &'a str,
        /// Its value.
        value: &'a SecretBytes,
    },
    /// A label is moved, set or removed.
    Move {
        /// The label.
        label: &'a str,
        /// The version that gets it.
        to: Option<&'a str>,
        /// The version that has it.
        from: Option<&'a str>,
    },
    /// A tag is set.
    Tag(&'a str, &'a str),
}

impl fmt::Debug for Effect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put { .. } => "Put",
            Self::Move { .. } => "Move",
            Self::Tag(..) => "Tag",
        })
    }
}

/// A provider whose secrets can be rotated. Only [`fetcher`](super::fetcher) calls it.
pub trait Rotate: Send + Sync {
    /// What is known of a secret without its value; `None` if there is none.
    fn versions<'a>(
        &'a self,
        key: &'a str,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Option<Described>, ProviderError>>;

    /// The value of one version, or of the current one.
    fn version<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a str>,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Valued, ProviderError>>;

    /// Makes one effect.
    fn effect<'a>(
        &'a self,
        key: &'a str,
        effect: Effect<'a>,
        lane: Lane,
    ) -> BoxFuture<'a, Result<(), ProviderError>>;
}
