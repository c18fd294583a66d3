//! The queue's state: plain data, no waiting, the time is passed in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

use super::{Bounds, Next, QueueStats};
use crate::lane::Lane;

/// After this many urgent objects in a row a waiting periodic one gets a turn.
const URGENT_IN_A_ROW: u32 = 16;

#[derive(Debug)]
struct Entry<G> {
    group: G,
    phase: Phase,
    /// Woken while under way: run again when done.
    again: Option<Lane>,
    /// Scheduled while under way: the timer is set when done. What is under way may have read too early.
    later: Option<(Instant, Instant)>,
    timer: Option<(Instant, Instant)>,
    /// Since when it was in line before it was handed out.
    since: Option<Instant>,
    failures: u32,
    /// Forgotten while under way: dropped when done.
    gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Ready { since: Instant, lane: Lane },
    Running { slow: bool, lane: Lane },
}

/// An object that was handed out.
#[derive(Debug)]
pub(crate) struct Running<K> {
    /// Which.
    pub(crate) key: K,
}

#[derive(Debug)]
pub(crate) struct State<K, G> {
    entries: HashMap<K, Entry<G>>,
    timers: BTreeSet<(Instant, K)>,
    /// Per group: start of the window, so that others can join early.
    windows: BTreeMap<G, BTreeSet<(Instant, K)>>,
    urgent: VecDeque<K>,
    periodic: VecDeque<K>,
    parked: HashMap<G, VecDeque<K>>,
    running_in: HashMap<G, usize>,
    ready: usize,
    running: usize,
    running_periodic: usize,
    fast: usize,
    in_a_row: u32,
    failing: usize,
    last_finish: Instant,
}

