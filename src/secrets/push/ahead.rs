//! What is written down before it is created.
//!
//! A process may die between the creation of a remote secret and the status that says so. If the object then asks for
//! something else, nobody would know that there is something to remove.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use serde_json::json;

use super::super::context::Context;
use super::super::plan::push::claims::Claim;
use super::super::plan::push::entries::{Group, id};
use super::super::plan::push::report::{Synced, status_ahead};
use super::super::pushes::store_key;
use super::data::Source;
use super::remote::Target;
use super::{AT_ONCE, MANAGER, Pusher, by_store};
use crate::api::external_secrets::push_secret::{PushDeletionPolicy, PushSecret};
use crate::cluster::{
    ObjectKey,
    write::{ApiError, Part, PatchKind},
};

impl Pusher<'_> {
    /// What is about to be created, would have to be removed one day, and is in no status.
    pub(super) async fn ahead(&self, groups: &[Group], source: &Source) -> Synced {
        let mut ahead = Synced::new();
        if self.object.spec.deletion_policy != PushDeletionPolicy::Delete {
            return ahead;
        }
        for (store, groups) in by_store(groups) {
            let groups: Vec<_> =
                groups.into_iter().filter(|group| !self.is_recorded(group)).collect();
            if groups.is_empty() {
                continue;
            }
            let Some(key) = store_key(store, &self.key.namespace) else { continue };
            // Whatever is wrong is said when it is pushed.
            let Ok(Some((connection, of))) = self.context.usable(&key, &self.key.namespace).await
            else {
                continue;
            };
            let Ok(target) = Target::of(self, of, connection) else { continue };
            let mut work = Vec::with_capacity(groups.len());
            for group in &groups {
                work.push(self.is_absent(&target, group, source));
            }
            let absent: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
            for (group, _) in groups.iter().zip(absent).filter(|(_, is_absent)| *is_absent) {
                let of_store = ahead.entry(store.to_owned()).or_default();
                let entries = group.entries.iter();
                of_store.extend(
                    entries
                        .map(|entry| (id(&entry.record.matches.remote_ref), entry.record.clone())),
                );
            }
        }
        ahead
    }

    fn is_recorded(&self, group: &Group) -> bool {
        let status = self.object.status.as_ref();
        let synced = status.and_then(|status| status.synced_push_secrets.get(&group.store));
        let mut entries = group.entries.iter();
        entries.all(|entry| {
            let reference = &entry.record.matches.remote_ref;
            let known = synced.and_then(|synced| synced.get(&id(reference)));
            known.is_some_and(|known| Claim::of(&known.matches.remote_ref) == Claim::of(reference))
        })
    }

    async fn is_absent(&self, target: &Target, group: &Group, source: &Source) -> bool {
        if self.parts(target, group, source).is_err() || self.check_claims(target, group).is_err() {
            return false;
        }
        let _turn = self.context.pushes.turns(&target.store.key).turn(&self.key.namespace).await;
        matches!(self.describe(target, &group.remote_key).await, Ok(None))
    }
}

/// Writes it down. The object as it is afterwards.
pub(super) async fn record(
    context: &Context,
    key: &ObjectKey,
    object: &PushSecret,
    ahead: &Synced,
) -> Result<Arc<PushSecret>, ApiError> {
    let status = status_ahead(object, ahead);
    let body = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": object.metadata.resource_version},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let (part, kind) = (Part::Status, PatchKind::Json);
    let meta = context.writer.patch::<PushSecret>(key, part, kind, &body, MANAGER).await?;
    let mut written = object.clone();
    written.metadata.resource_version = meta.resource_version;
    written.status = Some(status);
    context.pushes.own_write(key, written.clone());
    Ok(Arc::new(written))
}
