//! The stores as they are known: their spec, whether they are ready, and the connections made of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::index::StoreKey;
use super::plan::store_status::StoreOutcome;
use super::store::{Caller, Input, InputVersion, Store};
use crate::api::external_secrets::secret_store::SecretStoreStatus;
use crate::cluster::ObjectKey;
use crate::meta::ResourceVersion;
use crate::provider::fetcher::Connection;
use crate::provider::fetcher::Identity;

/// What the last validation of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It has not been validated in its present form.
    #[default]
    Unknown,
    /// It can be used.
    Ready,
    /// It cannot.
    NotReady {
        /// Why.
        outcome: StoreOutcome,
        /// It passes by itself: the provider does not answer, or says "later".
        passing: bool,
    },
}

/// Who may use a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum User {
    /// Whoever may use the store.
    Anybody,
    /// The validation of the store.
    Validation,
    /// ExternalSecrets of this namespace: it was made of its name.
    Namespace(Arc<str>),
}

impl User {
    /// The only one who may use what was made for this caller.
    pub(crate) fn only(caller: Caller<'_>) -> Self {
        match caller {
            Caller::Store => Self::Validation,
            Caller::Namespace(name) => Self::Namespace(name.into()),
        }
    }
}

/// Keys that a provider refused are not read again for this long.
const DOUBT_EVERY: Duration = Duration::from_secs(10);

/// The registry. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Stores {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<StoreKey, Entry>,
    /// Which connections are made of an input, and of which state of it.
    by_input: HashMap<Input, BTreeMap<(StoreKey, User), InputVersion>>,
    /// Stores that exist and cannot be decoded, and why.
    undecodable: HashMap<StoreKey, String>,
}

struct Entry {
    store: Arc<Store>,
    readiness: Readiness,
    /// Grows with each change of spec or inputs: a result of an older epoch is thrown away.
    epoch: u64,
    connections: HashMap<User, Connection>,
    /// When its keys were last read again because the provider refused them.
    doubted: Option<Instant>,
}

