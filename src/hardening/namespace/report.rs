//! The report of a namespace, `NamespaceHardening/effective`: written when it says something new.

use std::sync::Arc;

use serde_json::json;

use super::{Reconciler, is_nothing_left};
use crate::api::gabion::namespace_hardening::EFFECTIVE;
use crate::api::gabion::namespace_hardening::NamespaceHardening;
use crate::api::gabion::namespace_hardening::NamespaceHardeningStatus;
use crate::cluster::{
    ObjectKey,
    write::{Part, PatchKind},
};
use crate::hardening::{
    explain::explain,
    index::{Effective, REPORT},
    plan::{
        baseline::Compiled,
        effective::{self, StatusDigest},
        error::Error,
        namespace::Plan,
    },
};
use crate::marks::{FIELD_MANAGER, MANAGED_BY};
use crate::meta::{ResourceVersion, Uid};

impl Reconciler<'_> {
    /// Brings the report up to date, or takes it away where nothing is left to report.
    pub(super) async fn report(
        &self,
        selecting: &[Compiled],
        after: &Plan,
        failure: Option<&Error>,
    ) -> Result<(), Error> {
        if selecting.is_empty() && is_nothing_left(after) {
            return self.remove_effective().await;
        }
        if let Some(manager) = self.material.contested.get(REPORT) {
            let (field, manager) = (REPORT.to_owned(), manager.clone());
            self.record(Some(&Error::FieldOwnedBy { field, manager }));
            return Ok(());
        }
        let known = self.material.effective.as_ref();
        let nothing = Arc::<StatusDigest>::default();
        let old = known.map_or(&nothing, |known| &known.digest);
        let next = effective::next_status(old, selecting, after, failure, self.now);
        let Some(status) = next else { return Ok(()) };
        let Err(error) = self.write_report(known, &status).await else { return Ok(()) };
        if !matches!(error, Error::Rejected { .. } | Error::ApiUnavailable { .. }) {
            return Err(error);
        }
        // Whatever is wrong with one part of it, the conditions must show it.
        let _ = self.write_report(known, &effective::conditions_only(&status)).await;
        Err(error)
    }

    async fn write_report(
        &self,
        known: Option<&Effective>,
        status: &NamespaceHardeningStatus,
    ) -> Result<(), Error> {
        let index = &self.context.index;
        let digest = Arc::new(StatusDigest::of(status));
        index.expect_report(self.name, Some(Arc::clone(&digest)));
        match self.send(known, status).await {
            Ok((uid, resource_version)) => {
                let written = Effective { uid, resource_version, digest };
                index.effective_written(self.name, Some(written));
                Ok(())
            }
            Err(error) => {
                index.expect_report(self.name, None);
                Err(error)
            }
        }
    }

    /// Writes the report with one request; see `docs/decisions/0010-a-report-in-one-write.md`. Its uid and
    /// resource version.
    async fn send(
        &self,
        known: Option<&Effective>,
        status: &NamespaceHardeningStatus,
    ) -> Result<(Uid, ResourceVersion), Error> {
        let (key, writer) = (ObjectKey::new(self.name, EFFECTIVE), &self.context.writer);
        let (verb, written) = if let Some(known) = known {
            let version = &known.resource_version;
            let body = json!([
                {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": "/status", "value": status},
            ]);
            let (part, kind) = (Part::Object, PatchKind::Json);
            let patched =
                writer.patch::<NamespaceHardening>(&key, part, kind, &body, FIELD_MANAGER);
            ("patch", patched.await)
        } else {
            let labels = json!({MANAGED_BY: FIELD_MANAGER});
            let body = json!({
                "apiVersion": "gabion.dev/v1alpha1",
                "kind": "NamespaceHardening",
                "metadata": {"name": EFFECTIVE, "namespace": self.name, "labels": labels},
                "spec": {},
                "status": status,
            });
            ("create", writer.create::<NamespaceHardening>(&key, &body, FIELD_MANAGER).await)
        };
        let meta = written.map_err(|error| explain(verb, REPORT, &error))?;
        Ok((Uid::of(&meta), ResourceVersion::of(&meta)))
    }

    pub(super) async fn remove_effective(&self) -> Result<(), Error> {
        let Some(known) = &self.material.effective else { return Ok(()) };
        let key = ObjectKey::new(self.name, EFFECTIVE);
        let (uid, version) = (&known.uid, &known.resource_version);
        let deleted = self.context.writer.delete::<NamespaceHardening>(&key, uid, version).await;
        deleted.map_err(|error| explain("delete", REPORT, &error))?;
        self.context.index.effective_written(self.name, None);
        Ok(())
    }
}
