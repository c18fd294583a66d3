//! The queue's state: plain data, no waiting, the time is passed in.
//!
//! An object is in exactly one [`Phase`]. [`State::shift`] is the only way from one to another: it takes the
//! object out of everything that its old phase stands in and puts it into what its new phase stands in.

mod groups;
mod health;

#[cfg(test)]
pub(crate) mod audit;

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::{Duration, Instant},
};

use super::{Bounds, Next, QueueStats};
use crate::lane::Lane;
use groups::{Groups, PerLane, Position};
pub(crate) use health::{Cause, Limits, Stuck};

/// After this many objects of lanes before its own have passed one that could start, it gets its turn.
const PASSES_IN_A_ROW: u32 = 16;

#[derive(Clone, Debug)]
struct Entry<G> {
    /// What it shares calls and bounds with from its next run on.
    group: G,
    phase: Phase<G>,
    failures: u32,
}

/// What an object is doing.
#[derive(Clone, Debug)]
enum Phase<G> {
    /// Nothing until something changes.
    Idle,
    /// Its timer runs.
    Waiting(Window),
    /// It stands in a line of its group.
    Ready { position: Position, lane: Lane },
    /// It was handed out.
    Running(Box<Run<G>>),
}

/// Ready by `due`, or from `earliest` on along with others of its group.
#[derive(Clone, Copy, Debug)]
struct Window {
    earliest: Instant,
    due: Instant,
}

#[derive(Clone, Debug)]
struct Run<G> {
    /// The group whose bound it counts against, even if the object has changed its group since.
    group: G,
    lane: Lane,
    slow: bool,
    /// Since when it was ready before it was handed out.
    since: Instant,
    /// It was woken meanwhile: it is ready again when done.
    again: Option<Lane>,
    /// It was scheduled meanwhile: the timer is set when done. What is running may have read too early.
    later: Option<Window>,
    /// It was forgotten meanwhile: it is dropped when done.
    gone: bool,
}

/// An object that was handed out.
#[derive(Debug)]
pub(crate) struct Running<K> {
    /// Which.
    pub(crate) key: K,
}

#[derive(Clone, Debug)]
pub(crate) struct State<K, G> {
    entries: HashMap<K, Entry<G>>,
    books: Books<K, G>,
    /// Objects that have failed since their last success.
    failing: usize,
    /// How many objects have joined a line so far.
    joined: u64,
    /// Objects that have passed one of the lane that could start.
    passed: PerLane<u32>,
    /// Since when objects are handed out. Before that, waiting is no sign of trouble.
    began: Option<Instant>,
    last_finish: Option<Instant>,
    /// When a turn of the loop last left no room for the lane.
    full: PerLane<Option<Instant>>,
}

/// Everything that an object stands in because of its phase.
#[derive(Clone, Debug)]
struct Books<K, G> {
    bounds: Bounds,
    timers: BTreeSet<(Instant, K)>,
    groups: Groups<K, G>,
    /// All positions in all lines, so that the longest wait is known at once.
    ready: BTreeSet<Position>,
    running: usize,
    /// Those that are not urgent.
    running_periodic: usize,
    /// Running and not slow.
    fast: usize,
}

impl<K, G> Books<K, G>
where
    K: Clone + Ord,
    G: Clone + Eq + Hash,
{
    fn enter(&mut self, key: &K, group: &G, phase: &Phase<G>) {
        match phase {
            Phase::Idle => {}
            Phase::Waiting(window) => {
                self.timers.insert((window.due, key.clone()));
                self.groups.open_window(group, window.earliest, key);
            }
            Phase::Ready { position, lane } => {
                self.ready.insert(*position);
                self.groups.join_line(group, *lane, *position, key);
            }
            Phase::Running(run) => {
                self.running += 1;
                self.running_periodic += usize::from(run.lane != Lane::Urgent);
                self.fast += usize::from(!run.slow);
                self.groups.start(&run.group);
            }
        }
    }

    fn leave(&mut self, key: &K, group: &G, phase: &Phase<G>) {
        match phase {
            Phase::Idle => {}
            Phase::Waiting(window) => {
                self.timers.remove(&(window.due, key.clone()));
                self.groups.close_window(group, window.earliest, key);
            }
            Phase::Ready { position, lane } => {
                self.ready.remove(position);
                self.groups.leave_line(group, *lane, *position);
            }
            Phase::Running(run) => {
                self.running -= 1;
                self.running_periodic -= usize::from(run.lane != Lane::Urgent);
                self.fast -= usize::from(!run.slow);
                self.groups.finish(&run.group);
            }
        }
    }

    /// True if the queue as a whole can hand out one more object of the lane.
    fn has_room(&self, lane: Lane) -> bool {
        self.fast < self.bounds.max_concurrent
            && self.running < self.bounds.in_all
            && (lane == Lane::Urgent || self.running_periodic < self.bounds.periodic)
    }
}

