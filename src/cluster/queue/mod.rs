//! The work queue: which object is reconciled next, and when.
//!
//! - An object is never worked on twice at the same time; what happens meanwhile makes it run once more.
//! - Three lanes: urgent work (never synced, edited by a person, drifted) passes refreshes that events ask for, and these
//!   pass periodic ones.
//! - An object that takes longer than a second no longer counts against the objects that run at once, so slow
//!   reads do not hold up others; and one group (a store) has a bounded number of running objects.
//! - Groups take turns. Whenever a group has a ready object and there is room for it, one is handed out.
//! - Failures back off per object, exponentially, with jitter.
//! - A periodic refresh may start early, within its window, to share a call with others of its group.

mod state;

use std::{
    fmt::Debug,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::Notify, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

pub(crate) use crate::lane::Lane;
use crate::retry::Pauses;
pub(crate) use state::Limits;
use state::{Cause, Running, State, Stuck};

/// After this time a running object no longer counts against the bound.
const SLOW: Duration = Duration::from_secs(1);
const RETRY: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_mins(5) };

/// What the queue should do with an object after it was reconciled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until something changes.
    Idle,
    /// Reconcile again by `due`, or from `earliest` on if another object of the group is reconciled anyway.
    At {
        /// Start of the window.
        earliest: Instant,
        /// End of the window: the promise.
        due: Instant,
    },
    /// It failed: reconcile again after a growing pause.
    Retry,
    /// It failed in a way that only a change can mend: reconcile again after this time all the same.
    RetryAfter(Duration),
}

impl Next {
    /// Reconcile again after this time.
    pub(crate) fn after(pause: Duration) -> Self {
        let due = Instant::now() + pause;
        Self::At { earliest: due, due }
    }

    /// Reconcile again at this moment, at once if it has passed by `now`.
    pub(crate) fn at(at: Timestamp, now: Timestamp) -> Self {
        Self::after(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    }
}

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Objects that run at once, not counting slow ones.
    pub(crate) max_concurrent: usize,
    /// Objects of one group that run at once, slow ones included.
    pub(crate) per_group: usize,
    /// Objects that run at once, slow ones included: what bounds the memory.
    pub(crate) in_all: usize,
    /// Of these, how many may be of other lanes than the urgent one. Fewer leave room, here and at the server that all work
    /// waits for, so that urgent work is done at once however much periodic work there is.
    pub(crate) periodic: usize,
}

/// Numbers of a queue for metrics and health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueStats {
    /// Ready and not handed out yet.
    pub(crate) waiting: usize,
    /// Handed out and not done yet.
    pub(crate) running: usize,
    /// Known objects.
    pub(crate) known: usize,
    /// Objects in backoff after a failure.
    pub(crate) failing: usize,
    /// How long the oldest waiting object has been waiting.
    pub(crate) oldest_wait: Duration,
}

/// A work queue over keys of type `K`, in groups of type `G`. Clones share the queue.
pub(crate) struct Queue<K, G> {
    shared: Arc<Shared<K, G>>,
}

struct Shared<K, G> {
    name: &'static str,
    state: Mutex<State<K, G>>,
    changed: Notify,
}

