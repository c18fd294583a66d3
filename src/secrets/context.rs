//! What the controllers of the secrets subsystem share.

use std::sync::Arc;

use gotemplate::Cache;
use k8s_openapi::api::core::v1::ObjectReference;

use super::index::{self, Index, StoreKey};
use super::outage::Outages;
use super::stores::Stores;
use super::template_inputs::TemplateInputs;
use crate::cluster::{
    ObjectKey,
    events::{Event, EventType, Events},
    queue::{Lane, Queue},
    write::Writer,
};
use crate::config::SecretsConfig;
use crate::provider::fetcher::Fetcher;
use crate::telemetry::Metrics;

/// What the controllers share.
pub(crate) struct Context {
    pub(crate) config: SecretsConfig,
    pub(crate) writer: Writer,
    pub(crate) fetcher: Fetcher,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) index: Index,
    pub(crate) stores: Stores,
    pub(crate) template_inputs: TemplateInputs,
    pub(crate) templates: Cache,
    pub(crate) outages: Outages,
    pub(crate) externals: Queue<ObjectKey, StoreKey>,
    pub(crate) validations: Queue<StoreKey, StoreKey>,
}

impl Context {
    /// Looks at an ExternalSecret again, in the group of its first store.
    pub(crate) fn wake(&self, key: &ObjectKey, lane: Lane) {
        self.externals.wake(key, &self.group(key), lane);
    }

    fn group(&self, key: &ObjectKey) -> StoreKey {
        let first = self.index.external(key).and_then(|tracked| {
            index::stores_of(&tracked.object.spec, &key.namespace).into_iter().next()
        });
        first.unwrap_or_else(StoreKey::none)
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
