//! What the secrets subsystem knows of the cluster, from watches: who uses which store and which Secret.
//!
//! Of Secrets only a digest is kept, never a value: the watch delivers metadata alone.

mod packed;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use packed::Packed;

use super::digest::Digest;
use super::plan::events::asks::{Asks, Reader};
use super::plan::{due, existing::MANAGED};
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::external_secret::ExternalSecretSpec;
use crate::api::external_secrets::references::StoreKind;
use crate::api::external_secrets::references::StoreRef;
use crate::cluster::{ObjectKey, Tombstones};
use crate::meta::{ResourceVersion, Uid};

/// A SecretStore or a ClusterSecretStore (whose namespace is empty).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StoreKey(pub(crate) ObjectKey);

impl StoreKey {
    /// The store that `reference` means in `namespace`. `None` if it names none.
    pub(crate) fn of(reference: &StoreRef, namespace: &str) -> Option<Self> {
        let name = reference.name.as_deref().filter(|name| !name.is_empty())?;
        match reference.kind {
            Some(StoreKind::ClusterSecretStore) => Some(Self(ObjectKey::new("", name))),
            _ => Some(Self(ObjectKey::new(namespace, name))),
        }
    }

    /// What stands for "no store" in a namespace.
    pub(crate) fn none(namespace: &str) -> Self {
        Self(ObjectKey::new(namespace, ""))
    }

    /// True for a ClusterSecretStore.
    pub(crate) fn is_cluster(&self) -> bool {
        self.0.namespace.is_empty()
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_cluster() { "ClusterSecretStore" } else { "SecretStore" }
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind(), &*self.0.name)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.0)
    }
}

/// One ExternalSecret as it is known.
pub(crate) struct Tracked {
    /// The object, without managedFields.
    pub(crate) object: Arc<ExternalSecret>,
    /// `<generation>-<hash of labels and annotations>` of the object as it was received.
    pub(crate) version: Arc<str>,
    /// What this process did with it.
    pub(crate) memory: Memory,
}

/// What this process knows beyond the stored status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// When the provider was last read with success (status is written less often).
    pub(crate) refreshed: Option<jiff::Timestamp>,
    /// The target exactly as it was last written or verified: uid, resourceVersion and data hash.
    pub(crate) verified: Option<Verified>,
    /// State of what the template was read from, when it was last rendered.
    pub(crate) template: Option<String>,
    /// Empty answers in a row: a Secret is deleted only on a proven loss.
    pub(crate) losses: u32,
}

/// A state of a Secret that is known to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Its uid.
    pub(crate) uid: Uid,
    /// Its resourceVersion.
    pub(crate) resource_version: ResourceVersion,
    /// Hash of the data that this ExternalSecret contributed, where that is known.
    pub(crate) contributed: Option<String>,
    /// Digest of everything else that was wanted of it, where that is known.
    pub(crate) shape: Option<u64>,
}

/// What is known of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamespaceFacts {
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// It is being deleted.
    pub(crate) terminating: bool,
}

/// The index. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Index {
    state: Mutex<State>,
    /// What ExternalSecrets ask for, once somebody wants to know. Locked after the state, never before it.
    asks: Mutex<Option<Asks>>,
}

/// Namespace of a Secret, and its created-by label.
type Creator = (Arc<str>, String);

#[derive(Default)]
struct State {
    externals: HashMap<ObjectKey, Packed>,
    by_store: HashMap<StoreKey, HashSet<ObjectKey>>,
    /// Nearly always one: a list of one is much smaller than a set.
    by_target: HashMap<ObjectKey, Vec<ObjectKey>>,
    secrets: HashMap<ObjectKey, Digest>,
    /// By namespace and created-by label.
    by_creator: HashMap<Creator, HashSet<ObjectKey>>,
    /// Deleted by our own hand, on behalf of this object; the watch has not reported it yet.
    removed: HashMap<ObjectKey, ObjectKey>,
    /// Uids of Secrets that went lately.
    tombstones: Tombstones,
    namespaces: HashMap<Arc<str>, NamespaceFacts>,
    namespaces_listed: bool,
}

/// What an event about an ExternalSecret means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is new to this process.
    New,
    /// Spec, labels, annotations, finalizers or deletion changed.
    Edited,
    /// Nothing that matters.
    Nothing,
}

