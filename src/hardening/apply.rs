//! Does the steps of a plan, one by one, each under the preconditions it was planned with.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use serde_json::{Map, Value, json};

use super::{
    Context,
    plan::{
        error::Error,
        labels::{FieldOwner, LabelPatch, RECORD},
        objects::{self, Generated, GeneratedKey, ObjectKind, ObservedObject, RELEASE_MANAGER},
        service_accounts::{PREVIOUS_AUTOMOUNT, ServiceAccountPatch},
        steps::{Chain, Step},
    },
};
use crate::api::gabion::hardening_baseline::ConflictPolicy;
use crate::cluster::{
    ObjectKey,
    write::{ApiError, Part, PatchKind},
};
use crate::marks::FIELD_MANAGER;

/// Does the steps in one namespace.
pub(crate) struct Applier<'a> {
    /// What the controllers share.
    pub(crate) context: &'a Context,
    /// The namespace.
    pub(crate) namespace: &'a str,
    /// What happens to labels that somebody else declares.
    pub(crate) policy: ConflictPolicy,
    /// Labels that were left alone because somebody else declares them, each with that manager.
    pub(crate) refused: Mutex<BTreeMap<String, String>>,
}

impl Applier<'_> {
    /// Does a chain in order and stops at its first failure.
    pub(crate) async fn chain(&self, chain: &Chain) -> Result<(), Error> {
        for step in &chain.steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&self, step: &Step) -> Result<(), Error> {
        tracing::debug!(namespace = self.namespace, object = step.object(), "writing");
        match step {
            Step::Create(object) => self.create(object).await,
            Step::Update { object, uid, resource_version, .. } => {
                let live = self.live(&object.key(), uid, resource_version).await?;
                let written = objects::over(&live, object);
                self.replace(&written, FIELD_MANAGER).await?;
                Ok(())
            }
            Step::Release { key, uid, resource_version, previous_spec } => {
                let live = self.live(key, uid, resource_version).await?;
                let freed = objects::released(&live, previous_spec.as_deref());
                self.replace(&freed, RELEASE_MANAGER).await?;
                Ok(())
            }
            Step::Delete { key, uid, resource_version } => {
                let deleted = self.delete(key, uid, resource_version).await;
                deleted.map_err(|error| explain("delete", &key.to_string(), &error))?;
                self.context.index.object_removed(self.namespace, key);
                Ok(())
            }
            Step::Labels(patch) => self.labels(patch).await,
            Step::ServiceAccount(patch) => self.service_account(patch).await,
        }
    }

    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(self.namespace, name)
    }

    async fn create(&self, object: &Generated) -> Result<(), Error> {
        let (name, writer) = (object.key(), &self.context.writer);
        let key = self.key(&name.name);
        let created = match object {
            Generated::NetworkPolicy(body) => {
                writer.create::<NetworkPolicy>(&key, body, FIELD_MANAGER).await
            }
            Generated::LimitRange(body) => {
                writer.create::<LimitRange>(&key, body, FIELD_MANAGER).await
            }
            Generated::ResourceQuota(body) => {
                writer.create::<ResourceQuota>(&key, body, FIELD_MANAGER).await
            }
        };
        let meta = created.map_err(|error| explain("create", &name.to_string(), &error))?;
        let mut written = object.clone();
        written.meta_mut().uid = meta.uid;
        written.meta_mut().resource_version = meta.resource_version;
        self.remember(&written);
        Ok(())
    }

    async fn replace(&self, object: &Generated, manager: &str) -> Result<(), Error> {
        let (name, writer) = (object.key(), &self.context.writer);
        let key = self.key(&name.name);
        let replaced = match object {
            Generated::NetworkPolicy(body) => {
                writer.replace::<NetworkPolicy>(&key, body, manager).await
            }
            Generated::LimitRange(body) => writer.replace::<LimitRange>(&key, body, manager).await,
            Generated::ResourceQuota(body) => {
                writer.replace::<ResourceQuota>(&key, body, manager).await
            }
        };
        let meta = replaced.map_err(|error| explain("update", &name.to_string(), &error))?;
        let mut written = object.clone();
        written.meta_mut().resource_version = meta.resource_version;
        written.meta_mut().managed_fields = meta.managed_fields;
        self.remember(&written);
        Ok(())
    }

    fn remember(&self, written: &Generated) {
        let seen = ObservedObject::of(written);
        self.context.index.object_written(self.namespace, &written.key(), seen);
    }

    /// The live object, if it still is the one that the step was planned for.
    async fn live(
        &self,
        name: &GeneratedKey,
        uid: &str,
        version: &str,
    ) -> Result<Generated, Error> {
        let (key, writer) = (self.key(&name.name), &self.context.writer);
        let read = match name.kind {
            ObjectKind::NetworkPolicy => writer
                .read::<NetworkPolicy, NetworkPolicy>(&key)
                .await
                .map(|found| found.map(Generated::NetworkPolicy)),
            ObjectKind::LimitRange => writer
                .read::<LimitRange, LimitRange>(&key)
                .await
                .map(|found| found.map(Generated::LimitRange)),
            ObjectKind::ResourceQuota => writer
                .read::<ResourceQuota, ResourceQuota>(&key)
                .await
                .map(|found| found.map(Generated::ResourceQuota)),
        };
        let live = read.map_err(|error| explain("get", &name.to_string(), &error))?;
        // The status of a quota moves its version all the time: the uid and our own comparison of the spec
        // in the next plan are what counts, and the write itself carries the version just read.
        live.filter(|live| {
            let meta = live.meta();
            meta.uid.as_deref() == Some(uid)
                && (name.kind == ObjectKind::ResourceQuota
                    || meta.resource_version.as_deref() == Some(version))
        })
        .ok_or_else(|| Error::Stale { object: name.to_string() })
    }

    async fn delete(&self, name: &GeneratedKey, uid: &str, version: &str) -> Result<(), ApiError> {
        let (key, writer) = (self.key(&name.name), &self.context.writer);
        match name.kind {
            ObjectKind::NetworkPolicy => writer.delete::<NetworkPolicy>(&key, uid, version).await,
            ObjectKind::LimitRange => writer.delete::<LimitRange>(&key, uid, version).await,
            ObjectKind::ResourceQuota => writer.delete::<ResourceQuota>(&key, uid, version).await,
        }
    }

    /// Earlier values come back in one write together with the record; labels that we keep are applied by
    /// server-side apply, so that a field that somebody else declares is a conflict and not a takeover.
    async fn labels(&self, patch: &LabelPatch) -> Result<(), Error> {
        let mut version = patch.resource_version.clone();
        if !patch.restore.is_empty() || patch.apply.is_empty() {
            let body = json!({"metadata": {
                "resourceVersion": version,
                "labels": patch.restore,
                "annotations": {RECORD: patch.record},
            }});
            version = self.patch_namespace(PatchKind::Merge, &body).await?;
        }
        if patch.apply.is_empty() || (patch.changed.is_empty() && !patch.restore.is_empty()) {
            return Ok(());
        }
        let causes = match self.apply_labels(patch, &version, false).await {
            Ok(()) => return Ok(()),
            Err(ApiError::Conflict { causes, .. }) if !causes.is_empty() => causes,
            Err(error) => return Err(explain("patch", "Namespace labels", &error)),
        };
        let mut rest = patch.clone();
        for cause in &causes {
            let owner = FieldOwner::read(&cause.message);
            let Some(key) = cause.field.strip_prefix(".metadata.labels.") else { continue };
            if !owner.gives_way(self.policy) {
                rest.leave(key);
                self.refused().insert(key.to_owned(), owner.manager().to_owned());
            }
        }
        if rest.changed.is_empty() {
            return Ok(());
        }
        let applied = self.apply_labels(&rest, &version, true).await;
        applied.map_err(|error| explain("patch", "Namespace labels", &error))
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn apply_labels(
        &self,
        patch: &LabelPatch,
        version: &str,
        force: bool,
    ) -> Result<(), ApiError> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), self.namespace.into());
        // With the uid a namespace that was deleted meanwhile is not made anew.
        metadata.insert("uid".to_owned(), patch.uid.clone().into());
        metadata.insert("resourceVersion".to_owned(), version.into());
        metadata.insert("labels".to_owned(), json!(patch.apply));
        if let Some(record) = &patch.record {
            metadata.insert("annotations".to_owned(), json!({RECORD: record}));
        }
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        let key = ObjectKey::new("", self.namespace);
        let kind = PatchKind::Apply { force };
        let writer = &self.context.writer;
        let meta =
            writer.patch::<Namespace>(&key, Part::Object, kind, &body, FIELD_MANAGER).await?;
        self.context.index.namespace_written(self.namespace, &meta);
        Ok(())
    }

    async fn patch_namespace(&self, kind: PatchKind, body: &Value) -> Result<String, Error> {
        let key = ObjectKey::new("", self.namespace);
        let writer = &self.context.writer;
        let patched =
            writer.patch::<Namespace>(&key, Part::Object, kind, body, FIELD_MANAGER).await;
        let meta = patched.map_err(|error| explain("patch", "Namespace labels", &error))?;
        self.context.index.namespace_written(self.namespace, &meta);
        Ok(meta.resource_version.unwrap_or_default())
    }

    /// `imagePullSecrets` is never part of this write.
    async fn service_account(&self, patch: &ServiceAccountPatch) -> Result<(), Error> {
        let body = json!({
            "metadata": {
                "resourceVersion": patch.resource_version,
                "annotations": {PREVIOUS_AUTOMOUNT: patch.previous},
            },
            "automountServiceAccountToken": patch.automount,
        });
        let (key, writer) = (self.key(&patch.name), &self.context.writer);
        let kind = PatchKind::Merge;
        let patched =
            writer.patch::<ServiceAccount>(&key, Part::Object, kind, &body, FIELD_MANAGER).await;
        let meta = patched
            .map_err(|error| explain("patch", &format!("ServiceAccount/{}", patch.name), &error))?;
        self.context.index.account_applied(&ServiceAccount {
            metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                namespace: Some(self.namespace.to_owned()),
                ..meta
            },
            automount_service_account_token: patch.automount,
            ..ServiceAccount::default()
        });
        Ok(())
    }
}

/// A refusal of the API server in the words of this subsystem.
pub(crate) fn explain(verb: &'static str, object: &str, error: &ApiError) -> Error {
    let object = object.to_owned();
    match error {
        ApiError::Forbidden { .. } => Error::Forbidden { verb, object },
        ApiError::Invalid { .. } | ApiError::TooLarge { .. } => Error::Rejected { object },
        ApiError::Conflict { .. }
        | ApiError::AlreadyExists { .. }
        | ApiError::NotFound { .. }
        | ApiError::NamespaceTerminating { .. } => Error::Stale { object },
        ApiError::Unavailable { .. } | ApiError::Fenced => Error::ApiUnavailable { object },
    }
}
