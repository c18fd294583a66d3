//! Who holds a place, who waits for one, and who is woken when one becomes free.

use std::time::Instant;

use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::cluster::ObjectKey;
use crate::secrets::context::Context;
use crate::telemetry::Wait;

impl Context {
    /// Records an ExternalSecret. True if its workloads have to be looked at.
    pub(crate) fn rollout_seen(&self, key: &ObjectKey, object: &ExternalSecret) -> bool {
        let before = self.rollouts.knows(key);
        let news = self.rollouts.seen(key, object);
        if before && !self.rollouts.knows(key) {
            self.let_go_of_rollout(key);
        }
        news
    }

    /// An ExternalSecret is gone.
    pub(crate) fn rollout_gone(&self, key: &ObjectKey) {
        self.rollouts.gone(key);
        self.let_go_of_rollout(key);
    }

    /// Nothing rolls on behalf of an ExternalSecret any more, and its wave waits for nothing.
    pub(super) fn let_go_of_rollout(&self, key: &ObjectKey) {
        self.rollouts.limits().let_go(key);
        self.rollout_waits(key, None);
        self.wake_next_rollout();
    }

    /// Notes for what a wave waits.
    pub(super) fn rollout_waits(&self, key: &ObjectKey, wait: Option<Wait>) {
        if wait.is_none() {
            let before = self.rollouts.waits(key, None);
            return self.metrics.rollouts.waits(before, None);
        }
        self.rollouts.unless_gone(key, |all| {
            self.metrics.rollouts.waits(all.waits(key, wait), wait);
        });
    }

    /// Wakes the one whose turn it is to start a rollout, so that no place stays free until it looks by itself.
    pub(super) fn wake_next_rollout(&self) {
        let next = self.rollouts.limits().turn(Instant::now());
        if let Some(next) = next {
            self.wake_rollout(&next);
        }
    }
}
