//! What bounds rollouts of the whole cluster: a source that went bad must not take it down.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::cluster::ObjectKey;
use crate::secrets::plan::rollout::workload::Kind;

/// Workloads that roll at once.
const AT_ONCE: usize = 10;
/// Rollouts that start in a minute.
const STARTS: usize = 30;
const MINUTE: Duration = Duration::from_mins(1);
/// So many failed waves in so much time hold all others for so long.
const FAILURES: usize = 3;
const FAILURES_WITHIN: Duration = Duration::from_mins(10);
const HOLD: Duration = Duration::from_mins(30);

/// A workload of the cluster.
pub(crate) type Place = (Arc<str>, Kind, String);

/// What counts against the bounds.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// What rolls, and on behalf of which ExternalSecret.
    rolling: BTreeSet<(Place, ObjectKey)>,
    starts: VecDeque<Instant>,
    failures: VecDeque<Instant>,
    held_until: Option<Instant>,
}

impl Limits {
    /// What rolls on behalf of one ExternalSecret, as it was just seen.
    pub(crate) fn observe(&mut self, by: &ObjectKey, rolling: impl IntoIterator<Item = Place>) {
        self.rolling.retain(|(_, owner)| owner != by);
        self.rolling.extend(rolling.into_iter().map(|place| (place, by.clone())));
    }

    /// Whether another ExternalSecret rolls this workload now.
    fn is_taken(&self, place: &Place) -> bool {
        self.rolling.iter().any(|(taken, _)| taken == place)
    }

    /// Whether something rolls on behalf of an ExternalSecret.
    pub(crate) fn holds(&self, by: &ObjectKey) -> bool {
        self.rolling.iter().any(|(_, owner)| owner == by)
    }

    fn at_once(&self) -> usize {
        let places: BTreeSet<_> = self.rolling.iter().map(|(place, _)| place).collect();
        places.len()
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&mut self, now: Instant) -> bool {
        while self.starts.front().is_some_and(|start| now.duration_since(*start) >= MINUTE) {
            self.starts.pop_front();
        }
        self.starts.len() < STARTS && self.at_once() < AT_ONCE
    }

    /// Takes a place, if there is room and the workload does not roll already.
    pub(crate) fn start(&mut self, place: &Place, by: &ObjectKey, now: Instant) -> bool {
        if self.is_taken(place) || !self.has_room(now) {
            return false;
        }
        self.starts.push_back(now);
        self.rolling.insert((place.clone(), by.clone()));
        true
    }

    /// Until when nothing is started.
    pub(crate) fn held(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| *until > now)
    }

    /// A wave failed.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| now.duration_since(*at) >= FAILURES_WITHIN) {
            self.failures.pop_front();
        }
        if self.failures.len() >= FAILURES {
            self.failures.clear();
            self.held_until = Some(now + HOLD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(nth: usize) -> Place {
        ("t".into(), Kind::Deployment, format!("w{nth}"))
    }

    #[test]
    fn t12_at_most_ten_at_once_and_thirty_starts_a_minute() {
        let (mut limits, begin) = (Limits::default(), Instant::now());
        let by = ObjectKey::new("t", "es");
        let mut starts = Vec::new();
        let mut running: VecDeque<(Instant, Place)> = VecDeque::new();
        let mut nth = 0;
        for tick in 0..600 {
            let now = begin + Duration::from_secs(tick);
            running.retain(|(since, _)| now.duration_since(*since) < Duration::from_secs(7));
            limits.observe(&by, running.iter().map(|(_, place)| place.clone()));
            while limits.start(&place(nth), &by, now) {
                running.push_back((now, place(nth)));
                starts.push(now);
                nth += 1;
            }
            assert!(running.len() <= AT_ONCE);
        }
        let most = starts
            .iter()
            .map(|start| starts.iter().filter(|s| **s >= *start && **s < *start + MINUTE).count());
        assert!(most.max().unwrap() <= STARTS);
        assert!(nth >= 290, "{nth} started in ten minutes");
    }

    #[test]
    fn a_workload_is_rolled_on_behalf_of_one_at_a_time() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        let (a, b) = (ObjectKey::new("t", "a"), ObjectKey::new("t", "b"));
        assert!(limits.start(&place(1), &a, now));
        assert!(!limits.start(&place(1), &b, now));
        limits.observe(&a, []);
        assert!(limits.start(&place(1), &b, now));
    }

    #[test]
    fn three_failed_waves_hold_the_others() {
        let (mut limits, begin) = (Limits::default(), Instant::now());
        let at = |minutes| begin + Duration::from_mins(minutes);
        for minutes in [0, 6, 12] {
            limits.failed(at(minutes));
            assert_eq!(limits.held(at(minutes)), None);
        }
        limits.failed(at(13));
        assert_eq!(limits.held(at(14)), Some(at(43)));
        assert_eq!(limits.held(at(43)), None);
    }
}
