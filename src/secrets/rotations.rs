//! The SecretRotations as they are known.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::ResourceExt as _;

use super::index::StoreKey;
use super::plan::hash;
use crate::api::gabion::secret_rotation::SecretRotation;
use crate::cluster::ObjectKey;
use crate::meta::ResourceVersion;

struct Entry {
    object: Arc<SecretRotation>,
    version: String,
    /// The version that this process brought into force, and found there.
    promoted: Option<String>,
}

/// The registry. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Rotations(Mutex<HashMap<ObjectKey, Entry>>);

/// The store that an object names.
pub(crate) fn store_of(object: &SecretRotation) -> Option<StoreKey> {
    StoreKey::of(&object.spec.store_ref, &object.namespace().unwrap_or_default())
}

fn version(object: &SecretRotation) -> String {
    hash::object_version(
        object.metadata.generation.unwrap_or_default(),
        Some(object.labels()),
        Some(object.annotations()),
    )
}

fn resource_version(object: &SecretRotation) -> ResourceVersion {
    ResourceVersion::of(&object.metadata)
}

impl Rotations {
    /// Records an object from the watch. True if it asks for something else than before.
    pub(crate) fn applied(&self, mut object: SecretRotation) -> bool {
        object.metadata.managed_fields = None;
        let (key, version) = (ObjectKey::of(&object), version(&object));
        let mut state = self.lock();
        let known = state.get(&key).filter(|known| known.object.uid() == object.uid());
        let is_same = known.is_some_and(|known| {
            known.version == version
                && known.object.metadata.deletion_timestamp == object.metadata.deletion_timestamp
        });
        if known.is_some_and(|known| {
            resource_version(&object).is_older_than(&resource_version(&known.object))
        }) {
            return false;
        }
        let promoted = known.and_then(|known| known.promoted.clone());
        state.insert(key, Entry { object: Arc::new(object), version, promoted });
        !is_same
    }

    /// Forgets an object.
    pub(crate) fn deleted(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// Those that are known and not in `present`.
    pub(crate) fn missing(&self, present: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        self.lock().keys().filter(|key| !present.contains(*key)).cloned().collect()
    }

    /// What is known of an object.
    pub(crate) fn find(&self, key: &ObjectKey) -> Option<Arc<SecretRotation>> {
        self.lock().get(key).map(|entry| Arc::clone(&entry.object))
    }

    /// Those that use a store.
    pub(crate) fn users_of_store(&self, store: &StoreKey) -> Vec<ObjectKey> {
        let state = self.lock();
        let uses = |entry: &Entry| store_of(&entry.object).as_ref() == Some(store);
        state.iter().filter(|(_, entry)| uses(entry)).map(|(key, _)| key.clone()).collect()
    }

    /// Older objects that mean the same secret of the same store. Whether they may rotate it is not asked.
    pub(crate) fn older(&self, object: &SecretRotation) -> Vec<ObjectKey> {
        let age = |of: &SecretRotation| (of.creation_timestamp(), of.uid());
        let state = self.lock();
        let others = state.iter().filter(|(_, other)| {
            let other = &other.object;
            other.spec.remote_ref == object.spec.remote_ref
                && store_of(other) == store_of(object)
                && other.metadata.deletion_timestamp.is_none()
                && other.uid() != object.uid()
                && age(other) < age(object)
        });
        others.map(|(key, _)| key.clone()).collect()
    }

    /// Records an object as our own write left it, so that its watch event is no news.
    pub(crate) fn own_write(&self, key: &ObjectKey, object: &SecretRotation) {
        if let Some(entry) = self.lock().get_mut(key)
            && entry.object.uid() == object.uid()
            && !resource_version(object).is_older_than(&resource_version(&entry.object))
        {
            entry.object = Arc::new(object.clone());
        }
    }

    /// Records that this process found a version of an object in force.
    pub(crate) fn promoted(&self, key: &ObjectKey, token: &str) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.promoted = Some(token.to_owned());
        }
    }

    /// Whether this process found a version of an object in force.
    pub(crate) fn is_promoted(&self, key: &ObjectKey, token: &str) -> bool {
        self.lock().get(key).is_some_and(|entry| entry.promoted.as_deref() == Some(token))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
