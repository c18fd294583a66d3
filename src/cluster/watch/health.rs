//! Whether the watches work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::cluster::Patience;

/// A watch that was accepted and fails again within this time never worked in between.
const PROBATION: Duration = Duration::from_secs(5);

/// The state of one watch, shared with the health endpoints.
#[derive(Debug)]
pub(crate) struct WatchHealth {
    /// The kind that is watched.
    pub(crate) kind: &'static str,
    /// For how long it may stand still.
    pub(crate) patience: Patience,
    state: Mutex<WatchState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct WatchState {
    listed: bool,
    failing: Option<Failing>,
    last_error: String,
    failures: u64,
    undecodable: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    /// When the API server accepted the watch again, after which it is on probation.
    accepted: Option<Instant>,
}

impl WatchHealth {
    /// A watch that has not listed yet.
    pub(crate) fn new(kind: &'static str, patience: Patience) -> Arc<Self> {
        Arc::new(Self { kind, patience, state: Mutex::default(), changed: Notify::new() })
    }

    /// True once the first complete list has been delivered.
    pub(crate) fn listed(&self) -> bool {
        self.lock().listed
    }

    /// How often the watch failed since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// Objects that exist and cannot be decoded.
    pub(crate) fn undecodable(&self) -> usize {
        self.lock().undecodable
    }

    /// Why this watch makes the process unready, if it does.
    pub(crate) fn unhealthy_reason(&self) -> Option<String> {
        let (state, tolerated) = (self.lock(), self.patience.tolerated_failure());
        match state.failing.filter(|failing| failing.accepted.is_none()) {
            Some(Failing { since, .. }) if !state.listed || since.elapsed() > tolerated => {
                Some(format!(
                    "the watch on {} has been failing for {} s: {}",
                    self.kind,
                    since.elapsed().as_secs(),
                    state.last_error
                ))
            }
            None if !state.listed => Some(format!("the watch on {} has not listed yet", self.kind)),
            _ => None,
        }
    }

    /// A complete list was delivered.
    pub(super) fn list_delivered(&self) {
        let mut state = self.lock();
        state.listed = true;
        state.failing = None;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The kind is not served: there is nothing to list, and nobody need mend that.
    pub(super) fn absent(&self) {
        self.list_delivered();
    }

    /// The API server accepted the watch.
    pub(super) fn accepted(&self) {
        if let Some(failing) = &mut self.lock().failing {
            failing.accepted = Some(Instant::now());
        }
    }

    /// An event arrived.
    pub(super) fn worked(&self) {
        self.lock().failing = None;
    }

    pub(super) fn failed(&self, why: String) {
        let mut state = self.lock();
        state.failures += 1;
        let before = state.failing.filter(|failing| {
            failing.accepted.is_none_or(|accepted| accepted.elapsed() < PROBATION)
        });
        let since = before.map_or_else(Instant::now, |failing| failing.since);
        state.failing = Some(Failing { since, accepted: None });
        state.last_error = why;
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn set_undecodable(&self, count: usize) {
        self.lock().undecodable = count;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a list was delivered, or the watch failed if `or_failed`.
    async fn settled(&self, or_failed: bool) {
        loop {
            let changed = self.changed.notified();
            if self.listed() || (or_failed && self.failures() > 0) {
                return;
            }
            changed.await;
        }
    }
}

/// The watches whose first list must be in before anything is decided.
#[derive(Clone, Default)]
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
    pub(crate) async fn synced(&self) {
        for watch in &self.required {
            watch.settled(false).await;
        }
        for watch in &self.optional {
            watch.settled(true).await;
        }
    }

    /// Waits until every list is in: for what must not be decided on half the facts.
    pub(crate) async fn complete(&self) {
        for watch in self.required.iter().chain(&self.optional) {
            watch.settled(false).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    async fn wait(seconds: u64) {
        time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn q5_a_watch_that_is_accepted_again_works_at_once_even_on_a_quiet_kind() {
        let health = WatchHealth::new("SecretStore", Patience::default());
        health.list_delivered();
        health.failed("500".into());
        wait(1).await;
        health.accepted();
        wait(300).await;
        assert_eq!(health.unhealthy_reason(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_accepted_and_broken_again_and_again_does_not_work() {
        let health = WatchHealth::new("SecretStore", Patience::default());
        health.list_delivered();
        for _ in 0..20 {
            health.failed("broken".into());
            wait(5).await;
            health.accepted();
            wait(1).await;
        }
        health.failed("broken".into());
        let reason = health.unhealthy_reason().unwrap();
        assert_eq!(reason, "the watch on SecretStore has been failing for 120 s: broken");
        wait(1).await;
        health.accepted();
        wait(6).await;
        health.failed("broken".into());
        assert_eq!(health.unhealthy_reason(), None, "a new failure has a minute of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn work_waits_for_what_it_needs_and_not_for_what_is_refused() {
        let (required, optional) = (
            WatchHealth::new("a", Patience::default()),
            WatchHealth::new("b", Patience::default()),
        );
        let mut caches = CacheSync::default();
        caches.require(Arc::clone(&required));
        caches.prefer(Arc::clone(&optional));
        let synced = tokio::spawn(async move { caches.synced().await });
        required.failed("403".into());
        time::sleep(Duration::from_mins(5)).await;
        assert!(!synced.is_finished());
        required.list_delivered();
        time::sleep(Duration::from_secs(1)).await;
        assert!(!synced.is_finished());
        optional.failed("403".into());
        synced.await.unwrap();
    }
}