impl<K, G> State<K, G>
where
    K: Clone + Ord + Hash,
    G: Clone + Ord + Hash,
{
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            entries: HashMap::new(),
            timers: BTreeSet::new(),
            windows: BTreeMap::new(),
            urgent: VecDeque::new(),
            periodic: VecDeque::new(),
            parked: HashMap::new(),
            running_in: HashMap::new(),
            ready: 0,
            running: 0,
            running_periodic: 0,
            fast: 0,
            in_a_row: 0,
            failing: 0,
            last_finish: now,
        }
    }

    /// Makes `key` ready. Returns false if it already was.
    pub(crate) fn wake(&mut self, key: &K, group: &G, lane: Lane, now: Instant) -> bool {
        self.place_in_group(key, group);
        let Some(entry) = self.entries.get_mut(key) else { return false };
        match entry.phase {
            Phase::Running { .. } => {
                entry.gone = false;
                if entry.again != Some(Lane::Urgent) {
                    entry.again = Some(lane);
                }
                false
            }
            Phase::Ready { since, lane: Lane::Periodic } if lane == Lane::Urgent => {
                // Stays in the periodic line as well; whichever line is reached first hands it out.
                entry.phase = Phase::Ready { since, lane };
                self.urgent.push_back(key.clone());
                true
            }
            Phase::Ready { .. } => false,
            Phase::Idle => {
                entry.phase = Phase::Ready { since: now, lane };
                self.ready += 1;
                self.clear_timer(key);
                self.line(lane).push_back(key.clone());
                true
            }
        }
    }

    /// Sets the timer of an object, unless it is reconciled earlier anyway.
    pub(crate) fn schedule(&mut self, key: &K, group: &G, earliest: Instant, due: Instant) {
        self.place_in_group(key, group);
        let Some(entry) = self.entries.get_mut(key) else { return };
        let is_sooner =
            |planned: Option<(Instant, Instant)>| planned.is_none_or(|(_, planned)| due < planned);
        match entry.phase {
            Phase::Idle if is_sooner(entry.timer) => self.set_timer(key, earliest, due),
            Phase::Running { .. } if is_sooner(entry.later) => {
                entry.gone = false;
                entry.later = Some((earliest, due));
            }
            Phase::Idle | Phase::Running { .. } | Phase::Ready { .. } => {}
        }
    }

    pub(crate) fn forget(&mut self, key: &K) {
        self.clear_timer(key);
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.failures > 0 {
            entry.failures = 0;
            self.failing -= 1;
        }
        entry.again = None;
        entry.later = None;
        // A queued one is skipped when its turn comes.
        if matches!(entry.phase, Phase::Running { .. }) {
            entry.gone = true;
        } else {
            self.ready -= usize::from(matches!(entry.phase, Phase::Ready { .. }));
            self.entries.remove(key);
        }
    }

    pub(crate) fn failures(&self, key: &K) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.failures)
    }

    /// The figures, and for how long nothing finished, if work has been waiting and nothing finished for
    /// longer than `limit`. Either alone is no sign of trouble.
    pub(crate) fn wedged(&self, now: Instant, limit: Duration) -> Option<(QueueStats, Duration)> {
        let stats = self.stats(now);
        let idle = now.saturating_duration_since(self.last_finish);
        (stats.oldest_wait > limit && idle > limit).then_some((stats, idle))
    }

    /// Asked by every scrape, so it reads the heads of the lines only.
    pub(crate) fn stats(&self, now: Instant) -> QueueStats {
        let lines = [&self.urgent, &self.periodic].into_iter().chain(self.parked.values());
        // What is no longer ready stays in its line until its turn comes.
        let first_ready = |line: &VecDeque<K>| {
            line.iter().find_map(|key| match self.entries.get(key)?.phase {
                Phase::Ready { since, .. } => Some(since),
                Phase::Idle | Phase::Running { .. } => None,
            })
        };
        let oldest = lines.filter_map(first_ready).min();
        QueueStats {
            waiting: self.ready,
            running: self.running,
            known: self.entries.len(),
            failing: self.failing,
            oldest_wait: oldest
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
        }
    }

    /// Since when `key` had been in line when it was last handed out.
    pub(crate) fn since(&self, key: &K) -> Option<Instant> {
        self.entries.get(key).and_then(|entry| entry.since)
    }

    /// `key`, which is under way, has just taken in what it was woken for. True if it was woken since it
    /// started.
    pub(crate) fn caught_up(&mut self, key: &K) -> bool {
        self.entries.get_mut(key).is_some_and(|entry| entry.again.take().is_some())
    }

    /// Hands out everything that is due and has a place, and says when the next timer rings.
    pub(crate) fn start_due(
        &mut self,
        now: Instant,
        bounds: Bounds,
    ) -> (Vec<Running<K>>, Option<Instant>) {
        self.ring(now);
        let mut started = Vec::new();
        while self.fast < bounds.max_concurrent && self.running < bounds.in_all {
            let room = self.running_periodic < bounds.periodic;
            let Some(key) = self.pop(room) else { break };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Phase::Ready { since, lane } = entry.phase else { continue };
            let group = entry.group.clone();
            if self.running_in.get(&group).copied().unwrap_or(0) >= bounds.per_group {
                self.parked.entry(group).or_default().push_back(key);
                continue;
            }
            entry.phase = Phase::Running { slow: false, lane };
            entry.since = Some(since);
            *self.running_in.entry(group).or_default() += 1;
            self.ready -= 1;
            self.running += 1;
            self.running_periodic += usize::from(lane == Lane::Periodic);
            self.fast += 1;
            started.push(Running { key });
        }
        (started, self.timers.first().map(|(due, _)| *due))
    }

    /// `key` takes long: it no longer counts against the max_concurrent.
    pub(crate) fn slow(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key)
            && let Phase::Running { slow: false, lane } = entry.phase
        {
            entry.phase = Phase::Running { slow: true, lane };
            self.fast -= 1;
        }
    }

    pub(crate) fn finish(
        &mut self,
        key: &K,
        next: &Next,
        now: Instant,
        backoff: impl Fn(u32) -> Duration,
    ) {
        self.last_finish = now;
        let Some(entry) = self.entries.get_mut(key) else { return };
        let Phase::Running { slow, lane } = entry.phase else { return };
        entry.phase = Phase::Idle;
        self.running -= 1;
        self.running_periodic -= usize::from(lane == Lane::Periodic);
        if !slow {
            self.fast -= 1;
        }
        let failed = matches!(next, Next::Retry | Next::RetryAfter(_));
        match (entry.failures > 0, failed) {
            (false, true) => self.failing += 1,
            (true, false) => self.failing -= 1,
            _ => {}
        }
        entry.failures = if failed { entry.failures.saturating_add(1) } else { 0 };
        let (again, failures, group) = (entry.again.take(), entry.failures, entry.group.clone());
        let later = entry.later.take();
        let gone = entry.gone && again.is_none();
        self.leave_group(&group);
        if gone {
            self.failing -= usize::from(failed);
            self.entries.remove(key);
            return;
        }
        match (again, next) {
            (Some(lane), _) => {
                self.wake(key, &group, lane, now);
            }
            (None, Next::Idle) => {}
            (None, Next::At { earliest, due }) => self.set_timer(key, *earliest, *due),
            (None, Next::Retry) => {
                let due = now + backoff(failures);
                self.set_timer(key, due, due);
            }
            (None, Next::RetryAfter(pause)) => {
                let due = now + *pause;
                self.set_timer(key, due, due);
            }
        }
        if let Some((earliest, due)) = later {
            self.schedule(key, &group, earliest, due);
        }
    }

    fn place_in_group(&mut self, key: &K, group: &G) {
        match self.entries.get_mut(key) {
            None => {
                let entry = Entry {
                    group: group.clone(),
                    phase: Phase::Idle,
                    again: None,
                    later: None,
                    timer: None,
                    since: None,
                    failures: 0,
                    gone: false,
                };
                self.entries.insert(key.clone(), entry);
            }
            // The group of an object under way changes when it is done: its bound counts where it started.
            Some(entry)
                if entry.group != *group && !matches!(entry.phase, Phase::Running { .. }) =>
            {
                let timer = entry.timer;
                self.clear_timer(key);
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.group = group.clone();
                }
                if let Some((earliest, due)) = timer {
                    self.set_timer(key, earliest, due);
                }
            }
            Some(_) => {}
        }
    }

    fn leave_group(&mut self, group: &G) {
        if let Some(running) = self.running_in.get_mut(group) {
            *running -= 1;
            if *running == 0 {
                self.running_in.remove(group);
            }
        }
        if let Some(parked) = self.parked.get_mut(group) {
            if let Some(key) = parked.pop_front() {
                // It has waited longest of its group, so it goes to the front.
                self.urgent.push_front(key);
            }
            if parked.is_empty() {
                self.parked.remove(group);
            }
        }
    }

    /// Moves everything whose time has come into line, and what may join it.
    fn ring(&mut self, now: Instant) {
        let mut groups = BTreeSet::new();
        while let Some((due, key)) = self.timers.first().cloned() {
            if due > now {
                break;
            }
            self.clear_timer(&key);
            if let Some(entry) = self.entries.get_mut(&key) {
                groups.insert(entry.group.clone());
                entry.phase = Phase::Ready { since: due, lane: Lane::Periodic };
                self.ready += 1;
                self.periodic.push_back(key);
            } else {
                self.timers.remove(&(due, key));
            }
        }
        for group in groups {
            self.join(&group, now);
        }
    }

    fn join(&mut self, group: &G, now: Instant) {
        while let Some((earliest, key)) =
            self.windows.get(group).and_then(|window| window.first()).cloned()
        {
            if earliest > now {
                break;
            }
            self.clear_timer(&key);
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.phase = Phase::Ready { since: now, lane: Lane::Periodic };
                self.ready += 1;
                self.periodic.push_back(key);
            }
        }
    }

    /// The next in line; a periodic one only if there is `room` for it.
    fn pop(&mut self, room: bool) -> Option<K> {
        if room
            && self.in_a_row >= URGENT_IN_A_ROW
            && let Some(key) = self.periodic.pop_front()
        {
            self.in_a_row = 0;
            return Some(key);
        }
        if let Some(key) = self.urgent.pop_front() {
            self.in_a_row += 1;
            return Some(key);
        }
        self.in_a_row = 0;
        if room { self.periodic.pop_front() } else { None }
    }

    fn line(&mut self, lane: Lane) -> &mut VecDeque<K> {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Periodic => &mut self.periodic,
        }
    }

    fn set_timer(&mut self, key: &K, earliest: Instant, due: Instant) {
        self.clear_timer(key);
        let Some(entry) = self.entries.get_mut(key) else { return };
        let earliest = earliest.min(due);
        entry.timer = Some((earliest, due));
        self.timers.insert((due, key.clone()));
        self.windows.entry(entry.group.clone()).or_default().insert((earliest, key.clone()));
    }

    fn clear_timer(&mut self, key: &K) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let Some((earliest, due)) = entry.timer.take() else { return };
        let group = entry.group.clone();
        self.timers.remove(&(due, key.clone()));
        if let Some(window) = self.windows.get_mut(&group) {
            window.remove(&(earliest, key.clone()));
            if window.is_empty() {
                self.windows.remove(&group);
            }
        }
    }
}
