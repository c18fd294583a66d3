//! All interleavings of a small world: queue, fence and writer.
//!
//! The queue is the real one. The loop that runs it, the fence and the writer are modelled as they are written:
//! the loop turns when it was notified or a timer rings, a write passes the fence before it waits for one of
//! a bounded number of permits and again before it is sent.

use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
};

use stateright::{Checker as _, Model, Property};

use super::*;
use crate::cluster::queue::state::audit::Canonical;

type Key = u8;
type Group = u8;

const TICK: Duration = Duration::from_secs(1);

/// What happens from outside, and how often at most: this makes the world finite.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Outside {
    wakes: u8,
    moves: u8,
    forgets: u8,
    ticks: u8,
    leases: u8,
    failures: u8,
}

/// The world, and the mistakes that the check must find.
#[derive(Clone)]
struct System {
    keys: Vec<(Key, Group)>,
    bounds: Bounds,
    writer_places: usize,
    outside: Outside,
    mistake: Option<Mistake>,
    origin: Instant,
}

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    /// The fence is not checked again after the wait for a place.
    OneFenceCheck,
    /// The loop is not woken when an object has finished.
    SilentFinish,
    /// The loop is not woken when an object is slow.
    SilentSlow,
    /// Work is started for whoever was woken, whether it runs or not.
    StartsWhatRuns,
}

/// How far the work on an object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Work {
    Reads,
    WaitsForPlace,
    Writes,
}

#[derive(Clone, Debug)]
struct World {
    queue: State<Key, Group>,
    now: Instant,
    /// The loop was notified and has not turned since.
    notified: bool,
    /// When the sleeping loop wakes up by itself.
    alarm: Option<Instant>,
    work: Vec<(Key, Work)>,
    leads: bool,
    left: Outside,
    /// Woken, and not handed out since.
    owed: Vec<Key>,
    wrote_without_lease: bool,
}

/// Two worlds are the same if the same can happen in both from now on.
#[derive(PartialEq, Hash)]
struct Form<'a> {
    queue: Canonical<Key, Group>,
    alarm: Option<Duration>,
    flags: (bool, bool, bool),
    work: &'a [(Key, Work)],
    left: &'a Outside,
    owed: &'a [Key],
}

impl World {
    fn turn(&mut self) {
        let (started, next_due) = self.queue.start_due(self.now);
        self.notified = false;
        self.alarm = next_due;
        for running in started {
            self.owed.retain(|key| *key != running.key);
            self.work.push((running.key, Work::Reads));
        }
    }

    fn form(&self) -> Form<'_> {
        Form {
            queue: self.queue.canonical(self.now),
            alarm: self.alarm.map(|alarm| alarm.saturating_duration_since(self.now)),
            flags: (self.notified, self.leads, self.wrote_without_lease),
            work: &self.work,
            left: &self.left,
            owed: &self.owed,
        }
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.form().hash(hasher);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.form() == other.form()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Wake(Key, Group, Lane),
    Forget(Key),
    Tick,
    LoseLease,
    GetLease,
    Turn,
    Slow(Key),
    /// The work on the key takes its next step.
    Step(Key),
    /// The API server refuses its write.
    Fail(Key),
    /// It reads everything anew before it goes on.
    CatchUp(Key),
}

impl System {
    fn group(&self, key: Key) -> Group {
        self.keys.iter().find(|(of, _)| *of == key).map_or(0, |(_, group)| *group)
    }

