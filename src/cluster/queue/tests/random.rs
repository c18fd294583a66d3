//! Random sequences of everything that can happen to a queue, against a model that scans a plain list.

use proptest::prelude::*;

use super::*;
use crate::cluster::queue::state::audit::{A_TURN, IN_A_ROW};

type Key = u8;
type Group = u8;

/// One thing that happens. Times are seconds from the moment it happens.
#[derive(Clone, Debug)]
enum Step {
    Wake(Key, Group, Lane),
    Schedule(Key, Group, u64, u64),
    Forget(Key),
    CaughtUp(Key),
    /// The n-th running object, modulo how many there are.
    Slow(usize),
    Finish(usize, Answer),
    Pass(u64),
    Turn,
}

#[derive(Clone, Debug)]
enum Answer {
    Idle,
    At(u64, u64),
    Retry,
    RetryAfter(u64),
}

fn pause_after(failures: u32) -> u64 {
    u64::from(failures.min(5)) * 2
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Idle,
    Waiting { earliest: u64, due: u64 },
    Ready { since: u64, number: u64, lane: Lane },
    Running(Run),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    counts_in: Group,
    lane: Lane,
    slow: bool,
    since: u64,
    again: Option<Lane>,
    later: Option<(u64, u64)>,
    gone: bool,
}

#[derive(Clone, Debug)]
struct Object {
    key: Key,
    group: Group,
    doing: Doing,
    failures: u32,
}

/// The queue as one would write it if it never held more than a handful of objects.
struct Naive {
    bounds: Bounds,
    now: u64,
    objects: Vec<Object>,
    urgent_round: Vec<(Group, u32)>,
    periodic_round: Vec<(Group, u32)>,
    joined: u64,
    passed: u32,
}

