//! What the hardening subsystem knows of the cluster, from watches: digests, not objects.

mod baselines;
mod objects;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Namespace, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};

use super::plan::baseline::Compiled;
use super::plan::baseline_status::Standing;
use super::plan::dns::DnsFacts;
use super::plan::dns::DnsService;
use super::plan::effective::StatusDigest;
use super::plan::error::Error;
use super::plan::fight::Fight;
use super::plan::fight::Verdict;
use super::plan::namespace::NamespaceObserved;
use super::plan::objects::GeneratedKey;
use super::plan::service_accounts::ObservedServiceAccount;
use super::plan::service_accounts::PREVIOUS_AUTOMOUNT;
use super::plan::teardown::Leaving;
use crate::api::gabion::hardening_baseline::Direction;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::namespace_hardening::EFFECTIVE;
use crate::api::gabion::namespace_hardening::NamespaceHardening;
use crate::cluster::{Tombstones, is_older};
use crate::digest::Digest;
use crate::marks::FIELD_MANAGER;
use crate::policy::selection::Selection;

/// What is known of one namespace.
#[derive(Default)]
struct Entry {
    observed: NamespaceObserved,
    /// Whoever wrote the namespace last, apart from us.
    last_writer: String,
    /// Sorted by name. Mostly one, for which a tree would take the room of eleven.
    accounts: Vec<ObservedServiceAccount>,
    /// Users' own network policies that open a direction to everyone.
    permissive: BTreeMap<String, BTreeSet<Direction>>,
    effective: Option<Effective>,
    /// What we last said, or are just saying, in `effective`.
    said: Option<Arc<StatusDigest>>,
    standing: Standing,
    /// Uids of leaving baselines that may still have something here.
    holds: BTreeSet<String>,
    fights: BTreeMap<String, Fight>,
    /// Digest of each object as we last wrote it. A handful, for which a tree would take the room of eleven.
    written: Vec<(GeneratedKey, Digest)>,
}

/// `NamespaceHardening/effective` as it is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effective {
    /// Its uid.
    pub(crate) uid: String,
    /// Its resourceVersion.
    pub(crate) resource_version: String,
    /// What it says.
    pub(crate) said: Arc<StatusDigest>,
}

/// How a baseline stands.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// It is in force as it was last compiled.
    InForce(Arc<Compiled>),
    /// Its stored spec cannot be compiled, and no earlier one is known: what it made is left as it is.
    Broken(Error),
    /// It is being taken back from the namespaces that it selects, as far as that is known.
    Leaving(Leaving, Option<Selection>),
}

/// What is known of one baseline.
#[derive(Clone)]
pub(crate) struct Baseline {
    /// The object, without managedFields.
    pub(crate) object: Arc<HardeningBaseline>,
    /// Why its spec cannot be read, if it cannot.
    pub(crate) unreadable: Option<Error>,
    /// Whether it went while its teardown was paused: it stays in force until it is there again.
    pub(crate) vanished: bool,
    /// How it stands; `None` until it is compiled for the first time.
    pub(crate) phase: Option<Phase>,
    /// Why the present spec is not in force, if it is not.
    pub(crate) refused: Option<Error>,
}

/// What a plan of a namespace is made from.
pub(crate) struct Material {
    /// What is seen of it.
    pub(crate) observed: NamespaceObserved,
    /// Baselines that may select it.
    pub(crate) in_force: Vec<Arc<Compiled>>,
    /// Baselines that are being taken back, each with the namespaces that it selects, if that is known.
    pub(crate) leaving: Vec<(Leaving, Option<Selection>)>,
    /// Baselines that cannot be compiled: name, uid and why.
    pub(crate) broken: Vec<(String, String, Error)>,
    /// Fields that somebody else keeps writing, each with that manager.
    pub(crate) contested: BTreeMap<String, String>,
    /// When the first of those is tried again.
    pub(crate) contested_until: Option<Timestamp>,
    /// What is said of it now.
    pub(crate) effective: Option<Effective>,
    /// Whether somebody else changed or deleted what we said of it.
    pub(crate) effective_drifted: bool,
    /// How DNS was found.
    pub(crate) dns: DnsFacts,
    /// Who wrote the namespace last, apart from us.
    pub(crate) last_writer: String,
}

