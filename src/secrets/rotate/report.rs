//! What a SecretRotation says of itself.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use serde_json::json;

use super::super::plan::rotation::FINALIZER;
use super::{MANAGER, Rotator};
use crate::api::gabion::secret_rotation::{SecretRotation, SecretRotationStatus};
use crate::cluster::{
    events::EventType,
    write::{ApiError, Part, PatchKind},
};

impl Rotator<'_> {
    /// Tells an event about the object.
    pub(super) fn record(&self, reason: &'static str, text: String, event_type: EventType) {
        let about: ObjectReference = self.object.object_ref(&());
        self.context.record(about, reason, text, event_type);
    }

    /// The reason of the condition Ready.
    pub(super) fn ready_reason(&self) -> Option<&str> {
        let mut conditions = self.object.status.iter().flat_map(|status| &status.conditions);
        conditions.find(|condition| condition.type_ == "Ready").map(|ready| ready.reason.as_str())
    }

    /// Writes the status, if it says something else than it does. Whoever wrote it meanwhile wins.
    pub(super) async fn write_status(
        &mut self,
        status: SecretRotationStatus,
    ) -> Result<(), ApiError> {
        if self.object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let body = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self.object.metadata.resource_version},
            {"op": "add", "path": "/status", "value": status},
        ]);
        let (part, kind) = (Part::Status, PatchKind::Json);
        let writer = &self.context.writer;
        let meta = writer.patch::<SecretRotation>(self.key, part, kind, &body, MANAGER).await?;
        let mut written = (*self.object).clone();
        written.metadata.resource_version = meta.resource_version;
        written.status = Some(status);
        self.keep(written);
        Ok(())
    }

    /// Sets or removes the finalizer.
    pub(super) async fn finalize(&mut self, wanted: bool) -> Result<(), ApiError> {
        if self.has_finalizer() == wanted {
            return Ok(());
        }
        let meta = &self.object.metadata;
        let mut finalizers = meta.finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        let body = json!({
            "metadata": {"resourceVersion": meta.resource_version, "finalizers": finalizers},
        });
        let (part, kind) = (Part::Object, PatchKind::Merge);
        let writer = &self.context.writer;
        let answer = writer.patch::<SecretRotation>(self.key, part, kind, &body, MANAGER).await?;
        let mut written = (*self.object).clone();
        written.metadata.resource_version = answer.resource_version;
        written.metadata.finalizers = Some(finalizers);
        self.keep(written);
        Ok(())
    }

    fn keep(&mut self, written: SecretRotation) {
        self.context.rotations.own_write(self.key, &written);
        self.object = Arc::new(written);
    }
}
