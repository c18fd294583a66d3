//! Places by example, and against a model that forgets nothing and counts everything anew.

use proptest::prelude::*;

use super::*;

fn place(namespace: &str, nth: usize) -> Place {
    (namespace.into(), Kind::Deployment, format!("w{nth}"))
}

fn key(namespace: &str, nth: usize) -> ObjectKey {
    ObjectKey::new(namespace, &format!("es{nth}"))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world of ExternalSecrets that each want one workload to roll; looks come every ten seconds, or when woken.
struct World {
    limits: Limits,
    begin: Instant,
    second: u64,
    wants: Vec<(ObjectKey, Place)>,
    /// What rolls, and when it ends.
    rolls: BTreeMap<ObjectKey, (Place, u64)>,
    started: Vec<(u64, ObjectKey)>,
}

impl World {
    fn new() -> Self {
        let (wants, started) = (Vec::new(), Vec::new());
        let (limits, rolls) = (Limits::default(), BTreeMap::new());
        Self { limits, begin: Instant::now(), second: 0, wants, rolls, started }
    }

    fn now(&self) -> Instant {
        self.begin + seconds(self.second)
    }

    fn want(&mut self, namespace: &str, nths: std::ops::Range<usize>) {
        self.wants.extend(nths.map(|nth| (key(namespace, nth), place(namespace, nth))));
    }

    /// One second: what ends ends, those whose time it is ask, and whose turn it is starts.
    fn tick(&mut self, takes: impl Fn(&ObjectKey) -> u64) {
        let (now, second) = (self.now(), self.second);
        for (key, _) in self.rolls.extract_if(.., |_, (_, end)| *end <= second) {
            self.limits.let_go(&key);
        }
        for (nth, (key, place)) in self.wants.clone().into_iter().enumerate() {
            if (nth as u64 + second).is_multiple_of(10) {
                self.ask(&key, &place, &takes);
            }
        }
        while let Some(next) = self.limits.turn(now) {
            let place = self.wants.iter().find(|(key, _)| *key == next).unwrap().1.clone();
            self.ask(&next, &place, &takes);
        }
        self.second += 1;
    }

    fn ask(&mut self, key: &ObjectKey, place: &Place, takes: impl Fn(&ObjectKey) -> u64) {
        if self.limits.start(place, key, self.now()) == Answer::Starts {
            self.wants.retain(|(other, _)| other != key);
            self.rolls.insert(key.clone(), (place.clone(), self.second + takes(key)));
            self.started.push((self.second, key.clone()));
        }
    }

    fn rolling(&self, namespace: Option<&str>) -> usize {
        let of = |key: &&ObjectKey| namespace.is_none_or(|namespace| *key.namespace == *namespace);
        self.rolls.keys().filter(of).count()
    }
}

#[test]
fn t12_three_thousand_changes_start_ten_at_once_thirty_a_minute_and_none_twice() {
    let mut world = World::new();
    for namespace in 0..100 {
        world.want(&format!("n{namespace}"), 0..30);
    }
    while !world.wants.is_empty() {
        world.tick(|_| 7);
        assert!(world.rolling(None) <= AT_ONCE);
        assert!(world.second < 6_100, "as fast as thirty starts a minute allow");
    }
    let mut keys: Vec<_> = world.started.iter().map(|(_, key)| key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), world.started.len()), (3_000, 3_000));
    for (nth, (second, _)) in world.started.iter().enumerate().skip(STARTS) {
        assert!(second - world.started[nth - STARTS].0 >= 60, "the {nth}th");
    }
    // Everybody had a turn before anybody had the next but one.
    for (nth, (_, key)) in world.started.iter().enumerate() {
        let before = world.started[..nth].iter().filter(|(_, it)| it.namespace == key.namespace);
        assert!(before.count() <= nth / 100 + 2, "the {nth}th, {key}");
    }
}

#[test]
fn a_namespace_whose_workloads_never_become_complete_holds_up_nobody() {
    let mut world = World::new();
    world.want("hostile", 0..1_000);
    for _ in 0..120 {
        world.tick(|_| u64::MAX / 2);
    }
    assert_eq!(world.rolling(Some("hostile")), AT_ONCE_IN_NAMESPACE);
    world.want("victim", 0..20);
    let since = world.second;
    while world.wants.iter().any(|(key, _)| *key.namespace == *"victim") {
        world.tick(|key| if *key.namespace == *"victim" { 5 } else { u64::MAX / 2 });
        assert!(world.second < since + 60, "as if the other were not there");
    }
}

