//! The PushSecrets as they are known, what this process did with each, and who means which remote secret.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use jiff::Timestamp;
use kube::ResourceExt;

use super::index::StoreKey;
use super::plan::push::claims::Claim;
use super::plan::push::decide::Known;
use super::plan::push::pace::Pace;
use super::plan::push::{entries, report};
use super::template_inputs::TemplateInputs;
use super::turns::Turns;
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::ObjectKey;
use crate::meta::ResourceVersion;

/// Remote secrets of one store that are under way at once: AWS takes few writes in a second.
const AT_ONCE_PER_STORE: usize = 16;

type Places = BTreeSet<(StoreKey, Claim)>;

/// A remote secret of a store.
pub(crate) type Place = (StoreKey, String);

/// One PushSecret, as a reconcile sees it.
#[derive(Clone)]
pub(crate) struct TrackedPush {
    /// The object, without managedFields.
    pub(crate) object: Arc<PushSecret>,
    /// When this process last pushed it, or found all in order.
    pub(crate) refreshed: Option<Timestamp>,
}

struct Entry {
    tracked: TrackedPush,
    version: String,
    /// What it means, while it is not being deleted.
    places: Places,
    stores: BTreeSet<StoreKey>,
    /// Remote secrets as this process left them.
    known: HashMap<Place, Known>,
    /// What was pushed and is in no status yet.
    attempted: report::Synced,
    pace: Pace,
}

/// The registry. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Pushes {
    state: Mutex<State>,
    /// What they are made of: their Secrets, and what templates are read from.
    pub(crate) inputs: TemplateInputs,
    locks: Mutex<HashMap<Place, Weak<tokio::sync::Mutex<()>>>>,
    turns: Mutex<HashMap<StoreKey, Turns>>,
}

#[derive(Default)]
struct State {
    entries: HashMap<ObjectKey, Entry>,
    by_place: HashMap<Place, BTreeSet<ObjectKey>>,
    by_store: HashMap<StoreKey, BTreeSet<ObjectKey>>,
    /// Those whose provider did not answer.
    unanswered: HashSet<ObjectKey>,
}

/// The store that the status calls so.
pub(crate) fn store_key(store: &str, namespace: &str) -> Option<StoreKey> {
    match store.split_once('/')? {
        ("SecretStore", name) => Some(StoreKey(ObjectKey::new(namespace, name))),
        ("ClusterSecretStore", name) => Some(StoreKey(ObjectKey::new("", name))),
        _ => None,
    }
}

/// How the status calls a store.
pub(crate) fn store_name(store: &StoreKey) -> String {
    format!("{}/{}", store.kind(), store.0.name)
}

impl Pushes {
    /// Records an object from the watch. True if it asks for something else than before.
    pub(crate) fn applied(&self, mut object: PushSecret) -> bool {
        object.metadata.managed_fields = None;
        let key = ObjectKey::of(&object);
        let version = report::version(&object);
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(&key) {
            let known = &entry.tracked.object;
            let is_same_object = known.uid() == object.uid();
            if is_same_object && resource_version(&object).is_older_than(&resource_version(known)) {
                return false;
            }
            let is_same = is_same_object
                && entry.version == version
                && known.metadata.deletion_timestamp == object.metadata.deletion_timestamp
                && known.metadata.finalizers == object.metadata.finalizers;
            if is_same {
                entry.tracked.object = Arc::new(object);
                return false;
            }
        }
        let previous = state.remove(&key);
        let (places, stores) = (places(&object), stores(&object));
        state.claim(&key, &places);
        for store in &stores {
            state.by_store.entry(store.clone()).or_default().insert(key.clone());
        }
        let same = previous.filter(|entry| entry.tracked.object.uid() == object.uid());
        let (refreshed, mut known, attempted, pace) = same
            .map(|entry| (entry.tracked.refreshed, entry.known, entry.attempted, entry.pace))
            .unwrap_or_default();
        known.retain(|(store, remote), _| {
            places.iter().any(|(of, claim)| of == store && claim.remote_key == *remote)
        });
        let tracked = TrackedPush { object: Arc::new(object), refreshed };
        let entry = Entry { tracked, version, places, stores, known, attempted, pace };
        state.entries.insert(key, entry);
        true
    }

    /// Forgets an object.
    pub(crate) fn deleted(&self, key: &ObjectKey) {
        let mut state = self.lock();
        state.remove(key);
        state.unanswered.remove(key);
        drop(state);
        self.inputs.unused(key);
    }

