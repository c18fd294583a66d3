//! What tests ask of the state.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash, time::Instant};

use super::{
    Books, PASSES_IN_A_ROW, Phase, State, Window,
    groups::{Groups, TURN},
};

use crate::lane::Lane;

pub(crate) const A_TURN: u32 = TURN;
pub(crate) const IN_A_ROW: u32 = PASSES_IN_A_ROW;

/// The state without what does not matter for what is handed out from now on: numbers are ranks, times are
/// microseconds from now.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Canonical<K, G> {
    objects: BTreeMap<K, (G, Doing<G>, u32)>,
    rounds: Vec<Vec<(G, u32)>>,
    passed: [u32; Lane::ALL.len()],
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Doing<G> {
    Idle,
    Waiting(i128, i128),
    Ready {
        lane: Lane,
        since: i128,
        rank: usize,
    },
    Running {
        group: G,
        lane: Lane,
        slow: bool,
        again: Option<Lane>,
        later: Option<(i128, i128)>,
        gone: bool,
    },
}

impl<K, G> State<K, G>
where
    K: Clone + Ord + Hash + Debug,
    G: Clone + Ord + Hash + Debug,
{
    /// Fails unless everything that is kept beside the objects follows from the objects.
    pub(crate) fn audit(&self) {
        let books = &self.books;
        let mut anew = Books {
            bounds: books.bounds,
            timers: std::collections::BTreeSet::new(),
            groups: Groups::new(books.bounds.per_group),
            ready: std::collections::BTreeSet::new(),
            running: 0,
            running_periodic: 0,
            fast: 0,
        };
        for (key, entry) in &self.entries {
            anew.enter(key, &entry.group, &entry.phase);
        }
        assert_eq!(books.timers, anew.timers);
        assert_eq!(books.ready, anew.ready);
        assert_eq!(
            (books.running, books.running_periodic, books.fast),
            (anew.running, anew.running_periodic, anew.fast)
        );
        assert_eq!(self.failing, self.entries.values().filter(|entry| entry.failures > 0).count());
        assert_eq!(books.groups.by_name.len(), anew.groups.by_name.len());
        for (name, group) in &books.groups.by_name {
            let expected = &anew.groups.by_name[name];
            assert_eq!((group.running, &group.windows), (expected.running, &expected.windows));
            for lane in Lane::ALL {
                assert_eq!(group.lines.get(lane), expected.lines.get(lane));
                let turn = group.turns.get(lane);
                assert_eq!(turn.is_some(), !group.lines.get(lane).is_empty());
                let takes_part = turn.is_some_and(|turn| {
                    books.groups.rounds.get(lane).get(&turn.number) == Some(name)
                });
                assert_eq!(takes_part, turn.is_some() && group.running < books.bounds.per_group);
                assert!(turn.is_none_or(|turn| (1..=TURN).contains(&turn.left)));
            }
        }
        for lane in Lane::ALL {
            let taking_part = anew.groups.rounds.get(lane).len();
            assert_eq!(books.groups.rounds.get(lane).len(), taking_part);
        }
    }

    /// True if a scan of every line finds an object that has room. Right after a turn of the loop there must
    /// be none.
    pub(crate) fn could_start(&self) -> bool {
        self.books.groups.by_name.values().any(|group| {
            group.running < self.books.bounds.per_group
                && Lane::ALL
                    .iter()
                    .any(|lane| self.books.has_room(*lane) && !group.lines.get(*lane).is_empty())
        })
    }

    /// True if `key` is ready, or will be when its run is done.
    pub(crate) fn will_run(&self, key: &K) -> bool {
        self.entries.get(key).is_some_and(|entry| match &entry.phase {
            Phase::Ready { .. } => true,
            Phase::Running(run) => run.again.is_some(),
            Phase::Idle | Phase::Waiting(_) => false,
        })
    }

    /// Hands out one object that is ready, whoever else is.
    pub(crate) fn start_only(&mut self, key: &K, now: Instant) {
        assert!(self.start(key, now));
    }

    pub(crate) fn is_running(&self, key: &K) -> bool {
        self.entries.get(key).is_some_and(|entry| matches!(entry.phase, Phase::Running(_)))
    }

    pub(crate) fn is_slow(&self, key: &K) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| matches!(&entry.phase, Phase::Running(run) if run.slow))
    }

    pub(crate) fn canonical(&self, now: Instant) -> Canonical<K, G> {
        let from_now = |time: Instant| match time.checked_duration_since(now) {
            Some(ahead) => i128::try_from(ahead.as_micros()).unwrap(),
            None => -i128::try_from(now.duration_since(time).as_micros()).unwrap(),
        };
        let window = |window: &Window| (from_now(window.earliest), from_now(window.due));
        let objects = self.entries.iter().map(|(key, entry)| {
            let doing = match &entry.phase {
                Phase::Idle => Doing::Idle,
                Phase::Waiting(planned) => {
                    let (earliest, due) = window(planned);
                    Doing::Waiting(earliest, due)
                }
                Phase::Ready { position, lane } => Doing::Ready {
                    lane: *lane,
                    since: from_now(position.since),
                    rank: self.books.ready.range(..position).count(),
                },
                Phase::Running(run) => Doing::Running {
                    group: run.group.clone(),
                    lane: run.lane,
                    slow: run.slow,
                    again: run.again,
                    later: run.later.as_ref().map(window),
                    gone: run.gone,
                },
            };
            (key.clone(), (entry.group.clone(), doing, entry.failures))
        });
        let rounds = Lane::ALL.iter().map(|lane| {
            let groups = self.books.groups.by_name.iter();
            let turns: BTreeMap<u64, (G, u32)> = groups
                .filter_map(|(name, group)| {
                    let turn = group.turns.get(*lane).as_ref()?;
                    Some((turn.number, (name.clone(), turn.left)))
                })
                .collect();
            turns.into_values().collect()
        });
        Canonical {
            objects: objects.collect(),
            rounds: rounds.collect(),
            passed: Lane::ALL.map(|lane| *self.passed.get(lane)),
        }
    }
}
