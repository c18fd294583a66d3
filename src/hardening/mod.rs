//! The hardening subsystem: controllers, and the pure decisions in [`plan`].
//!
//! One reconcile per namespace merges all baselines that select it and writes the differences; one per
//! baseline compiles it, counts, and takes it back in order when it is deleted.

mod admission;
mod apply;
mod baseline;
mod copies;
mod credentials;
mod exceptions;
mod explain;
mod index;
mod namespace;
pub mod plan;
mod slim;
mod slim_metadata;
mod stored;
mod usage;
mod watches;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::cluster::{
    CacheSync,
    events::{Event, EventType, Events},
    queue::{Bounds, Lane, Queue},
    server_minor, until,
    write::Writer,
};

use crate::runtime::Runtime;

use crate::policy::selection::Protected;
use crate::telemetry::Metrics;
use admission::Admissions;
use exceptions::Exceptions;
use index::Index;
use plan::admission::Site;
use usage::Usage;

/// As many namespaces in line as make it worth to do something for all of them together.
const CROWD: usize = 32;
/// Baselines are woken once for changes of many namespaces.
const TELL_BASELINES_AFTER: Duration = Duration::from_millis(500);

/// What the controllers share.
pub(crate) struct Context {
    writer: Writer,
    events: Events,
    metrics: Arc<Metrics>,
    index: Index,
    admissions: Admissions,
    exceptions: Arc<Exceptions>,
    usage: Usage,
    protected: Protected,
    namespaces: Queue<Arc<str>, ()>,
    baselines: Queue<Arc<str>, ()>,
    /// Exceptions, by namespace and name.
    excused: Queue<Arc<str>, ()>,
    /// Minor version of the API server: what a baseline without a version is pinned to. Known before the
    /// first baseline is compiled.
    server_minor: OnceLock<u16>,
}

/// Starts the watches and controllers.
pub(crate) fn start(runtime: &mut Runtime<'_>) {
    let config = &runtime.config.hardening;
    // Slow here means waiting for the API server, which more work under way makes no faster: eight requests at
    // once keep it as busy as thirty-two, and what waits behind them waits for a quarter of the time.
    let max_concurrent = runtime.config.concurrency;
    let (in_all, periodic) = (max_concurrent * 2, runtime.config.write_concurrency.div_ceil(4));
    let bounds = Bounds { max_concurrent, per_group: in_all, in_all, periodic };
    let probe = config.probe_namespace.clone();
    // Pods are tried there: no baseline may have a say in it.
    let also = config.protected.iter().cloned().chain([probe.clone()]);
    let protected = Protected::new(&config.operator_namespace, also);
    let context = Arc::new(Context {
        writer: runtime.writer.clone(),
        events: runtime.events.clone(),
        metrics: Arc::clone(runtime.metrics),
        index: Index::default(),
        admissions: Admissions::new(Site {
            probe,
            operator: config.operator_namespace.clone(),
            protected: protected.clone(),
        }),
        exceptions: Arc::default(),
        usage: Usage::default(),
        protected,
        namespaces: Queue::new("namespace", bounds),
        baselines: Queue::new("baseline", bounds),
        excused: Queue::new("exception", bounds),
        server_minor: OnceLock::new(),
    });
    let limits = runtime.health.patience().limits();
    for queue in [&context.namespaces, &context.baselines, &context.excused] {
        let (stats, health) = (queue.clone(), queue.clone());
        runtime.metrics.queue(queue.name(), move || stats.stats());
        runtime.health.live_unless(move || health.unhealthy_reason(limits));
    }
    let exceptions = Arc::clone(&context.exceptions);
    runtime.metrics.exceptions(move || exceptions.figures(Timestamp::now()));
    let waiting = Arc::downgrade(&context);
    runtime.health.ready_unless(move || {
        let asked = waiting.upgrade()?.server_minor.get().is_none();
        asked.then(|| "hardening waits for the lists above and the API server's version".to_owned())
    });

    let caches = watches::start(&context, runtime);
    let stop = runtime.stop.clone();
    runtime.tasks.spawn(harden(context, runtime.watch.clone(), caches, stop));
}

/// Nothing is decided before the caches are synced: an object that is not known yet would look deleted, and a
/// baseline that is not known yet would look taken back.
async fn harden(context: Arc<Context>, client: Client, caches: CacheSync, stop: CancellationToken) {
    let ((), minor) = tokio::select! {
        () = stop.cancelled() => return,
        both = async { tokio::join!(caches.synced(), server_minor(&client)) } => both,
    };
    context.server_minor.get_or_init(|| minor);
    let (baselines, namespaces) = (context.baselines.clone(), context.namespaces.clone());
    // Every baseline is compiled before the first namespace is planned.
    for name in context.index.baseline_names() {
        baseline::refresh(&context, &name);
    }
    tracing::info!(
        baselines = context.index.baseline_names().len(),
        namespaces = context.index.namespace_names().len(),
        "caches are synced: starting to reconcile"
    );
    context.index.begin_first_round();
    context.wake_all();
    let of_baselines = {
        let context = Arc::clone(&context);
        move |name| baseline::reconcile(Arc::clone(&context), name)
    };
    let sweep = {
        let context = Arc::clone(&context);
        until(stop.clone(), async move { admission::sweep(&context).await })
    };
    let of_namespaces = {
        let context = Arc::clone(&context);
        move |name| namespace::reconcile(Arc::clone(&context), name)
    };
    let excused = context.excused.clone();
    let of_exceptions = move |key| exceptions::reconcile(Arc::clone(&context), key);
    tokio::join!(
        excused.run(stop.clone(), of_exceptions),
        baselines.run(stop.clone(), of_baselines),
        namespaces.run(stop, of_namespaces),
        sweep
    );
}

impl Context {
    fn server_minor(&self) -> u16 {
        self.server_minor.get().copied().unwrap_or_default()
    }

    /// All namespaces are many: what happens to a single one passes them.
    fn wake_all(&self) {
        for name in self.index.namespace_names() {
            self.namespaces.wake(&name, &(), Lane::Periodic);
        }
    }

    /// Counts again, soon: many namespaces that change together are counted once.
    fn wake_baselines(&self) {
        let due = Instant::now() + TELL_BASELINES_AFTER;
        for name in self.index.baseline_names() {
            self.baselines.schedule(&name, &(), due, due);
        }
    }

    fn record(
        &self,
        regarding: ObjectReference,
        reason: &'static str,
        message: String,
        event_type: EventType,
    ) {
        self.events.record(Event { regarding, reason, message, event_type });
    }
}