    /// Those that are known and not in `present`.
    pub(crate) fn missing(&self, present: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let state = self.lock();
        state.entries.keys().filter(|key| !present.contains(*key)).cloned().collect()
    }

    /// What is known of an object.
    pub(crate) fn find(&self, key: &ObjectKey) -> Option<TrackedPush> {
        self.lock().entries.get(key).map(|entry| entry.tracked.clone())
    }

    /// The store by which an object is grouped.
    pub(crate) fn group(&self, key: &ObjectKey) -> StoreKey {
        let state = self.lock();
        let first = state.entries.get(key).and_then(|entry| entry.stores.first().cloned());
        first.unwrap_or_else(|| StoreKey::none(&key.namespace))
    }

    /// Those that push to a store.
    pub(crate) fn users_of_store(&self, store: &StoreKey) -> Vec<ObjectKey> {
        self.lock().by_store.get(store).into_iter().flatten().cloned().collect()
    }

    /// Those of a namespace.
    pub(crate) fn all_in(&self, namespace: &str) -> Vec<ObjectKey> {
        let state = self.lock();
        state.entries.keys().filter(|key| &*key.namespace == namespace).cloned().collect()
    }

    /// Those that mean a remote secret that this one means as well.
    pub(crate) fn rivals(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        let state = self.lock();
        let Some(entry) = state.entries.get(key) else { return Vec::new() };
        let places =
            entry.places.iter().map(|(store, claim)| (store.clone(), claim.remote_key.clone()));
        let users: BTreeSet<_> =
            places.filter_map(|place| state.by_place.get(&place)).flatten().collect();
        users.into_iter().filter(|user| *user != key).cloned().collect()
    }

    /// Records what an object means, now that all of it is known. Those who mean what it meant before.
    pub(crate) fn means(&self, key: &ObjectKey, groups: &[entries::Group]) -> Vec<ObjectKey> {
        self.means_these(key, places_of(groups, &key.namespace))
    }

    /// Records that an object has nothing to push: it means what it has pushed, and nothing else. Those who mean what it
    /// meant before.
    pub(crate) fn means_only(&self, key: &ObjectKey, pushed: &report::Synced) -> Vec<ObjectKey> {
        self.means_these(key, places_pushed(pushed, &key.namespace).collect())
    }

    fn means_these(&self, key: &ObjectKey, now: Places) -> Vec<ObjectKey> {
        let mut state = self.lock();
        let Some(entry) = state.entries.get(key) else { return Vec::new() };
        if entry.tracked.object.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        if entry.places == now {
            return Vec::new();
        }
        let before = entry.places.clone();
        state.disclaim(key, &before);
        state.claim(key, &now);
        let gone: BTreeSet<_> = before.difference(&now).cloned().collect();
        if let Some(entry) = state.entries.get_mut(key) {
            entry.places = now;
        }
        let places = gone.into_iter().map(|(store, claim)| (store, claim.remote_key));
        let users: BTreeSet<_> =
            places.filter_map(|place| state.by_place.get(&place)).flatten().collect();
        users.into_iter().filter(|user| *user != key).cloned().collect()
    }

    /// Everybody who means a place of a store, or a part of it. Whether they may push there is not asked.
    pub(crate) fn claimants(&self, store: &StoreKey, claim: &Claim) -> Vec<Arc<PushSecret>> {
        let state = self.lock();
        let users = state.by_place.get(&(store.clone(), claim.remote_key.clone()));
        let entries = users.into_iter().flatten().filter_map(|user| state.entries.get(user));
        let first = (store.clone(), Claim::at(&claim.remote_key, ""));
        let is_here =
            |(of, it): &&(StoreKey, Claim)| of == store && it.remote_key == claim.remote_key;
        let mean = entries.filter(|entry| {
            let mut here = entry.places.range(&first..).take_while(is_here);
            here.any(|(_, it)| it.overlaps(claim))
        });
        mean.map(|entry| entry.tracked.object.clone()).collect()
    }

    /// Whether this very object, as it is now, means a place and stays.
    pub(crate) fn still_means(&self, object: &PushSecret, store: &StoreKey, claim: &Claim) -> bool {
        self.lock().entry_of(object).is_some_and(|entry| {
            entry.tracked.object.metadata.deletion_timestamp.is_none()
                && entry.places.contains(&(store.clone(), claim.clone()))
        })
    }

    /// Takes one push of an object, or says when it may be pushed again.
    pub(crate) fn take(&self, key: &ObjectKey, now: Timestamp) -> Result<(), Timestamp> {
        let mut state = self.lock();
        state.entries.get_mut(key).map_or(Ok(()), |entry| entry.pace.take(now))
    }