#[test]
fn fifty_hostile_namespaces_with_long_lines_leave_everybody_its_turn() {
    let mut world = World::new();
    for hostile in 0..50 {
        world.want(&format!("h{hostile}"), 0..40);
    }
    for _ in 0..300 {
        world.tick(|_| 3);
    }
    world.want("victim", 0..2);
    let since = world.second;
    while world.wants.iter().any(|(key, _)| *key.namespace == *"victim") {
        world.tick(|_| 3);
        assert!(world.second < since + 5 * 60, "two turns, of fifty-one in a hundred seconds each");
    }
}

#[test]
fn several_hostile_namespaces_hold_up_others_for_ten_minutes_at_most_and_never_again() {
    let mut world = World::new();
    let takes = |key: &ObjectKey| if *key.namespace == *"victim" { 5 } else { u64::MAX / 2 };
    for hostile in ["a", "b"] {
        world.want(hostile, 0..100);
    }
    for _ in 0..30 {
        world.tick(takes);
    }
    assert_eq!(world.rolling(None), AT_ONCE);
    world.want("victim", 0..1);
    while world.rolling(Some("victim")) == 0 {
        world.tick(takes);
        assert!(world.second <= 601);
    }
    // What is slow counts against its own namespace: that starts no more.
    for _ in 0..1_000 {
        world.tick(takes);
        assert!(world.rolling(Some("a")) <= AT_ONCE_IN_NAMESPACE);
    }
    let since = world.second;
    world.want("victim", 1..2);
    while world.rolling(Some("victim")) == 0 {
        world.tick(takes);
        assert!(world.second < since + 15);
    }
}

#[test]
fn a_workload_is_rolled_on_behalf_of_one_at_a_time() {
    let (mut limits, now) = (Limits::default(), Instant::now());
    let (a, b) = (key("t", 1), key("t", 2));
    assert_eq!(limits.start(&place("t", 1), &a, now), Answer::Starts);
    assert_eq!(limits.start(&place("t", 1), &b, now), Answer::Taken);
    limits.observe(&a, [], now);
    assert_eq!(limits.start(&place("t", 1), &b, now), Answer::Starts);
}

#[test]
fn who_does_not_ask_again_loses_its_turn_and_blocks_nobody() {
    let (mut limits, now) = (Limits::default(), Instant::now());
    for nth in 0..AT_ONCE_IN_NAMESPACE {
        limits.start(&place("a", nth), &key("a", nth), now);
    }
    assert_eq!(limits.start(&place("a", 9), &key("a", 9), now), Answer::Waits);
    assert_eq!(limits.start(&place("a", 10), &key("a", 10), now + seconds(20)), Answer::Waits);
    limits.let_go(&key("a", 0));
    assert_eq!(limits.turn(now + seconds(29)), Some(key("a", 9)));
    assert_eq!(limits.turn(now + seconds(30)), Some(key("a", 10)));
}

#[test]
fn one_broken_workload_holds_nothing_however_many_name_it() {
    let (mut limits, now) = (Limits::default(), Instant::now());
    for minute in 0..9 {
        limits.failed(&place("t", 1), now + seconds(60 * minute));
    }
    assert_eq!(limits.held("t", now + seconds(600)), None);
}

#[test]
fn three_broken_workloads_hold_their_namespace_and_three_such_namespaces_the_cluster() {
    let (mut limits, begin) = (Limits::default(), Instant::now());
    let at = |minutes| begin + Duration::from_mins(minutes);
    for (nth, minutes) in [0, 6, 12].into_iter().enumerate() {
        limits.failed(&place("t", nth), at(minutes));
        assert_eq!(limits.held("t", at(minutes)), None);
    }
    limits.failed(&place("t", 4), at(13));
    let held = Held { until: at(43), everywhere: false };
    assert_eq!(limits.held("t", at(14)), Some(held));
    assert_eq!((limits.held("t", at(43)), limits.held("u", at(14))), (None, None));
    assert!(!limits.may_start(&key("t", 1), at(14)) && limits.may_start(&key("u", 1), at(14)));
    limits.failed(&place("u", 1), at(15));
    assert_eq!(limits.held("v", at(15)), None);
    limits.failed(&place("v", 1), at(16));
    let held = Held { until: at(46), everywhere: true };
    assert_eq!(limits.held("nobody", at(17)), Some(held));
    assert_eq!(limits.held("nobody", at(46)), None);
}

