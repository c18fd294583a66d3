//! The one way a watch enters the program.
//!
//! Each watch runs in a task of its own, so one that fails (a missing `watch` verb, a CRD that is gone)
//! delays no other. Errors are paced, counted and shown on `/readyz`; they never reach a controller.

use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, pin_mut};
use kube::{
    Api, Resource,
    runtime::watcher::{self, watcher},
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::ObjectKey;

/// How long one watch request lives. A dead connection is noticed 5 s after it should have ended.
const WATCH_SECONDS: u32 = 60;
/// A page is in memory as text and as objects, managed fields and all.
const PAGE_SIZE: u32 = 250;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause of a watch that nothing depends on, after a refusal.
const REFUSED_PAUSE: Duration = Duration::from_mins(10);
/// A watch that fails for longer than this makes the process unready.
const TOLERATED_FAILURE: Duration = Duration::from_mins(1);

/// What a watch says.
#[derive(Debug)]
pub(crate) enum Change<K> {
    /// The object exists and looks like this.
    Applied(K),
    /// The object is gone; this is its last known form.
    Deleted(K),
    /// A complete list has been delivered: whatever is not in the set does not exist.
    Listed(HashSet<ObjectKey>),
}

/// The state of one watch, shared with the health endpoints.
#[derive(Debug)]
pub(crate) struct WatchHealth {
    /// The kind that is watched.
    pub(crate) kind: &'static str,
    state: Mutex<WatchState>,
}

#[derive(Debug, Default)]
struct WatchState {
    listed: bool,
    failing_since: Option<Instant>,
    last_error: String,
    failures: u64,
}

impl WatchHealth {
    /// A watch that has not listed yet.
    pub(crate) fn new(kind: &'static str) -> Arc<Self> {
        Arc::new(Self { kind, state: Mutex::default() })
    }

    /// True once the first complete list has been delivered.
    pub(crate) fn listed(&self) -> bool {
        self.lock().listed
    }

    /// How often the watch failed since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// Why this watch makes the process unready, if it does.
    pub(crate) fn unhealthy_reason(&self) -> Option<String> {
        let state = self.lock();
        match state.failing_since {
            Some(since) if !state.listed || since.elapsed() > TOLERATED_FAILURE => Some(format!(
                "the watch on {} has been failing for {} s: {}",
                self.kind,
                since.elapsed().as_secs(),
                state.last_error
            )),
            None if !state.listed => Some(format!("the watch on {} has not listed yet", self.kind)),
            _ => None,
        }
    }

    fn worked(&self, listed: bool) {
        let mut state = self.lock();
        state.failing_since = None;
        state.listed |= listed;
    }

    fn failed(&self, error: &watcher::Error) {
        let mut state = self.lock();
        state.failures += 1;
        state.failing_since.get_or_insert_with(Instant::now);
        state.last_error = explain(self.kind, error);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows every change of the objects of `api` for ever. Dropping the future ends the watch.
pub(crate) async fn follow<K>(
    api: Api<K>,
    selector: Option<&str>,
    health: Arc<WatchHealth>,
    mut sink: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
    if let Some(selector) = selector {
        config = config.labels(selector);
    }
    let events = watcher(api, config);
    pin_mut!(events);
    let mut seen = HashSet::new();
    let mut pause = FIRST_PAUSE;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                pause = FIRST_PAUSE;
                health.worked(matches!(event, watcher::Event::InitDone));
                deliver(event, &mut seen, &mut sink);
            }
            Err(error) => {
                health.failed(&error);
                tracing::warn!(
                    kind = health.kind,
                    error = explain(health.kind, &error),
                    retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    "watch failed"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Follows objects that may not be there to be followed. A refusal is normal, so it is told once, makes nobody
/// wait or unready, and is asked again after [`REFUSED_PAUSE`].
pub(crate) async fn follow_if_allowed<K>(
    api: Api<K>,
    kind: &'static str,
    mut sink: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
    let events = watcher(api, config);
    pin_mut!(events);
    let mut seen = HashSet::new();
    let (mut pause, mut told) = (FIRST_PAUSE, false);
    while let Some(event) = events.next().await {
        let error = match event {
            Ok(event) => {
                (pause, told) = (FIRST_PAUSE, false);
                deliver(event, &mut seen, &mut sink);
                continue;
            }
            Err(error) => error,
        };
        let refused = is_refused(&error);
        if told {
            tracing::debug!(kind, %error, "still not followed");
        } else if refused {
            tracing::info!(kind, "not followed: RBAC does not allow it, or it is not served");
        } else {
            tracing::warn!(kind, error = explain(kind, &error), "watch failed");
        }
        told = true;
        tokio::time::sleep(if refused { REFUSED_PAUSE } else { pause }).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(cause)
    | watcher::Error::WatchStartFailed(cause)
    | watcher::Error::WatchFailed(cause)) = error
    else {
        return false;
    };
    matches!(cause, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}

/// The watches whose first list must be in before anything is decided.
#[derive(Default)]
pub(crate) struct CacheSync {
    required: Vec<Arc<WatchHealth>>,
    optional: Vec<Arc<WatchHealth>>,
}

impl CacheSync {
    /// One more without which every decision would be wrong.
    pub(crate) fn require(&mut self, watch: Arc<WatchHealth>) {
        self.required.push(watch);
    }

    /// One more that some objects depend on. If it fails (a missing right), it holds up no others.
    pub(crate) fn prefer(&mut self, watch: Arc<WatchHealth>) {
        self.optional.push(watch);
    }

    /// Waits until every list is in that is needed or can be had.
    pub(crate) async fn synced(self) {
        let settled = |watch: &Arc<WatchHealth>| watch.listed() || watch.failures() > 0;
        while !(self.required.iter().all(|w| w.listed()) && self.optional.iter().all(settled)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Runs `work` until it ends or `stop`.
pub(crate) async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

fn deliver<K: Resource>(
    event: watcher::Event<K>,
    seen: &mut HashSet<ObjectKey>,
    sink: &mut impl FnMut(Change<K>),
) {
    match event {
        watcher::Event::Init => seen.clear(),
        watcher::Event::InitApply(object) => {
            seen.insert(ObjectKey::of(&object));
            sink(Change::Applied(object));
        }
        watcher::Event::InitDone => sink(Change::Listed(std::mem::take(seen))),
        watcher::Event::Apply(object) => sink(Change::Applied(object)),
        watcher::Event::Delete(object) => sink(Change::Deleted(object)),
    }
}

/// One line that says what is wrong with a watch and what to do about it.
fn explain(kind: &str, error: &watcher::Error) -> String {
    let cause = match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => cause,
        other => return other.to_string(),
    };
    match cause {
        kube::Error::Api(status) if status.code == 404 => format!(
            "the API server does not serve {kind}: install the CRDs (gabion crds | kubectl apply -f -)"
        ),
        kube::Error::Api(status) if status.code == 403 => format!(
            "RBAC does not let Gabion list and watch {kind}: apply config/rbac ({})",
            status.message
        ),
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
