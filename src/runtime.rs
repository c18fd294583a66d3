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
pub(crate) struct Runtime<'a> {
    /// The configuration.
    pub(crate) config: &'a Config,
    /// The connection for watches.
    pub(crate) watch: Client,
    /// The writing side.
    pub(crate) writer: Writer,
    /// Where notices go.
    pub(crate) events: Events,
    /// Where watches and queues report.
    pub(crate) health: &'a Health,
    /// What is counted.
    pub(crate) metrics: &'a Arc<Metrics>,
    /// Ends everything.
    pub(crate) stop: &'a CancellationToken,
    /// Where tasks are started.
    pub(crate) tasks: &'a mut JoinSet<()>,
}

/// Whether decisions can be made without a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependency {
    /// Every decision would be wrong without it.
    Required,
    /// Some objects depend on it. If it fails (a missing right), it holds up no others.
    Optional,
}

/// Starts watches that all feed one context, each in a task of its own.
pub(crate) struct Watches<'a, 'b, C> {
    runtime: &'a mut Runtime<'b>,
    context: Arc<C>,
    caches: CacheSync,
}

impl<'a, 'b, C: Send + Sync + 'static> Watches<'a, 'b, C> {
    /// None yet.
    pub(crate) fn new(runtime: &'a mut Runtime<'b>, context: &Arc<C>) -> Self {
        Self { runtime, context: Arc::clone(context), caches: CacheSync::default() }
    }

    /// The connection to make an [`Api`] of.
    pub(crate) fn client(&self) -> Client {
        self.runtime.watch.clone()
    }

    /// One more watch, shown on `/readyz` as `kind`.
    pub(crate) fn follow<K>(
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
    pub(crate) fn follow_if_allowed<K>(
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
    pub(crate) fn caches(self) -> CacheSync {
        self.caches
    }
}