#[derive(Clone, Debug)]
enum Step {
    Start { namespace: usize, by: usize, workload: usize },
    Observe { namespace: usize, by: usize, workloads: Vec<usize> },
    LetGo { namespace: usize, by: usize },
    Failed { namespace: usize, workload: usize },
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (namespace, by, workload) = (0..4usize, 0..8usize, 0..8usize);
    let many = proptest::collection::vec(0..8usize, 0..3);
    prop_oneof![
        8 => (namespace.clone(), by.clone(), workload.clone())
            .prop_map(|(namespace, by, workload)| Step::Start { namespace, by, workload }),
        2 => (namespace.clone(), by.clone(), many)
            .prop_map(|(namespace, by, workloads)| Step::Observe { namespace, by, workloads }),
        2 => (namespace.clone(), by).prop_map(|(namespace, by)| Step::LetGo { namespace, by }),
        1 => (namespace, workload).prop_map(|(namespace, workload)| Step::Failed { namespace, workload }),
        3 => prop_oneof![0..5u64, 20..40u64, 500..700u64].prop_map(Step::Pass),
    ]
}

/// Everything that ever happened, and answers by going through all of it.
#[derive(Default)]
struct Model {
    /// Workload, owner, since.
    rolling: Vec<(Place, ObjectKey, u64)>,
    starts: Vec<(u64, String)>,
    /// Owner and when it asked last; in order of entry.
    line: Vec<(ObjectKey, u64)>,
    /// Namespaces in the order of their turns.
    turns: Vec<String>,
    failures: Vec<(u64, Place)>,
    held: Vec<(Option<String>, u64)>,
}

impl Model {
    fn workloads(&self, namespace: Option<&str>, after: Option<u64>) -> usize {
        let all: BTreeSet<_> = self.rolling.iter().map(|(place, _, _)| place).collect();
        let since = |place: &Place| {
            let all = self.rolling.iter().filter(|(other, _, _)| other == place);
            all.map(|(_, _, since)| *since).min().unwrap()
        };
        let of = |place: &&&Place| namespace.is_none_or(|namespace| *place.0 == *namespace);
        all.iter()
            .filter(of)
            .filter(|place| after.is_none_or(|after| since(place) + 600 > after))
            .count()
    }

    fn is_held(&self, namespace: &str, now: u64) -> bool {
        let concerns = |of: &Option<String>| of.as_ref().is_none_or(|of| of == namespace);
        self.held.iter().any(|(of, until)| concerns(of) && *until > now)
    }

    fn starts(&self, namespace: Option<&str>, now: u64) -> usize {
        let of = |of: &str| namespace.is_none_or(|namespace| of == namespace);
        self.starts.iter().filter(|(at, it)| at + 60 > now && of(it)).count()
    }

    /// Who did not ask again waits no more, and a namespace of which nobody waits has no turn.
    fn tidy(&mut self, now: u64) {
        self.line.retain(|(_, asked)| asked + 30 > now);
        let line = &self.line;
        self.turns.retain(|turn| line.iter().any(|(key, _)| *key.namespace == **turn));
    }

    /// Whose turn it is, among those who asked within half a minute.
    fn turn(&self, now: u64) -> Option<ObjectKey> {
        if self.starts(None, now) >= 30 || self.workloads(None, Some(now)) >= 10 {
            return None;
        }
        let line = self.line.iter().enumerate().filter(|(_, (_, asked))| asked + 30 > now);
        let mut best: Option<(usize, usize, usize, usize)> = None;
        for (nth, (key, _)) in line {
            let namespace = &*key.namespace;
            let rolls = self.workloads(Some(namespace), None);
            if rolls >= 5 || self.is_held(namespace, now) {
                continue;
            }
            let turn = self.turns.iter().position(|turn| turn == namespace)?;
            let rank = (rolls, self.starts(Some(namespace), now), turn, nth);
            best = Some(best.map_or(rank, |best| best.min(rank)));
        }
        best.map(|(_, _, _, nth)| self.line[nth].0.clone())
    }

