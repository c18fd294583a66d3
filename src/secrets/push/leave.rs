//! What is not pushed any more: removed from the stores where the object says so.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use serde_json::json;

use super::super::error::Error;
use super::super::plan::push::decide::shown;
use super::super::plan::push::entries::property;
use super::super::plan::push::report::Synced;
use super::super::pushes::store_key;
use super::remote::Target;
use super::{AT_ONCE, FINALIZER, MANAGER, Pusher, Whose};
use crate::api::external_secrets::push_secret::{PushSecret, SyncedEntries};
use crate::cluster::{
    ObjectKey,
    events::EventType,
    write::{ApiError, Part, PatchKind},
};

/// What came of a removal.
pub(super) struct Removed {
    /// What is still there.
    pub(super) left: Synced,
    /// Why.
    pub(super) failures: Vec<Error>,
    /// A store is being validated, and wakes this object.
    pub(super) waiting: bool,
}

impl Pusher<'_> {
    /// Removes what is listed from its stores, but for what is still meant.
    pub(super) async fn remove_all(&self, gone: &Synced, meant: Whose) -> Removed {
        let mut removed = Removed { left: Synced::new(), failures: Vec::new(), waiting: false };
        for (store, entries) in gone {
            let Some(key) = store_key(store, &self.key.namespace) else { continue };
            if !self.context.is_served(&key) {
                self.leave_behind(store, "is not for this controller any more", entries);
                continue;
            }
            let usable = self.context.usable(&key, &self.key.namespace).await;
            let target = match usable {
                Ok(Some((connection, store))) => Target::of(self, store, connection),
                Ok(None) => {
                    removed.waiting = true;
                    removed.left.insert(store.clone(), entries.clone());
                    continue;
                }
                Err(error) if self.can_let_go(&error) => {
                    self.leave_behind(store, "is gone", entries);
                    continue;
                }
                Err(error) => {
                    removed.left.insert(store.clone(), entries.clone());
                    removed.failures.push(error);
                    continue;
                }
            };
            // What cannot be written to holds nothing that was pushed.
            let Ok(target) = target else { continue };
            let mut by_remote: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for data in entries.values() {
                let remote = &data.matches.remote_ref;
                let properties = by_remote.entry(&remote.remote_key).or_default();
                properties.push(property(remote).to_owned());
            }
            let mut work = Vec::with_capacity(by_remote.len());
            for (remote, properties) in &by_remote {
                work.push(self.remove(&target, remote, properties, meant));
            }
            let done: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
            for (remote, done) in by_remote.keys().copied().zip(done) {
                let Err(error) = done else { continue };
                removed.failures.push(error);
                let kept = entries
                    .iter()
                    .filter(|(_, data)| data.matches.remote_ref.remote_key == remote)
                    .map(|(id, data)| (id.clone(), data.clone()));
                removed.left.entry(store.clone()).or_default().extend(kept);
            }
        }
        removed
    }

    /// Says what nobody removes.
    fn leave_behind(&self, store: &str, why: &str, entries: &SyncedEntries) {
        let (store, names) = (shown(store), names(entries.keys()));
        let text = format!("{store} {why}, so what was pushed to it stays: {names}");
        tracing::warn!(key = %self.key, text, "not deleted");
        self.record("NotDeleted", text, EventType::Warning);
    }

    /// Whether nothing can ever be removed from a store: it is gone, or goes with the namespace and its credentials.
    fn can_let_go(&self, error: &Error) -> bool {
        let namespace = self.context.index.namespace(&self.key.namespace);
        let is_terminating = namespace.is_some_and(|facts| facts.terminating);
        match error {
            Error::StoreMissing(_) => self.object.metadata.deletion_timestamp.is_some(),
            Error::AuthMissing { .. } | Error::StoreNotReady { .. } => is_terminating,
            _ => false,
        }
    }

    /// Sets or removes the finalizer. The object as it is afterwards.
    pub(super) async fn set_finalizer(&self, wanted: bool) -> Result<PushSecret, ApiError> {
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
        let written =
            self.context.writer.patch::<PushSecret>(self.key, part, kind, &body, MANAGER).await?;
        let mut object = self.object.clone();
        object.metadata.resource_version = written.resource_version;
        object.metadata.finalizers = Some(finalizers);
        self.context.pushes.own_write(self.key, object.clone());
        Ok(object)
    }

    /// Whether the finalizer is there.
    pub(super) fn has_finalizer(&self) -> bool {
        let mut finalizers = self.object.metadata.finalizers.iter().flatten();
        finalizers.any(|finalizer| finalizer == FINALIZER)
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<_> = names.map(String::as_str).collect();
    match all.len() {
        0..=5 => all.join(", "),
        more => format!("{} and {} more", all[..5].join(", "), more - 5),
    }
}

/// Where a failure of a deletion is told.
pub(super) fn advice(key: &ObjectKey) -> String {
    format!(
        "; PushSecret {key} is deleted when this is mended; to let it go and leave what was pushed, remove its finalizer {FINALIZER}"
    )
}