/// The index. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Index {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    namespaces: HashMap<Arc<str>, Entry>,
    baselines: BTreeMap<Arc<str>, Baseline>,
    /// Uids of generated objects and reports that went lately.
    tombstones: Tombstones,
    /// Namespaces that were there at the start and were not reconciled since.
    unlooked: HashSet<Arc<str>>,
    dns_services: BTreeMap<(String, String), DnsService>,
    node_local: Option<Vec<IpNet>>,
}

impl Index {
    /// Takes in a namespace. True if something that matters changed.
    pub(crate) fn namespace_applied(&self, namespace: &Namespace) -> bool {
        let seen = NamespaceObserved::of(namespace);
        let mut state = self.lock();
        let entry = state.namespaces.entry(seen.name.as_str().into()).or_default();
        if is_older(&seen.resource_version, &entry.observed.resource_version)
            && seen.uid == entry.observed.uid
        {
            return false;
        }
        let known = &entry.observed;
        let changed = known.uid != seen.uid
            || known.labels != seen.labels
            || known.annotations != seen.annotations
            || known.terminating != seen.terminating;
        entry.last_writer = last_writer(namespace.metadata.managed_fields.as_deref());
        let objects = std::mem::take(&mut entry.observed.objects);
        entry.observed = NamespaceObserved { objects, ..seen };
        changed
    }

    /// Records a namespace as our own write left it.
    pub(crate) fn namespace_written(&self, name: &str, meta: &ObjectMeta) {
        let version = meta.resource_version.as_deref().unwrap_or_default();
        if let Some(entry) = self.lock().namespaces.get_mut(name)
            && meta.uid.as_deref() == Some(&entry.observed.uid)
            && !is_older(version, &entry.observed.resource_version)
        {
            version.clone_into(&mut entry.observed.resource_version);
            entry.observed.labels = meta.labels.clone().unwrap_or_default();
            entry.observed.annotations = meta.annotations.clone().unwrap_or_default();
        }
    }

    /// Forgets a namespace.
    pub(crate) fn namespace_deleted(&self, name: &str) {
        self.lock().namespaces.remove(name);
    }

