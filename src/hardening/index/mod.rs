//! What the hardening subsystem knows of the cluster, from watches: digests, not objects.

mod accounts;
mod baselines;
mod copies;
mod objects;
mod reports;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Namespace,
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
use super::plan::labels::{LabelPatch, Memory, RECORD, Record};
use super::plan::namespace::NamespaceObserved;
use super::plan::objects::{GeneratedKey, ObservedObject, shortened};
use super::plan::permissive_policies::Opened;
use super::plan::pull_secrets::Sources;
use super::plan::resources::UserLimits;
use super::plan::service_accounts::ObservedServiceAccount;
use super::plan::teardown::Leaving;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::cluster::Tombstones;
use crate::digest::Digest;
use crate::marks::FIELD_MANAGER;
use crate::meta::{ResourceVersion, Uid};
use crate::policy::selection::Selection;

/// The report, as a thing that somebody else may keep changing.
pub(crate) const REPORT: &str = "NamespaceHardening/effective";

/// Policies of a namespace whose selectors are held against all namespaces that there are, each time it is looked at.
const MOST_EVALUATED: usize = 256;

/// What is known of one namespace.
#[derive(Default)]
struct Entry {
    observed: NamespaceObserved,
    /// Whoever wrote the namespace last, apart from us.
    last_writer: String,
    /// Sorted by name. Mostly one, for which a tree would take the room of eleven.
    accounts: Vec<ObservedServiceAccount>,
    /// Network policies that open a direction to everyone, whoever made them.
    permissive: BTreeMap<String, Opened>,
    /// Users' own `LimitRanges`.
    limit_ranges: BTreeMap<String, UserLimits>,
    effective: Option<Effective>,
    /// The report that we last wrote, or are just writing.
    expected_report: Option<Arc<StatusDigest>>,
    standing: Standing,
    /// What we noted of the labels, as we last wrote or read it.
    record: Option<Record>,
    /// Whether a baseline selects it, or did since the start.
    reached: bool,
    /// Uids of leaving baselines that may still have something here.
    holds: BTreeSet<Uid>,
    fights: BTreeMap<String, Fight>,
    /// What was asked of its pods last, and which of them could not be made again.
    pods: Option<(Digest, Option<Box<str>>)>,
    /// Fields that somebody else changed, and that were not right again since: each change counts once.
    drifted: BTreeSet<String>,
    /// Each object as it was when it was last right. A handful, for which a tree would take the room of eleven.
    right: Vec<(GeneratedKey, Right)>,
    /// Copies of registry credentials; `None` if there was never one.
    copies: Option<Box<copies::Known>>,
}

/// An object that was as it should be: we wrote it so, or found it so.
struct Right {
    uid: Uid,
    digest: Digest,
}

/// `NamespaceHardening/effective` as it is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effective {
    /// Its uid.
    pub(crate) uid: Uid,
    /// Its resourceVersion.
    pub(crate) resource_version: ResourceVersion,
    /// What it says.
    pub(crate) digest: Arc<StatusDigest>,
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
    pub(crate) broken: Vec<(String, Uid, Error)>,
    /// Fields that somebody else keeps writing, each with that manager.
    pub(crate) contested: BTreeMap<String, String>,
    /// When the first of those is tried again.
    pub(crate) contested_until: Option<Timestamp>,
    /// Its report as it is stored.
    pub(crate) effective: Option<Effective>,
    /// Whether somebody else changed or deleted that report.
    pub(crate) effective_drifted: bool,
    /// How DNS was found.
    pub(crate) dns: DnsFacts,
    /// Who wrote the namespace last, apart from us.
    pub(crate) last_writer: String,
    /// What was asked of its pods last.
    pub(crate) pods_asked: Option<Digest>,
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
    unreconciled: HashSet<Arc<str>>,
    dns_services: BTreeMap<(String, String), DnsService>,
    node_local: Option<Vec<IpNet>>,
    /// Secrets that may be copied.
    sources: Arc<Sources>,
    /// Whether the copies that there are were listed.
    copies_listed: bool,
}

impl State {
    fn forget_namespace(&mut self, name: &str) {
        if let Some(entry) = self.namespaces.get_mut(name) {
            *entry = Entry::of_new(entry);
        }
        self.prune(name);
    }

    /// Drops what is kept of a namespace that is gone, and has nothing left in it.
    fn prune(&mut self, name: &str) {
        if self.namespaces.get(name).is_some_and(Entry::is_empty) {
            self.namespaces.remove(name);
        }
    }
}

