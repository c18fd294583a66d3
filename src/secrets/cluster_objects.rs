//! The ClusterExternalSecrets, or ClusterPushSecrets, as they are known, what became of each namespace, and which objects
//! they made there: their children.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::plan::cluster_kinds::{ClusterKind, ClusterStatus};
use super::plan::cluster_object::{self, BadSelector, FORCE_SYNC, Wanted, union};
use crate::api::external_secrets::cluster_external_secret::ManagedKeys;
use crate::cluster::{ObjectKey, Tombstones};
use crate::meta::{ResourceVersion, Uid};

/// Writes of one child within [`FIGHT_WINDOW`] that somebody else takes back each time.
const FIGHT_WRITES: u32 = 5;
const FIGHT_WINDOW: Duration = Duration::from_mins(10);

/// One object, as a reconcile sees it.
#[derive(Clone)]
pub(crate) struct Known<K> {
    /// The object.
    pub(crate) object: Arc<K>,
    /// What it asks for.
    pub(crate) wanted: Result<Arc<Wanted>, BadSelector>,
    /// Keys of labels and annotations that may be on its children.
    pub(crate) managed: ManagedKeys,
}

/// What became of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceOutcome {
    /// It is as specified.
    Provisioned,
    /// It is not, for this cause.
    Failed(String),
    /// It is none of ours.
    Nothing,
}

/// How far one of them is.
pub(crate) struct State {
    /// What became of namespaces.
    pub(crate) outcomes: BTreeMap<Arc<str>, NamespaceOutcome>,
    /// Namespaces that are to be reconciled.
    pub(crate) pending: BTreeSet<Arc<str>>,
    /// Since when there are such.
    pub(crate) pending_since: Option<Instant>,
}

struct Entry<K> {
    known: Known<K>,
    state: State,
    writes: HashMap<Arc<str>, Writes>,
}

/// The writes of the child in one namespace.
struct Writes {
    /// uid and resourceVersion after the last one, while the watch has not shown it.
    last: Option<(Uid, ResourceVersion)>,
    count: u32,
    since: Instant,
}

/// The registry. Every method locks for a moment only.
pub(crate) struct ClusterObjects<K> {
    inner: Mutex<Inner<K>>,
}

struct Inner<K> {
    entries: BTreeMap<Arc<str>, Entry<K>>,
    /// Objects by the name of the child that they want.
    by_child: HashMap<String, BTreeSet<Arc<str>>>,
    by_uid: HashMap<Uid, Arc<str>>,
    /// uid of the controlling object, by child.
    owners: HashMap<ObjectKey, Uid>,
    children: HashMap<Uid, BTreeSet<ObjectKey>>,
    tombstones: Tombstones,
}

impl<K> Default for ClusterObjects<K> {
    fn default() -> Self {
        let inner = Inner {
            entries: BTreeMap::new(),
            by_child: HashMap::new(),
            by_uid: HashMap::new(),
            owners: HashMap::new(),
            children: HashMap::new(),
            tombstones: Tombstones::default(),
        };
        Self { inner: Mutex::new(inner) }
    }
}

impl<K: ClusterKind> ClusterObjects<K> {
    /// Records an object from the watch. True if it asks for something else than before.
    pub(crate) fn applied(&self, mut object: K) -> bool {
        object.meta_mut().managed_fields = None;
        let name: Arc<str> = object.name_any().into();
        let mut inner = self.lock();
        let previous = inner.entries.get(&name);
        let same_object = previous.filter(|entry| entry.known.object.uid() == object.uid());
        if let Some(entry) = same_object
            && is_same_intent(&*entry.known.object, &object)
        {
            if let Some(entry) = inner.entries.get_mut(&name)
                && !version(&object).is_older_than(&version(&*entry.known.object))
            {
                entry.known.object = Arc::new(object);
            }
            return false;
        }
        let stored = object.status().and_then(|status| status.gabion);
        let before = same_object.map(|entry| entry.known.managed.clone());
        let wanted = Wanted::new(&object).map(Arc::new);
        let mut managed = before.or(stored).unwrap_or_default();
        if let Ok(wanted) = &wanted {
            managed = union(&managed, &wanted.keys());
        }
        inner.forget_name(&name);
        if let Ok(wanted) = &wanted {
            inner.by_child.entry(wanted.name.clone()).or_default().insert(name.clone());
        }
        inner.by_uid.insert(Uid::of(object.meta()), name.clone());
        let known = Known { object: Arc::new(object), wanted, managed };
        match inner.entries.get_mut(&name) {
            Some(entry) if entry.known.object.uid() == known.object.uid() => {
                entry.known = known;
                entry.writes.clear();
            }
            _ => {
                let state = State {
                    outcomes: BTreeMap::new(),
                    pending: BTreeSet::new(),
                    pending_since: None,
                };
                inner.entries.insert(name, Entry { known, state, writes: HashMap::new() });
            }
        }
        true
    }

