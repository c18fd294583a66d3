//! An ExternalSecret as the index keeps it: as compact JSON.
//!
//! All of them are in memory at once, and each is looked at rarely. A decoded one takes four times as much: its maps,
//! its lists and the room for every optional field.

use std::{collections::BTreeSet, sync::Arc};

use super::{Memory, StoreKey, Tracked, stores_of, target_key};
use crate::api::external_secrets::external_secret::{CreationPolicy, ExternalSecret};
use crate::cluster::ObjectKey;
use crate::meta::{ResourceVersion, Uid};
use crate::secrets::plan::events::asks::Asks;
use crate::secrets::plan::{collect, due};

/// What is kept of an ExternalSecret.
#[derive(Clone)]
pub(super) struct Packed {
    object: Form,
    uid: Uid,
    resource_version: ResourceVersion,
    /// `<generation>-<hash of labels and annotations>` of the object as it was received.
    version: Arc<str>,
    /// The first store that it names, or what stands for none.
    group: StoreKey,
    /// The Secret that it writes.
    target: ObjectKey,
    /// It has written its Secret, and writes all of it.
    holds: bool,
    pub(super) memory: Memory,
}

#[derive(Clone)]
enum Form {
    Text(Arc<[u8]>),
    /// What cannot be written as text and read back is kept as it is.
    Decoded(Arc<ExternalSecret>),
}

impl Packed {
    /// Packs an object whose version was `version` when it was received.
    pub(super) fn new(
        key: &ObjectKey,
        mut object: ExternalSecret,
        version: Arc<str>,
        memory: Memory,
    ) -> Self {
        object.metadata.managed_fields = None;
        let group = stores_of(&object.spec, &key.namespace).into_iter().next();
        Self {
            uid: Uid::of(&object.metadata),
            resource_version: ResourceVersion::of(&object.metadata),
            version,
            group: group.unwrap_or_else(|| StoreKey::none(&key.namespace)),
            target: target_key(key, &object.spec),
            holds: holds(&object),
            memory,
            object: Form::of(object),
        }
    }

    /// The same object, of which this process knows the same, as it is now.
    pub(super) fn with(&self, key: &ObjectKey, object: ExternalSecret) -> Self {
        Self::new(key, object, Arc::clone(&self.version), self.memory.clone())
    }

    /// The object and what is known of it.
    pub(super) fn tracked(&self) -> Option<Tracked> {
        let object = self.object.decoded()?;
        Some(Tracked { object, version: Arc::clone(&self.version), memory: self.memory.clone() })
    }

    #[cfg(test)]
    pub(super) fn is_text(&self) -> bool {
        matches!(self.object, Form::Text(_))
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    pub(super) fn group(&self) -> &StoreKey {
        &self.group
    }

    pub(super) fn target(&self) -> &ObjectKey {
        &self.target
    }

    /// Whether it has written its Secret, and writes all of it.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Every store that it names.
    pub(super) fn stores(&self, key: &ObjectKey) -> BTreeSet<StoreKey> {
        let object = self.object.decoded();
        object.map(|object| stores_of(&object.spec, &key.namespace)).unwrap_or_default()
    }

    /// Notes what it asks for. One that is wrong asks for nothing, nor does one that is being deleted.
    pub(super) fn ask(&self, key: &ObjectKey, asks: &mut Asks) {
        let object = self.object.decoded();
        let object = object.filter(|object| object.metadata.deletion_timestamp.is_none());
        let lookups = object.as_ref().and_then(|object| collect::lookups(&object.spec).ok());
        match (object, lookups) {
            (Some(object), Some(lookups)) => {
                asks.put(key, lookups, due::heeds_events(&object).unwrap_or_default());
            }
            _ => asks.remove(key),
        }
    }

    /// False if `new` is this state, or an earlier one, as when a watch lags behind our own write.
    pub(super) fn is_older_than(&self, new: &ExternalSecret) -> bool {
        let version = ResourceVersion::of(&new.metadata);
        !self.uid.is_of(&new.metadata)
            || version != self.resource_version && !version.is_older_than(&self.resource_version)
    }

    /// True if `new` is an earlier state of the same object.
    pub(super) fn is_newer_than(&self, new: &ExternalSecret) -> bool {
        self.uid.is_of(&new.metadata)
            && ResourceVersion::of(&new.metadata).is_older_than(&self.resource_version)
    }

    /// True if nothing has changed in `new`, received with this version, that somebody wants.
    pub(super) fn has_intent_of(&self, new: &ExternalSecret, version: &str) -> bool {
        self.uid.is_of(&new.metadata)
            && *self.version == *version
            && self.object.decoded().is_some_and(|known| {
                new.metadata.deletion_timestamp == known.metadata.deletion_timestamp
                    && new.metadata.finalizers == known.metadata.finalizers
            })
    }
}

impl Form {
    fn of(object: ExternalSecret) -> Self {
        let text = serde_json::to_vec(&object).ok();
        let faithful = text.filter(|text| decode(text).is_some_and(|read| read == object));
        faithful.map_or_else(|| Self::Decoded(Arc::new(object)), |text| Self::Text(text.into()))
    }

    /// The object. Never absent: `of` has read the text once.
    fn decoded(&self) -> Option<Arc<ExternalSecret>> {
        match self {
            Self::Text(text) => decode(text).map(Arc::new),
            Self::Decoded(object) => Some(Arc::clone(object)),
        }
    }
}

fn decode(text: &[u8]) -> Option<ExternalSecret> {
    serde_json::from_slice(text).ok()
}

fn holds(object: &ExternalSecret) -> bool {
    let status = object.status.as_ref();
    let bound = status.and_then(|status| status.binding.as_ref()).map(|binding| &binding.name);
    let name = object.spec.target.name.as_ref().filter(|name| !name.is_empty());
    matches!(object.spec.target.creation_policy, CreationPolicy::Owner | CreationPolicy::Orphan)
        && object.metadata.deletion_timestamp.is_none()
        && bound.is_some()
        && bound == name.or(object.metadata.name.as_ref())
}
