//! What is known of registry credentials and their copies.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Entry, Index, State, last_writer};
use crate::cluster::ObjectKey;
use crate::hardening::plan::copy::{AttachPatch, Copies, ObservedCopy, PullSecretsOf};
use crate::hardening::plan::pull_secrets::{Source, SourceName};
use crate::meta::{ResourceVersion, Uid};

/// After this time a name that was taken is tried again: Secrets of others are not watched.
const TAKEN_FOR: SignedDuration = SignedDuration::from_mins(5);

/// What is known of the copies in one namespace.
#[derive(Default)]
pub(super) struct Known {
    seen: BTreeMap<String, ObservedCopy>,
    /// Names that a Secret of somebody else had, and when.
    taken: BTreeMap<String, Timestamp>,
    /// Uid and revision of each copy as it was when it was last right.
    right: BTreeMap<String, (Uid, String)>,
}

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// What stays known when the namespace was made anew: what was seen since. What was taken there is free.
    pub(super) fn of_new(old: Self) -> Self {
        Self { seen: old.seen, ..Self::default() }
    }
}

impl State {
    /// What a plan is made from.
    pub(super) fn copies(&self, entry: &Entry, now: Timestamp) -> Copies {
        let (listed, sources) = (self.copies_listed, Arc::clone(&self.sources));
        let Some(known) = &entry.copies else {
            return Copies { known: listed, sources, ..Copies::default() };
        };
        let lately = known.taken.iter().filter(|(_, at)| now.duration_since(**at) < TAKEN_FOR);
        let taken = lately.map(|(name, _)| name.clone()).collect();
        Copies { known: listed, seen: known.seen.clone(), taken, sources }
    }
}

impl Index {
    /// Records how a source stands. True if that is news.
    pub(crate) fn source_seen(&self, name: &SourceName, source: Source) -> bool {
        let mut state = self.lock();
        if state.sources.get(name) == Some(&source) {
            return false;
        }
        Arc::make_mut(&mut state.sources).insert(name.clone(), source);
        true
    }

    /// Records a Secret with our label. True if something that matters changed.
    pub(crate) fn copy_seen(&self, key: &ObjectKey, meta: &ObjectMeta) -> bool {
        let seen = ObservedCopy::of(meta, last_writer(meta.managed_fields.as_deref()));
        let mut state = self.lock();
        let entry = state.namespaces.entry(Arc::clone(&key.namespace)).or_default();
        let copies = entry.copies.get_or_insert_default();
        let known = copies.seen.get(&*key.name);
        if known.is_some_and(|known| {
            known.uid == seen.uid && seen.resource_version.is_older_than(&known.resource_version)
        }) {
            return false;
        }
        let news = known.is_none_or(|known| {
            (&known.uid, known.ours, known.intact, &known.revision)
                != (&seen.uid, seen.ours, seen.intact, &seen.revision)
        });
        copies.seen.insert(key.name.to_string(), seen);
        news
    }

    /// Records that a Secret with our label is gone, or lost it. True if we knew it.
    pub(crate) fn copy_gone(&self, key: &ObjectKey, uid: &Uid) -> bool {
        let mut state = self.lock();
        state.tombstones.note(uid);
        let Some(entry) = state.namespaces.get_mut(&key.namespace) else { return false };
        let Some(copies) = &mut entry.copies else { return false };
        // A namesake may have taken its place already.
        let known = copies.seen.get(&*key.name).is_some_and(|known| known.uid == *uid);
        let gone = known && copies.seen.remove(&*key.name).is_some();
        state.prune(&key.namespace);
        gone
    }

    /// Forgets every copy that is not in `present`; the namespaces concerned, and whether this was the first list.
    pub(crate) fn copies_listed(&self, present: &HashSet<ObjectKey>) -> (Vec<Arc<str>>, bool) {
        let mut state = self.lock();
        let first = !std::mem::replace(&mut state.copies_listed, true);
        let mut concerned = Vec::new();
        for (namespace, entry) in &mut state.namespaces {
            let Some(copies) = &mut entry.copies else { continue };
            let before = copies.seen.len();
            copies.seen.retain(|name, _| present.contains(&ObjectKey::new(namespace, name)));
            if copies.seen.len() != before {
                concerned.push(Arc::clone(namespace));
            }
        }
        state.namespaces.retain(|_, entry| !entry.is_empty());
        (concerned, first)
    }

