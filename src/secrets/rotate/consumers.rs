//! Who reads the secret, and whether they have the new value.

use jiff::{SignedDuration, Timestamp};

use super::super::plan::collect::{self, Ask, Lookup};
use super::super::plan::condition::READY;
use super::super::plan::rotation::attempt::{Attempt, Consumers};
use super::super::plan::window::{self, Gate};
use super::Rotator;
use crate::api::external_secrets::external_secret::{ExternalSecret, RefreshPolicy};
use crate::api::gabion::secret_rotation::{ConsumersStatus, ConsumersWait};
use crate::cluster::ObjectKey;
use crate::duration;
use crate::lane::Lane;
use crate::provider::Version;
use crate::secrets::index::{StoreKey, Tracked};

/// How long consumers are waited for where nothing else is said.
const TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

impl Rotator<'_> {
    /// Wakes those who do not have the new value yet, and counts.
    pub(super) fn consumers(
        &self,
        store: &StoreKey,
        attempt: &Attempt,
        now: Timestamp,
    ) -> (Consumers, ConsumersStatus) {
        let promoted = attempt.promoted_at.unwrap_or(now);
        let mut count = ConsumersStatus::default();
        for (key, tracked) in self.readers(store) {
            let woken = tracked.memory.woken.filter(|woken| *woken >= promoted);
            if woken.is_none() {
                self.wake(&key, &tracked.object, now);
            }
            // An old fault of one, or a window that is closed, is no reason to take the value from all.
            if had_failed(&tracked.object, promoted) || is_held_back(&tracked.object, now) {
                continue;
            }
            let read = tracked.memory.refreshed;
            count.total += 1;
            count.synced += i64::from(
                woken.is_some_and(|woken| read.is_some_and(|read| read >= woken))
                    && !has_failed(&tracked.object),
            );
        }
        let is_waited_for = self.object.spec.consumers.wait == ConsumersWait::Namespace;
        let timeout = self.object.spec.consumers.timeout.as_deref().and_then(duration::parse);
        // Those who were not woken because nobody was there get the whole time.
        let since = promoted.max(self.context.started);
        let consumers = if !is_waited_for || count.synced == count.total {
            Consumers::Synced
        } else if now.duration_since(since) > timeout.unwrap_or(TIMEOUT) {
            Consumers::TimedOut
        } else {
            Consumers::Waiting
        };
        (consumers, count)
    }

    /// Wakes all, because the present value is another one.
    pub(super) fn wake_readers(&self, store: &StoreKey, now: Timestamp) {
        for (key, tracked) in self.readers(store) {
            self.wake(&key, &tracked.object, now);
        }
    }

    fn wake(&self, key: &ObjectKey, object: &ExternalSecret, now: Timestamp) {
        let uid = object.metadata.uid.as_deref();
        self.context.index.remember(key, uid, |memory| memory.woken = Some(now));
        self.context.wake(key, Lane::Urgent);
    }

    /// The ExternalSecrets of this namespace that read the present value, and read it again.
    fn readers(&self, store: &StoreKey) -> Vec<(ObjectKey, Tracked)> {
        let users = self.context.index.users_of_store(store).into_iter();
        let here = users.filter(|key| key.namespace == self.key.namespace);
        let tracked = here.filter_map(|key| {
            let tracked = self.context.index.external(&key)?;
            Some((key, tracked))
        });
        tracked.filter(|(_, tracked)| self.is_reader(store, &tracked.object)).collect()
    }

    fn is_reader(&self, store: &StoreKey, object: &ExternalSecret) -> bool {
        let is_periodic =
            matches!(object.spec.refresh_policy, None | Some(RefreshPolicy::Periodic));
        let reads = |lookup: &Lookup| match &lookup.ask {
            Ask::Read(request) => {
                request.key == self.remote_key()
                    && request.version == Version::Current
                    && lookup.store.cluster == store.is_cluster()
                    && lookup.store.name == *store.0.name
            }
            Ask::Find(_) => false,
        };
        is_periodic
            && object.metadata.deletion_timestamp.is_none()
            && collect::lookups(&object.spec).is_ok_and(|lookups| lookups.iter().any(reads))
    }
}

fn has_failed(object: &ExternalSecret) -> bool {
    failed_since(object).is_some()
}

fn is_held_back(object: &ExternalSecret, now: Timestamp) -> bool {
    let windows = object.spec.sync_windows.as_ref();
    windows.is_some_and(|windows| window::gate(windows, now).ok() != Some(Gate::Open))
}

fn had_failed(object: &ExternalSecret, before: Timestamp) -> bool {
    // Conditions have whole seconds.
    failed_since(object).is_some_and(|since| since.as_second() < before.as_second())
}

fn failed_since(object: &ExternalSecret) -> Option<Timestamp> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let mut failed =
        conditions.filter(|condition| condition.type_ == READY && condition.status == "False");
    failed.next()?.last_transition_time.as_ref().map(|at| at.0)
}