impl Index {
    /// Records a namespace. True if something that matters changed.
    pub(crate) fn namespace_applied(&self, namespace: &Namespace) -> bool {
        let seen = NamespaceObserved::of(namespace);
        let mut state = self.lock();
        let entry = state.namespaces.entry(seen.name.as_str().into()).or_default();
        if seen.resource_version.is_older_than(&entry.observed.resource_version)
            && seen.uid == entry.observed.uid
        {
            return false;
        }
        let same = seen.uid == entry.observed.uid;
        if !same {
            // What is known of a predecessor of the same name says nothing about this one.
            *entry = Entry::of_new(entry);
        }
        let memory = Memory::of(&namespace.metadata, entry.record.as_ref());
        let known = &entry.observed;
        let changed = !same
            || known.labels != seen.labels
            || known.memory != memory
            || known.terminating != seen.terminating;
        if entry.record.is_none() && !memory.record.is_empty() {
            entry.record = Some(memory.record.clone());
        }
        entry.last_writer = last_writer(namespace.metadata.managed_fields.as_deref());
        let objects = std::mem::take(&mut entry.observed.objects);
        entry.observed = NamespaceObserved { memory, objects, ..seen };
        changed
    }

    /// Records a namespace as our own write left it.
    pub(crate) fn namespace_written(&self, name: &str, meta: &ObjectMeta, patch: &LabelPatch) {
        let version = ResourceVersion::of(meta);
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(name) else { return };
        if !entry.observed.uid.is_of(meta) {
            return;
        }
        for key in patch.apply.keys().chain(patch.restore.keys()) {
            entry.drifted.remove(key);
        }
        entry.drifted.remove(RECORD);
        entry.record = Some(patch.noted());
        if !version.is_older_than(&entry.observed.resource_version) {
            entry.observed.resource_version = version;
            entry.observed.labels = meta.labels.clone().unwrap_or_default();
            let present = entry.observed.labels.keys();
            let owned = present.filter(|key| patch.apply.contains_key(*key)).cloned();
            entry.observed.memory =
                Memory { record: patch.noted(), stray: false, owned: owned.collect() };
        }
    }

    /// Forgets a namespace. What is in it is forgotten when its own watch says so: one of the same name may be there
    /// already, and its objects may have been delivered first.
    pub(crate) fn namespace_deleted(&self, name: &str) {
        self.lock().forget_namespace(name);
    }

