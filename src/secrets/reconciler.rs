//! What one reconcile of one ExternalSecret is about.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::{
    context::Context,
    index::{Tracked, target_key},
    plan::hash,
};
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::cluster::{ObjectKey, events::EventType};

/// One reconcile. What it does stands where it belongs: in `converge`, `observe`, `fetch` and `cleanup`.
pub(crate) struct Reconciler<'a> {
    /// What the controllers share.
    pub(crate) context: &'a Context,
    /// Which object.
    pub(crate) key: &'a ObjectKey,
    /// What is known of it.
    pub(crate) tracked: &'a Tracked,
    /// The time.
    pub(crate) now: Timestamp,
    /// Whether an event woke it since it was read.
    pub(crate) event: bool,
}

impl Reconciler<'_> {
    /// The object.
    pub(crate) fn object(&self) -> &ExternalSecret {
        &self.tracked.object
    }

    /// Its uid.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.object().metadata.uid.as_deref()
    }

    /// Field manager of its Secret.
    pub(crate) fn manager(&self) -> String {
        hash::field_manager(&self.key.name)
    }

    /// Key of its Secret.
    pub(crate) fn target(&self) -> ObjectKey {
        target_key(self.key, &self.object().spec)
    }

    /// Tells an event about it.
    pub(crate) fn record(&self, reason: &'static str, text: String, event_type: EventType) {
        let about: ObjectReference = self.object().object_ref(&());
        self.context.record(about, reason, text, event_type);
    }
}