impl<K, G> State<K, G>
where
    K: Clone + Ord + Hash,
    G: Clone + Ord + Hash,
{
    pub(crate) fn new(bounds: Bounds) -> Self {
        let books = Books {
            bounds,
            timers: BTreeSet::new(),
            groups: Groups::new(bounds.per_group),
            ready: BTreeSet::new(),
            running: 0,
            running_periodic: 0,
            fast: 0,
        };
        Self {
            entries: HashMap::new(),
            books,
            failing: 0,
            joined: 0,
            passed: PerLane::default(),
            began: None,
            last_finish: None,
            full: PerLane::default(),
        }
    }

    /// Makes `key` ready. True if something may be handed out because of that.
    pub(crate) fn wake(&mut self, key: &K, group: &G, lane: Lane, now: Instant) -> bool {
        let moved = self.assign(key, group);
        let Some(entry) = self.entries.get_mut(key) else { return false };
        match &mut entry.phase {
            Phase::Running(run) => {
                run.gone = false;
                run.again = Some(run.again.map_or(lane, |again| again.min(lane)));
                false
            }
            Phase::Ready { position, lane: present } if lane < *present => {
                let position = *position;
                self.shift(key, Phase::Ready { position, lane });
                true
            }
            Phase::Ready { .. } => moved,
            Phase::Idle | Phase::Waiting(_) => {
                self.line_up(key, lane, now);
                true
            }
        }
    }

    /// Sets the timer of an object, unless it is due earlier anyway.
    pub(crate) fn schedule(&mut self, key: &K, group: &G, earliest: Instant, due: Instant) {
        self.assign(key, group);
        self.plan(key, Window { earliest: earliest.min(due), due });
    }

    pub(crate) fn forget(&mut self, key: &K) {
        self.set_failures(key, 0);
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Phase::Running(run) = &mut entry.phase {
            run.again = None;
            run.later = None;
            run.gone = true;
        } else {
            self.shift(key, Phase::Idle);
            self.entries.remove(key);
        }
    }

    pub(crate) fn failures(&self, key: &K) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.failures)
    }

    /// Asked by every scrape and by work under load: costs the same however many objects there are.
    pub(crate) fn stats(&self, now: Instant) -> QueueStats {
        let oldest = self.books.ready.first();
        QueueStats {
            waiting: self.books.ready.len(),
            running: self.books.running,
            known: self.entries.len(),
            failing: self.failing,
            oldest_wait: oldest
                .map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest.since)),
        }
    }

    /// Since when `key`, which is running, had been ready when it was handed out.
    pub(crate) fn since(&self, key: &K) -> Option<Instant> {
        match &self.entries.get(key)?.phase {
            Phase::Running(run) => Some(run.since),
            Phase::Idle | Phase::Waiting(_) | Phase::Ready { .. } => None,
        }
    }

    /// `key`, which is running, has just read what it was woken for. True if it was woken since it
    /// started.
    pub(crate) fn caught_up(&mut self, key: &K) -> bool {
        self.run(key).is_some_and(|run| run.again.take().is_some())
    }

    /// From now on objects are handed out.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// From now on nothing is handed out any more.
    pub(crate) fn end(&mut self) {
        self.began = None;
    }

    /// Hands out everything that is ready and has room, and says when the next timer rings.
    pub(crate) fn start_due(&mut self, now: Instant) -> (Vec<Running<K>>, Option<Instant>) {
        self.ring(now);
        let mut started = Vec::new();
        while let Some(lane) = self.next_lane() {
            let Some(key) = self.books.groups.pop(lane) else { break };
            if self.start(&key, now) {
                started.push(Running { key });
            }
        }
        for lane in Lane::ALL {
            if !self.books.has_room(lane) {
                *self.full.get_mut(lane) = Some(now);
            }
        }
        (started, self.books.timers.first().map(|(due, _)| *due))
    }

    /// `key` takes long: it no longer counts against the objects that run at once.
    pub(crate) fn slow(&mut self, key: &K) {
        if let Some(run) = self.run(key)
            && !run.slow
        {
            run.slow = true;
            self.books.fast -= 1;
        }
    }

    pub(crate) fn finish(
        &mut self,
        key: &K,
        next: &Next,
        now: Instant,
        backoff: impl Fn(u32) -> Duration,
    ) {
        self.last_finish = Some(now);
        if self.run(key).is_none() {
            return;
        }
        let Some(Phase::Running(run)) = self.shift(key, Phase::Idle) else { return };
        self.books.groups.note_progress(&run.group, now);
        if run.gone {
            self.forget(key);
            return;
        }
        let failed = matches!(next, Next::Retry | Next::RetryAfter(_));
        let failures = if failed { self.failures(key).saturating_add(1) } else { 0 };
        self.set_failures(key, failures);
        let window = match next {
            Next::Idle => None,
            Next::At { earliest, due } => Some(Window { earliest: *earliest.min(due), due: *due }),
            Next::Retry => Some(Window::at(now + backoff(failures))),
            Next::RetryAfter(pause) => Some(Window::at(now + *pause)),
        };
        if let Some(lane) = run.again {
            self.line_up(key, lane, now);
        }
        for window in window.into_iter().chain(run.later) {
            self.plan(key, window);
        }
    }

    /// The only way from one phase to another. Returns the old one.
    fn shift(&mut self, key: &K, phase: Phase<G>) -> Option<Phase<G>> {
        let entry = self.entries.get_mut(key)?;
        self.books.leave(key, &entry.group, &entry.phase);
        self.books.enter(key, &entry.group, &phase);
        Some(std::mem::replace(&mut entry.phase, phase))
    }

    /// Makes `key` known and a member of `group`. True if it is ready and changed its group.
    fn assign(&mut self, key: &K, group: &G) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            let entry = Entry { group: group.clone(), phase: Phase::Idle, failures: 0 };
            self.entries.insert(key.clone(), entry);
            return false;
        };
        if entry.group == *group {
            return false;
        }
        let old = std::mem::replace(&mut entry.group, group.clone());
        // A run stays where it started: its bound counts there.
        if !matches!(entry.phase, Phase::Running(_)) {
            self.books.leave(key, &old, &entry.phase);
            self.books.enter(key, group, &entry.phase);
        }
        matches!(entry.phase, Phase::Ready { .. })
    }

    fn line_up(&mut self, key: &K, lane: Lane, since: Instant) {
        self.joined += 1;
        let position = Position { since, number: self.joined };
        self.shift(key, Phase::Ready { position, lane });
    }

    fn plan(&mut self, key: &K, window: Window) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match &mut entry.phase {
            Phase::Running(run) => {
                run.gone = false;
                if run.later.is_none_or(|planned| window.due < planned.due) {
                    run.later = Some(window);
                }
            }
            Phase::Waiting(planned) if planned.due <= window.due => {}
            Phase::Idle | Phase::Waiting(_) => {
                self.shift(key, Phase::Waiting(window));
            }
            Phase::Ready { .. } => {}
        }
    }

    /// Makes everything ready whose time has come, and what may join it.
    fn ring(&mut self, now: Instant) {
        let mut groups = BTreeSet::new();
        while self.books.timers.first().is_some_and(|(due, _)| *due <= now)
            && let Some((due, key)) = self.books.timers.pop_first()
        {
            if let Some(entry) = self.entries.get(&key) {
                groups.insert(entry.group.clone());
                self.line_up(&key, Lane::Periodic, due);
            }
        }
        for group in groups {
            while let Some(key) = self.books.groups.pop_window(&group, now) {
                self.line_up(&key, Lane::Periodic, now);
            }
        }
    }

    /// The lane that has the next turn, if anything can be handed out: the first, unless it has passed a later one often
    /// enough.
    fn next_lane(&mut self) -> Option<Lane> {
        let can_start =
            |lane: &Lane| self.books.has_room(*lane) && self.books.groups.has_next(*lane);
        let able: Vec<Lane> = Lane::ALL.into_iter().filter(can_start).collect();
        let waited = |lane: &&Lane| *self.passed.get(**lane) >= PASSES_IN_A_ROW;
        let next = *able.iter().rev().find(waited).or(able.first())?;
        for lane in able.into_iter().filter(|lane| *lane > next) {
            *self.passed.get_mut(lane) += 1;
        }
        *self.passed.get_mut(next) = 0;
        Some(next)
    }

    fn start(&mut self, key: &K, now: Instant) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let Phase::Ready { position, lane } = entry.phase else { return false };
        let group = entry.group.clone();
        let run = Run {
            group: group.clone(),
            lane,
            slow: false,
            since: position.since,
            again: None,
            later: None,
            gone: false,
        };
        self.shift(key, Phase::Running(Box::new(run)));
        self.books.groups.note_progress(&group, now);
        true
    }

    fn run(&mut self, key: &K) -> Option<&mut Run<G>> {
        match &mut self.entries.get_mut(key)?.phase {
            Phase::Running(run) => Some(run),
            Phase::Idle | Phase::Waiting(_) | Phase::Ready { .. } => None,
        }
    }

    fn set_failures(&mut self, key: &K, failures: u32) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.failing -= usize::from(entry.failures > 0);
        entry.failures = failures;
        self.failing += usize::from(failures > 0);
    }
}

impl Window {
    fn at(due: Instant) -> Self {
        Self { earliest: due, due }
    }
}
