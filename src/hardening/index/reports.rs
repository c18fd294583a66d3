//! What is known of the reports, `NamespaceHardening/effective`.

use std::{collections::HashSet, sync::Arc};

use super::{Effective, Index, REPORT, State};
use crate::api::gabion::namespace_hardening::{EFFECTIVE, NamespaceHardening};
use crate::cluster::ObjectKey;
use crate::hardening::plan::effective::StatusDigest;
use crate::meta::{ResourceVersion, Uid};

impl Index {
    /// Forgets every `effective` that is not in `present`; the namespaces concerned.
    pub(crate) fn effectives_listed(&self, present: &HashSet<ObjectKey>) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let gone = state.namespaces.iter_mut().filter(|(namespace, entry)| {
            let key = ObjectKey::new(namespace, EFFECTIVE);
            entry.effective.is_some() && !present.contains(&key)
        });
        gone.map(|(namespace, entry)| {
            entry.effective = None;
            Arc::clone(namespace)
        })
        .collect()
    }

    /// Records `NamespaceHardening/effective` (`None` = gone). True if somebody else changed or deleted it.
    pub(crate) fn effective_seen(&self, namespace: &str, seen: Option<NamespaceHardening>) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        let Some(seen) = seen else {
            let gone = entry.effective.take();
            if let Some(gone) = &gone {
                state.tombstones.note(&gone.uid);
            }
            state.prune(namespace);
            return gone.is_some();
        };
        let mut seen = Effective {
            uid: Uid::of(&seen.metadata),
            resource_version: ResourceVersion::of(&seen.metadata),
            digest: Arc::new(StatusDigest::of(&seen.status.unwrap_or_default())),
        };
        // The same is kept once.
        if let Some(digest) =
            entry.expected_report.as_ref().filter(|digest| **digest == seen.digest)
        {
            seen.digest = Arc::clone(digest);
        }
        // What we are just writing is often seen before the answer to the write arrives.
        let news = entry.expected_report.as_ref() != Some(&seen.digest)
            && entry.effective.as_ref().is_none_or(|known| known.digest != seen.digest);
        let older = entry.effective.as_ref().is_some_and(|known| {
            known.uid == seen.uid && seen.resource_version.is_older_than(&known.resource_version)
        });
        if older {
            return false;
        }
        entry.effective = Some(seen);
        news
    }

    /// Records what is about to be written into `effective`, or that it could not be (`None`).
    pub(crate) fn expect_report(&self, namespace: &str, digest: Option<Arc<StatusDigest>>) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.expected_report = digest;
        }
    }

    /// Records `effective` as our own write left it.
    pub(crate) fn effective_written(&self, namespace: &str, effective: Option<Effective>) {
        let mut state = self.lock();
        let State { namespaces, tombstones, .. } = &mut *state;
        let Some(entry) = namespaces.get_mut(namespace) else { return };
        entry.expected_report = effective.as_ref().map(|effective| Arc::clone(&effective.digest));
        entry.drifted.remove(REPORT);
        let overtaken = match (&effective, &entry.effective) {
            (Some(new), _) if tombstones.contains(&new.uid) => true,
            // Of the same version, what the watch showed is what is stored: an older definition drops the status.
            (Some(new), Some(known)) => {
                let (written, seen) = (&new.resource_version, &known.resource_version);
                new.uid == known.uid && (written == seen || written.is_older_than(seen))
            }
            _ => false,
        };
        if !overtaken {
            entry.effective = effective;
        }
    }
}
