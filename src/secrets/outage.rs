//! A provider that is away, and the moment it is back.
//!
//! Every object backs off on its own, so after an outage most would wait for minutes although the provider
//! answers again. Instead, when a store has been silent for a while, one of its objects keeps asking on behalf
//! of all, and its first answer wakes the others. One object that fails while the others of its store are
//! answered is not an outage: it backs off like any other.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::index::StoreKey;
use crate::cluster::ObjectKey;

/// A store that answered nobody for this long is away.
const SILENCE: Duration = Duration::from_secs(20);
/// The scout asks again after a fortieth of the silence so far, within these bounds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A scout that was not heard of for this long has other things to do.
const SCOUT_LOST: Duration = Duration::from_mins(2);

/// Which stores are silent, and who waits for them.
#[derive(Default)]
pub(crate) struct Outages {
    stores: Mutex<HashMap<StoreKey, Silence>>,
}

struct Silence {
    since: Instant,
    waiting: HashSet<ObjectKey>,
    /// Who asks for all, and when it last did.
    scout: Option<(ObjectKey, Instant)>,
}

impl Outages {
    /// The store's provider did not answer `object`.
    pub(crate) fn unanswered(&self, store: &StoreKey, object: &ObjectKey, now: Instant) {
        let mut stores = self.lock();
        let silence = stores.entry(store.clone()).or_insert_with(|| Silence::new(now));
        silence.waiting.insert(object.clone());
        let scouted = silence.scout.as_ref().is_some_and(|(scout, heard)| {
            scout != object && now.saturating_duration_since(*heard) < SCOUT_LOST
        });
        if !scouted && now.saturating_duration_since(silence.since) >= SILENCE {
            silence.scout = Some((object.clone(), now));
        }
    }

    /// The store's provider answered `object`: the others that waited for it, if it had been away.
    pub(crate) fn answered(
        &self,
        store: &StoreKey,
        object: &ObjectKey,
        now: Instant,
    ) -> Vec<ObjectKey> {
        let mut stores = self.lock();
        let silence = stores.entry(store.clone()).or_insert_with(|| Silence::new(now));
        let ended = std::mem::replace(silence, Silence::new(now));
        let others = ended.waiting.into_iter().filter(|other| other != object);
        ended.scout.map(|_| others.collect()).unwrap_or_default()
    }

    /// How soon `object` asks again, if it is the one that asks for all.
    pub(crate) fn pause(&self, object: &ObjectKey, now: Instant) -> Option<Duration> {
        let stores = self.lock();
        let mine = stores
            .values()
            .filter(|silence| silence.scout.as_ref().is_some_and(|(scout, _)| scout == object));
        mine.map(|silence| now.saturating_duration_since(silence.since) / 40)
            .map(|pause| pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
            .min()
    }

    /// Everybody who waits for a store whose provider did not answer.
    pub(crate) fn waiting(&self) -> Vec<ObjectKey> {
        self.lock().values().flat_map(|silence| &silence.waiting).cloned().collect()
    }

    /// The object is gone: another one asks from the next failure on.
    pub(crate) fn forget(&self, object: &ObjectKey) {
        for silence in self.lock().values_mut() {
            silence.waiting.remove(object);
            silence.scout.take_if(|(scout, _)| scout == object);
        }
    }

    /// The store is gone.
    pub(crate) fn forget_store(&self, store: &StoreKey) {
        self.lock().remove(store);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StoreKey, Silence>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Silence {
    fn new(now: Instant) -> Self {
        Self { since: now, waiting: HashSet::new(), scout: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        outages: Outages,
        start: Instant,
    }

    impl Case {
        fn new() -> Self {
            Self { outages: Outages::default(), start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn fails(&self, name: &str, seconds: u64) -> Option<Duration> {
            self.outages.unanswered(&store(), &object(name), self.at(seconds));
            self.outages.pause(&object(name), self.at(seconds))
        }

        fn answers(&self, name: &str, seconds: u64) -> Vec<ObjectKey> {
            self.outages.answered(&store(), &object(name), self.at(seconds))
        }
    }

    fn store() -> StoreKey {
        StoreKey(object("store"))
    }

    fn object(name: &str) -> ObjectKey {
        ObjectKey::new("shop", name)
    }

    #[test]
    fn one_object_asks_for_all_and_its_answer_wakes_the_others() {
        let case = Case::new();
        assert_eq!([case.fails("a", 0), case.fails("b", 1)], [None, None], "too early to tell");
        assert_eq!(case.fails("a", 30), Some(SHORTEST_PAUSE));
        assert_eq!(case.fails("b", 31), None);
        assert_eq!(case.fails("a", 120), Some(Duration::from_secs(3)));
        assert_eq!(case.answers("a", 123), [object("b")]);
        assert_eq!(case.answers("a", 124), []);
    }

    #[test]
    fn an_object_that_fails_alone_backs_off_alone() {
        let case = Case::new();
        for seconds in (0..300).step_by(10) {
            assert_eq!(case.fails("broken", seconds), None);
            assert_eq!(case.answers("sound", seconds + 1), [], "nobody is woken over and over");
        }
    }

    #[test]
    fn a_scout_that_is_deleted_or_lost_is_replaced() {
        let case = Case::new();
        case.fails("a", 0);
        assert!(case.fails("a", 30).is_some());
        case.outages.forget(&object("a"));
        assert!(case.fails("b", 31).is_some());
        assert_eq!(case.fails("c", 32), None);
        assert!(case.fails("c", 31 + 120).is_some());
        assert_eq!(case.answers("c", 152), [object("b")]);
    }
}
