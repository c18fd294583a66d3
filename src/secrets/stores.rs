//! The stores as they are known: their spec, whether they are ready, and the connections made of them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::index::StoreKey;
use crate::api::external_secrets::secret_store::ClusterSecretStore;
use crate::api::external_secrets::secret_store::SecretStore;
use crate::api::external_secrets::secret_store::SecretStoreStatus;
use crate::api::external_secrets::secret_store::StoreSpec;
use crate::cluster::{ObjectKey, is_older};
use crate::provider::fetcher::Connection;
use crate::provider::fetcher::Identity;

/// One store as the API server has it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Which.
    pub(crate) key: StoreKey,
    /// Its uid.
    pub(crate) uid: String,
    /// Its generation.
    pub(crate) generation: i64,
    /// Its resourceVersion.
    pub(crate) resource_version: String,
    /// Its spec.
    pub(crate) spec: StoreSpec,
    /// Its status as stored.
    pub(crate) status: Option<SecretStoreStatus>,
    /// It is being deleted.
    pub(crate) deleting: bool,
}

impl From<SecretStore> for Store {
    fn from(object: SecretStore) -> Self {
        let key = StoreKey(ObjectKey::of(&object));
        Self::new(key, &object.metadata, object.spec.0, object.status)
    }
}

impl From<ClusterSecretStore> for Store {
    fn from(object: ClusterSecretStore) -> Self {
        let key = StoreKey(ObjectKey::of(&object));
        Self::new(key, &object.metadata, object.spec.0, object.status)
    }
}

impl Store {
    fn new(
        key: StoreKey,
        meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: StoreSpec,
        status: Option<SecretStoreStatus>,
    ) -> Self {
        Self {
            key,
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            spec,
            status,
            deleting: meta.deletion_timestamp.is_some(),
        }
    }
}

/// What the last validation of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It has not been validated in its present form.
    #[default]
    Unknown,
    /// It can be used.
    Ready,
    /// It cannot, and why.
    NotReady(String),
}

/// An object whose content goes into a store's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Input {
    /// A Secret with keys.
    Secret(ObjectKey),
    /// A ServiceAccount whose token is exchanged.
    ServiceAccount(ObjectKey),
}

/// The registry. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Stores {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<StoreKey, Entry>,
    by_input: HashMap<Input, Uses>,
}

/// Who is made of an input, and of which state of it.
#[derive(Default)]
struct Uses {
    version: String,
    stores: BTreeSet<StoreKey>,
}

struct Entry {
    store: Arc<Store>,
    readiness: Readiness,
    /// Grows with each change of spec or inputs: a result of an older epoch is thrown away.
    epoch: u64,
    /// By namespace of the asker where the credentials depend on it, else "".
    connections: HashMap<Arc<str>, Connection>,
}

impl Stores {
    /// Takes in a store from the watch. True if its spec is new.
    pub(crate) fn applied(&self, store: Store) -> bool {
        let mut state = self.lock();
        match state.entries.get_mut(&store.key) {
            Some(entry)
                if entry.store.uid == store.uid
                    && entry.store.generation == store.generation
                    && entry.store.deleting == store.deleting =>
            {
                entry.store = Arc::new(store);
                false
            }
            Some(entry) => {
                entry.store = Arc::new(store);
                entry.reset();
                true
            }
            None => {
                let key = store.key.clone();
                let entry = Entry {
                    store: Arc::new(store),
                    readiness: Readiness::Unknown,
                    epoch: 0,
                    connections: HashMap::new(),
                };
                state.entries.insert(key, entry);
                true
            }
        }
    }

    /// Forgets a store.
    pub(crate) fn deleted(&self, key: &StoreKey) {
        let mut state = self.lock();
        state.entries.remove(key);
        state.by_input.retain(|_, uses| {
            uses.stores.remove(key);
            !uses.stores.is_empty()
        });
    }

    /// Forgets every store of one kind that is not in `present` and returns them.
    pub(crate) fn listed(&self, cluster: bool, present: &HashSet<ObjectKey>) -> Vec<StoreKey> {
        let gone: Vec<_> = {
            let state = self.lock();
            let of_kind = state.entries.keys().filter(|key| key.is_cluster() == cluster);
            of_kind.filter(|key| !present.contains(&key.0)).cloned().collect()
        };
        for key in &gone {
            self.deleted(key);
        }
        gone
    }