    fn start(&mut self, place: &Place, by: &ObjectKey, now: u64) -> Answer {
        if self.rolling.iter().any(|(other, _, _)| other == place) {
            self.line.retain(|(key, _)| key != by);
            return Answer::Taken;
        }
        // Who was away for too long goes to the end.
        match self.line.iter_mut().find(|(key, _)| key == by) {
            Some(known) => known.1 = now,
            None => self.line.push((by.clone(), now)),
        }
        let namespace = by.namespace.to_string();
        if !self.turns.contains(&namespace) {
            self.turns.push(namespace.clone());
        }
        if self.turn(now).as_ref() != Some(by) {
            return Answer::Waits;
        }
        self.line.retain(|(key, _)| key != by);
        self.turns.retain(|turn| *turn != namespace);
        self.turns.push(namespace.clone());
        self.tidy(now);
        self.rolling.push((place.clone(), by.clone(), now));
        self.starts.push((now, namespace));
        Answer::Starts
    }

    fn failed(&mut self, place: &Place, now: u64) {
        self.failures.push((now, place.clone()));
        let lately: BTreeSet<_> = self
            .failures
            .iter()
            .filter(|(at, _)| at + 600 > now)
            .map(|(_, place)| place.clone())
            .collect();
        let namespaces: BTreeSet<_> = lately.iter().map(|place| &place.0).collect();
        let own = lately.iter().filter(|other| other.0 == place.0).count();
        if namespaces.len() >= 3 {
            self.held.push((None, now + 1_800));
            self.failures.clear();
        } else if own >= 3 {
            self.held.push((Some(place.0.to_string()), now + 1_800));
            self.failures.retain(|(_, other)| other.0 != place.0);
            self.failures.push((now, place.clone()));
        }
    }
}

proptest! {
    #[test]
    fn places_are_given_as_a_model_gives_them(steps in proptest::collection::vec(step(), 1..200)) {
        let (mut limits, mut model) = (Limits::default(), Model::default());
        let (begin, mut now) = (Instant::now(), 0);
        let names = ["a", "b", "c", "d"];
        for step in steps {
            let clock = begin + seconds(now);
            match step {
                Step::Start { namespace, by, workload } => {
                    let (by, place) = (key(names[namespace], by), place(names[namespace], workload));
                    let expected = model.start(&place, &by, now);
                    prop_assert_eq!(limits.start(&place, &by, clock), expected);
                    prop_assert_eq!(limits.holds(&by), model.rolling.iter().any(|it| it.1 == by));
                }
                Step::Observe { namespace, by, workloads } => {
                    let by = key(names[namespace], by);
                    let places: BTreeSet<_> =
                        workloads.iter().map(|nth| place(names[namespace], *nth)).collect();
                    limits.observe(&by, places.iter().cloned(), clock);
                    model.rolling.retain(|(it, owner, _)| *owner != by || places.contains(it));
                    for place in places {
                        if !model.rolling.iter().any(|(it, owner, _)| *owner == by && *it == place) {
                            model.rolling.push((place, by.clone(), now));
                        }
                    }
                }
                Step::LetGo { namespace, by } => {
                    let by = key(names[namespace], by);
                    limits.let_go(&by);
                    model.rolling.retain(|(_, owner, _)| *owner != by);
                    model.line.retain(|(key, _)| *key != by);
                }
                Step::Failed { namespace, workload } => {
                    limits.failed(&place(names[namespace], workload), clock);
                    model.failed(&place(names[namespace], workload), now);
                }
                Step::Pass(time) => now += time,
            }
            let clock = begin + seconds(now);
            for namespace in names {
                prop_assert_eq!(limits.held(namespace, clock).is_some(), model.is_held(namespace, now));
            }
            model.tidy(now);
            prop_assert_eq!(limits.turn(clock), model.turn(now));
        }
    }
}
