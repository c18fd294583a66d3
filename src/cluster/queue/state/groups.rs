//! The lines of the groups: who is ready, and which group has the next turn.
//!
//! Each group has one line per lane, ordered by how long its objects have been ready. A group that has
//! somebody in line and is below its bound takes part in the round of that lane. A group at its bound takes
//! part in none, so it costs nothing until one of its objects finishes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    time::Instant,
};

use crate::lane::Lane;

/// A group hands out this many objects before the next group has its turn: enough to fill a batch, and few
/// enough that a store with thousands of objects does not keep the others waiting.
pub(crate) const TURN: u32 = 20;

/// Where an object stands in its line. Unique, and the longest wait comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) since: Instant,
    pub(crate) number: u64,
}

/// One value for each lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerLane<T> {
    urgent: T,
    event: T,
    periodic: T,
}

impl<T> PerLane<T> {
    pub(crate) fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Event => &self.event,
            Lane::Periodic => &self.periodic,
        }
    }

    pub(crate) fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Event => &mut self.event,
            Lane::Periodic => &mut self.periodic,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Group<K> {
    pub(crate) lines: PerLane<BTreeMap<Position, K>>,
    /// Its turn in the round of a lane: there is one while somebody is in line.
    pub(crate) turns: PerLane<Option<Turn>>,
    /// Start of the window of each waiting object, so that it can join an earlier one.
    pub(crate) windows: BTreeSet<(Instant, K)>,
    pub(crate) running: usize,
    /// When one of its objects last started or finished.
    pub(crate) moved: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) number: u64,
    pub(crate) left: u32,
}

impl<K> Default for Group<K> {
    fn default() -> Self {
        Self {
            lines: PerLane {
                urgent: BTreeMap::new(),
                event: BTreeMap::new(),
                periodic: BTreeMap::new(),
            },
            turns: PerLane::default(),
            windows: BTreeSet::new(),
            running: 0,
            moved: None,
        }
    }
}

impl<K> Group<K> {
    fn is_unused(&self) -> bool {
        self.running == 0
            && self.windows.is_empty()
            && Lane::ALL.iter().all(|lane| self.lines.get(*lane).is_empty())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Groups<K, G> {
    per_group: usize,
    pub(crate) by_name: HashMap<G, Group<K>>,
    /// The groups that may hand out an object, in the order of their turns.
    pub(crate) rounds: PerLane<BTreeMap<u64, G>>,
    turns_given: u64,
}

impl<K, G> Groups<K, G>
where
    K: Clone + Ord,
    G: Clone + Eq + Hash,
{
    pub(crate) fn new(per_group: usize) -> Self {
        Self {
            per_group,
            by_name: HashMap::new(),
            rounds: PerLane {
                urgent: BTreeMap::new(),
                event: BTreeMap::new(),
                periodic: BTreeMap::new(),
            },
            turns_given: 0,
        }
    }

    pub(crate) fn join_line(&mut self, group: &G, lane: Lane, position: Position, key: &K) {
        self.update(group, |group| group.lines.get_mut(lane).insert(position, key.clone()));
    }

    pub(crate) fn leave_line(&mut self, group: &G, lane: Lane, position: Position) {
        self.update(group, |group| group.lines.get_mut(lane).remove(&position));
    }

    pub(crate) fn open_window(&mut self, group: &G, earliest: Instant, key: &K) {
        self.update(group, |group| group.windows.insert((earliest, key.clone())));
    }

    pub(crate) fn close_window(&mut self, group: &G, earliest: Instant, key: &K) {
        self.update(group, |group| group.windows.remove(&(earliest, key.clone())));
    }

    pub(crate) fn start(&mut self, group: &G) {
        self.update(group, |group| group.running += 1);
    }

    pub(crate) fn finish(&mut self, group: &G) {
        self.update(group, |group| group.running -= 1);
    }

    /// Notes that an object of the group has just started or finished.
    pub(crate) fn note_progress(&mut self, group: &G, now: Instant) {
        if let Some(group) = self.by_name.get_mut(group) {
            group.moved = Some(now);
        }
    }

    /// True if a group may hand out an object of the lane.
    pub(crate) fn has_next(&self, lane: Lane) -> bool {
        !self.rounds.get(lane).is_empty()
    }

    /// Takes the next object out of its line.
    pub(crate) fn pop(&mut self, lane: Lane) -> Option<K> {
        let group = self.rounds.get(lane).first_key_value()?.1.clone();
        let found = self.by_name.get_mut(&group)?;
        let key = found.lines.get_mut(lane).pop_first().map(|(_, key)| key);
        if let Some(turn) = found.turns.get_mut(lane) {
            turn.left -= 1;
            if turn.left == 0 {
                self.rounds.get_mut(lane).remove(&turn.number);
                *found.turns.get_mut(lane) = None;
            }
        }
        self.settle(&group);
        key
    }

    /// Takes out an object of the group whose window is open.
    pub(crate) fn pop_window(&mut self, group: &G, now: Instant) -> Option<K> {
        let windows = &mut self.by_name.get_mut(group)?.windows;
        if windows.first()?.0 > now {
            return None;
        }
        let (_, key) = windows.pop_first()?;
        self.settle(group);
        Some(key)
    }

    fn update<T>(&mut self, group: &G, change: impl FnOnce(&mut Group<K>) -> T) {
        if let Some(found) = self.by_name.get_mut(group) {
            change(found);
        } else {
            let mut new = Group::default();
            change(&mut new);
            self.by_name.insert(group.clone(), new);
        }
        self.settle(group);
    }

    /// Whether a group takes part in a round follows from its line and its bound alone, and is worked out
    /// anew after every change: there is no turn to hand on and none to lose.
    fn settle(&mut self, group: &G) {
        let Some(found) = self.by_name.get_mut(group) else { return };
        let below_bound = found.running < self.per_group;
        for lane in Lane::ALL {
            let round = self.rounds.get_mut(lane);
            if found.lines.get(lane).is_empty() {
                if let Some(turn) = found.turns.get_mut(lane).take() {
                    round.remove(&turn.number);
                }
                continue;
            }
            let turn = found.turns.get_mut(lane).get_or_insert_with(|| {
                self.turns_given += 1;
                Turn { number: self.turns_given, left: TURN }
            });
            if below_bound {
                round.entry(turn.number).or_insert_with(|| group.clone());
            } else {
                round.remove(&turn.number);
            }
        }
        if found.is_unused() {
            self.by_name.remove(group);
        }
    }
}