    /// Forgets every namespace that is not in `present`; their names.
    pub(crate) fn namespaces_listed(&self, present: &HashSet<Arc<str>>) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let gone: Vec<_> =
            state.namespaces.keys().filter(|name| !present.contains(*name)).cloned().collect();
        for name in &gone {
            state.namespaces.remove(name);
        }
        gone
    }

    /// All namespaces.
    pub(crate) fn namespace_names(&self) -> Vec<Arc<str>> {
        self.lock().namespaces.keys().cloned().collect()
    }

    /// Takes in a ServiceAccount. True if its automount or our mark on it changed.
    pub(crate) fn account_applied(&self, account: &ServiceAccount) -> bool {
        let meta = &account.metadata;
        let notes = meta.annotations.as_ref();
        let seen = ObservedServiceAccount {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            automount: account.automount_service_account_token,
            previous: notes.and_then(|notes| notes.get(PREVIOUS_AUTOMOUNT)).cloned(),
            manager: last_writer(meta.managed_fields.as_deref()),
        };
        let mut state = self.lock();
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        let place = entry.accounts.binary_search_by(|known| known.name.cmp(&seen.name));
        let known = place.ok().and_then(|at| entry.accounts.get(at));
        if known.is_some_and(|known| {
            known.uid == seen.uid && is_older(&seen.resource_version, &known.resource_version)
        }) {
            return false;
        }
        let news = known.is_none_or(|known| {
            (&known.uid, known.automount, &known.previous)
                != (&seen.uid, seen.automount, &seen.previous)
        });
        match place {
            Ok(at) => entry.accounts[at] = seen,
            Err(at) => entry.accounts.insert(at, seen),
        }
        news
    }

    /// Forgets a ServiceAccount.
    pub(crate) fn account_deleted(&self, namespace: &str, name: &str) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.accounts.retain(|account| account.name != name);
        }
    }

    /// Forgets every ServiceAccount that is not in `present`.
    pub(crate) fn accounts_listed(&self, present: &HashSet<crate::cluster::ObjectKey>) {
        for (namespace, entry) in &mut self.lock().namespaces {
            let is_there =
                |name: &str| present.contains(&crate::cluster::ObjectKey::new(namespace, name));
            entry.accounts.retain(|account| is_there(&account.name));
        }
    }

    /// Forgets every `effective` that is not in `present`; the namespaces concerned.
    pub(crate) fn effectives_listed(
        &self,
        present: &HashSet<crate::cluster::ObjectKey>,
    ) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let gone = state.namespaces.iter_mut().filter(|(namespace, entry)| {
            let key = crate::cluster::ObjectKey::new(namespace, EFFECTIVE);
            entry.effective.is_some() && !present.contains(&key)
        });
        gone.map(|(namespace, entry)| {
            entry.effective = None;
            Arc::clone(namespace)
        })
        .collect()
    }

    /// Takes in `NamespaceHardening/effective` (`None` = gone). True if somebody else changed or deleted it.
    pub(crate) fn effective_seen(&self, namespace: &str, seen: Option<NamespaceHardening>) -> bool {
        let mut state = self.lock();
        let entry = state.namespaces.entry(namespace.into()).or_default();
        let Some(seen) = seen else {
            let gone = entry.effective.take();
            if let Some(gone) = &gone {
                state.tombstones.note(&gone.uid);
            }
            return gone.is_some();
        };
        let mut seen = Effective {
            uid: seen.metadata.uid.unwrap_or_default(),
            resource_version: seen.metadata.resource_version.unwrap_or_default(),
            said: Arc::new(StatusDigest::of(&seen.status.unwrap_or_default())),
        };
        // The same is kept once.
        if let Some(said) = entry.said.as_ref().filter(|said| **said == seen.said) {
            seen.said = Arc::clone(said);
        }
        // What we are just writing is often seen before the answer to the write arrives.
        let news = entry.said.as_ref() != Some(&seen.said)
            && entry.effective.as_ref().is_none_or(|known| known.said != seen.said);
        let older = entry.effective.as_ref().is_some_and(|known| {
            known.uid == seen.uid && is_older(&seen.resource_version, &known.resource_version)
        });
        if older {
            return false;
        }
        entry.effective = Some(seen);
        news
    }

    /// Records what is about to be written into `effective`, or that it could not be (`None`).
    pub(crate) fn effective_saying(&self, namespace: &str, said: Option<Arc<StatusDigest>>) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.said = said;
        }
    }

    /// Records `effective` as our own write left it.
    pub(crate) fn effective_written(&self, namespace: &str, effective: Option<Effective>) {
        let mut state = self.lock();
        let State { namespaces, tombstones, .. } = &mut *state;
        let Some(entry) = namespaces.get_mut(namespace) else { return };
        entry.said = effective.as_ref().map(|effective| Arc::clone(&effective.said));
        let overtaken = match (&effective, &entry.effective) {
            (Some(new), _) if tombstones.contains(&new.uid) => true,
            // Of the same version, what the watch showed is what is stored: an older definition drops the status.
            (Some(new), Some(known)) => {
                let (written, seen) = (&new.resource_version, &known.resource_version);
                new.uid == known.uid && (written == seen || is_older(written, seen))
            }
            _ => false,
        };
        if !overtaken {
            entry.effective = effective;
        }
    }

    /// Takes in a DNS (`None` = gone). True if it changed.
    pub(crate) fn dns_service_seen(&self, key: (String, String), seen: Option<DnsService>) -> bool {
        let mut state = self.lock();
        match seen {
            Some(seen) => state.dns_services.insert(key, seen.clone()) != Some(seen),
            None => state.dns_services.remove(&key).is_some(),
        }
    }

    /// Takes in the addresses of the cache on each node (`None` = there is none). True if they changed.
    pub(crate) fn node_local_seen(&self, seen: Option<Vec<IpNet>>) -> bool {
        let mut state = self.lock();
        let changed = state.node_local != seen;
        state.node_local = seen;
        changed
    }

    /// All that a plan of the namespace is made from. `None` if there is no such namespace.
    pub(crate) fn material(&self, name: &str, now: Timestamp) -> Option<Material> {
        let state = self.lock();
        let entry = state.namespaces.get(name).filter(|entry| !entry.observed.uid.is_empty())?;
        let mut observed = entry.observed.clone();
        observed.service_accounts.clone_from(&entry.accounts);
        observed.permissive = entry.permissive.clone().into_iter().collect();
        let mut material = Material {
            observed,
            in_force: Vec::new(),
            leaving: Vec::new(),
            broken: Vec::new(),
            contested: BTreeMap::new(),
            contested_until: None,
            effective: entry.effective.clone(),
            effective_drifted: entry.said.as_ref().is_some_and(|said| {
                entry.effective.as_ref().is_none_or(|effective| effective.said != *said)
            }),
            dns: DnsFacts {
                services: state.dns_services.values().cloned().collect(),
                node_local: state.node_local.clone(),
            },
            last_writer: entry.last_writer.clone(),
        };
        for (name, baseline) in &state.baselines {
            match &baseline.phase {
                Some(Phase::InForce(compiled)) => material.in_force.push(Arc::clone(compiled)),
                Some(Phase::Leaving(leaving, selection)) => {
                    material.leaving.push((leaving.clone(), selection.clone()));
                }
                Some(Phase::Broken(error)) => {
                    let uid = baseline.object.metadata.uid.clone().unwrap_or_default();
                    material.broken.push((name.to_string(), uid, error.clone()));
                }
                None => {}
            }
        }
        for (field, fight) in &entry.fights {
            if let Verdict::Leave { manager, until } = fight.verdict(now) {
                material.contested.insert(field.clone(), manager);
                let first = material.contested_until.map_or(until, |first| first.min(until));
                material.contested_until = Some(first);
            }
        }
        Some(material)
    }

    /// Somebody else changed a field of ours. True if that makes a fight, as of now.
    pub(crate) fn flipped(
        &self,
        namespace: &str,
        field: &str,
        manager: &str,
        now: Timestamp,
    ) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else { return false };
        entry.fights.retain(|_, fight| !fight.is_forgotten(now));
        let fight = entry.fights.entry(field.to_owned()).or_default();
        matches!(fight.flipped(manager, now), Verdict::Leave { .. })
    }

    /// Records how a namespace came out of a reconcile: its standing, and which leaving baselines are done here.
    pub(crate) fn reconciled(&self, namespace: &str, standing: Standing, done: &[String]) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else { return false };
        let held = entry.holds.len();
        entry.holds.retain(|uid| !done.contains(uid));
        let changed = entry.standing != standing || entry.holds.len() != held;
        entry.standing = standing;
        changed
    }

    /// All namespaces of now are to be reconciled once before anything is counted.
    pub(crate) fn begin_first_round(&self) {
        let mut state = self.lock();
        state.unlooked = state.namespaces.keys().cloned().collect();
    }

    /// A namespace was reconciled, however that ended.
    pub(crate) fn reconciled_once(&self, namespace: &str) {
        self.lock().unlooked.remove(namespace);
    }

    /// Whether some namespace that was there at the start was never reconciled.
    pub(crate) fn in_first_round(&self) -> bool {
        let mut state = self.lock();
        if !state.unlooked.is_empty() {
            let State { unlooked, namespaces, .. } = &mut *state;
            unlooked.retain(|name| namespaces.contains_key(name));
        }
        !state.unlooked.is_empty()
    }

    /// Namespaces that may still hold something of a leaving baseline.
    pub(crate) fn holding(&self, uid: &str) -> Vec<String> {
        let state = self.lock();
        let holding = state.namespaces.iter().filter(|(_, entry)| {
            entry.holds.contains(uid)
                && !entry.observed.uid.is_empty()
                && !entry.observed.terminating
        });
        holding.map(|(name, _)| format!("{name}: waiting for its turn")).collect()
    }

    /// How the namespaces stand that `selects` picks.
    pub(crate) fn standings(&self, selects: impl Fn(&NamespaceObserved) -> bool) -> Vec<Standing> {
        let state = self.lock();
        let mut standings: Vec<_> = state
            .namespaces
            .values()
            .filter(|entry| !entry.observed.uid.is_empty() && selects(&entry.observed))
            .map(|entry| Standing {
                namespace: entry.observed.name.clone(),
                ..entry.standing.clone()
            })
            .collect();
        standings.sort_by(|a, b| a.namespace.cmp(&b.namespace));
        standings
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The field manager that wrote last, apart from us.
pub(crate) fn last_writer(entries: Option<&[ManagedFieldsEntry]>) -> String {
    let others = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER));
    let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    last.and_then(|entry| entry.manager.clone()).unwrap_or_else(|| "unknown".to_owned())
}
