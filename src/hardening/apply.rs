//! Does the steps of a plan, one by one, each under the preconditions it was planned with.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{
    api::{
        core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Map, Value, json};

use super::{
    Context, copies,
    explain::explain,
    plan::{
        error::Error,
        labels::{FieldOwner, LabelPatch, RECORD},
        objects::{self, Generated, GeneratedKey, ObjectKind, ObservedObject, RELEASE_MANAGER},
        owned::claim,
        service_accounts::{PREVIOUS_AUTOMOUNT, Previous, ServiceAccountPatch},
        steps::{Chain, Step},
    },
};
use crate::api::gabion::hardening_baseline::ConflictPolicy;
use crate::cluster::{
    ObjectKey,
    write::{ApiError, Part, PatchKind},
};
use crate::marks::FIELD_MANAGER;
use crate::meta::{ResourceVersion, Uid};

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
    /// Does a chain in order and stops at its first failure. An object that is refused for what it is costs only
    /// itself: the deny does not wait for a rule that can never be. The first time it waits for DNS, without which
    /// nothing in the namespace would work.
    pub(crate) async fn chain(&self, chain: &Chain) -> Result<(), Error> {
        let (mut refused, deny) = (None, format!("NetworkPolicy/{}", objects::DEFAULT_DENY));
        let dns = format!("NetworkPolicy/{}", objects::ALLOW_DNS);
        let mut without_dns = false;
        for step in &chain.steps {
            if without_dns && matches!(step, Step::Create(_)) && step.object() == deny {
                continue;
            }
            match self.step(step).await {
                Ok(()) => {}
                Err(error @ Error::Rejected { .. }) => {
                    tracing::debug!(namespace = self.namespace, %error, "refused");
                    without_dns |=
                        step.object() == dns && !self.context.index.denied(self.namespace);
                    refused = refused.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn step(&self, step: &Step) -> Result<(), Error> {
        tracing::debug!(namespace = self.namespace, object = step.object(), "writing");
        match step {
            Step::Create(object) => self.create(object).await,
            Step::Update { object, uid, resource_version, adopting } => {
                let live = self.live(&object.key(), uid, resource_version).await?;
                if *adopting && !objects::can_be_adopted(&live) {
                    let (object, manager) = (object.key().to_string(), "a spec that is too long");
                    return Err(Error::NameTaken { object, manager: manager.to_owned() });
                }
                let written = objects::over(&live, object, *adopting);
                let meta = self.replace(&written, FIELD_MANAGER).await?;
                self.remember(written, meta);
                Ok(())
            }
            Step::Release { key, uid, resource_version, restores } => {
                self.release(key, uid, resource_version, *restores).await
            }
            Step::Delete { key, uid, resource_version } => {
                self.delete(key, uid, resource_version).await
            }
            Step::Drop(key) => match self.context.index.object(self.namespace, key) {
                Some((uid, version)) => self.delete(key, &uid, &version).await,
                None => Ok(()),
            },
            Step::Labels(patch) => self.labels(patch).await,
            Step::ServiceAccount(patch) => self.service_account(patch).await,
            Step::PullSecret(step) => copies::write(self.context, self.namespace, step).await,
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
        self.remember(object.clone(), meta);
        Ok(())
    }

    /// Lets go of an object. An earlier spec that the API server does not take any more is gone with it.
    async fn release(
        &self,
        key: &GeneratedKey,
        uid: &Uid,
        version: &ResourceVersion,
        restores: bool,
    ) -> Result<(), Error> {
        let live = self.live(key, uid, version).await?;
        let freed = objects::released(&live, restores);
        match self.replace(&freed, RELEASE_MANAGER).await {
            Err(Error::Rejected { .. }) if restores => return self.delete(key, uid, version).await,
            other => other?,
        };
        self.context.index.object_removed(self.namespace, key);
        Ok(())
    }

    async fn replace(&self, object: &Generated, manager: &str) -> Result<ObjectMeta, Error> {
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
        replaced.map_err(|error| explain("update", &name.to_string(), &error))
    }

    fn remember(&self, mut written: Generated, answer: ObjectMeta) {
        let meta = written.meta_mut();
        meta.uid = answer.uid;
        meta.resource_version = answer.resource_version;
        meta.deletion_timestamp = answer.deletion_timestamp;
        claim(meta);
        let seen = ObservedObject::of(&written);
        self.context.index.object_written(self.namespace, &written.key(), seen);
    }

    /// The live object, if it still is the one that the step was planned for.
    async fn live(
        &self,
        name: &GeneratedKey,
        uid: &Uid,
        version: &ResourceVersion,
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
            uid.is_of(meta) && (name.kind == ObjectKind::ResourceQuota || version.is_of(meta))
        })
        .ok_or_else(|| Error::Stale { object: name.to_string() })
    }

    async fn delete(
        &self,
        name: &GeneratedKey,
        uid: &Uid,
        version: &ResourceVersion,
    ) -> Result<(), Error> {
        let (key, writer) = (self.key(&name.name), &self.context.writer);
        let deleted = match name.kind {
            ObjectKind::NetworkPolicy => writer.delete::<NetworkPolicy>(&key, uid, version).await,
            ObjectKind::LimitRange => writer.delete::<LimitRange>(&key, uid, version).await,
            ObjectKind::ResourceQuota => writer.delete::<ResourceQuota>(&key, uid, version).await,
        };
        deleted.map_err(|error| explain("delete", &name.to_string(), &error))?;
        self.context.index.object_deleted(self.namespace, name);
        Ok(())
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
            version = self.patch_namespace(patch, &body).await?;
        }
        if patch.apply.is_empty() || (patch.changed.is_empty() && !patch.restore.is_empty()) {
            return Ok(());
        }
        let causes = match self.apply_labels(patch, &version, false).await {
            Ok(()) => return Ok(()),
            Err(ApiError::Conflict { causes, .. }) if !causes.is_empty() => causes,
            Err(error) => return Err(explain("patch", LABELS, &error)),
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
        if rest.changed.is_empty() && !rest.drifted.iter().any(|key| key == RECORD) {
            return Ok(());
        }
        let applied = self.apply_labels(&rest, &version, true).await;
        applied.map_err(|error| explain("patch", LABELS, &error))
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn apply_labels(
        &self,
        patch: &LabelPatch,
        version: &ResourceVersion,
        force: bool,
    ) -> Result<(), ApiError> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), self.namespace.into());
        // With the uid a namespace that was deleted meanwhile is not made anew.
        metadata.insert("uid".to_owned(), json!(patch.uid));
        metadata.insert("resourceVersion".to_owned(), json!(version));
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
        self.context.index.namespace_written(self.namespace, &meta, patch);
        Ok(())
    }

    async fn patch_namespace(
        &self,
        patch: &LabelPatch,
        body: &Value,
    ) -> Result<ResourceVersion, Error> {
        let (key, kind) = (ObjectKey::new("", self.namespace), PatchKind::Merge);
        let writer = &self.context.writer;
        let patched =
            writer.patch::<Namespace>(&key, Part::Object, kind, body, FIELD_MANAGER).await;
        let meta = patched.map_err(|error| explain("patch", LABELS, &error))?;
        self.context.index.namespace_written(self.namespace, &meta, patch);
        Ok(ResourceVersion::of(&meta))
    }

    /// `imagePullSecrets` is never part of this write. What we set is applied, because the API server notes whose
    /// field that is only then: of an account that a controller made it keeps no record otherwise.
    async fn service_account(&self, patch: &ServiceAccountPatch) -> Result<(), Error> {
        let note = patch.previous.map(Previous::as_str);
        let mut body = json!({
            "metadata": {
                "uid": patch.uid,
                "resourceVersion": patch.resource_version,
                "annotations": {PREVIOUS_AUTOMOUNT: note},
            },
            "automountServiceAccountToken": patch.automount,
        });
        let (key, writer) = (self.key(&patch.name), &self.context.writer);
        let kind = if note.is_some() {
            body["apiVersion"] = "v1".into();
            body["kind"] = "ServiceAccount".into();
            body["metadata"]["name"] = patch.name.as_str().into();
            PatchKind::Apply { force: true }
        } else {
            PatchKind::Merge
        };
        let patched =
            writer.patch::<ServiceAccount>(&key, Part::Object, kind, &body, FIELD_MANAGER).await;
        let meta = patched
            .map_err(|error| explain("patch", &format!("ServiceAccount/{}", patch.name), &error))?;
        self.context.index.account_written(self.namespace, &meta, patch);
        Ok(())
    }
}

/// The labels of a namespace, as the object of a failure.
const LABELS: &str = "Namespace labels";
