//! Whose a remote secret is when several PushSecrets mean the same one.

use super::entries::property;
use crate::api::external_secrets::push_secret::{PushSecret, PushSecretRemoteRef};
use crate::cluster::ObjectKey;

/// One place that a PushSecret pushes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    /// The remote secret.
    pub(crate) remote_key: String,
    /// Its field; empty: all of it.
    pub(crate) property: String,
}

impl Claim {
    /// The place that a reference means.
    pub(crate) fn of(remote: &PushSecretRemoteRef) -> Self {
        Self::at(&remote.remote_key, property(remote))
    }

    /// A field of a remote secret, or all of it. An escaped dot may mean the same member as a plain one.
    pub(crate) fn at(remote_key: &str, property: &str) -> Self {
        Self { remote_key: remote_key.to_owned(), property: property.replace("\\.", ".") }
    }

    /// Whether both cannot be pushed by different objects.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.remote_key == other.remote_key
            && (self.property.is_empty()
                || other.property.is_empty()
                || is_within(&self.property, &other.property)
                || is_within(&other.property, &self.property))
    }
}

/// Whether one path is another, or below it.
fn is_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether an object has pushed to a place of a store, as its status says.
pub(crate) fn has_pushed(object: &PushSecret, store: &str, claim: &Claim) -> bool {
    let synced = object.status.as_ref().and_then(|status| status.synced_push_secrets.get(store));
    let mut pushed = synced.into_iter().flat_map(|entries| entries.values());
    pushed.any(|data| Claim::of(&data.matches.remote_ref).overlaps(claim))
}

/// What decides between two who claim the same: who has pushed there, then who is older, then the name. The smaller
/// one has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    has_not_pushed: bool,
    created: Option<jiff::Timestamp>,
    key: ObjectKey,
}

impl Rank {
    /// The rank of an object at a place of a store, whose name is as the status has it.
    pub(crate) fn of(object: &PushSecret, store: &str, claim: &Claim) -> Self {
        Self {
            has_not_pushed: !has_pushed(object, store, claim),
            created: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
            key: ObjectKey::of(object),
        }
    }

    /// Who it is.
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }
}