impl Index {
    /// Records an ExternalSecret from the watch.
    pub(crate) fn external_applied(&self, object: ExternalSecret) -> News {
        let key = ObjectKey::of(&object);
        let version = due::version(&object);
        let mut state = self.lock();
        let known = state.externals.get(&key);
        let news = match known {
            // Also our own write: what we know of it is more than a schema of others lets through.
            Some(known) if !known.is_older_than(&object) => return News::Nothing,
            Some(known) if known.has_intent_of(&object, &version) => News::Nothing,
            Some(known) if Some(known.uid()) == object.metadata.uid.as_deref() => News::Edited,
            _ => News::New,
        };
        let memory = known.filter(|_| news != News::New).map(|known| known.memory.clone());
        let packed = Packed::new(&key, object, version.into(), memory.unwrap_or_default());
        if news != News::Nothing {
            state.unlink(&key);
            state.link(&key, &packed);
            if let Some(asks) = &mut *self.asks() {
                packed.ask(&key, asks);
            }
        }
        state.externals.insert(key, packed);
        news
    }

    /// Forgets an ExternalSecret.
    pub(crate) fn external_deleted(&self, key: &ObjectKey) {
        let mut state = self.lock();
        state.unlink(key);
        state.externals.remove(key);
        if let Some(asks) = &mut *self.asks() {
            asks.remove(key);
        }
    }

    /// Every ExternalSecret that is known and not in `present`.
    pub(crate) fn externals_missing(&self, present: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let state = self.lock();
        state.externals.keys().filter(|key| !present.contains(*key)).cloned().collect()
    }

    /// What is known of an ExternalSecret.
    pub(crate) fn external(&self, key: &ObjectKey) -> Option<Tracked> {
        let packed = self.lock().externals.get(key).cloned();
        packed?.tracked()
    }

    /// Whether an ExternalSecret exists.
    pub(crate) fn knows(&self, key: &ObjectKey) -> bool {
        self.lock().externals.contains_key(key)
    }

    /// The first store that an ExternalSecret names, or what stands for none.
    pub(crate) fn group(&self, key: &ObjectKey) -> Option<StoreKey> {
        self.lock().externals.get(key).map(|known| known.group().clone())
    }

    /// Number of ExternalSecrets.
    pub(crate) fn externals(&self) -> usize {
        self.lock().externals.len()
    }

    /// Records what this process just learnt or did, unless the object was replaced meanwhile.
    pub(crate) fn remember(
        &self,
        key: &ObjectKey,
        uid: Option<&str>,
        change: impl FnOnce(&mut Memory),
    ) {
        if let Some(known) = self.lock().externals.get_mut(key)
            && Some(known.uid()) == uid
        {
            change(&mut known.memory);
        }
    }

    /// Records the object as our own status write left it, so that its watch event is no news.
    pub(crate) fn own_write(&self, key: &ObjectKey, object: ExternalSecret) {
        if let Some(known) = self.lock().externals.get_mut(key)
            && Some(known.uid()) == object.metadata.uid.as_deref()
            && !known.is_newer_than(&object)
        {
            *known = known.with(key, object);
        }
    }

    /// The ExternalSecrets that use a store.
    pub(crate) fn users_of_store(&self, store: &StoreKey) -> Vec<ObjectKey> {
        self.lock().by_store.get(store).into_iter().flatten().cloned().collect()
    }

    /// Asks who reads a secret. The first question makes the list, which is kept from then on: without one it would only
    /// cost memory.
    pub(crate) fn readers(&self, ask: impl FnOnce(&Asks) -> Vec<Reader>) -> Vec<Reader> {
        let known = self.asks().is_some();
        if !known {
            let state = self.lock();
            self.asks().get_or_insert_with(|| {
                let mut asks = Asks::default();
                for (key, packed) in &state.externals {
                    packed.ask(key, &mut asks);
                }
                asks
            });
        }
        self.asks().as_ref().map(ask).unwrap_or_default()
    }

    /// The stores that ExternalSecrets of a namespace use.
    pub(crate) fn cluster_store_users_in(&self, namespace: &str) -> Vec<ObjectKey> {
        let state = self.lock();
        let of_cluster = state.by_store.iter().filter(|(store, _)| store.is_cluster());
        let users = of_cluster.flat_map(|(_, users)| users);
        users.filter(|key| &*key.namespace == namespace).cloned().collect()
    }