impl Stores {
    /// Records a store from the watch. True if its spec is new.
    pub(crate) fn applied(&self, store: Store) -> bool {
        let mut state = self.lock();
        // Its status may say that it cannot be decoded.
        let decodable_again = state.undecodable.remove(&store.key).is_some();
        match state.entries.get_mut(&store.key) {
            Some(entry)
                if entry.store.uid == store.uid
                    && entry.store.generation == store.generation
                    && entry.store.deleting == store.deleting
                    && entry.store.allowed_keys == store.allowed_keys =>
            {
                // What it is connected with stays as it is.
                let other_queue = entry.store.events_queue != store.events_queue;
                entry.store = Arc::new(store);
                decodable_again || other_queue
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
                    doubted: None,
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
        state.undecodable.remove(key);
        state.by_input.retain(|_, uses| {
            uses.retain(|(store, _), _| store != key);
            !uses.is_empty()
        });
    }

    /// A store exists and cannot be decoded. What was known of it before stays in force.
    pub(crate) fn undecodable(&self, key: &StoreKey, problem: &str) {
        self.lock().undecodable.insert(key.clone(), problem.to_owned());
    }

    /// Why a store cannot be decoded that exists and is not known.
    pub(crate) fn why_undecodable(&self, key: &StoreKey) -> Option<String> {
        self.lock().undecodable.get(key).cloned()
    }

    /// Forgets every store of one kind that is not in `present` and returns them.
    pub(crate) fn listed(&self, cluster: bool, present: &HashSet<ObjectKey>) -> Vec<StoreKey> {
        let gone: Vec<_> = {
            let state = self.lock();
            let known = state.entries.keys().chain(state.undecodable.keys());
            let of_kind = known.filter(|key| key.is_cluster() == cluster);
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

    /// The connection of a store that this caller may use, if one was made and still holds.
    pub(crate) fn connection(&self, key: &StoreKey, caller: Caller<'_>) -> Option<Connection> {
        let state = self.lock();
        let connections = &state.entries.get(key)?.connections;
        connections.get(&User::Anybody).or_else(|| connections.get(&User::only(caller))).cloned()
    }

    /// Keeps a connection that was made from inputs as they were at `epoch`.
    pub(crate) fn keep_connection(
        &self,
        key: &StoreKey,
        epoch: u64,
        user: User,
        connection: &Connection,
    ) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(key)
            && entry.epoch == epoch
        {
            entry.connections.insert(user, connection.clone());
        }
    }

    /// Notes what a connection is made of, and in which state each of it was read. The stores that were made of an
    /// older state of it are made anew: the watch may deliver the change later than a read shows it.
    pub(crate) fn depends_on(
        &self,
        key: &StoreKey,
        user: &User,
        inputs: impl IntoIterator<Item = (Input, InputVersion)>,
    ) -> Vec<StoreKey> {
        let mut state = self.lock();
        let mut stale = Vec::new();
        for (input, version) in inputs {
            stale.extend(state.drop_stale(&input, &version));
            state.by_input.entry(input).or_default().insert((key.clone(), user.clone()), version);
        }
        stale
    }

    /// The provider refused the keys of a store: they are read again, but not with every refusal. True if so.
    pub(crate) fn doubt(&self, key: &StoreKey, now: Instant) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(key) else { return false };
        let lately = |at: Instant| now.saturating_duration_since(at) < DOUBT_EVERY;
        if entry.readiness == Readiness::Unknown || entry.doubted.is_some_and(lately) {
            return false;
        }
        entry.doubted = Some(now);
        entry.epoch += 1;
        entry.connections.clear();
        true
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

    /// The stores that cannot be used for a reason that passes by itself.
    pub(crate) fn passing(&self) -> Vec<StoreKey> {
        let state = self.lock();
        let passing = state.entries.iter().filter(|(_, entry)| {
            matches!(entry.readiness, Readiness::NotReady { passing: true, .. })
        });
        passing.map(|(key, _)| key.clone()).collect()
    }

    /// Records a store's metadata and status as our own write left them.
    pub(crate) fn own_write(
        &self,
        key: &StoreKey,
        resource_version: ResourceVersion,
        status: SecretStoreStatus,
    ) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(key) {
            // The watch may have delivered a later change before the answer to our write arrived.
            if resource_version.is_older_than(&entry.store.resource_version) {
                return;
            }
            let mut store = (*entry.store).clone();
            store.resource_version = resource_version;
            store.status = Some(status);
            entry.store = Arc::new(store);
        }
    }

    /// Records the present state of an input. Drops what was made of another state; the stores
    /// concerned.
    pub(crate) fn input_seen(&self, input: &Input, version: &InputVersion) -> Vec<StoreKey> {
        self.lock().drop_stale(input, version)
    }

    /// Every input of one kind that is known to exist but is not in `present`. `of` makes an input of that kind.
    pub(crate) fn inputs_gone(
        &self,
        present: &HashSet<ObjectKey>,
        of: fn(ObjectKey) -> Input,
    ) -> Vec<Input> {
        let state = self.lock();
        let existed = |uses: &BTreeMap<_, InputVersion>| {
            uses.values().any(|version| *version != InputVersion::Absent)
        };
        let known = state.by_input.iter().filter(|(_, uses)| existed(uses));
        let gone = known.filter(|(input, _)| {
            let (Input::Secret(key) | Input::ServiceAccount(key) | Input::ConfigMap(key)) = input;
            of(key.clone()) == **input && !present.contains(key)
        });
        gone.map(|(input, _)| input.clone()).collect()
    }

    /// The identities of a store's connections.
    pub(crate) fn identities_of(&self, key: &StoreKey) -> Vec<Identity> {
        let state = self.lock();
        let connections = state.entries.get(key).into_iter().flat_map(|e| e.connections.values());
        connections.map(|connection| connection.identity().clone()).collect()
    }

    /// What stands in front of keys, in any store of AWS.
    pub(crate) fn prefixes(&self) -> BTreeSet<String> {
        let state = self.lock();
        let providers = state.entries.values().filter_map(|it| it.store.spec.provider.aws.as_ref());
        let prefixes = providers.filter_map(|aws| aws.prefix.clone());
        prefixes.filter(|prefix| !prefix.is_empty()).collect()
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

impl State {
    /// Drops what was made of another state of `input` than this. A state that is known to be older than the one
    /// that something was made of is no news.
    fn drop_stale(&mut self, input: &Input, version: &InputVersion) -> Vec<StoreKey> {
        let Some(uses) = self.by_input.get_mut(input) else { return Vec::new() };
        let is_stale =
            |made_of: &InputVersion| made_of != version && !version.is_older_than(made_of);
        let mut stale: Vec<StoreKey> = Vec::new();
        for (store, _) in uses.extract_if(.., |_, made_of| is_stale(made_of)).map(|(user, _)| user)
        {
            if stale.last() != Some(&store) {
                stale.push(store);
            }
        }
        for key in &stale {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.reset();
            }
        }
        stale
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> StoreKey {
        StoreKey(ObjectKey::new("shop", name))
    }

    fn keys() -> Input {
        Input::Secret(ObjectKey::new("shop", "keys"))
    }

    fn version(of: &str) -> InputVersion {
        InputVersion::Secret("u".into(), of.into())
    }

    fn made(stores: &Stores, name: &str, of: &str) -> Vec<StoreKey> {
        stores.depends_on(&key(name), &User::Anybody, [(keys(), version(of))])
    }

    #[test]
    fn q8_a_store_that_was_made_of_older_keys_than_another_is_made_anew() {
        let stores = Stores::default();
        assert!(made(&stores, "a", "1").is_empty());
        // Read before the watch delivers the change.
        assert_eq!(made(&stores, "b", "2"), [key("a")]);
        assert!(made(&stores, "a", "2").is_empty());
        assert!(stores.input_seen(&keys(), &version("1")).is_empty(), "an event that comes late");
        assert!(stores.input_seen(&keys(), &version("2")).is_empty(), "known to both");
        assert_eq!(stores.input_seen(&keys(), &version("3")), [key("a"), key("b")]);
        assert!(made(&stores, "a", "3").is_empty());
        assert_eq!(stores.input_seen(&keys(), &InputVersion::Absent), [key("a")], "it is gone");
    }

    #[test]
    fn q8_of_one_store_too_every_connection_counts() {
        let stores = Stores::default();
        let user = |name: &str| User::Namespace(name.into());
        stores.depends_on(&key("a"), &user("one"), [(keys(), version("1"))]);
        let stale = stores.depends_on(&key("a"), &user("two"), [(keys(), version("2"))]);
        assert_eq!(stale, [key("a")]);
    }
}