impl Naive {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            now: 0,
            objects: Vec::new(),
            urgent_round: Vec::new(),
            periodic_round: Vec::new(),
            joined: 0,
            passed: 0,
        }
    }

    fn object(&mut self, key: Key) -> Option<&mut Object> {
        self.objects.iter_mut().find(|object| object.key == key)
    }

    fn runs(&self) -> Vec<(Key, Run)> {
        let mut runs: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Running(run) => Some((object.key, run)),
                _ => None,
            })
            .collect();
        runs.sort_by_key(|(key, _)| *key);
        runs
    }

    fn assign(&mut self, key: Key, group: Group) -> &mut Object {
        if self.object(key).is_none() {
            self.objects.push(Object { key, group, doing: Doing::Idle, failures: 0 });
        }
        self.object(key).unwrap().group = group;
        self.update_rounds();
        self.object(key).unwrap()
    }

    fn set(&mut self, key: Key, doing: Doing) {
        self.object(key).unwrap().doing = doing;
        self.update_rounds();
    }

    fn line_up(&mut self, key: Key, lane: Lane, since: u64) {
        self.joined += 1;
        let number = self.joined;
        self.set(key, Doing::Ready { since, number, lane });
    }

    fn plan(&mut self, key: Key, earliest: u64, due: u64) {
        match &mut self.object(key).unwrap().doing {
            Doing::Running(run) => {
                run.gone = false;
                if run.later.is_none_or(|(_, planned)| due < planned) {
                    run.later = Some((earliest, due));
                }
            }
            Doing::Waiting { due: planned, .. } if *planned <= due => {}
            Doing::Ready { .. } => {}
            Doing::Idle | Doing::Waiting { .. } => self.set(key, Doing::Waiting { earliest, due }),
        }
    }

    fn wake(&mut self, key: Key, group: Group, lane: Lane) {
        let now = self.now;
        match &mut self.assign(key, group).doing {
            Doing::Running(run) => {
                run.gone = false;
                run.again =
                    if lane == Lane::Urgent { Some(lane) } else { run.again.or(Some(lane)) };
            }
            Doing::Ready { lane: present, .. } => {
                if lane == Lane::Urgent {
                    *present = lane;
                }
                self.update_rounds();
            }
            Doing::Idle | Doing::Waiting { .. } => self.line_up(key, lane, now),
        }
    }

    fn forget(&mut self, key: Key) {
        let Some(object) = self.object(key) else { return };
        object.failures = 0;
        if let Doing::Running(run) = &mut object.doing {
            *run = Run { again: None, later: None, gone: true, ..*run };
        } else {
            self.objects.retain(|object| object.key != key);
            self.update_rounds();
        }
    }

    fn finish(&mut self, key: Key, answer: &Answer) {
        let now = self.now;
        let object = self.object(key).unwrap();
        let Doing::Running(run) = object.doing else { panic!("{key} is not running") };
        object.doing = Doing::Idle;
        if run.gone {
            return self.forget(key);
        }
        let failed = matches!(answer, Answer::Retry | Answer::RetryAfter(_));
        object.failures = if failed { object.failures + 1 } else { 0 };
        let failures = object.failures;
        if let Some(lane) = run.again {
            self.line_up(key, lane, now);
        }
        match answer {
            Answer::Idle => {}
            Answer::At(earliest, due) => self.plan(key, now + earliest, now + due),
            Answer::Retry => {
                let due = now + pause_after(failures);
                self.plan(key, due, due);
            }
            Answer::RetryAfter(pause) => self.plan(key, now + pause, now + pause),
        }
        if let Some((earliest, due)) = run.later {
            self.plan(key, earliest, due);
        }
    }

    /// A group joins the end of a round when its first object is ready, and leaves it with its last.
    fn update_rounds(&mut self) {
        let ready: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Ready { lane, .. } => Some((object.group, lane)),
                _ => None,
            })
            .collect();
        for (lane, round) in
            [(Lane::Urgent, &mut self.urgent_round), (Lane::Periodic, &mut self.periodic_round)]
        {
            round.retain(|(group, _)| ready.contains(&(*group, lane)));
            for (group, _) in ready.iter().filter(|(_, of)| *of == lane) {
                if round.iter().all(|(member, _)| member != group) {
                    round.push((*group, A_TURN));
                }
            }
        }
    }

    fn next_due(&self) -> Option<u64> {
        let due = self.objects.iter().filter_map(|object| match object.doing {
            Doing::Waiting { due, .. } => Some(due),
            _ => None,
        });
        due.min()
    }

    fn ring(&mut self) {
        let mut due: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Waiting { due, .. } if due <= self.now => {
                    Some((due, object.key, object.group))
                }
                _ => None,
            })
            .collect();
        due.sort_unstable();
        for (due, key, _) in &due {
            self.line_up(*key, Lane::Periodic, *due);
        }
        let mut groups: Vec<_> = due.into_iter().map(|(_, _, group)| group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let mut joining: Vec<_> = self
                .objects
                .iter()
                .filter_map(|object| match object.doing {
                    Doing::Waiting { earliest, .. }
                        if earliest <= self.now && object.group == group =>
                    {
                        Some((earliest, object.key))
                    }
                    _ => None,
                })
                .collect();
            joining.sort_unstable();
            for (_, key) in joining {
                self.line_up(key, Lane::Periodic, self.now);
            }
        }
    }

    /// The object that is handed out next from `lane`, by the rules alone.
    fn candidate(&self, lane: Lane) -> Option<Key> {
        let runs = self.runs();
        let count =
            |holds: &dyn Fn(&Run) -> bool| runs.iter().filter(|(_, run)| holds(run)).count();
        if count(&|run| !run.slow) >= self.bounds.places
            || runs.len() >= self.bounds.in_all
            || (lane == Lane::Periodic
                && count(&|run| run.lane == Lane::Periodic) >= self.bounds.periodic)
        {
            return None;
        }
        let round = if lane == Lane::Urgent { &self.urgent_round } else { &self.periodic_round };
        let (group, _) = round
            .iter()
            .find(|(group, _)| count(&|run| run.counts_in == *group) < self.bounds.per_group)?;
        let in_line = self.objects.iter().filter_map(|object| match object.doing {
            Doing::Ready { since, number, lane: of } if of == lane && object.group == *group => {
                Some((since, number, object.key))
            }
            _ => None,
        });
        in_line.min().map(|(_, _, key)| key)
    }

    fn turn(&mut self) -> Vec<Key> {
        self.ring();
        let mut started = Vec::new();
        loop {
            let urgent = self.candidate(Lane::Urgent);
            let periodic = self.candidate(Lane::Periodic);
            let (key, lane) = match (urgent, periodic) {
                (Some(_), Some(key)) if self.passed >= IN_A_ROW => (key, Lane::Periodic),
                (Some(key), _) => (key, Lane::Urgent),
                (None, Some(key)) => (key, Lane::Periodic),
                (None, None) => return started,
            };
            if lane == Lane::Periodic {
                self.passed = 0;
            } else if periodic.is_some() {
                self.passed += 1;
            }
            let object = self.object(key).unwrap();
            let Doing::Ready { since, .. } = object.doing else { unreachable!() };
            let group = object.group;
            object.doing = Doing::Running(Run {
                counts_in: group,
                lane,
                slow: false,
                since,
                again: None,
                later: None,
                gone: false,
            });
            let round = if lane == Lane::Urgent {
                &mut self.urgent_round
            } else {
                &mut self.periodic_round
            };
            let at = round.iter().position(|(member, _)| *member == group).unwrap();
            round[at].1 -= 1;
            if round[at].1 == 0 {
                round.remove(at);
            }
            self.update_rounds();
            started.push(key);
        }
    }

    fn figures(&self) -> Figures {
        let waiting: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Ready { since, .. } => Some(since),
                _ => None,
            })
            .collect();
        let oldest = waiting.iter().min().map_or(0, |since| self.now - since);
        Figures {
            waiting: waiting.len(),
            running: self.runs().len(),
            known: self.objects.len(),
            failing: self.objects.iter().filter(|object| object.failures > 0).count(),
            oldest_wait: Duration::from_secs(oldest),
        }
    }
}

