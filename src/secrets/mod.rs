//! The secrets subsystem: controllers, and the pure decisions in [`plan`].

mod auth;
mod cleanup;
mod cluster_object;
mod cluster_objects;
mod context;
mod converge;
mod digest;
pub(crate) mod environment;
mod error;
mod events;
mod external_secret;
mod fetch;
mod find;
mod generate;
mod index;
mod observe;
mod outage;
pub mod plan;
mod push;
mod pushes;
mod reconciler;
mod render;
mod rollout;
mod rotate;
mod rotations;
mod secret_store;
mod store;
mod stores;
mod target;
mod template_inputs;
mod token;
mod turns;
mod watches;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time;
use tokio_util::sync::CancellationToken;

use cluster_objects::ClusterObjects;
use context::Context;
use events::{queues::EventQueues, wakes::Wakes};
use index::Index;
use outage::Outages;
use pushes::Pushes;
use rollout::known::Rollouts;
use rotations::Rotations;
use stores::Stores;
use template_inputs::TemplateInputs;
use turns::Turns;

use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::cluster::{
    CacheSync,
    queue::{Bounds, Lane, Queue},
};

use crate::provider::aws::Platform;
use crate::provider::fetcher::Fetcher;
use crate::provider::fetcher::FetcherSettings;

use crate::runtime::Runtime;

use crate::telemetry::ProviderCalls;

use gotemplate::Cache;

/// Calls of webhooks that are under way at once.
const WEBHOOKS_AT_ONCE: usize = 32;
/// SecretRotations between their first look and their promotion, in all and of one store.
const ROTATIONS: Bounds = Bounds { max_concurrent: 4, per_group: 2, in_all: 4, periodic: 3 };
/// ExternalSecrets of one store under way at once.
const PER_STORE: usize = 64;
/// PushSecrets under way at once: each holds the data of its Secret meanwhile. A part of the places is for edits alone.
const PUSHES: Bounds = Bounds { max_concurrent: 256, per_group: 8, in_all: 256, periodic: 192 };
/// ExternalSecrets whose workloads are looked at at once.
const ROLLOUTS: Bounds = Bounds { max_concurrent: 16, per_group: 4, in_all: 64, periodic: 64 };
/// ExternalSecrets under way at once in all, those included that wait for a silent provider.
const IN_ALL: usize = 4096;
/// Bytes of parsed templates that are kept.
const TEMPLATES: usize = 4 << 20;
/// PushSecrets that wait longer for the lists are worth a word.
const PUSHES_WAIT: Duration = Duration::from_secs(10);
/// How often clients of stores that are gone are dropped.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// Starts the watches and controllers.
pub(crate) fn start(runtime: &mut Runtime<'_>) {
    let context = context(runtime);
    show_queues(&context, runtime);
    let caches = watches::start(&context, runtime);
    let (tasks, stop) = (&mut *runtime.tasks, runtime.stop);
    tasks.spawn(validate(Arc::clone(&context), stop.clone()));
    tasks.spawn(events::read_queues(Arc::clone(&context), caches.clone(), stop.clone()));
    tasks.spawn(synchronise(Arc::clone(&context), caches, stop.clone()));
    tasks.spawn(recover(Arc::clone(&context), stop.clone()));
    tasks.spawn(tidy(context, stop.clone()));
}

/// Figures and health of the queues.
fn show_queues(context: &Context, runtime: &Runtime<'_>) {
    let (metrics, limits) = (runtime.metrics, runtime.health.patience().limits());
    let queue = context.externals.clone();
    metrics.queue(queue.name(), move || queue.stats());
    let queue = context.pushing.clone();
    metrics.queue(queue.name(), move || queue.stats());
    if context.config.rotations {
        let queue = context.rotating.clone();
        metrics.queue(queue.name(), move || queue.stats());
        let queue = context.rotating.clone();
        runtime.health.live_unless(move || queue.unhealthy_reason(limits));
    }
    let queue = context.validations.clone();
    metrics.queue(queue.name(), move || queue.stats());
    for queue in [context.clusters.clone(), context.cluster_pushing.clone()] {
        metrics.queue(queue.name(), move || queue.stats());
    }
    if context.config.rollouts {
        let queue = context.rolling.clone();
        metrics.queue(queue.name(), move || queue.stats());
    }
    let calls = ProviderCalls(Arc::clone(context.fetcher.metrics()));
    metrics.register(|registry| registry.register_collector(Box::new(calls)));
    let queue = context.externals.clone();
    runtime.health.live_unless(move || queue.unhealthy_reason(limits));
    let queue = context.pushing.clone();
    runtime.health.live_unless(move || queue.unhealthy_reason(limits));
    let queue = context.rolling.clone();
    runtime.health.live_unless(move || queue.unhealthy_reason(limits));
    let queue = context.validations.clone();
    runtime.health.live_unless(move || queue.unhealthy_reason(limits));
    for queue in [context.clusters.clone(), context.cluster_pushing.clone()] {
        runtime.health.live_unless(move || queue.unhealthy_reason(limits));
    }
}

