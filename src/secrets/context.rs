//! What the controllers of the secrets subsystem share.

use std::{sync::Arc, time::Instant};

use gotemplate::Cache;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;

use super::cluster_objects::ClusterObjects;
use super::error::Error;
use super::events::{queues::EventQueues, wakes::Wakes};
use super::index::{Index, StoreKey};
use super::outage::Outages;
use super::plan::due::Restart;
use super::pushes::Pushes;
use super::rollout::known::Rollouts;
use super::rotations::{self, Rotations};
use super::stores::Stores;
use super::template_inputs::TemplateInputs;
use super::turns::Turns;
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::cluster::{
    ObjectKey, Server,
    events::{Event, EventType, Events},
    queue::{Lane, Queue},
    write::Writer,
};
use crate::config::SecretsConfig;
use crate::provider::fetcher::Fetcher;
use crate::telemetry::Metrics;

/// What the controllers share.
pub(crate) struct Context {
    pub(crate) started: Timestamp,
    pub(crate) config: SecretsConfig,
    pub(crate) writer: Writer,
    /// Where the API server is.
    pub(crate) server: Server,
    pub(crate) fetcher: Fetcher,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) index: Index,
    pub(crate) stores: Stores,
    pub(crate) template_inputs: TemplateInputs,
    pub(crate) templates: Cache,
    /// Turns at rendering.
    pub(crate) rendering: Turns,
    /// Turns at asking webhooks: each answer is in memory as a whole.
    pub(crate) webhooks: Turns,
    pub(crate) outages: Outages,
    pub(crate) cluster_externals: ClusterObjects<ClusterExternalSecret>,
    pub(crate) cluster_pushes: ClusterObjects<ClusterPushSecret>,
    pub(crate) pushes: Pushes,
    pub(crate) rollouts: Rollouts,
    /// ExternalSecrets whose workloads roll, in groups by namespace.
    pub(crate) rolling: Queue<ObjectKey, Arc<str>>,
    /// Whom events woke.
    pub(crate) wakes: Wakes,
    /// The queues that stores name.
    pub(crate) event_queues: EventQueues,
    pub(crate) externals: Queue<ObjectKey, StoreKey>,
    pub(crate) validations: Queue<StoreKey, StoreKey>,
    /// Namespaces of ClusterExternalSecrets, in groups by the name of the object; without a namespace, its status.
    pub(crate) clusters: Queue<ObjectKey, Arc<str>>,
    /// The same of ClusterPushSecrets.
    pub(crate) cluster_pushing: Queue<ObjectKey, Arc<str>>,
    /// PushSecrets, in groups by their first store and their namespace.
    pub(crate) pushing: Queue<ObjectKey, (StoreKey, Arc<str>)>,
    pub(crate) rotations: Rotations,
    /// SecretRotations, in groups by store.
    pub(crate) rotating: Queue<ObjectKey, StoreKey>,
}

impl Context {
    /// What this process cannot know of the time before it.
    pub(crate) fn restart(&self) -> Restart {
        let heartbeat = self.config.heartbeat;
        Restart {
            at: self.started,
            heartbeat: SignedDuration::try_from(heartbeat).unwrap_or(SignedDuration::MAX),
        }
    }

    /// The provider refused the keys of a store: they are read again.
    pub(crate) fn doubt(&self, store: &StoreKey) {
        if self.stores.doubt(store, Instant::now()) {
            self.validations.wake(store, store, Lane::Urgent);
        }
    }

    /// Queues a PushSecret.
    pub(crate) fn wake_push(&self, key: &ObjectKey, lane: Lane) {
        if self.pushes.find(key).is_some() {
            let group = (self.pushes.group(key), Arc::clone(&key.namespace));
            self.pushing.wake(key, &group, lane);
        }
    }

    /// Queues a SecretRotation, in the group of its store.
    pub(crate) fn wake_rotation(&self, key: &ObjectKey, lane: Lane) {
        if let Some(object) = self.rotations.find(key) {
            let none = || StoreKey::none(&key.namespace);
            let group = rotations::store_of(&object).unwrap_or_else(none);
            self.rotating.wake(key, &group, lane);
        }
    }

    /// Queues an ExternalSecret for a moment to come.
    pub(crate) fn wake_at(&self, key: &ObjectKey, at: Instant) {
        let Some(group) = self.index.group(key) else { return };
        self.externals.schedule(key, &group, at, at);
    }

    /// Queues an ExternalSecret, in the group of its first store.
    pub(crate) fn wake(&self, key: &ObjectKey, lane: Lane) {
        // One that is gone must not come back because somebody still had its key.
        let Some(group) = self.index.group(key) else { return };
        self.externals.wake(key, &group, lane);
    }

    /// Looks at the workloads that use the Secret of an ExternalSecret.
    pub(crate) fn wake_rollout(&self, key: &ObjectKey) {
        if self.config.rollouts && self.rollouts.knows(key) {
            self.rolling.wake(key, &key.namespace, Lane::Urgent);
        }
    }

    /// Why nothing is known of a store.
    pub(crate) fn unknown(&self, store: &StoreKey) -> Error {
        match self.stores.why_undecodable(store) {
            Some(problem) => Error::StoreNotReady {
                store: store.clone(),
                cause: format!("it cannot be decoded: {problem}"),
            },
            None => Error::StoreMissing(store.clone()),
        }
    }

    pub(crate) fn record(
        &self,
        regarding: ObjectReference,
        reason: &'static str,
        message: String,
        event_type: EventType,
    ) {
        self.events.record(Event { regarding, reason, message, event_type });
    }
}
