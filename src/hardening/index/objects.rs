//! What is known of generated objects.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use super::{Index, State};
use crate::api::gabion::hardening_baseline::Direction;
use crate::cluster::{self, is_older};
use crate::digest::Digest;
use crate::hardening::plan::objects::{GeneratedKey, ObjectKind, ObservedObject};

impl Index {
    /// Takes in which directions a user's own network policy opens to everyone. True if that changed.
    pub(crate) fn permissive_policy_seen(
        &self,
        namespace: &str,
        name: &str,
        opened: BTreeSet<Direction>,
    ) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        if opened.is_empty() {
            return entry.permissive.remove(name).is_some();
        }
        entry.permissive.insert(name.to_owned(), opened.clone()) != Some(opened)
    }

    /// Takes in an object of a generated kind. True if it is not what we knew.
    pub(crate) fn object_seen(
        &self,
        namespace: &str,
        key: &GeneratedKey,
        seen: ObservedObject,
    ) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        let known = entry.observed.objects.get(key);
        if known.is_some_and(|known| is_overtaken(&seen, known)) {
            return false;
        }
        let news = known.is_none_or(|known| {
            (&known.uid, &known.digest, known.ours, known.adopt)
                != (&seen.uid, &seen.digest, seen.ours, seen.adopt)
        });
        entry.observed.objects.insert(key.clone(), Arc::new(seen));
        news
    }

    /// Takes in that an object of a generated kind is gone. True if we knew it.
    pub(crate) fn object_gone(&self, namespace: &str, key: &GeneratedKey, uid: &str) -> bool {
        let mut state = self.lock();
        state.tombstones.note(uid);
        let Some(entry) = state.namespaces.get_mut(namespace) else { return false };
        // A namesake may have taken its place already.
        let known = entry.observed.objects.get(key).is_some_and(|known| known.uid == uid);
        known && entry.observed.objects.remove(key).is_some()
    }

    /// Forgets every object of `kind` that is not in `present`; the namespaces concerned.
    pub(crate) fn objects_listed(
        &self,
        kind: ObjectKind,
        present: &HashSet<cluster::ObjectKey>,
    ) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let mut concerned = Vec::new();
        for (namespace, entry) in &mut state.namespaces {
            if kind == ObjectKind::NetworkPolicy {
                entry
                    .permissive
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
    pub(crate) fn object_written(&self, namespace: &str, key: &GeneratedKey, seen: ObservedObject) {
        let mut state = self.lock();
        let State { namespaces, tombstones, .. } = &mut *state;
        let Some(entry) = namespaces.get_mut(namespace) else { return };
        match entry.written.iter_mut().find(|(known, _)| known == key) {
            Some((_, digest)) => *digest = seen.digest,
            None => entry.written.push((key.clone(), seen.digest)),
        }
        let known = entry.observed.objects.get(key);
        // The watch may have told of a later change, or of its end, before the answer to our write arrived.
        if !tombstones.contains(&seen.uid) && known.is_none_or(|known| !is_overtaken(&seen, known))
        {
            entry.observed.objects.insert(key.clone(), Arc::new(seen));
        }
    }

    /// Records that we deleted or let go of an object.
    pub(crate) fn object_removed(&self, namespace: &str, key: &GeneratedKey) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.written.retain(|(known, _)| known != key);
            entry.observed.objects.remove(key);
        }
    }

    /// True if we wrote the object in just this form before: then somebody else changed or deleted it.
    pub(crate) fn wrote_before(&self, namespace: &str, key: &GeneratedKey, digest: Digest) -> bool {
        let state = self.lock();
        let written = state.namespaces.get(namespace).into_iter().flat_map(|entry| &entry.written);
        written.into_iter().any(|(known, written)| known == key && *written == digest)
    }
}

/// True if `seen` is an earlier state of the same object.
fn is_overtaken(seen: &ObservedObject, known: &ObservedObject) -> bool {
    known.uid == seen.uid && is_older(&seen.resource_version, &known.resource_version)
}