    /// Records a Secret's metadata. Returns the ExternalSecrets that write to it, if it changed in a way
    /// that none of them made.
    pub(crate) fn secret_applied(&self, key: &ObjectKey, meta: &ObjectMeta) -> Vec<ObjectKey> {
        let mut state = self.lock();
        let managed = meta
            .labels
            .as_ref()
            .and_then(|labels| labels.get(MANAGED))
            .is_some_and(|value| value == "true");
        if !managed && !state.by_target.contains_key(key) {
            state.drop_secret(key);
            return Vec::new();
        }
        let digest = Digest::of(meta);
        state.removed.remove(key);
        // A watch that lags behind our own write brings nothing new.
        if state.secrets.get(key).is_some_and(|known| digest.is_older_than(known)) {
            return Vec::new();
        }
        let users = state.users_unaware_of(key, Some(&digest));
        state.put_secret(key, digest);
        users
    }

    /// Records that a Secret is gone; the ExternalSecrets that write to it.
    pub(crate) fn secret_deleted(&self, key: &ObjectKey, uid: &Uid) -> Vec<ObjectKey> {
        let mut state = self.lock();
        state.tombstones.note(uid);
        if state.secrets.get(key).is_some_and(|known| known.uid != *uid) {
            return Vec::new(); // a namesake has taken its place already
        }
        state.drop_secret(key);
        let by = state.removed.remove(key);
        // Those that were refused it, too: what was in their way is gone.
        let users = state.by_target.get(key).into_iter().flatten();
        users.filter(|user| Some(*user) != by.as_ref()).cloned().collect()
    }

    /// Forgets every Secret that is not in `present`; the ExternalSecrets that write to one of those.
    pub(crate) fn secrets_listed(&self, present: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let mut state = self.lock();
        state.removed.retain(|key, _| present.contains(key));
        let gone: Vec<_> =
            state.secrets.keys().filter(|key| !present.contains(*key)).cloned().collect();
        for key in &gone {
            state.drop_secret(key);
        }
        // A Secret that was in the way of somebody need not have been known here.
        let targets = state.by_target.iter().filter(|(target, _)| !present.contains(*target));
        targets.flat_map(|(_, users)| users).cloned().collect()
    }

    /// What is known of a Secret.
    pub(crate) fn secret(&self, key: &ObjectKey) -> Option<Digest> {
        self.lock().secrets.get(key).cloned()
    }

    /// Records a Secret as our own write left it.
    pub(crate) fn secret_written(&self, key: &ObjectKey, meta: &ObjectMeta) {
        let mut digest = Digest::of(meta);
        digest.touched = false;
        let mut state = self.lock();
        // The watch may have delivered a later change, or its deletion, before the answer to our write arrived.
        let overtaken = state.secrets.get(key).is_some_and(|known| digest.is_older_than(known));
        if !overtaken && !state.tombstones.contains(&digest.uid) {
            state.put_secret(key, digest);
        }
    }

    /// Records that a Secret is gone by our own hand, on behalf of `by`.
    pub(crate) fn secret_removed(&self, key: &ObjectKey, by: &ObjectKey) {
        let mut state = self.lock();
        state.drop_secret(key);
        state.removed.insert(key.clone(), by.clone());
    }

    /// Secrets of a namespace that carry this created-by label.
    pub(crate) fn created_by(&self, namespace: &Arc<str>, label: String) -> Vec<ObjectKey> {
        let creator = (Arc::clone(namespace), label);
        self.lock().by_creator.get(&creator).into_iter().flatten().cloned().collect()
    }

    /// The others that want the Secret that an ExternalSecret, as it is known now, writes.
    pub(crate) fn rivals(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        let state = self.lock();
        let Some(known) = state.externals.get(key) else { return Vec::new() };
        let users = state.by_target.get(known.target()).into_iter().flatten();
        users.filter(|user| *user != key).cloned().collect()
    }

    /// Name of another ExternalSecret that has written this Secret whole and goes on doing so.
    pub(crate) fn holder(&self, target: &ObjectKey, except: &ObjectKey) -> Option<Arc<str>> {
        let state = self.lock();
        let mut users = state.by_target.get(target)?.iter().filter(|user| *user != except);
        users
            .find(|user| state.externals.get(*user).is_some_and(Packed::holds))
            .map(|user| user.name.clone())
    }

    /// Records a namespace. True if its labels changed or it is new.
    pub(crate) fn namespace_applied(&self, meta: &ObjectMeta) -> bool {
        let name = meta.name.as_deref().unwrap_or_default();
        let facts = NamespaceFacts {
            labels: meta.labels.clone().unwrap_or_default(),
            terminating: meta.deletion_timestamp.is_some(),
        };
        let previous = self.lock().namespaces.insert(name.into(), facts.clone());
        previous.as_ref() != Some(&facts)
    }

    /// Forgets a namespace.
    pub(crate) fn namespace_deleted(&self, name: &str) {
        self.lock().namespaces.remove(name);
    }