/// The real state and the model side by side.
struct Pair {
    real: State<Key, Group>,
    naive: Naive,
    origin: Instant,
}

impl Pair {
    fn at(&self, seconds: u64) -> Instant {
        self.origin + Duration::from_secs(seconds)
    }

    fn now(&self) -> Instant {
        self.at(self.naive.now)
    }

    fn apply(&mut self, step: &Step) {
        let now = self.now();
        match step {
            Step::Wake(key, group, lane) => {
                self.real.wake(key, group, *lane, now);
                self.naive.wake(*key, *group, *lane);
            }
            Step::Schedule(key, group, earliest, due) => {
                let (earliest, due) = (self.naive.now + earliest, self.naive.now + due);
                self.real.schedule(key, group, self.at(earliest), self.at(due));
                self.naive.assign(*key, *group);
                self.naive.plan(*key, earliest.min(due), due);
            }
            Step::Forget(key) => {
                self.real.forget(key);
                self.naive.forget(*key);
            }
            Step::CaughtUp(key) => {
                let woken = match self.naive.object(*key).map(|object| &mut object.doing) {
                    Some(Doing::Running(run)) => run.again.take().is_some(),
                    _ => false,
                };
                assert_eq!(self.real.caught_up(key), woken);
            }
            Step::Slow(nth) => {
                let Some(key) = self.running(*nth) else { return };
                self.real.slow(&key);
                let Doing::Running(run) = &mut self.naive.object(key).unwrap().doing else {
                    return;
                };
                run.slow = true;
            }
            Step::Finish(nth, answer) => {
                let Some(key) = self.running(*nth) else { return };
                self.finish(key, answer);
            }
            Step::Pass(seconds) => self.naive.now += seconds,
            Step::Turn => self.turn(),
        }
    }

    fn running(&self, nth: usize) -> Option<Key> {
        let runs = self.naive.runs();
        runs.get(nth % runs.len().max(1)).map(|(key, _)| *key)
    }

    fn finish(&mut self, key: Key, answer: &Answer) {
        let now = self.now();
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        let next = match answer {
            Answer::Idle => Next::Idle,
            Answer::At(earliest, due) => Next::At { earliest: after(*earliest), due: after(*due) },
            Answer::Retry => Next::Retry,
            Answer::RetryAfter(pause) => Next::RetryAfter(Duration::from_secs(*pause)),
        };
        let backoff = |failures| Duration::from_secs(pause_after(failures));
        self.real.finish(&key, &next, now, backoff);
        // An answer whose window starts after its end is read as one without a window.
        let answer = match answer {
            Answer::At(earliest, due) => &Answer::At(*earliest.min(due), *due),
            other => other,
        };
        self.naive.finish(key, answer);
    }