    /// Records a copy as our own write left it.
    pub(crate) fn copy_written(
        &self,
        namespace: &str,
        name: &str,
        meta: &ObjectMeta,
        revision: &str,
    ) {
        let (uid, resource_version) = (Uid::of(meta), ResourceVersion::of(meta));
        let mut state = self.lock();
        let State { namespaces, tombstones, .. } = &mut *state;
        let Some(entry) = namespaces.get_mut(namespace) else { return };
        entry.drifted.remove(&format!("Secret/{name}"));
        let copies = entry.copies.get_or_insert_default();
        copies.taken.remove(name);
        copies.right.insert(name.to_owned(), (uid.clone(), revision.to_owned()));
        // The watch may have delivered a later change, or its deletion, before the answer to our write arrived.
        let overtaken = copies.seen.get(name).is_some_and(|known| {
            known.uid == uid && resource_version.is_older_than(&known.resource_version)
        });
        if overtaken || tombstones.contains(&uid) {
            return;
        }
        let revision = revision.to_owned();
        let written = ObservedCopy {
            uid,
            resource_version,
            ours: true,
            revision,
            intact: true,
            manager: "unknown".to_owned(),
        };
        copies.seen.insert(name.to_owned(), written);
    }

    /// Records that we deleted a copy, or let it go.
    pub(crate) fn copy_removed(&self, namespace: &str, name: &str) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace)
            && let Some(copies) = &mut entry.copies
        {
            copies.seen.remove(name);
            copies.right.remove(name);
        }
    }

    /// Records that a Secret of somebody else has the name of a copy.
    pub(crate) fn copy_name_taken(&self, namespace: &str, name: &str, now: Timestamp) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            let copies = entry.copies.get_or_insert_default();
            copies.taken.insert(name.to_owned(), now);
        }
    }

    /// Uid of the copy that we wrote last under this name.
    pub(crate) fn copy_uid(&self, namespace: &str, name: &str) -> Option<Uid> {
        let state = self.lock();
        let copies = state.namespaces.get(namespace)?.copies.as_ref()?;
        copies.right.get(name).map(|(uid, _)| uid.clone())
    }

    /// Records that copies were found as they should be, whoever wrote them.
    pub(crate) fn copies_right(&self, namespace: &str, found: &[(String, String)]) {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else { return };
        let Some(copies) = &mut entry.copies else { return };
        for (name, revision) in found {
            // Somebody may have changed it since.
            let live = copies.seen.get(name).filter(|live| live.revision == *revision);
            let Some(live) = live.filter(|live| live.ours && live.intact) else { continue };
            let right = (live.uid.clone(), revision.clone());
            if copies.right.get(name) != Some(&right) {
                copies.right.insert(name.clone(), right);
            }
        }
    }

    /// True if the copy was right with just this revision before: then somebody else changed or deleted it.
    pub(crate) fn copy_was_right(&self, namespace: &str, name: &str, revision: &str) -> bool {
        let state = self.lock();
        let copies = state.namespaces.get(namespace).and_then(|entry| entry.copies.as_ref());
        copies.and_then(|copies| copies.right.get(name)).is_some_and(|(_, known)| known == revision)
    }

    /// Records the pull secrets of a `ServiceAccount` as our own write left them.
    pub(crate) fn attached(&self, namespace: &str, meta: &ObjectMeta, patch: &AttachPatch) {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else { return };
        entry.drifted.remove(&format!("ServiceAccount/{} imagePullSecrets", patch.account));
        let version = ResourceVersion::of(meta);
        let mut accounts = entry.accounts.iter_mut();
        if let Some(known) = accounts.find(|known| known.name == patch.account)
            && known.uid.is_of(meta)
            && !version.is_older_than(&known.resource_version)
        {
            known.resource_version = version;
            let (entries, attached) = (patch.entries.clone(), patch.attached.clone());
            let said = PullSecretsOf { entries, attached, too_many: false };
            known.pull_secrets = (said != PullSecretsOf::default()).then(|| Box::new(said));
        }
    }
}
