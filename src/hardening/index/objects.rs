//! What is known of generated objects.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use super::{Entry, Index, MOST_EVALUATED, Right, State};
use crate::api::gabion::hardening_baseline::Direction;
use crate::cluster;
use crate::digest::Digest;
use crate::hardening::plan::{
    objects::{GeneratedKey, ObjectKind, ObservedObject},
    permissive_policies::Opened,
    resources::UserLimits,
};
use crate::meta::{ResourceVersion, Uid};

impl Index {
    /// Records what a network policy opens to everyone, whoever made it. True if that changed.
    pub(crate) fn permissive_policy_seen(&self, key: &cluster::ObjectKey, opened: Opened) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(Arc::clone(&key.namespace)).or_default();
        if opened.is_nothing() {
            let gone = entry.permissive.remove(&*key.name).is_some();
            state.prune(&key.namespace);
            return gone;
        }
        entry.permissive.insert(key.name.to_string(), opened.clone()) != Some(opened)
    }

    /// Records a `LimitRange` of a user. True if that changed what matters of it.
    pub(crate) fn limit_range_seen(&self, key: &cluster::ObjectKey, seen: UserLimits) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(Arc::clone(&key.namespace)).or_default();
        if seen.is_nothing() {
            let gone = entry.limit_ranges.remove(&*key.name).is_some();
            state.prune(&key.namespace);
            return gone;
        }
        entry.limit_ranges.insert(key.name.to_string(), seen.clone()) != Some(seen)
    }

    /// Records an object of a generated kind. True if it is not what we knew.
    pub(crate) fn object_seen(
        &self,
        namespace: &str,
        key: &GeneratedKey,
        mut seen: ObservedObject,
    ) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        // What we wrote stays ours, even if somebody takes every mark off.
        seen.ours |= entry.right.iter().any(|(known, right)| known == key && right.uid == seen.uid);
        let known = entry.observed.objects.get(key);
        if known.is_some_and(|known| is_overtaken(&seen, known)) {
            return false;
        }
        let news = known.is_none_or(|known| {
            let marks = |o: &ObservedObject| (o.ours, o.adopt, o.stray_previous, o.deleted);
            (&known.uid, &known.digest, marks(known), &known.finalizers)
                != (&seen.uid, &seen.digest, marks(&seen), &seen.finalizers)
        });
        entry.observed.objects.insert(key.clone(), Arc::new(seen));
        news
    }

    /// Uid and resourceVersion of an object, as it is known now.
    pub(crate) fn object(
        &self,
        namespace: &str,
        key: &GeneratedKey,
    ) -> Option<(Uid, ResourceVersion)> {
        let state = self.lock();
        let live = state.namespaces.get(namespace)?.observed.objects.get(key)?;
        Some((live.uid.clone(), live.resource_version.clone()))
    }

    /// Records that an object of a generated kind is gone. True if we knew it.
    pub(crate) fn object_gone(&self, namespace: &str, key: &GeneratedKey, uid: &Uid) -> bool {
        let mut state = self.lock();
        state.tombstones.note(uid);
        let Some(entry) = state.namespaces.get_mut(namespace) else { return false };
        // A namesake may have taken its place already.
        let known = entry.observed.objects.get(key).is_some_and(|known| known.uid == *uid);
        let gone = known && entry.observed.objects.remove(key).is_some();
        state.prune(namespace);
        gone
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
            let users = entry.permissive.len() + entry.limit_ranges.len();
            if kind == ObjectKind::NetworkPolicy {
                entry
                    .permissive
                    .retain(|name, _| present.contains(&cluster::ObjectKey::new(namespace, name)));
            }
            if kind == ObjectKind::LimitRange {
                let here =
                    |name: &String| present.contains(&cluster::ObjectKey::new(namespace, name));
                entry.limit_ranges.retain(|name, _| here(name));
            }
            let before = entry.observed.objects.len();
            entry.observed.objects.retain(|key, _| {
                key.kind != kind || present.contains(&cluster::ObjectKey::new(namespace, &key.name))
            });
            let users_now = entry.permissive.len() + entry.limit_ranges.len();
            if (entry.observed.objects.len(), users_now) != (before, users) {
                concerned.push(Arc::clone(namespace));
            }
        }
        state.namespaces.retain(|_, entry| !entry.is_empty());
        concerned
    }

    /// Records an object as our own write left it.
    pub(crate) fn object_written(&self, namespace: &str, key: &GeneratedKey, seen: ObservedObject) {
        let mut state = self.lock();
        let State { namespaces, tombstones, .. } = &mut *state;
        let Some(entry) = namespaces.get_mut(namespace) else { return };
        entry.drifted.remove(&key.to_string());
        entry.set_right(key, Right { uid: seen.uid.clone(), digest: seen.digest });
        let known = entry.observed.objects.get(key);
        // The watch may have delivered a later change, or its deletion, before the answer to our write arrived.
        if !tombstones.contains(&seen.uid) && known.is_none_or(|known| !is_overtaken(&seen, known))
        {
            entry.observed.objects.insert(key.clone(), Arc::new(seen));
        }
    }

    /// Records that objects were found as they should be, whoever wrote them.
    pub(crate) fn found_right(&self, namespace: &str, found: &[(GeneratedKey, Digest)]) {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else { return };
        for (key, digest) in found {
            // Somebody may have changed it since.
            let live = entry.observed.objects.get(key).filter(|live| live.digest == *digest);
            let Some(live) = live else { continue };
            let right = Right { uid: live.uid.clone(), digest: live.digest };
            let known = entry.right.iter().find(|(known, _)| known == key);
            if known
                .is_none_or(|(_, known)| (&known.uid, known.digest) != (&right.uid, right.digest))
            {
                entry.set_right(key, right);
            }
        }
    }

    /// Records that we deleted an object. With a finalizer it is still there, and in force.
    pub(crate) fn object_deleted(&self, namespace: &str, key: &GeneratedKey) {
        {
            let mut state = self.lock();
            let Some(entry) = state.namespaces.get_mut(namespace) else { return };
            if let Some(live) = entry.observed.objects.get_mut(key)
                && !live.finalizers.is_empty()
            {
                *live = Arc::new(ObservedObject { deleted: true, ..(**live).clone() });
                return;
            }
            entry.permissive.remove(&key.name);
        }
        self.object_removed(namespace, key);
    }

    /// Records that an object is gone, or no longer ours.
    pub(crate) fn object_removed(&self, namespace: &str, key: &GeneratedKey) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.right.retain(|(known, _)| known != key);
            entry.observed.objects.remove(key);
        }
    }

    /// Whether the default deny was in force in a namespace, and we did not take it away ourselves.
    pub(crate) fn denied(&self, namespace: &str) -> bool {
        self.lock().namespaces.get(namespace).is_some_and(Entry::denied)
    }

    /// True if the object was right in just this form before: then somebody else changed or deleted it.
    pub(crate) fn was_right(&self, namespace: &str, key: &GeneratedKey, digest: Digest) -> bool {
        let state = self.lock();
        let known = state.namespaces.get(namespace).into_iter().flat_map(|entry| &entry.right);
        known.into_iter().any(|(known, right)| known == key && right.digest == digest)
    }
}