    /// A store, its readiness, and the epoch of what is known about it.
    pub(crate) fn find(&self, key: &StoreKey) -> Option<(Arc<Store>, Readiness, u64)> {
        let state = self.lock();
        let entry = state.entries.get(key)?;
        Some((Arc::clone(&entry.store), entry.readiness.clone(), entry.epoch))
    }

    /// The connection that was made for a store and namespace, if it still holds.
    pub(crate) fn connection(&self, key: &StoreKey, namespace: &str) -> Option<Connection> {
        let state = self.lock();
        state.entries.get(key)?.connections.get(namespace).cloned()
    }

    /// Keeps a connection that was made from inputs as they were at `epoch`.
    pub(crate) fn keep_connection(
        &self,
        key: &StoreKey,
        epoch: u64,
        namespace: &str,
        connection: &Connection,
    ) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(key)
            && entry.epoch == epoch
        {
            entry.connections.insert(namespace.into(), connection.clone());
        }
    }

    /// Notes what a store's credentials are made of, and in which state each of it was read.
    pub(crate) fn depends_on(
        &self,
        key: &StoreKey,
        inputs: impl IntoIterator<Item = (Input, String)>,
    ) {
        let mut state = self.lock();
        for (input, version) in inputs {
            let uses = state.by_input.entry(input).or_default();
            uses.version = version;
            uses.stores.insert(key.clone());
        }
    }

    /// Records the outcome of a validation. True if readiness changed.
    pub(crate) fn validated(&self, key: &StoreKey, epoch: u64, readiness: &Readiness) -> bool {
        let mut state = self.lock();
        match state.entries.get_mut(key) {
            Some(entry) if entry.epoch == epoch && entry.readiness != *readiness => {
                entry.readiness = readiness.clone();
                true
            }
            _ => false,
        }
    }

    /// Takes in a store's metadata and status as our own write left them.
    pub(crate) fn own_write(
        &self,
        key: &StoreKey,
        resource_version: &str,
        status: SecretStoreStatus,
    ) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(key) {
            // The watch may have told of a later change before the answer to our write arrived.
            if is_older(resource_version, &entry.store.resource_version) {
                return;
            }
            let mut store = (*entry.store).clone();
            resource_version.clone_into(&mut store.resource_version);
            store.status = Some(status);
            entry.store = Arc::new(store);
        }
    }

    /// Takes in the present state of an input ("" = it is gone). If a store was made of another state, drops
    /// what was made of it; the stores concerned.
    pub(crate) fn input_seen(&self, input: &Input, version: &str) -> Vec<StoreKey> {
        let mut state = self.lock();
        let Some(uses) = state.by_input.get_mut(input) else { return Vec::new() };
        if uses.version == version {
            return Vec::new();
        }
        version.clone_into(&mut uses.version);
        let concerned: Vec<_> = uses.stores.iter().cloned().collect();
        for key in &concerned {
            if let Some(entry) = state.entries.get_mut(key) {
                entry.reset();
            }
        }
        concerned
    }

    /// Every input of one kind that is known to exist but is not in `present`.
    pub(crate) fn inputs_gone(&self, present: &HashSet<ObjectKey>, secrets: bool) -> Vec<Input> {
        let state = self.lock();
        let known = state.by_input.iter().filter(|(_, uses)| !uses.version.is_empty());
        let gone = known.filter(|(input, _)| match input {
            Input::Secret(key) => secrets && !present.contains(key),
            Input::ServiceAccount(key) => !secrets && !present.contains(key),
        });
        gone.map(|(input, _)| input.clone()).collect()
    }

    /// The identities of all connections in use.
    pub(crate) fn identities(&self) -> HashSet<Identity> {
        let state = self.lock();
        let connections = state.entries.values().flat_map(|entry| entry.connections.values());
        connections.map(|connection| connection.identity().clone()).collect()
    }

    /// Number of stores.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Unknown makes its ExternalSecrets wait for the new validation; they do not fail meanwhile.
    fn reset(&mut self) {
        self.epoch += 1;
        self.connections.clear();
        self.readiness = Readiness::Unknown;
    }
}
