//! What one look at one ExternalSecret is about.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::{
    Context,
    index::{Tracked, target_key},
    plan::hash,
};
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::cluster::{ObjectKey, events::Tone};

/// One look. What it does is told where it belongs: in `converge`, `observe`, `fetch` and `cleanup`.
pub struct Look<'a> {
    /// What the controllers share.
    pub context: &'a Context,
    /// Which object.
    pub key: &'a ObjectKey,
    /// What is known of it.
    pub tracked: &'a Tracked,
    /// The time.
    pub now: Timestamp,
}

impl Look<'_> {
    /// The object.
    pub fn object(&self) -> &ExternalSecret {
        &self.tracked.object
    }

    /// Its uid.
    pub fn uid(&self) -> Option<&str> {
        self.object().metadata.uid.as_deref()
    }

    /// Field manager of its Secret.
    pub fn manager(&self) -> String {
        hash::field_manager(&self.key.name)
    }

    /// Key of its Secret.
    pub fn target(&self) -> ObjectKey {
        target_key(self.key, &self.object().spec)
    }

    /// Tells an event about it.
    pub fn tell(&self, reason: &'static str, text: String, tone: Tone) {
        let about: ObjectReference = self.object().object_ref(&());
        self.context.tell(about, reason, text, tone);
    }
}