impl<K, G> Clone for Queue<K, G> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, G> Queue<K, G>
where
    K: Clone + Ord + Hash + Send + Sync + 'static,
    G: Clone + Ord + Hash + Send + Sync + 'static,
{
    /// An empty queue.
    pub(crate) fn new(name: &'static str, bounds: Bounds) -> Self {
        let state = Mutex::new(State::new(bounds));
        Self { shared: Arc::new(Shared { name, state, changed: Notify::new() }) }
    }

    /// Its name, for logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.shared.name
    }

    /// Reconciles `key` as soon as possible. `group` is what it shares calls and bounds with.
    pub(crate) fn wake(&self, key: &K, group: &G, lane: Lane) {
        if self.lock().wake(key, group, lane, Instant::now()) {
            self.shared.changed.notify_one();
        }
    }

    /// Reconciles an idle `key` within the window, or earlier if that is planned already.
    pub(crate) fn schedule(&self, key: &K, group: &G, earliest: Instant, due: Instant) {
        self.lock().schedule(key, group, earliest, due);
        self.shared.changed.notify_one();
    }

    /// The object is gone: drops its timer and its failures.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().forget(key);
    }

    /// Since when there was a reason for the running reconcile of `key`: when it was put in line.
    pub(crate) fn since(&self, key: &K) -> Option<Instant> {
        self.lock().since(key)
    }

    /// Says that the running reconcile of `key` knows everything up to now, so that nothing it was woken for
    /// before makes it run once more. True if it was woken since it started.
    pub(crate) fn caught_up(&self, key: &K) -> bool {
        self.lock().caught_up(key)
    }

    /// Failures in a row of `key`.
    pub(crate) fn failures(&self, key: &K) -> u32 {
        self.lock().failures(key)
    }

    /// Numbers for metrics and health.
    pub(crate) fn stats(&self) -> QueueStats {
        self.lock().stats(Instant::now())
    }

    /// Why the queue is stuck, if it is: work waits and nothing is done for longer than `limits`. Before [`Queue::run`]
    /// it never is: work that must wait until the caches are synced waits for good reason, and a restart would not make
    /// that shorter.
    pub(crate) fn unhealthy_reason(&self, limits: Limits) -> Option<String>
    where
        G: Debug,
    {
        let stuck = self.lock().stuck(Instant::now(), limits)?;
        Some(explain(self.shared.name, &stuck))
    }

    /// Runs `work` on due objects until `stop`, then waits for what is running.
    pub(crate) async fn run<F, Fut>(&self, stop: CancellationToken, work: F)
    where
        F: Fn(K) -> Fut,
        Fut: Future<Output = Next> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        self.lock().begin(Instant::now());
        loop {
            let (started, next_due) = self.lock().start_due(Instant::now());
            for running in started {
                let work = work(running.key.clone());
                tasks.spawn(self.clone().execute(running, work));
            }
            while tasks.try_join_next().is_some() {}
            let wait = next_due.map_or(Duration::from_secs(5), |due| {
                due.saturating_duration_since(Instant::now()).min(Duration::from_secs(5))
            });
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.shared.changed.notified() => {}
                () = time::sleep(wait) => {}
            }
        }
        self.lock().end();
        while tasks.join_next().await.is_some() {}
    }

    async fn execute(self, running: Running<K>, work: impl Future<Output = Next> + Send) {
        // If the work panics or is dropped, the object must not stay "running" for ever.
        let mut guard = Unfinished { queue: &self, key: Some(&running.key) };
        tokio::pin!(work);
        let next = tokio::select! {
            next = &mut work => next,
            () = time::sleep(SLOW) => {
                self.lock().slow(&running.key);
                self.shared.changed.notify_one();
                work.await
            }
        };
        guard.key = None;
        self.finish(&running.key, &next);
    }

    fn finish(&self, key: &K, next: &Next) {
        let now = Instant::now();
        self.lock().finish(key, next, now, |failures| RETRY.after(key, failures));
        self.shared.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K, G>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports an object whose work ended without an answer as failed.
struct Unfinished<'a, K, G>
where
    K: Clone + Ord + Hash + Send + Sync + 'static,
    G: Clone + Ord + Hash + Send + Sync + 'static,
{
    queue: &'a Queue<K, G>,
    key: Option<&'a K>,
}

impl<K, G> Drop for Unfinished<'_, K, G>
where
    K: Clone + Ord + Hash + Send + Sync + 'static,
    G: Clone + Ord + Hash + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.queue.finish(key, &Next::Retry);
        }
    }
}

/// Explains why a queue is stuck: a provider hangs, or nobody starts the work.
fn explain<G: Debug>(name: &str, stuck: &Stuck<G>) -> String {
    let of_group = stuck.group.as_ref().map(|group| format!(" of {group:?}")).unwrap_or_default();
    let (waiting, running) = (stuck.waiting, stuck.running);
    let (oldest, idle) = (stuck.oldest_wait.as_secs(), stuck.idle.as_secs());
    match stuck.cause {
        Cause::NotStarted => format!(
            "queue {name} is stuck: {waiting} objects{of_group} wait although there is room, the oldest for \
             {oldest} s, and none was started for {idle} s"
        ),
        Cause::NothingFinishes => format!(
            "queue {name} is stuck: {waiting} objects wait, the oldest for {oldest} s, and none of the \
             {running} that run finished for {idle} s"
        ),
        Cause::GroupHangs => format!(
            "queue {name} is stuck: {waiting} objects{of_group} wait behind {running} others{of_group}, and \
             none of those finished for {idle} s: the provider hangs; other work goes on"
        ),
    }
}

#[cfg(test)]
mod tests;