    /// Whether an object has used up its pushes.
    pub(crate) fn is_spent(&self, key: &ObjectKey, now: Timestamp) -> bool {
        self.lock().entries.get(key).is_some_and(|entry| entry.pace.is_spent(now))
    }

    /// The turns at a store.
    pub(crate) fn turns(&self, store: &StoreKey) -> Turns {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(store.clone()).or_insert_with(|| Turns::new(AT_ONCE_PER_STORE)).clone()
    }

    /// Forgets a store.
    pub(crate) fn store_gone(&self, store: &StoreKey) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(store);
    }

    /// Records what is about to be pushed: the status says it only when all is done, and may not be written at all.
    pub(crate) fn attempted(&self, object: &PushSecret, store: &str, group: &entries::Group) {
        let mut state = self.lock();
        let Some(entry) = state.entry_of(object) else { return };
        let of_store = entry.attempted.entry(store.to_owned()).or_default();
        for pushed in &group.entries {
            let id = entries::id(&pushed.record.matches.remote_ref);
            of_store.insert(id, pushed.record.clone());
        }
    }

    /// What was pushed and is in no status yet.
    pub(crate) fn unreported(&self, key: &ObjectKey) -> report::Synced {
        let state = self.lock();
        state.entries.get(key).map(|entry| entry.attempted.clone()).unwrap_or_default()
    }

    /// The status has it all.
    pub(crate) fn reported(&self, object: &PushSecret) {
        if let Some(entry) = self.lock().entry_of(object) {
            entry.attempted.clear();
        }
    }

    /// Whoever reads and writes a remote secret holds this meanwhile.
    pub(crate) fn lock_of(&self, place: &Place) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(place).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(place.clone(), Arc::downgrade(&lock));
        lock
    }

    /// What this process knows of a remote secret that an object pushes.
    pub(crate) fn known(&self, key: &ObjectKey, place: &Place) -> Option<Known> {
        self.lock().entries.get(key)?.known.get(place).cloned()
    }

    /// Records a remote secret as it is in order, or that nothing is known of it.
    pub(crate) fn remember(&self, object: &PushSecret, place: &Place, known: Option<Known>) {
        let mut state = self.lock();
        let Some(entry) = state.entry_of(object) else { return };
        match known {
            Some(known) => entry.known.insert(place.clone(), known),
            None => entry.known.remove(place),
        };
    }

    /// Records when an object was found in order.
    pub(crate) fn refreshed(&self, object: &PushSecret, at: Timestamp) {
        if let Some(entry) = self.lock().entry_of(object) {
            entry.tracked.refreshed = Some(at);
        }
    }

    /// Records an object as our own write left it, so that its watch event is no news.
    pub(crate) fn own_write(&self, key: &ObjectKey, object: PushSecret) {
        if let Some(entry) = self.lock().entries.get_mut(key)
            && entry.tracked.object.uid() == object.uid()
            && !resource_version(&object).is_older_than(&resource_version(&entry.tracked.object))
        {
            entry.tracked.object = Arc::new(object);
        }
    }

    /// Notes whether the provider answered an object.
    pub(crate) fn answered(&self, key: &ObjectKey, answered: bool) {
        let mut state = self.lock();
        if answered {
            state.unanswered.remove(key);
        } else if state.entries.contains_key(key) {
            state.unanswered.insert(key.clone());
        }
    }

    /// Those whose provider did not answer.
    pub(crate) fn unanswered(&self) -> Vec<ObjectKey> {
        self.lock().unanswered.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known of this very object, and not of a later one of its name.
    fn entry_of(&mut self, object: &PushSecret) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&ObjectKey::of(object))?;
        (entry.tracked.object.metadata.uid == object.metadata.uid).then_some(entry)
    }

    fn claim(&mut self, key: &ObjectKey, places: &Places) {
        for (store, claim) in places {
            let place = (store.clone(), claim.remote_key.clone());
            self.by_place.entry(place).or_default().insert(key.clone());
        }
    }

    fn disclaim(&mut self, key: &ObjectKey, places: &Places) {
        for (store, claim) in places {
            let place = (store.clone(), claim.remote_key.clone());
            if let Some(users) = self.by_place.get_mut(&place) {
                users.remove(key);
                if users.is_empty() {
                    self.by_place.remove(&place);
                }
            }
        }
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.disclaim(key, &entry.places);
        for store in &entry.stores {
            if let Some(users) = self.by_store.get_mut(store) {
                users.remove(key);
                if users.is_empty() {
                    self.by_store.remove(store);
                }
            }
        }
        Some(entry)
    }
}