    fn has_made(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn step(&self, world: &mut World, at: usize) {
        let (key, work) = world.work[at];
        let next = match work {
            Work::Reads if world.leads => Work::WaitsForPlace,
            Work::WaitsForPlace if world.leads || self.has_made(Mistake::OneFenceCheck) => {
                world.wrote_without_lease |= !world.leads;
                Work::Writes
            }
            Work::Reads | Work::WaitsForPlace => return self.finish(world, at, &Next::Retry),
            Work::Writes => {
                // Two kinds of objects: with and without a periodic refresh.
                let next = if key % 2 == 0 {
                    Next::At { earliest: world.now + TICK, due: world.now + TICK * 2 }
                } else {
                    Next::Idle
                };
                return self.finish(world, at, &next);
            }
        };
        world.work[at].1 = next;
    }

    fn finish(&self, world: &mut World, at: usize, next: &Next) {
        let (key, _) = world.work.remove(at);
        world.queue.finish(&key, next, world.now, |_| TICK);
        world.notified |= !self.has_made(Mistake::SilentFinish);
    }

    fn wake(&self, world: &mut World, key: Key, group: Group, lane: Lane) {
        if self.has_made(Mistake::StartsWhatRuns) && world.queue.is_running(&key) {
            world.work.push((key, Work::Reads));
        }
        world.notified |= world.queue.wake(&key, &group, lane, world.now);
        if !world.owed.contains(&key) {
            world.owed.push(key);
        }
    }

    fn outside(&self, world: &World, actions: &mut Vec<Action>) {
        for (key, group) in &self.keys {
            if world.left.wakes > 0 {
                actions.push(Action::Wake(*key, *group, Lane::Urgent));
                actions.push(Action::Wake(*key, *group, Lane::Periodic));
            }
            if world.left.moves > 0 {
                actions.push(Action::Wake(*key, 1 - *group, Lane::Urgent));
            }
            if world.left.forgets > 0 {
                actions.push(Action::Forget(*key));
            }
        }
        if world.left.ticks > 0 {
            actions.push(Action::Tick);
        }
        if world.left.leases > 0 {
            actions.push(if world.leads { Action::LoseLease } else { Action::GetLease });
        }
    }
}

impl Model for System {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            queue: State::new(self.bounds),
            now: self.origin,
            notified: true,
            alarm: None,
            work: Vec::new(),
            leads: true,
            left: self.outside.clone(),
            owed: Vec::new(),
            wrote_without_lease: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.outside(world, actions);
        if world.notified || world.alarm.is_some_and(|alarm| alarm <= world.now) {
            actions.push(Action::Turn);
        }
        let writes = world.work.iter().filter(|(_, work)| *work == Work::Writes).count();
        for (key, work) in &world.work {
            if *work != Work::WaitsForPlace || writes < self.writer_places {
                actions.push(Action::Step(*key));
            }
            if *work == Work::Writes && world.left.failures > 0 {
                actions.push(Action::Fail(*key));
            }
            if *work == Work::Reads && world.queue.will_run(key) {
                actions.push(Action::CatchUp(*key));
            }
            if !world.queue.is_slow(key) {
                actions.push(Action::Slow(*key));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        let at = |world: &World, key| world.work.iter().position(|(of, _)| *of == key);
        match action {
            Action::Wake(key, group, lane) => {
                let moves = group != self.group(key);
                let left = if moves { &mut world.left.moves } else { &mut world.left.wakes };
                *left -= 1;
                self.wake(&mut world, key, group, lane);
            }
            Action::Forget(key) => {
                world.left.forgets -= 1;
                world.queue.forget(&key);
                world.owed.retain(|of| *of != key);
            }
            Action::Tick => {
                world.left.ticks -= 1;
                world.now += TICK;
            }
            Action::LoseLease | Action::GetLease => {
                world.left.leases -= 1;
                world.leads = action == Action::GetLease;
            }
            Action::Turn => world.turn(),
            Action::Slow(key) => {
                world.queue.slow(&key);
                world.notified |= !self.has_made(Mistake::SilentSlow);
            }
            Action::Step(key) => {
                let at = at(&world, key)?;
                self.step(&mut world, at);
            }
            Action::Fail(key) => {
                world.left.failures -= 1;
                let at = at(&world, key)?;
                self.finish(&mut world, at, &Next::Retry);
            }
            Action::CatchUp(key) => {
                world.queue.caught_up(&key);
                world.owed.retain(|of| *of != key);
            }
        }
        world.owed.sort_unstable();
        world.work.sort_unstable();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what was woken is ready or runs once more", |_, world: &World| {
                world.owed.iter().all(|key| world.queue.will_run(key))
            }),
            Property::always("a loop that sleeps leaves nothing behind", |_, world: &World| {
                let turns = world.notified || world.alarm.is_some_and(|alarm| alarm <= world.now);
                turns || !world.queue.could_start()
            }),
            // Every path ends, since everything from outside is bounded: here is where it must have led.
            Property::always("in the end nothing is lost", |system: &System, world: &World| {
                let mut actions = Vec::new();
                system.actions(world, &mut actions);
                !actions.is_empty()
                    || (world.owed.is_empty() && world.queue.stats(world.now).waiting == 0)
            }),
            Property::always("nothing runs twice at once", |_, world: &World| {
                let keys: BTreeSet<_> = world.work.iter().map(|(key, _)| key).collect();
                keys.len() == world.work.len()
                    && keys.iter().all(|key| world.queue.is_running(key))
                    && world.queue.stats(world.now).running == keys.len()
            }),
            Property::always("no write begins without the lease", |_, world: &World| {
                !world.wrote_without_lease
            }),
            Property::sometimes(
                "a write is in flight when the lease is lost",
                |system: &System, world: &World| {
                    let lost = !world.leads || system.outside.leases == 0;
                    lost && world.work.iter().any(|(_, work)| *work == Work::Writes)
                },
            ),
            Property::sometimes(
                "somebody waits behind the bound of a group",
                |_, world: &World| {
                    let stats = world.queue.stats(world.now);
                    stats.waiting > 0 && stats.running > 0 && !world.notified
                },
            ),
        ]
    }
}