/// What all controllers share.
fn context(runtime: &Runtime<'_>) -> Arc<Context> {
    let max_concurrent = runtime.config.concurrency;
    let bounds = Bounds { max_concurrent, per_group: PER_STORE, in_all: IN_ALL, periodic: IN_ALL };
    let mut config = runtime.config.secrets.clone();
    // Cluster-scoped objects cannot be watched with rights in one namespace.
    config.cluster_stores &= runtime.config.namespace.is_none();
    config.cluster_external_secrets &= runtime.config.namespace.is_none();
    config.cluster_push_secrets &= runtime.config.namespace.is_none() && config.push_secrets;
    Arc::new(Context {
        started: jiff::Timestamp::now(),
        fetcher: Fetcher::new(FetcherSettings::default(), Platform::new(config.aws.clone())),
        config,
        writer: runtime.writer.clone(),
        server: runtime.server.clone(),
        events: runtime.events.clone().routine(runtime.config.secrets.routine_events),
        metrics: Arc::clone(runtime.metrics),
        index: Index::default(),
        stores: Stores::default(),
        template_inputs: TemplateInputs::default(),
        templates: Cache::new(TEMPLATES),
        rendering: Turns::new(turns::cores()),
        webhooks: Turns::new(WEBHOOKS_AT_ONCE),
        outages: Outages::default(),
        cluster_externals: ClusterObjects::default(),
        cluster_pushes: ClusterObjects::default(),
        pushes: Pushes::default(),
        wakes: Wakes::default(),
        event_queues: EventQueues::default(),
        externals: Queue::new("externalsecret", bounds),
        validations: Queue::new("secretstore", Bounds { per_group: 1, ..bounds }),
        clusters: Queue::new("clusterexternalsecret", bounds),
        cluster_pushing: Queue::new("clusterpushsecret", bounds),
        rollouts: Rollouts::default(),
        rolling: Queue::new("rollout", ROLLOUTS),
        pushing: Queue::new("pushsecret", Bounds { max_concurrent, ..PUSHES }),
        rotations: Rotations::default(),
        rotating: Queue::new("secretrotation", ROTATIONS),
    })
}

async fn validate(context: Arc<Context>, stop: CancellationToken) {
    let queue = context.validations.clone();
    let work = move |key| secret_store::reconcile(Arc::clone(&context), key);
    queue.run(stop, work).await;
}

/// Nothing is decided before the caches are synced: a Secret that is not known yet would look deleted.
async fn synchronise(context: Arc<Context>, caches: CacheSync, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => return,
        () = caches.synced() => {}
    }
    context.template_inputs.settle();
    context.pushes.inputs.settle();
    tracing::info!(
        externalsecrets = context.index.externals(),
        stores = context.stores.len(),
        "caches are synced: starting to reconcile"
    );
    // Those that came before the namespaces did.
    cluster_object::wake_every::<ClusterExternalSecret>(&context);
    cluster_object::wake_every::<ClusterPushSecret>(&context);
    let (externals, clusters) = (context.externals.clone(), context.clusters.clone());
    let of_clusters = Arc::clone(&context);
    let provision = move |key| {
        cluster_object::reconcile::<ClusterExternalSecret>(Arc::clone(&of_clusters), key)
    };
    let (distributions, of_distributions) = (context.cluster_pushing.clone(), Arc::clone(&context));
    let distribute = move |key| {
        cluster_object::reconcile::<ClusterPushSecret>(Arc::clone(&of_distributions), key)
    };
    let (pushing, of_pushes) = (context.pushing.clone(), Arc::clone(&context));
    let push = move |key| push::reconcile(Arc::clone(&of_pushes), key);
    let (rotating, of_rotations) = (context.rotating.clone(), Arc::clone(&context));
    let rotate = move |key| rotate::reconcile(Arc::clone(&of_rotations), key);
    let (rolling, of_rollouts) = (context.rolling.clone(), Arc::clone(&context));
    let roll = move |key| rollout::reconcile(Arc::clone(&of_rollouts), key);
    let work = move |key| external_secret::reconcile(Arc::clone(&context), key);
    // Who has a remote secret is known only when all PushSecrets are, and all stores.
    let pushes = async {
        let complete = caches.complete();
        tokio::pin!(complete);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = &mut complete => {}
            () = time::sleep(PUSHES_WAIT) => {
                tracing::warn!("nothing is pushed until every list is in: /readyz says which is missing, and why");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = complete => {}
                }
            }
        }
        tokio::join!(pushing.run(stop.clone(), push), rotating.run(stop.clone(), rotate));
    };
    tokio::join!(
        externals.run(stop.clone(), work),
        rolling.run(stop.clone(), roll),
        clusters.run(stop.clone(), provision),
        distributions.run(stop.clone(), distribute),
        pushes
    );
}

/// When an endpoint answers again, nobody waits for the end of a pause.
async fn recover(context: Arc<Context>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.fetcher.recovered() => {}
        }
        for store in context.stores.passing() {
            context.validations.wake(&store, &store, Lane::Urgent);
        }
        for object in context.outages.waiting() {
            context.wake(&object, Lane::Periodic);
        }
        for object in context.pushes.unanswered() {
            context.wake_push(&object, Lane::Periodic);
        }
    }
}

async fn tidy(context: Arc<Context>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(TIDY_EVERY) => {}
        }
        context.wakes.tidy(Instant::now());
        let used = context.stores.identities();
        context.fetcher.retain(&|identity| used.contains(identity));
    }
}