    /// Forgets an object; the namespaces that it was about.
    pub(crate) fn deleted(&self, name: &str) -> Vec<Arc<str>> {
        let mut inner = self.lock();
        inner.forget_name(name);
        let Some(entry) = inner.entries.remove(name) else { return Vec::new() };
        entry.state.outcomes.into_keys().chain(entry.state.pending).collect()
    }

    /// The objects that are not in `present`.
    pub(crate) fn missing(&self, present: &HashSet<ObjectKey>) -> Vec<Arc<str>> {
        let present: HashSet<&str> = present.iter().map(|key| &*key.name).collect();
        let inner = self.lock();
        inner.entries.keys().filter(|name| !present.contains(&***name)).cloned().collect()
    }

    /// Names of all of them.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.lock().entries.keys().cloned().collect()
    }

    /// What is known of one.
    pub(crate) fn find(&self, name: &str) -> Option<Known<K>> {
        self.lock().entries.get(name).map(|entry| entry.known.clone())
    }

    /// Runs `read` on how far one is.
    pub(crate) fn with_state<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Known<K>, &mut State) -> T,
    ) -> Option<T> {
        let mut inner = self.lock();
        let entry = inner.entries.get_mut(name)?;
        Some(read(&entry.known, &mut entry.state))
    }

    /// Keeps the keys that are still to be taken away one day.
    pub(crate) fn set_managed(&self, name: &str, uid: Option<&str>, managed: ManagedKeys) {
        if let Some(entry) = self.lock().entries.get_mut(name)
            && entry.known.object.meta().uid.as_deref() == uid
        {
            entry.known.managed = managed;
        }
    }

    /// Records the status as our own write left it.
    pub(crate) fn own_write(
        &self,
        name: &str,
        resource_version: Option<String>,
        status: ClusterStatus,
    ) {
        if let Some(entry) = self.lock().entries.get_mut(name) {
            let mut object = (*entry.known.object).clone();
            let new = ResourceVersion::from(resource_version.unwrap_or_default());
            // The watch may have delivered a later change before the answer to our write arrived.
            if new.is_older_than(&version(&object)) {
                return;
            }
            object.meta_mut().resource_version = Some(new.into());
            object.set_status(status);
            entry.known.object = Arc::new(object);
        }
    }

    /// Records a child. Returns the objects that it concerns: the one that controls it, and those that want its
    /// name.
    pub(crate) fn child_seen(&self, key: &ObjectKey, meta: &ObjectMeta) -> Vec<Arc<str>> {
        let mut inner = self.lock();
        let owner = cluster_object::owner::<K>(meta).map(|owner| Uid::from(owner.uid.as_str()));
        inner.set_owner(key, owner);
        let (uid, shown) = (Uid::of(meta), ResourceVersion::of(meta));
        let concerned = inner.concerned(key);
        for name in &concerned {
            if let Some(entry) = inner.entries.get_mut(name)
                && let Some(writes) = entry.writes.get_mut(&key.namespace)
                && let Some((written, version)) = &writes.last
                && (*written != uid || !shown.is_older_than(version))
            {
                writes.last = None;
            }
        }
        concerned
    }

    /// Forgets a child; the objects that it concerned.
    pub(crate) fn child_gone(&self, key: &ObjectKey, uid: &Uid) -> Vec<Arc<str>> {
        let mut inner = self.lock();
        inner.tombstones.note(uid);
        let concerned = inner.concerned(key);
        inner.set_owner(key, None);
        for name in &concerned {
            if let Some(entry) = inner.entries.get_mut(name)
                && let Some(writes) = entry.writes.get_mut(&key.namespace)
            {
                writes.last = None;
            }
        }
        concerned
    }

    /// A complete list of children is in: what it does not have is not there, though we wrote it.
    pub(crate) fn children_listed(&self, present: &HashSet<ObjectKey>) {
        for entry in self.lock().entries.values_mut() {
            let Ok(wanted) = &entry.known.wanted else { continue };
            for (namespace, writes) in &mut entry.writes {
                if !present.contains(&ObjectKey::new(namespace, &wanted.name)) {
                    writes.last = None;
                }
            }
        }
    }

    /// The children in a namespace that an object made and that are not `except`.
    pub(crate) fn children(&self, uid: &Uid, namespace: &str, except: &str) -> Vec<ObjectKey> {
        let inner = self.lock();
        let Some(children) = inner.children.get(uid) else { return Vec::new() };
        let all = children.range(ObjectKey::new(namespace, "")..);
        let here = all.take_while(|key| &*key.namespace == namespace);
        here.filter(|key| &*key.name != except).cloned().collect()
    }

    /// The namespaces in which an object made something.
    pub(crate) fn occupied(&self, uid: &Uid) -> Vec<Arc<str>> {
        let inner = self.lock();
        let children = inner.children.get(uid).into_iter().flatten();
        let mut namespaces: Vec<_> = children.map(|key| key.namespace.clone()).collect();
        namespaces.dedup();
        namespaces
    }

    /// Records a write of our own.
    pub(crate) fn wrote(&self, name: &str, namespace: &Arc<str>, meta: &ObjectMeta, now: Instant) {
        let mut inner = self.lock();
        let uid = Uid::of(meta);
        let gone = inner.tombstones.contains(&uid);
        let Some(entry) = inner.entries.get_mut(name) else { return };
        let fresh = || Writes { last: None, count: 0, since: now };
        let writes = entry.writes.entry(namespace.clone()).or_insert_with(fresh);
        if now.saturating_duration_since(writes.since) > FIGHT_WINDOW {
            (writes.count, writes.since) = (0, now);
        }
        writes.count = writes.count.saturating_add(1);
        writes.last = Some((uid, ResourceVersion::of(meta))).filter(|_| !gone);
    }

    /// A namespace that is none of ours any more has no history.
    pub(crate) fn forget_writes(&self, name: &str, namespace: &str) {
        if let Some(entry) = self.lock().entries.get_mut(name) {
            entry.writes.remove(namespace);
        }
    }

    /// Whether the last write of our own has not been shown by the watch yet.
    pub(crate) fn awaits(&self, name: &str, namespace: &str) -> bool {
        let inner = self.lock();
        let writes = inner.entries.get(name).and_then(|entry| entry.writes.get(namespace));
        writes.is_some_and(|writes| writes.last.is_some())
    }

    /// Whether somebody else takes our writes back each time.
    pub(crate) fn is_fight(&self, name: &str, namespace: &str, now: Instant) -> bool {
        let inner = self.lock();
        let writes = inner.entries.get(name).and_then(|entry| entry.writes.get(namespace));
        writes.is_some_and(|writes| {
            writes.count >= FIGHT_WRITES
                && now.saturating_duration_since(writes.since) <= FIGHT_WINDOW
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Inner<K> {
    fn forget_name(&mut self, name: &str) {
        self.by_child.retain(|_, objects| {
            objects.remove(name);
            !objects.is_empty()
        });
        self.by_uid.retain(|_, object| &**object != name);
    }

    fn set_owner(&mut self, key: &ObjectKey, owner: Option<Uid>) {
        if self.owners.get(key) == owner.as_ref() {
            return;
        }
        if let Some(before) = self.owners.remove(key)
            && let Some(children) = self.children.get_mut(&before)
        {
            children.remove(key);
            if children.is_empty() {
                self.children.remove(&before);
            }
        }
        if let Some(owner) = owner {
            self.owners.insert(key.clone(), owner.clone());
            self.children.entry(owner).or_default().insert(key.clone());
        }
    }

    fn concerned(&self, key: &ObjectKey) -> Vec<Arc<str>> {
        let wanting = self.by_child.get(&*key.name).into_iter().flatten();
        let owner = self.owners.get(key).and_then(|uid| self.by_uid.get(uid));
        let all: BTreeSet<_> = wanting.chain(owner).cloned().collect();
        all.into_iter().collect()
    }
}

/// What says of a child whose it is, and which state of it this is.
pub(super) fn owned_metadata(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        owner_references: meta.owner_references.clone(),
        ..ObjectMeta::default()
    }
}

fn version<K: ClusterKind>(object: &K) -> ResourceVersion {
    ResourceVersion::of(object.meta())
}

fn is_same_intent<K: ClusterKind>(known: &K, new: &K) -> bool {
    let (was, is) = (known.meta(), new.meta());
    known.asks_the_same(new)
        && was.generation == is.generation
        && was.deletion_timestamp == is.deletion_timestamp
        && was.finalizers == is.finalizers
        && known.annotations().get(FORCE_SYNC) == new.annotations().get(FORCE_SYNC)
}
