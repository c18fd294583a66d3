//! Random sequences of everything that can happen to a queue, against a model that scans a plain list.

use proptest::prelude::*;

use super::{
    naive::{Answer, Doing, Group, Key, Naive, pause_after},
    *,
};

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
        assert_eq!(self.real.stats(self.now()), self.naive.stats());
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
        assert_eq!((self.naive.stats().waiting, self.naive.stats().running), (0, 0));
    }
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Urgent), Just(Lane::Event), Just(Lane::Periodic)]
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
        |(max_concurrent, per_group, in_all, periodic)| Bounds {
            max_concurrent,
            per_group,
            in_all,
            periodic,
        },
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
