//! Events of AWS: what a message says, whom it concerns, whether it is news, and when it is done.
//!
//! An event is a hint to read and never data: it may be lost, doubled, late, reordered or forged without harm.

pub(crate) mod asks;
pub(crate) mod assign;
pub(crate) mod condition;
pub(crate) mod ledger;
pub(crate) mod parse;
pub(crate) mod recent;
pub(crate) mod secret;

/// Annotation of a store: the queue whose events wake its ExternalSecrets.
pub(crate) const QUEUE_ANNOTATION: &str = "gabion.dev/events-queue";
/// Annotation of an ExternalSecret without an interval that events refresh nonetheless.
pub(crate) const ON_EVENT_ANNOTATION: &str = "gabion.dev/on-event";
/// The only value of [`ON_EVENT_ANNOTATION`].
pub(crate) const REFRESH: &str = "refresh";
