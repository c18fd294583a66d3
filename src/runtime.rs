//! What A subsystem of the operator runs in: handed to it once, at the start.

use std::{fmt::Debug, sync::Arc};

use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::{
    CacheSync, Change, events::Events, follow, follow_if_allowed, until, write::Writer,
};

use crate::config::Config;

use crate::telemetry::{Health, Metrics};

/// Everything a subsystem needs from outside.
pub struct Runtime<'a> {
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
pub enum Dependency {
    /// Every decision would be wrong without it.
    Required,
    /// Some objects depend on it. If it fails (a missing right), it holds up no others.
    Optional,
}

/// Starts watches that all feed one context, each in a task of its own.
pub struct Watches<'a, 'b, C> {
    runtime: &'a mut Runtime<'b>,
    context: Arc<C>,
    caches: CacheSync,
}

impl<'a, 'b, C: Send + Sync + 'static> Watches<'a, 'b, C> {
    /// None yet.
    pub fn new(runtime: &'a mut Runtime<'b>, context: &Arc<C>) -> Self {
        Self { runtime, context: Arc::clone(context), caches: CacheSync::default() }
    }

    /// The connection to make an [`Api`] of.
    pub fn client(&self) -> Client {
        self.runtime.watch.clone()
    }

    /// One more watch, shown on `/readyz` as `kind`.
    pub fn follow<K>(
        &mut self,
        kind: &'static str,
        dependency: Dependency,
        api: Api<K>,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let health = self.runtime.health.watch(kind);
        match dependency {
            Dependency::Required => self.caches.require(Arc::clone(&health)),
            Dependency::Optional => self.caches.prefer(Arc::clone(&health)),
        }
        let context = Arc::clone(&self.context);
        let events = follow(api, None, health, move |change| sink(&context, change));
        self.runtime.tasks.spawn(until(self.runtime.stop.clone(), events));
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
        self.runtime.tasks.spawn(until(self.runtime.stop.clone(), events));
    }

    /// What to wait for before anything is decided.
    pub fn caches(self) -> CacheSync {
        self.caches
    }
}