    /// Forgets every namespace that is not in `present`.
    pub(crate) fn namespaces_listed(&self, present: &HashSet<ObjectKey>) {
        let present: HashSet<&str> = present.iter().map(|key| &*key.name).collect();
        let mut state = self.lock();
        state.namespaces.retain(|name, _| present.contains(&**name));
        state.namespaces_listed = true;
    }

    /// Whether a complete list of namespaces has arrived: one that is not known does not exist.
    pub(crate) fn namespaces_are_known(&self) -> bool {
        self.lock().namespaces_listed
    }

    /// The namespaces that `is_wanted` says.
    pub(crate) fn namespaces_where(
        &self,
        is_wanted: impl Fn(&str, &NamespaceFacts) -> bool,
    ) -> Vec<Arc<str>> {
        let state = self.lock();
        let wanted = state.namespaces.iter().filter(|(name, facts)| is_wanted(name, facts));
        wanted.map(|(name, _)| name.clone()).collect()
    }

    /// What is known of a namespace.
    pub(crate) fn namespace(&self, name: &str) -> Option<NamespaceFacts> {
        self.lock().namespaces.get(name).cloned()
    }

    fn asks(&self) -> MutexGuard<'_, Option<Asks>> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put_secret(&mut self, key: &ObjectKey, digest: Digest) {
        self.drop_secret(key);
        if let Some(label) = &digest.created_by {
            let creator = (Arc::clone(&key.namespace), label.clone());
            self.by_creator.entry(creator).or_default().insert(key.clone());
        }
        self.secrets.insert(key.clone(), digest);
    }

    fn drop_secret(&mut self, key: &ObjectKey) {
        let Some(Digest { created_by: Some(label), .. }) = self.secrets.remove(key) else { return };
        let creator = (Arc::clone(&key.namespace), label);
        if let Some(secrets) = self.by_creator.get_mut(&creator) {
            secrets.remove(key);
            if secrets.is_empty() {
                self.by_creator.remove(&creator);
            }
        }
    }

    fn link(&mut self, key: &ObjectKey, known: &Packed) {
        for store in known.stores(key) {
            self.by_store.entry(store).or_default().insert(key.clone());
        }
        let users = self.by_target.entry(known.target().clone()).or_default();
        if !users.contains(key) {
            users.reserve_exact(1);
            users.push(key.clone());
        }
    }

    fn unlink(&mut self, key: &ObjectKey) {
        let Some(known) = self.externals.get(key) else { return };
        for store in known.stores(key) {
            if let Some(users) = self.by_store.get_mut(&store) {
                users.remove(key);
                if users.is_empty() {
                    self.by_store.remove(&store);
                }
            }
        }
        if let Some(users) = self.by_target.get_mut(known.target()) {
            users.retain(|user| user != key);
            if users.is_empty() {
                self.by_target.remove(known.target());
            }
        }
    }

    /// Users of a Secret whose memory says something else than `now`.
    fn users_unaware_of(&self, key: &ObjectKey, now: Option<&Digest>) -> Vec<ObjectKey> {
        let users = self.by_target.get(key).into_iter().flatten();
        let unaware = users.filter(|user| {
            let verified =
                self.externals.get(*user).and_then(|known| known.memory.verified.as_ref());
            match (verified, now) {
                (Some(verified), Some(now)) => verified.resource_version != now.resource_version,
                (None, None) => false,
                _ => true,
            }
        });
        unaware.cloned().collect()
    }
}

/// Every store an ExternalSecret names.
pub(crate) fn stores_of(spec: &ExternalSecretSpec, namespace: &str) -> BTreeSet<StoreKey> {
    let own = spec.secret_store_ref.iter();
    let of_data = spec.data.iter().filter_map(|entry| entry.source_ref.as_ref());
    let of_data_from = spec.data_from.iter().filter_map(|entry| entry.source_ref.as_ref());
    let others = of_data.chain(of_data_from).filter_map(|source| source.store_ref.as_ref());
    own.chain(others).filter_map(|reference| StoreKey::of(reference, namespace)).collect()
}

/// The Secret an ExternalSecret writes.
pub(crate) fn target_key(key: &ObjectKey, spec: &ExternalSecretSpec) -> ObjectKey {
    let name = spec.target.name.as_deref().filter(|name| !name.is_empty());
    ObjectKey {
        namespace: Arc::clone(&key.namespace),
        name: name.map_or(Arc::clone(&key.name), Into::into),
    }
}

#[cfg(test)]
mod tests;
