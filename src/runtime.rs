//! What a half of the operator runs in: handed to it once, at the start.

use std::{fmt::Debug, sync::Arc};

use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::{
    Change, Listed, events::Events, follow, follow_if_allowed, until, write::Writer,
};

use crate::config::Config;

use crate::telemetry::{Health, Metrics};

/// Everything a half needs from outside.
pub struct Surroundings<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The connection for watches.
    pub watch: Client,
    /// The writing side.
    pub writer: Writer,
    /// Where notices go.
    pub events: Events,
    /// Where watches and queues report.
    pub health: &'a Health,
    /// What is counted.
    pub metrics: &'a Arc<Metrics>,
    /// Ends everything.
    pub stop: &'a CancellationToken,
    /// Where tasks are started.
    pub tasks: &'a mut JoinSet<()>,
}

/// Whether decisions can be made without a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Every decision would be wrong without it.
    Vital,
    /// Some objects depend on it. If it fails (a missing right), it holds up no others.
    Useful,
}

/// Starts watches that all feed one context, each in a task of its own.
pub struct Watches<'a, 'b, C> {
    around: &'a mut Surroundings<'b>,
    context: Arc<C>,
    listed: Listed,
}

impl<'a, 'b, C: Send + Sync + 'static> Watches<'a, 'b, C> {
    /// None yet.
    pub fn new(around: &'a mut Surroundings<'b>, context: &Arc<C>) -> Self {
        Self { around, context: Arc::clone(context), listed: Listed::default() }
    }

    /// The connection to make an [`Api`] of.
    pub fn client(&self) -> Client {
        self.around.watch.clone()
    }

    /// One more watch, shown on `/readyz` as `kind`.
    pub fn follow<K>(
        &mut self,
        kind: &'static str,
        weight: Weight,
        api: Api<K>,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let health = self.around.health.watch(kind);
        match weight {
            Weight::Vital => self.listed.needs(Arc::clone(&health)),
            Weight::Useful => self.listed.uses(Arc::clone(&health)),
        }
        let context = Arc::clone(&self.context);
        let events = follow(api, None, health, move |change| sink(&context, change));
        self.around.tasks.spawn(until(self.around.stop.clone(), events));
    }

    /// One more for what only some clusters have, and only some installations may see.
    pub fn follow_if_allowed<K>(
        &mut self,
        kind: &'static str,
        api: Api<K>,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let context = Arc::clone(&self.context);
        let events = follow_if_allowed(api, kind, move |change| sink(&context, change));
        self.around.tasks.spawn(until(self.around.stop.clone(), events));
    }

    /// What to wait for before anything is decided.
    pub fn listed(self) -> Listed {
        self.listed
    }
}