fn system(outside: Outside, mistake: Option<Mistake>) -> System {
    System {
        keys: vec![(0, 0), (1, 0), (2, 1)],
        bounds: Bounds { max_concurrent: 1, per_group: 1, in_all: 2, periodic: 1 },
        writer_places: 1,
        outside,
        mistake,
        origin: Instant::now(),
    }
}

fn check(outside: Outside) {
    let checker = system(outside, None).checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn no_interleaving_loses_an_object_runs_it_twice_or_writes_without_the_lease() {
    check(Outside { wakes: 3, moves: 0, forgets: 0, ticks: 1, leases: 1, failures: 0 });
}

#[test]
fn nor_does_one_in_which_objects_are_deleted_and_change_their_groups() {
    check(Outside { wakes: 2, moves: 1, forgets: 1, ticks: 0, leases: 0, failures: 0 });
}

#[test]
fn nor_does_one_in_which_leases_come_and_go_and_writes_fail() {
    check(Outside { wakes: 2, moves: 0, forgets: 0, ticks: 2, leases: 2, failures: 1 });
}

#[test]
fn the_check_finds_each_mistake() {
    let found = |mistake| {
        let outside = Outside { wakes: 3, moves: 0, forgets: 0, ticks: 0, leases: 1, failures: 0 };
        let checker = system(outside, Some(mistake)).checker().threads(2).spawn_bfs().join();
        let mut names: Vec<_> = checker.discoveries().into_keys().collect();
        names.sort_unstable();
        names.join("; ")
    };
    let (sleeps, twice, lease) = (
        "a loop that sleeps leaves nothing behind",
        "nothing runs twice at once",
        "no write begins without the lease",
    );
    for (mistake, property) in [
        (Mistake::OneFenceCheck, lease),
        (Mistake::SilentFinish, sleeps),
        (Mistake::SilentSlow, sleeps),
        (Mistake::StartsWhatRuns, twice),
    ] {
        let found = found(mistake);
        assert!(found.contains(property), "{found}");
    }
}
