//! Writes copies of registry credentials, and the `ServiceAccounts` that use them. A Secret of a namespace is never
//! read: who wrote it says its metadata, and what it holds says who wrote which field.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use serde::Serialize;
use serde_json::json;

use super::{
    Context,
    explain::explain,
    plan::{
        copy::{ATTACHED, AttachPatch, COPIES_MANAGER, COPY, COPY_LABEL, CopyStep, REVISION},
        error::Error,
        pull_secrets::Credential,
    },
};
use crate::cluster::{
    ObjectKey,
    write::{ApiError, Part, PatchKind},
};
use crate::marks::{FIELD_MANAGER, MANAGED_BY};
use crate::meta::{ResourceVersion, Uid};

/// A copy as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(rename = "type")]
    secret_type: &'static str,
    data: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a ResourceVersion>,
    labels: BTreeMap<&'static str, &'static str>,
    annotations: BTreeMap<&'static str, &'a str>,
}

/// Does one step.
pub(super) async fn write(
    context: &Context,
    namespace: &str,
    step: &CopyStep,
) -> Result<(), Error> {
    let said = step.object();
    match step {
        CopyStep::Write { name, credential, live, .. } => {
            let copy = Copy { context, namespace, name, credential };
            match live {
                None => copy.create(&said).await,
                Some((uid, version)) => copy.update(&said, uid, version).await,
            }
        }
        CopyStep::Delete { name, uid, resource_version } => {
            let key = ObjectKey::new(namespace, name);
            let deleted = context.writer.delete::<Secret>(&key, uid, resource_version).await;
            deleted.map_err(|error| explain("delete", &said, &error))?;
            context.index.copy_removed(namespace, name);
            Ok(())
        }
        CopyStep::Release { name, uid, resource_version } => {
            let body = json!({"metadata": {
                "uid": uid,
                "resourceVersion": resource_version,
                "labels": {COPY_LABEL: null, MANAGED_BY: null},
                "annotations": {REVISION: null},
            }});
            let (key, kind) = (ObjectKey::new(namespace, name), PatchKind::Merge);
            let writer = &context.writer;
            let patched =
                writer.patch::<Secret>(&key, Part::Object, kind, &body, COPIES_MANAGER).await;
            patched.map_err(|error| explain("patch", &said, &error))?;
            context.index.copy_removed(namespace, name);
            Ok(())
        }
        CopyStep::Attach(patch) => attach(context, namespace, &said, patch).await,
    }
}

/// The list is atomic for server-side apply and has to be written whole: with the version at which it was seen, so that
/// an entry that somebody adds meanwhile is not lost.
async fn attach(
    context: &Context,
    namespace: &str,
    said: &str,
    patch: &AttachPatch,
) -> Result<(), Error> {
    let entries: Vec<_> = patch.entries.iter().map(|name| json!({"name": name})).collect();
    let note = (!patch.attached.is_empty()).then(|| patch.attached.join(","));
    let body = json!({
        "metadata": {
            "uid": patch.uid,
            "resourceVersion": patch.resource_version,
            "annotations": {ATTACHED: note},
        },
        "imagePullSecrets": (!entries.is_empty()).then_some(entries),
    });
    let (key, kind) = (ObjectKey::new(namespace, &patch.account), PatchKind::Merge);
    let writer = &context.writer;
    let patched =
        writer.patch::<ServiceAccount>(&key, Part::Object, kind, &body, COPIES_MANAGER).await;
    let meta = patched.map_err(|error| explain("patch", said, &error))?;
    context.index.attached(namespace, &meta, patch);
    Ok(())
}

struct Copy<'a> {
    context: &'a Context,
    namespace: &'a str,
    name: &'a str,
    credential: &'a Credential,
}

impl Copy<'_> {
    fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace, self.name)
    }

    /// Nothing of the source but its type and the value that kubelets read.
    fn body<'a>(
        &'a self,
        uid: Option<&'a Uid>,
        resource_version: Option<&'a ResourceVersion>,
    ) -> Body<'a> {
        let credential = self.credential;
        let value = std::str::from_utf8(credential.value.expose()).unwrap_or_default();
        Body {
            api_version: "v1",
            kind: "Secret",
            metadata: Metadata {
                name: self.name,
                namespace: self.namespace,
                uid,
                resource_version,
                labels: [(COPY_LABEL, COPY), (MANAGED_BY, FIELD_MANAGER)].into(),
                annotations: [(REVISION, credential.revision.as_str())].into(),
            },
            secret_type: credential.kind.as_str(),
            data: [(credential.kind.key(), value)].into(),
        }
    }

    async fn create(&self, said: &str) -> Result<(), Error> {
        let (key, writer) = (self.key(), &self.context.writer);
        let created = writer.create::<Secret>(&key, &self.body(None, None), COPIES_MANAGER).await;
        match created {
            Ok(meta) => {
                self.written(&meta);
                Ok(())
            }
            Err(ApiError::AlreadyExists { .. }) => self.exists(said).await,
            Err(error) => Err(explain("create", said, &error)),
        }
    }

    /// A Secret without our label has the name. If it is the very one that we wrote, it only lost its label.
    async fn exists(&self, said: &str) -> Result<(), Error> {
        if let Some(uid) = self.context.index.copy_uid(self.namespace, self.name) {
            match self.apply(Some(&uid), None).await {
                Ok(()) => return Ok(()),
                Err(ApiError::Conflict { .. } | ApiError::Invalid { .. }) => {}
                Err(error) => return Err(explain("patch", said, &error)),
            }
        }
        self.context.index.copy_name_taken(self.namespace, self.name, Timestamp::now());
        Ok(())
    }

    async fn update(&self, said: &str, uid: &Uid, version: &ResourceVersion) -> Result<(), Error> {
        match self.apply(Some(uid), Some(version)).await {
            Ok(()) => Ok(()),
            // Its type is another one, or somebody made it immutable: only a new one can hold the value.
            Err(ApiError::Invalid { .. }) => {
                let (key, writer) = (self.key(), &self.context.writer);
                let deleted = writer.delete::<Secret>(&key, uid, version).await;
                deleted.map_err(|error| explain("delete", said, &error))?;
                self.context.index.copy_removed(self.namespace, self.name);
                self.create(said).await
            }
            Err(error) => Err(explain("patch", said, &error)),
        }
    }

    async fn apply(
        &self,
        uid: Option<&Uid>,
        version: Option<&ResourceVersion>,
    ) -> Result<(), ApiError> {
        let (key, kind) = (self.key(), PatchKind::Apply { force: true });
        let (writer, body) = (&self.context.writer, self.body(uid, version));
        let meta = writer.patch::<Secret>(&key, Part::Object, kind, &body, COPIES_MANAGER).await?;
        self.written(&meta);
        Ok(())
    }

    fn written(&self, meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) {
        let revision = &self.credential.revision;
        self.context.index.copy_written(self.namespace, self.name, meta, revision);
    }
}