    /// Forgets every namespace that is not in `present`; their names.
    pub(crate) fn namespaces_listed(&self, present: &HashSet<Arc<str>>) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let gone: Vec<_> =
            state.namespaces.keys().filter(|name| !present.contains(*name)).cloned().collect();
        for name in &gone {
            state.forget_namespace(name);
        }
        gone
    }

    /// All namespaces.
    pub(crate) fn namespace_names(&self) -> Vec<Arc<str>> {
        let state = self.lock();
        let there = state.namespaces.iter().filter(|(_, entry)| !entry.observed.uid.is_empty());
        there.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Records a DNS Service (`None` = gone). True if it changed.
    pub(crate) fn dns_service_seen(&self, key: (String, String), seen: Option<DnsService>) -> bool {
        let mut state = self.lock();
        match seen {
            Some(seen) => state.dns_services.insert(key, seen.clone()) != Some(seen),
            None => state.dns_services.remove(&key).is_some(),
        }
    }

    /// Records the addresses of the cache on each node (`None` = there is none). True if they changed.
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
        observed.permissive = objects::permissive(&state, entry);
        observed.limit_ranges = entry.limit_ranges.clone().into_iter().collect();
        observed.reached = is_reached(&state, entry);
        observed.denied = entry.denied();
        observed.copies = state.copies(entry, now);
        observed.refused_pods =
            entry.pods.as_ref().and_then(|(_, found)| found.as_deref().map(str::to_owned));
        let mut material = Material {
            observed,
            in_force: Vec::new(),
            leaving: Vec::new(),
            broken: Vec::new(),
            contested: BTreeMap::new(),
            contested_until: None,
            effective: entry.effective.clone(),
            effective_drifted: entry.expected_report.as_ref().is_some_and(|digest| {
                entry.effective.as_ref().is_none_or(|effective| effective.digest != *digest)
            }),
            dns: DnsFacts {
                services: state.dns_services.values().cloned().collect(),
                node_local: state.node_local.clone(),
            },
            last_writer: entry.last_writer.clone(),
            pods_asked: entry.pods.as_ref().map(|(asked, _)| *asked),
        };
        for (name, baseline) in &state.baselines {
            match &baseline.phase {
                Some(Phase::InForce(compiled)) => material.in_force.push(Arc::clone(compiled)),
                Some(Phase::Leaving(leaving, selection)) => {
                    material.leaving.push((leaving.clone(), selection.clone()));
                }
                Some(Phase::Broken(error)) => {
                    let uid = Uid::of(&baseline.object.metadata);
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

    /// Records which fields somebody else changed since they were last right. Those that are news: a change
    /// whose repair fails is no further change, however often that is tried.
    pub(crate) fn drifted(&self, namespace: &str, fields: &[String]) -> Vec<bool> {
        let mut state = self.lock();
        let Some(entry) = state.namespaces.get_mut(namespace) else {
            return vec![false; fields.len()];
        };
        entry.drifted.retain(|field| fields.contains(field));
        fields.iter().map(|field| entry.drifted.insert(field.clone())).collect()
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
        let fight = entry.fights.entry(field.to_owned()).or_insert_with(|| Fight::over(field));
        matches!(fight.flipped(manager, now), Verdict::Leave { .. })
    }

    /// Records which pods could not be made again, and what was asked.
    pub(crate) fn pods_answered(
        &self,
        namespace: &str,
        asked: Option<Digest>,
        refused: Option<&str>,
    ) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.pods = asked.map(|asked| (asked, refused.map(Box::from)));
        }
    }

    /// Records whether a baseline reaches the namespace, or did and something of it is left.
    pub(crate) fn reached(&self, namespace: &str, reached: bool) {
        if let Some(entry) = self.lock().namespaces.get_mut(namespace) {
            entry.reached = reached;
            if !reached {
                entry.right.clear();
            }
        }
    }

    /// Records how a namespace came out of a reconcile: its standing, and which leaving baselines are done here.
    pub(crate) fn reconciled(&self, namespace: &str, standing: Standing, done: &[Uid]) -> bool {
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
        state.unreconciled = state.namespaces.keys().cloned().collect();
    }

    /// A namespace was reconciled, however that ended.
    pub(crate) fn reconciled_once(&self, namespace: &str) {
        self.lock().unreconciled.remove(namespace);
    }

    /// Whether some namespace that was there at the start was never reconciled.
    pub(crate) fn in_first_round(&self) -> bool {
        let mut state = self.lock();
        if !state.unreconciled.is_empty() {
            let State { unreconciled, namespaces, .. } = &mut *state;
            unreconciled.retain(|name| namespaces.contains_key(name));
        }
        !state.unreconciled.is_empty()
    }

    /// Namespaces that may still hold something of a leaving baseline.
    pub(crate) fn holding(&self, uid: &Uid) -> Vec<String> {
        let state = self.lock();
        let holding = state.namespaces.iter().filter(|(_, entry)| {
            entry.holds.contains(uid)
                && !entry.observed.uid.is_empty()
                && !entry.observed.terminating
        });
        let why = |entry: &Entry| entry.standing.why().unwrap_or("waiting for its turn".to_owned());
        holding.map(|(name, entry)| format!("{name}: {}", why(entry))).collect()
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

impl Entry {
    fn is_empty(&self) -> bool {
        self.observed.uid.is_empty()
            && self.observed.objects.is_empty()
            && self.accounts.is_empty()
            && self.permissive.is_empty()
            && self.limit_ranges.is_empty()
            && self.effective.is_none()
            && self.copies.as_ref().is_none_or(|copies| copies.is_empty())
    }

    /// What stays known when a namespace was deleted and made anew: what was seen since of what is in it.
    fn of_new(old: &mut Self) -> Self {
        Self {
            accounts: std::mem::take(&mut old.accounts),
            permissive: std::mem::take(&mut old.permissive),
            limit_ranges: std::mem::take(&mut old.limit_ranges),
            observed: NamespaceObserved {
                objects: std::mem::take(&mut old.observed.objects),
                ..NamespaceObserved::default()
            },
            effective: old.effective.take(),
            copies: old.copies.take().map(|copies| Box::new(copies::Known::of_new(*copies))),
            ..Self::default()
        }
    }
}

/// Whether a baseline reached the namespace at any time. In any other namespace an object that looks like one of
/// ours was made by somebody else.
fn is_reached(state: &State, entry: &Entry) -> bool {
    let known = |uid: &Uid| {
        let mut all = state.baselines.values();
        all.any(|baseline| uid.is_of(&baseline.object.metadata))
    };
    let ours = |live: &Arc<ObservedObject>| live.written_by_us && live.owners.iter().any(known);
    entry.reached
        || entry.effective.is_some()
        || !entry.right.is_empty()
        || entry.observed.objects.values().any(ours)
}

/// The field manager that wrote last, apart from us.
pub(crate) fn last_writer(entries: Option<&[ManagedFieldsEntry]>) -> String {
    let others = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER));
    let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    shortened(last.and_then(|entry| entry.manager.as_deref()).unwrap_or("unknown"))
}

#[cfg(test)]
mod tests;
