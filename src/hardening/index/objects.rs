//! What is known of generated objects.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use super::{Index, is_older};
use crate::{
    api::hardening_baseline::Direction,
    cluster,
    hardening::plan::objects::{ObjectKey, ObjectKind, ObservedObject},
};

impl Index {
    /// Takes in which directions a user's own network policy opens to everyone. True if that changed.
    pub fn widening_seen(&self, namespace: &str, name: &str, opened: BTreeSet<Direction>) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        if opened.is_empty() {
            return entry.widening.remove(name).is_some();
        }
        entry.widening.insert(name.to_owned(), opened.clone()) != Some(opened)
    }

    /// Takes in an object of a generated kind (`None` = gone). True if it is not what we knew.
    pub fn object_seen(
        &self,
        namespace: &str,
        key: &ObjectKey,
        seen: Option<ObservedObject>,
    ) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        let known = entry.observed.objects.get(key);
        match seen {
            Some(seen) => {
                let news = known.is_none_or(|known| {
                    (&known.uid, &known.digest, known.ours, known.adopt)
                        != (&seen.uid, &seen.digest, seen.ours, seen.adopt)
                });
                let older = known.is_some_and(|known| {
                    known.uid == seen.uid
                        && is_older(&seen.resource_version, &known.resource_version)
                });
                if !older {
                    entry.observed.objects.insert(key.clone(), seen);
                }
                news && !older
            }
            None => entry.observed.objects.remove(key).is_some(),
        }
    }

    /// Forgets every object of `kind` that is not in `present`; the namespaces concerned.
    pub fn objects_listed(
        &self,
        kind: ObjectKind,
        present: &HashSet<cluster::ObjectKey>,
    ) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let mut concerned = Vec::new();
        for (namespace, entry) in &mut state.namespaces {
            if kind == ObjectKind::NetworkPolicy {
                entry
                    .widening
                    .retain(|name, _| present.contains(&cluster::ObjectKey::new(namespace, name)));
            }
            let before = entry.observed.objects.len();
            entry.observed.objects.retain(|key, _| {
                key.kind != kind || present.contains(&cluster::ObjectKey::new(namespace, &key.name))
            });
            if entry.observed.objects.len() != before {
                concerned.push(Arc::clone(namespace));
            }
        }
        concerned
    }

    /// Records an object as our own write left it.
    pub fn object_written(&self, namespace: &str, key: &ObjectKey, seen: ObservedObject) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.written.insert(key.clone(), seen.digest.clone());
            entry.observed.objects.insert(key.clone(), seen);
        }
    }

    /// Records that we deleted or let go of an object.
    pub fn object_removed(&self, namespace: &str, key: &ObjectKey) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.written.remove(key);
            entry.observed.objects.remove(key);
        }
    }

    /// True if we wrote the object in just this form before: then somebody else changed or deleted it.
    pub fn wrote_before(&self, namespace: &str, key: &ObjectKey, digest: &str) -> bool {
        let state = self.lock();
        let entry = state.namespaces.get(namespace);
        entry.and_then(|entry| entry.written.get(key)).is_some_and(|written| written == digest)
    }
}
