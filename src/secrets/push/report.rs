//! The status of a PushSecret.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use serde_json::json;

use super::super::plan::push::report::{Outcome, Stamp, Synced, next_status, version};
use super::{KIND, MANAGER, Pusher};
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::{
    events::EventType,
    write::{ApiError, Part, PatchKind},
};

impl Pusher<'_> {
    /// Tells an event about the object.
    pub(super) fn record(&self, reason: &'static str, text: String, event_type: EventType) {
        let about: ObjectReference = self.object.object_ref(&());
        self.context.record(about, reason, text, event_type);
    }

    /// Writes the status, if it is to say something else than it does.
    pub(super) async fn report(
        &self,
        outcome: &Outcome,
        synced: Synced,
        source: &str,
        started: Timestamp,
    ) -> Result<(), ApiError> {
        let heartbeat = self.context.config.heartbeat;
        let stamp = Stamp {
            started: Timestamp::from_second(started.as_second()).unwrap_or(started),
            version: version(self.object),
            source: source.to_owned(),
            heartbeat: SignedDuration::try_from(heartbeat).unwrap_or(SignedDuration::MAX),
        };
        let Some(status) = next_status(self.object, outcome, synced, &stamp) else {
            return Ok(());
        };
        // Whole: a merge would keep what was pushed before and is not any more.
        let body = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self.object.metadata.resource_version},
            {"op": "add", "path": "/status", "value": status},
        ]);
        let (part, kind) = (Part::Status, PatchKind::Json);
        let meta =
            self.context.writer.patch::<PushSecret>(self.key, part, kind, &body, MANAGER).await?;
        let message = outcome.message();
        if matches!(outcome, Outcome::Failed { .. }) {
            self.record(outcome.reason(), message.clone(), EventType::Warning);
        }
        tracing::info!(kind = KIND, key = %self.key, reason = outcome.reason(), message, "status written");
        let mut written = self.object.clone();
        written.metadata.resource_version = meta.resource_version;
        written.status = Some(status);
        self.context.pushes.own_write(self.key, written);
        Ok(())
    }
}
