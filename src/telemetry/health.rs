//! What `/healthz` and `/readyz` say.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cluster::{Patience, WatchHealth};

type Reason = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// Collects what can be wrong. Cheap to clone.
///
/// Ready: every watch has listed and none has failed for half of the patience. Live: no queue is stuck. What only
/// somebody else can mend (an API server, a CRD or a right that is missing) is never a reason to restart.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    patience: Patience,
    watches: Mutex<Vec<Arc<WatchHealth>>>,
    liveness: Mutex<Vec<Reason>>,
    readiness: Mutex<Vec<Reason>>,
}

impl Health {
    /// Nothing is wrong yet.
    pub(crate) fn new(patience: Patience) -> Self {
        Self(Arc::new(Inner { patience, ..Inner::default() }))
    }

    /// For how long what should go on may stand still.
    pub(crate) fn patience(&self) -> Patience {
        self.0.patience
    }

    /// Adds a watch.
    pub(crate) fn watch(&self, kind: &'static str) -> Arc<WatchHealth> {
        let health = WatchHealth::new(kind, self.patience());
        lock(&self.0.watches).push(Arc::clone(&health));
        health
    }

    /// Adds something that makes the process restart-worthy.
    pub(crate) fn live_unless(
        &self,
        unhealthy_reason: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) {
        lock(&self.0.liveness).push(Box::new(unhealthy_reason));
    }

    /// Adds something that makes the process unready.
    pub(crate) fn ready_unless(
        &self,
        unhealthy_reason: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) {
        lock(&self.0.readiness).push(Box::new(unhealthy_reason));
    }

    /// Why the process should be restarted; empty if it should not.
    pub(crate) fn not_live(&self) -> Vec<String> {
        lock(&self.0.liveness).iter().filter_map(|unhealthy_reason| unhealthy_reason()).collect()
    }

    /// Why the process is not ready; empty if it is.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let watches = self.watches();
        let watching = watches.iter().filter_map(|watch| watch.unhealthy_reason());
        let other = lock(&self.0.readiness);
        watching.chain(other.iter().filter_map(|unhealthy_reason| unhealthy_reason())).collect()
    }

    /// The watches, for metrics.
    pub(crate) fn watches(&self) -> Vec<Arc<WatchHealth>> {
        lock(&self.0.watches).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_watch_makes_it_unready_and_a_stuck_queue_makes_it_dead() {
        let health = Health::default();
        assert!(health.not_ready().is_empty() && health.not_live().is_empty());
        health.watch("ExternalSecret");
        assert_eq!(health.not_ready(), ["the watch on ExternalSecret has not listed yet"]);
        health.live_unless(|| Some("queue x is stuck".into()));
        assert_eq!(health.not_live(), ["queue x is stuck"]);
    }
}
