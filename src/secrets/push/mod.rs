//! The controller of PushSecrets.
//!
//! An object is reconciled when its Secret changes, when somebody edits it, and when its interval has passed. What is
//! remote is described first, and written only if it differs; a value is read only if its version is not the one that
//! this process left. All entries of one remote secret are one write.

mod data;
mod leave;
mod reconcile;
mod remote;
mod report;
mod watches;

pub(crate) use reconcile::reconcile;
pub(crate) use watches::push_secret;

use super::context::Context;
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::ObjectKey;

const KIND: &str = "PushSecret";
/// Field manager of writes, as External Secrets Operator has it.
const MANAGER: &str = "external-secrets";
/// On objects with `deletionPolicy: Delete`, as External Secrets Operator has it.
const FINALIZER: &str = "pushsecret.externalsecrets.io/finalizer";

/// What one reconcile of one object is about.
struct Pusher<'a> {
    context: &'a Context,
    key: &'a ObjectKey,
    object: &'a PushSecret,
}