fn resource_version(object: &PushSecret) -> ResourceVersion {
    ResourceVersion::of(&object.metadata)
}

/// What an object means. One that cannot push, or is being deleted, means nothing. What `dataTo` comes to is known only
/// with the keys of the Secret: until it is read, it is what was pushed.
fn places(object: &PushSecret) -> Places {
    let spec = &object.spec;
    if object.metadata.deletion_timestamp.is_some()
        || entries::source(spec).is_err()
        || entries::interval(spec).is_err()
    {
        return BTreeSet::new();
    }
    let namespace = object.namespace().unwrap_or_default();
    let Ok(groups) = entries::groups(spec) else { return BTreeSet::new() };
    let mut places = places_of(&groups, &namespace);
    if !spec.data_to.is_empty() {
        let named: BTreeSet<_> = entries::stores(spec)
            .unwrap_or_default()
            .iter()
            .filter_map(|store| store_key(store, &namespace))
            .collect();
        let pushed = object.status.iter().map(|status| &status.synced_push_secrets);
        let pushed = pushed.flat_map(|pushed| places_pushed(pushed, &namespace));
        places.extend(pushed.filter(|(store, _)| named.contains(store)));
    }
    places
}

/// The places that a status lists.
fn places_pushed<'a>(
    pushed: &'a report::Synced,
    namespace: &'a str,
) -> impl Iterator<Item = (StoreKey, Claim)> + 'a {
    pushed
        .iter()
        .filter_map(|(store, entries)| Some((store_key(store, namespace)?, entries)))
        .flat_map(|(store, entries)| {
            let claims = entries.values().map(|data| Claim::of(&data.matches.remote_ref));
            claims.map(move |claim| (store.clone(), claim))
        })
}

fn places_of(groups: &[entries::Group], namespace: &str) -> Places {
    let of_group = |group: &entries::Group| {
        let store = store_key(&group.store, namespace);
        let claims = group.entries.iter().map(|entry| Claim::of(&entry.record.matches.remote_ref));
        claims.filter_map(move |claim| Some((store.clone()?, claim))).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of_group).collect()
}

/// The stores that an object has to do with: those that it names, and those that it has pushed to.
fn stores(object: &PushSecret) -> BTreeSet<StoreKey> {
    let namespace = object.namespace().unwrap_or_default();
    let pushed = object.status.iter().flat_map(|status| status.synced_push_secrets.keys());
    let named = entries::stores(&object.spec).unwrap_or_default();
    let all = named.iter().chain(pushed);
    all.filter_map(|store| store_key(store, &namespace)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(data: &str, generation: i64) -> PushSecret {
        let data = json!([{"match": {"secretKey": "k", "remoteRef": {"remoteKey": data}}}]);
        serde_json::from_value(json!({
            "apiVersion": "external-secrets.io/v1alpha1", "kind": "PushSecret",
            "metadata": {"name": "p", "namespace": "shop", "uid": "u", "generation": generation,
                "resourceVersion": generation.to_string()},
            "spec": {"secretStoreRefs": [{"name": "aws"}], "data": data,
                "selector": {"secret": {"name": "source"}}},
        }))
        .unwrap()
    }

    #[test]
    fn what_was_pushed_is_remembered_until_a_status_says_it() {
        let (pushes, first) = (Pushes::default(), object("a", 1));
        let key = ObjectKey::of(&first);
        pushes.applied(first.clone());
        let group = entries::groups(&first.spec).unwrap().remove(0);
        pushes.attempted(&first, &group.store, &group);
        pushes.applied(object("b", 2));
        let left = pushes.unreported(&key);
        assert!(left["SecretStore/aws"].contains_key("a"), "an edit does not make it forget");
        pushes.reported(&first);
        assert!(pushes.unreported(&key).is_empty());
        pushes.attempted(&first, &group.store, &group);
        let mut namesake = object("b", 3);
        namesake.metadata.uid = Some("another".to_owned());
        pushes.applied(namesake);
        assert!(pushes.unreported(&key).is_empty(), "another object of that name");
    }

    #[test]
    fn an_edit_gives_nobody_more_pushes() {
        let pushes = Pushes::default();
        let (key, now) = (ObjectKey::new("shop", "p"), Timestamp::UNIX_EPOCH);
        let taken = (1..100).filter(|generation| {
            pushes.applied(object("a", *generation));
            pushes.take(&key, now).is_ok()
        });
        assert_eq!(taken.count(), 10);
    }
}