    fn turn(&mut self) {
        let (started, next_due) = self.real.start_due(self.now());
        let started: Vec<_> = started.into_iter().map(|running| running.key).collect();
        assert_eq!(started, self.naive.turn(), "what is handed out");
        assert_eq!(next_due, self.naive.next_due().map(|due| self.at(due)));
        assert!(!self.real.could_start(), "a ready object that has room was not handed out");
    }

    fn compare(&self) {
        self.real.audit();
        assert_eq!(self.real.figures(self.now()), self.naive.figures());
        for object in &self.naive.objects {
            assert_eq!(self.real.failures(&object.key), object.failures);
            let since = match object.doing {
                Doing::Running(run) => Some(self.at(run.since)),
                _ => None,
            };
            assert_eq!(self.real.since(&object.key), since);
        }
        // Whatever happened: the next turn leaves nothing behind that has room.
        let mut real = self.real.clone();
        real.start_due(self.now());
        assert!(!real.could_start());
        real.audit();
    }

    /// From here on everything finishes and nothing new comes: nobody is left in line.
    fn drain(&mut self) {
        for _ in 0..=self.naive.objects.len() * 2 {
            self.turn();
            for (key, _) in self.naive.runs() {
                self.finish(key, &Answer::Idle);
            }
            self.compare();
        }
        assert_eq!((self.naive.figures().waiting, self.naive.figures().running), (0, 0));
    }
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Urgent), Just(Lane::Periodic)]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Idle),
        (0..6_u64, 0..6_u64).prop_map(|(earliest, due)| Answer::At(earliest, due)),
        Just(Answer::Retry),
        (0..6_u64).prop_map(Answer::RetryAfter),
    ]
}

fn step(keys: Key, groups: Group) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..keys, 0..groups, lane()).prop_map(|(key, group, lane)| Step::Wake(key, group, lane)),
        // Most objects stay in their group.
        8 => (0..keys, lane()).prop_map(move |(key, lane)| Step::Wake(key, key % groups, lane)),
        3 => (0..keys, 0..groups, 0..6_u64, 0..6_u64)
            .prop_map(|(key, group, earliest, due)| Step::Schedule(key, group, earliest, due)),
        3 => (0..keys).prop_map(Step::Forget),
        1 => (0..keys).prop_map(Step::CaughtUp),
        2 => any::<usize>().prop_map(Step::Slow),
        8 => (any::<usize>(), answer()).prop_map(|(nth, answer)| Step::Finish(nth, answer)),
        2 => (0..3_u64).prop_map(Step::Pass),
        6 => Just(Step::Turn),
    ]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..6_usize, 1..4_usize, 1..8_usize, 1..6_usize).prop_map(
        |(places, per_group, in_all, periodic)| Bounds { places, per_group, in_all, periodic },
    )
}

fn run(bounds: Bounds, steps: &[Step]) {
    let origin = Instant::now();
    let mut pair = Pair { real: State::new(bounds), naive: Naive::new(bounds), origin };
    for step in steps {
        pair.apply(step);
        pair.compare();
    }
    pair.drain();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_hands_out_what_a_plain_list_would(
        bounds in bounds(),
        steps in prop::collection::vec(step(12, 3), 0..120),
    ) {
        run(bounds, &steps);
    }

    /// Far more objects than a group may run: turns end, and urgent objects pass periodic ones.
    #[test]
    fn long_lines_are_handed_out_as_a_plain_list_would(
        bounds in bounds(),
        crowd in prop::collection::vec((0..2_u8, lane()), 30..60),
        steps in prop::collection::vec(step(60, 2), 0..60),
    ) {
        let woken = crowd.iter().zip(0_u8..).map(|((group, lane), key)| Step::Wake(key, *group, *lane));
        let all: Vec<_> = woken.chain(steps).collect();
        run(bounds, &all);
    }
}
