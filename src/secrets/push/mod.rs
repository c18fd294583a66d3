//! The controller of PushSecrets.
//!
//! An object is reconciled when its Secret changes, when somebody edits it, and when its interval has passed. What is
//! remote is described first, and written only if it differs; a value is read only if its version is not the one that
//! this process left. All entries of one remote secret are one write.

mod ahead;
mod claims;
mod data;
mod leave;
mod reconcile;
mod remote;
mod report;
mod watches;

pub(crate) use reconcile::reconcile;
pub(crate) use watches::push_secret;

use std::collections::BTreeMap;

use super::context::Context;
use super::plan::push::entries::Group;
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::ObjectKey;
use crate::lane::Lane;

const KIND: &str = "PushSecret";
/// Field manager of writes, as External Secrets Operator has it.
const MANAGER: &str = "external-secrets";
/// On objects with `deletionPolicy: Delete`, as External Secrets Operator has it.
const FINALIZER: &str = "pushsecret.externalsecrets.io/finalizer";

/// Remote secrets of one store that one object pushes or removes at the same time.
const AT_ONCE: usize = 8;

/// What one reconcile of one object is about.
struct Pusher<'a> {
    context: &'a Context,
    key: &'a ObjectKey,
    object: &'a PushSecret,
    /// Of its calls.
    lane: Lane,
}

/// Whose entries keep a remote secret from being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Of any object, the one that asks included.
    OfAnybody,
    /// Of every object but the one that asks.
    OfOthers,
}

/// What is asked for, by store.
fn by_store(groups: &[Group]) -> BTreeMap<&str, Vec<&Group>> {
    let mut by_store: BTreeMap<&str, Vec<&Group>> = BTreeMap::new();
    for group in groups {
        by_store.entry(&group.store).or_default().push(group);
    }
    by_store
}
