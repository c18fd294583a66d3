//! What is known of ServiceAccounts.

use std::collections::HashSet;

use k8s_openapi::{api::core::v1::ServiceAccount, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{Index, last_writer};
use crate::cluster::ObjectKey;
use crate::hardening::plan::service_accounts::{ObservedServiceAccount, ServiceAccountPatch};
use crate::meta::ResourceVersion;

impl Index {
    /// Records a ServiceAccount. True if its automount, its pull secrets or our mark on it changed.
    pub(crate) fn account_applied(&self, account: &ServiceAccount) -> bool {
        let meta = &account.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        let mut state = self.lock();
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        let place = entry.accounts.binary_search_by(|known| known.name.as_str().cmp(name));
        let known = place.ok().and_then(|at| entry.accounts.get(at));
        let same = known.filter(|known| known.uid.is_of(meta));
        let version = ResourceVersion::of(meta);
        if same.is_some_and(|known| version.is_older_than(&known.resource_version)) {
            return false;
        }
        let manager = last_writer(meta.managed_fields.as_deref());
        let noted = same.and_then(|known| known.previous);
        let seen = ObservedServiceAccount::of(account, manager, noted);
        let news = known.is_none_or(|known| {
            (&known.uid, known.automount, known.previous, known.stray, &known.pull_secrets)
                != (&seen.uid, seen.automount, seen.previous, seen.stray, &seen.pull_secrets)
        });
        match place {
            Ok(at) => entry.accounts[at] = seen,
            Err(at) => entry.accounts.insert(at, seen),
        }
        news
    }

    /// Records a ServiceAccount as our own write left it.
    pub(crate) fn account_written(
        &self,
        namespace: &str,
        meta: &ObjectMeta,
        patch: &ServiceAccountPatch,
    ) {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else { return };
        entry.drifted.remove(&format!("ServiceAccount/{}", patch.name));
        let version = ResourceVersion::of(meta);
        let mut accounts = entry.accounts.iter_mut();
        if let Some(known) = accounts.find(|known| known.name == patch.name)
            && known.uid.is_of(meta)
        {
            // The watch may have delivered a later change; what we noted stays noted all the same.
            known.previous = patch.previous;
            if !version.is_older_than(&known.resource_version) {
                known.resource_version = version;
                known.automount = patch.automount;
                known.stray = false;
            }
        }
    }

    /// Forgets a ServiceAccount.
    pub(crate) fn account_deleted(&self, key: &ObjectKey) {
        let mut state = self.lock();
        if let Some(entry) = state.namespaces.get_mut(&key.namespace) {
            entry.accounts.retain(|account| *account.name != *key.name);
        }
        state.prune(&key.namespace);
    }

    /// Forgets every ServiceAccount that is not in `present`.
    pub(crate) fn accounts_listed(&self, present: &HashSet<ObjectKey>) {
        let mut state = self.lock();
        for (namespace, entry) in &mut state.namespaces {
            let is_there = |name: &str| present.contains(&ObjectKey::new(namespace, name));
            entry.accounts.retain(|account| is_there(&account.name));
        }
        state.namespaces.retain(|_, entry| !entry.is_empty());
    }
}
