//! What a subsystem of the operator runs in: handed to it once, at the start.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{
        CacheSync, Change, Refusal, Selected, Server, Undecodable, WatchHealth,
        events::{Event, EventType, Events},
        follow, undecodable, until,
        write::Writer,
    },
    config::Config,
    telemetry::{Health, Metrics},
};

/// Field manager of a status that says that its object cannot be decoded.
const STATUS_MANAGER: &str = "external-secrets";

/// Everything a subsystem needs from outside.
pub(crate) struct Runtime<'a> {
    pub(crate) config: &'a Config,
    /// The connection for watches.
    pub(crate) watch: Client,
    /// Where the API server is.
    pub(crate) server: Server,
    pub(crate) writer: Writer,
    pub(crate) events: Events,
    pub(crate) health: &'a Health,
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
        K: Resource<DynamicType = ()> + DeserializeOwned + 'static,
    {
        let health = self.shown(kind, dependency);
        self.start((api, Selected::default()), health, Refusal::Fails, sink, |_, _| {});
    }

    /// One more of some of the objects of a kind.
    pub(crate) fn follow_selected<K>(
        &mut self,
        kind: &'static str,
        dependency: Dependency,
        api: Api<K>,
        selected: Selected,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned + 'static,
    {
        let health = self.shown(kind, dependency);
        self.start((api, selected), health, Refusal::Fails, sink, |_, _| {});
    }

    /// The health of a watch, which `/readyz` shows as `kind`.
    fn shown(&mut self, kind: &'static str, dependency: Dependency) -> Arc<WatchHealth> {
        let health = self.runtime.health.watch(kind);
        match dependency {
            Dependency::Required => self.caches.require(Arc::clone(&health)),
            Dependency::Optional => self.caches.prefer(Arc::clone(&health)),
        }
        health
    }

    /// One more whose objects have conditions. `undecodable` is told of each object that cannot be decoded; if it says
    /// so, the status of that object tells it.
    pub(crate) fn follow_and_tell<K>(
        &mut self,
        kind: &'static str,
        dependency: Dependency,
        api: Api<K>,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
        undecodable: impl Fn(&C, &Undecodable) -> bool + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned + 'static,
    {
        let health = self.shown(kind, dependency);
        let (statuses, write) =
            undecodable::statuses::<K>(self.runtime.writer.clone(), STATUS_MANAGER);
        self.runtime.tasks.spawn(until(self.runtime.stop.clone(), write));
        self.start(
            (api, Selected::default()),
            health,
            Refusal::Fails,
            sink,
            move |context: &C, object| {
                if undecodable(context, object) {
                    // If too many wait, the event has to do.
                    let _ = statuses.try_send(object.clone());
                }
            },
        );
    }

    /// One more whose kind need not be installed: without it there are no objects. A right that is missing is shown on
    /// `/readyz`, like that of any other watch, and holds up nothing.
    pub(crate) fn follow_if_served<K>(
        &mut self,
        kind: &'static str,
        api: Api<K>,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned + 'static,
    {
        let health = self.shown(kind, Dependency::Optional);
        self.start((api, Selected::default()), health, Refusal::AbsenceIsNormal, sink, |_, _| {});
    }

    /// One more for what only some clusters have, and only some installations may see.
    pub(crate) fn follow_if_allowed<K>(
        &mut self,
        kind: &'static str,
        api: Api<K>,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned + 'static,
    {
        let health = WatchHealth::new(kind, self.runtime.health.patience());
        self.start((api, Selected::default()), health, Refusal::IsNormal, sink, |_, _| {});
    }

    fn start<K>(
        &mut self,
        (api, selected): (Api<K>, Selected),
        health: Arc<WatchHealth>,
        refusal: Refusal,
        sink: impl Fn(&C, Change<K>) + Send + 'static,
        undecodable: impl Fn(&C, &Undecodable) + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned + 'static,
    {
        let context = Arc::clone(&self.context);
        let (events, told) = (self.runtime.events.clone(), Arc::clone(&self.context));
        let report = move |object: Undecodable| {
            undecodable(&told, &object);
            events.record(warning::<K>(&object));
        };
        let work =
            follow((api, selected), health, refusal, report, move |change| sink(&context, change));
        self.runtime.tasks.spawn(until(self.runtime.stop.clone(), work));
    }

    /// What to wait for before anything is decided.
    pub(crate) fn caches(self) -> CacheSync {
        self.caches
    }
}

/// Tells the owner of an object that it cannot be decoded.
fn warning<K: Resource<DynamicType = ()>>(object: &Undecodable) -> Event {
    let identity = &object.identity;
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Event {
        regarding: ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: text(&identity.key.name),
            namespace: text(&identity.key.namespace),
            uid: text(&identity.uid),
            resource_version: text(&identity.resource_version),
            ..ObjectReference::default()
        },
        reason: undecodable::REASON,
        message: object.says(),
        event_type: EventType::Warning,
    }
}