impl Entry {
    /// From what this process did, or from the report of the one before it.
    pub(super) fn denied(&self) -> bool {
        self.right.iter().any(|(key, _)| key.is_default_deny())
            || self.effective.as_ref().is_some_and(|report| report.digest.denied)
    }

    fn set_right(&mut self, key: &GeneratedKey, right: Right) {
        match self.right.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = right,
            None => self.right.push((key.clone(), right)),
        }
    }
}

/// True if `seen` is an earlier state of the same object.
fn is_overtaken(seen: &ObservedObject, known: &ObservedObject) -> bool {
    known.uid == seen.uid && seen.resource_version.is_older_than(&known.resource_version)
}

/// What policies of a namespace open to everyone, among the namespaces that there are.
pub(super) fn permissive(state: &State, entry: &Entry) -> Vec<(String, BTreeSet<Direction>, bool)> {
    let all = || {
        let there = state.namespaces.values().filter(|entry| !entry.observed.uid.is_empty());
        there.map(|entry| (entry.observed.name.as_str(), &entry.observed.labels))
    };
    let mut found = Vec::new();
    let mut evaluated = 0;
    for (name, by) in &entry.permissive {
        evaluated += usize::from(by.has_selectors());
        let opened = if evaluated > MOST_EVALUATED { by.at_most() } else { by.among(all) };
        if !opened.is_empty() {
            found.push((name.clone(), opened, by.is_marked()));
        }
    }
    found
}
