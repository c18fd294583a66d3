//! What bounds rollouts of the whole cluster: a source that went bad must not take it down, and no namespace may hold up
//! the others.
//!
//! A rollout cannot be taken back once it began, so fairness is a matter of who starts next: the namespace of which the
//! least rolls. One namespace never has more than half of the places, and what rolls for very long leaves its place to
//! others and counts against its own namespace only.

mod failures;
mod line;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use self::{failures::Failures, line::Line};
use crate::cluster::ObjectKey;
use crate::secrets::plan::rollout::workload::Kind;

pub(crate) use self::failures::Held;

/// Workloads that roll at once.
const AT_ONCE: usize = 10;
/// Of these, in one namespace.
const AT_ONCE_IN_NAMESPACE: usize = 5;
/// Rollouts that start in a minute.
const STARTS: usize = 30;
const MINUTE: Duration = Duration::from_mins(1);
/// One that rolls for longer counts against its namespace only.
const SLOW: Duration = Duration::from_mins(10);

/// A workload of the cluster.
pub(crate) type Place = (Arc<str>, Kind, String);

/// What becomes of a wish to roll a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has its place: roll it.
    Starts,
    /// It rolls already, for this or another ExternalSecret.
    Taken,
    /// It stands in line.
    Waits,
}

/// What counts against the bounds, and who waits.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// What rolls, on behalf of which ExternalSecret, and since when as far as this process knows.
    rolling: BTreeMap<(Place, ObjectKey), Instant>,
    starts: VecDeque<(Instant, Arc<str>)>,
    line: Line,
    failures: Failures,
}

impl Limits {
    /// What rolls on behalf of one ExternalSecret, as it was just seen.
    pub(crate) fn observe(
        &mut self,
        by: &ObjectKey,
        rolling: impl IntoIterator<Item = Place>,
        now: Instant,
    ) {
        let rolling: BTreeSet<_> = rolling.into_iter().collect();
        self.rolling.retain(|(place, owner), _| owner != by || rolling.contains(place));
        for place in rolling {
            self.rolling.entry((place, by.clone())).or_insert(now);
        }
    }

    /// Nothing rolls on behalf of one any more, and it waits for nothing.
    pub(crate) fn let_go(&mut self, by: &ObjectKey) {
        self.rolling.retain(|(_, owner), _| owner != by);
        self.line.leave(by);
    }

    /// It does not stand in line any more.
    pub(crate) fn leave(&mut self, by: &ObjectKey) {
        self.line.leave(by);
    }

    /// Whether something rolls on behalf of an ExternalSecret.
    pub(crate) fn holds(&self, by: &ObjectKey) -> bool {
        self.rolling.keys().any(|(_, owner)| owner == by)
    }

    /// Whether it is this one's turn. If not, it stands in line from now on, and has to ask again within half a minute.
    pub(crate) fn may_start(&mut self, by: &ObjectKey, now: Instant) -> bool {
        self.line.enter(by, now);
        self.turn(now).as_ref() == Some(by)
    }

    /// Takes a place, if the workload does not roll already and it is this one's turn.
    pub(crate) fn start(&mut self, place: &Place, by: &ObjectKey, now: Instant) -> Answer {
        if self.rolling.keys().any(|(taken, _)| taken == place) {
            self.line.leave(by);
            return Answer::Taken;
        }
        if !self.may_start(by, now) {
            return Answer::Waits;
        }
        self.line.serve(by);
        self.starts.push_back((now, Arc::clone(&by.namespace)));
        self.rolling.insert((place.clone(), by.clone()), now);
        Answer::Starts
    }

    /// Who starts next, if there is room: the first in line of the namespace of which the least rolls, then of which the
    /// least started within a minute, then which has waited longest for its turn.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<ObjectKey> {
        while self.starts.front().is_some_and(|(start, _)| now.duration_since(*start) >= MINUTE) {
            self.starts.pop_front();
        }
        if self.starts.len() >= STARTS {
            return None;
        }
        let mut since: BTreeMap<&Place, Instant> = BTreeMap::new();
        for ((place, _), start) in &self.rolling {
            since.entry(place).and_modify(|known| *known = (*known).min(*start)).or_insert(*start);
        }
        let fresh = |start: &&Instant| now.duration_since(**start) < SLOW;
        if since.values().filter(fresh).count() >= AT_ONCE {
            return None;
        }
        let mut load: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (namespace, _, _) in since.keys() {
            load.entry(namespace).or_default().0 += 1;
        }
        for (_, namespace) in &self.starts {
            load.entry(namespace).or_default().1 += 1;
        }
        let failures = &self.failures;
        self.line.first(now, |namespace| {
            let load = load.get(namespace).copied().unwrap_or_default();
            let may = load.0 < AT_ONCE_IN_NAMESPACE && failures.held(namespace, now).is_none();
            may.then_some(load)
        })
    }

    /// Until when nothing is started in a namespace, and why.
    pub(crate) fn held(&self, namespace: &str, now: Instant) -> Option<Held> {
        self.failures.held(namespace, now)
    }

    /// A wave failed at this workload.
    pub(crate) fn failed(&mut self, place: &Place, now: Instant) {
        self.failures.add(place, now);
    }
}
