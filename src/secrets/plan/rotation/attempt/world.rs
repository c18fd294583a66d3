//! Attempts of two clusters, played in every order against a secret manager with as few words as it takes: with
//! processes that are killed, looks that lag, requests that arrive late, values that are put by hand and rotations of
//! others.

use super::super::check;
use super::*;
use crate::provider::rotate::Described;

mod plays;

const FIRST: &str = "first";

/// What may happen at most.
#[derive(Clone, Copy)]
struct Setting {
    clusters: usize,
    /// The cluster whose consumers do not get the new value.
    failing: Option<usize>,
    kills: u8,
    lags: u8,
    /// Looks lag by so many changes at most.
    depth: usize,
    late: u8,
    by_hand: u8,
    scripts: u8,
    /// Somebody ends an attempt.
    stops: u8,
    /// A second attempt follows one that came to nothing.
    again: bool,
}

const PLAIN: Setting = Setting {
    clusters: 1,
    failing: None,
    kills: 0,
    lags: 0,
    depth: 1,
    late: 0,
    by_hand: 0,
    scripts: 0,
    stops: 0,
    again: false,
};

/// One cluster with its SecretRotation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Cluster {
    name: &'static str,
    /// In its status.
    attempt: Option<Attempt>,
    ending: Option<Ending>,
    is_refused: bool,
    last: Option<String>,
    is_stopped: bool,
    /// In its memory.
    seen: Option<Stages>,
    proved: Proved,
    /// What it did.
    attempts: i64,
    promotions: u8,
}

/// A request: a label, whence and whither.
type Request = (String, Option<String>, Option<String>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    stages: Stages,
    versions: BTreeSet<String>,
    /// Labels as they were, the latest last.
    former: Vec<Stages>,
    clusters: Vec<Cluster>,
    under_way: Vec<Request>,
    foreign: Option<String>,
    script_runs: bool,
    kills: u8,
    lags: u8,
    late: u8,
    by_hand: u8,
    scripts: u8,
    stops: u8,
}

impl World {
    fn new(setting: &Setting) -> Self {
        let stages = Stages::from([(FIRST.to_owned(), BTreeSet::from([CURRENT.to_owned()]))]);
        let names = ["a", "b"].into_iter().take(setting.clusters);
        Self {
            stages,
            versions: BTreeSet::from([FIRST.to_owned()]),
            former: Vec::new(),
            clusters: names.map(|name| Cluster { name, ..Cluster::default() }).collect(),
            under_way: Vec::new(),
            foreign: None,
            script_runs: false,
            kills: setting.kills,
            lags: setting.lags,
            late: setting.late,
            by_hand: setting.by_hand,
            scripts: setting.scripts,
            stops: setting.stops,
        }
    }

    fn change(&mut self, depth: usize, label: &str, to: Option<&str>) {
        self.former.push(self.stages.clone());
        if self.former.len() > depth {
            self.former.remove(0);
        }
        moved(&mut self.stages, label, to);
    }

    /// A label is moved from where it is, and from nowhere else.
    fn request(&mut self, depth: usize, (label, to, from): &Request) -> Answer {
        if [to, from].into_iter().flatten().any(|id| !self.versions.contains(id)) {
            return Answer::Gone;
        }
        if at(&self.stages, label) != from.as_deref() {
            return Answer::Elsewhere;
        }
        self.change(depth, label, to.as_deref());
        Answer::Moved
    }

    fn put(&mut self, depth: usize, id: &str, label: &str) {
        if self.versions.insert(id.to_owned()) {
            self.change(depth, label, Some(id));
        }
    }
}

impl Cluster {
    fn own(&self) -> String {
        format!("{LABELS}{}", self.name)
    }

    fn token(&self, number: i64) -> String {
        format!("token-{}-{number}", self.name)
    }

    fn is_over(&self) -> bool {
        self.is_refused || self.ending.is_some()
    }

    fn forget(&mut self) {
        (self.seen, self.proved) = (None, Proved::default());
    }
}

/// One step of one cluster: one request at most. True if the request is lost, and arrives later.
fn step(world: &mut World, nth: usize, setting: &Setting, is_late: bool) {
    let mut cluster = world.clusters[nth].clone();
    let own = cluster.own();
    let Some(stages) = cluster.seen.clone() else {
        world.clusters[nth].seen = Some(world.stages.clone());
        return;
    };
    let Some(attempt) = cluster.attempt.clone() else {
        begin(world, &mut cluster, &stages, setting);
        world.clusters[nth] = cluster;
        return;
    };
    let consumers =
        if setting.failing == Some(nth) { Consumers::TimedOut } else { Consumers::Synced };
    let stop = cluster.is_stopped.then_some(Ending::Aborted);
    let (proved, now) = (cluster.proved, Timestamp::UNIX_EPOCH);
    let facts = Facts { label: &own, proved, consumers, automatic: true, stop, now };
    match next(&attempt, Some(&stages), &facts) {
        Step::Describe => cluster.seen = None,
        Step::Write(written) => {
            cluster.proved = Proved::default();
            if matches!(written.phase, Phase::Promoting | Phase::Reverting) {
                cluster.seen = None;
            }
            cluster.attempt = Some(written);
        }
        Step::Put => {
            world.put(setting.depth, &attempt.token, &own);
            if let Some(seen) = &mut cluster.seen {
                moved(seen, &own, Some(&attempt.token));
            }
        }
        Step::Move { label, to, from } => {
            let request = (label, to, from);
            guard(&attempt, &own, &request);
            if is_late {
                world.under_way.push(request);
                cluster.forget();
            } else {
                relabel(world, &mut cluster, &request, setting.depth);
            }
        }
        Step::Wait => cluster.forget(),
        Step::End(ending) => {
            cluster.last = Some(attempt.token);
            let is_again = setting.again && cluster.attempts < 2 && ending != Ending::Complete;
            cluster.ending = (!is_again).then_some(ending);
            cluster.attempt = cluster.attempt.filter(|_| !is_again);
            cluster.is_stopped &= !is_again;
            cluster.forget();
        }
    }
    world.clusters[nth] = cluster;
}

fn relabel(world: &mut World, cluster: &mut Cluster, request: &Request, depth: usize) {
    let (label, to, from) = request;
    let answer = world.request(depth, request);
    cluster.proved.note(label, answer);
    match &mut cluster.seen {
        Some(seen) if answer == Answer::Moved => moved(seen, label, to.as_deref()),
        Some(seen) if at(seen, label) == from.as_deref() => cluster.seen = None,
        _ => {}
    }
    let is_promotion = label == CURRENT && to.as_deref() != Some(FIRST);
    cluster.promotions += u8::from(answer == Answer::Moved && is_promotion);
}

fn begin(world: &mut World, cluster: &mut Cluster, stages: &Stages, setting: &Setting) {
    let described = Described { stages: stages.clone(), ..Described::default() };
    let (own, last) = (cluster.own(), cluster.last.clone());
    let current = check::current(Some(&described), cluster.name, &own, last.as_deref());
    // Nobody may set the tag here: the label says what it would.
    if foreign(stages, &own).is_some() {
        cluster.is_refused = true;
        return;
    }
    // All versions but the first are younger than ten minutes.
    let Some(from) = current.ok().filter(|current| *current == FIRST) else {
        cluster.is_refused = true;
        return;
    };
    if let Some(left) = leftover(stages, &own, last.as_deref()) {
        let request = (PENDING.to_owned(), None, Some(left.to_owned()));
        world.request(setting.depth, &request);
        cluster.seen = None;
        return;
    }
    cluster.attempts += 1;
    cluster.attempt = Some(Attempt {
        number: cluster.attempts,
        phase: Phase::Creating,
        token: cluster.token(cluster.attempts),
        from: from.to_owned(),
        previous: at(stages, PREVIOUS).map(ToOwned::to_owned),
        since: Timestamp::UNIX_EPOCH,
        promoted_at: None,
        cause: None,
    });
}

/// No label moves but those that an attempt may move, and only between its own version and the one it began with.
fn guard(attempt: &Attempt, own: &str, (label, to, from): &Request) {
    let (token, old) = (Some(attempt.token.as_str()), Some(attempt.from.as_str()));
    let way = (from.as_deref(), to.as_deref());
    let is_allowed = match label.as_str() {
        CURRENT => [(old, token), (token, old)].contains(&way),
        PENDING => [(None, token), (old, token), (token, None)].contains(&way),
        label => label == own && way == (token, None),
    };
    assert!(is_allowed, "{label} moves {way:?} in {attempt:?}");
}

/// All that may happen next.
fn successors(world: &World, setting: &Setting) -> Vec<World> {
    let mut all = Vec::new();
    for nth in 0..world.clusters.len() {
        of_cluster(&mut all, world, nth, setting);
    }
    for nth in 0..world.under_way.len() {
        let mut next = world.clone();
        let request = next.under_way.remove(nth);
        next.request(setting.depth, &request);
        all.push(next);
    }
    if world.by_hand > 0 {
        let mut next = world.clone();
        next.by_hand -= 1;
        next.versions.insert("hand".to_owned());
        next.change(setting.depth, CURRENT, Some("hand"));
        next.foreign = Some("hand".to_owned());
        all.push(next);
    }
    if world.scripts > 0 && at(&world.stages, PENDING).is_none() {
        let mut next = world.clone();
        next.scripts -= 1;
        next.script_runs = true;
        next.put(setting.depth, "script", PENDING);
        all.push(next);
    }
    if world.script_runs {
        let mut next = world.clone();
        next.script_runs = false;
        next.change(setting.depth, CURRENT, Some("script"));
        next.change(setting.depth, PENDING, None);
        next.foreign = Some("script".to_owned());
        all.push(next);
    }
    all
}

fn of_cluster(all: &mut Vec<World>, world: &World, nth: usize, setting: &Setting) {
    let cluster = &world.clusters[nth];
    // Attempts begin ten minutes apart: no request is that late.
    let is_too_early = cluster.last.is_some() && !world.under_way.is_empty();
    if cluster.is_over() || is_too_early {
        return;
    }
    let mut next = world.clone();
    step(&mut next, nth, setting, false);
    if world.kills > 0 {
        // It is done, and nothing of it is known but what the status says.
        let mut killed = next.clone();
        killed.kills -= 1;
        killed.clusters[nth].forget();
        all.push(killed);
    }
    all.push(next);
    if world.stops > 0 && cluster.attempt.is_some() {
        let mut stopped = world.clone();
        stopped.stops -= 1;
        stopped.clusters[nth].is_stopped = true;
        all.push(stopped);
    }
    let phase = cluster.attempt.as_ref().map(|attempt| attempt.phase);
    if world.late > 0 && cluster.seen.is_some() && phase == Some(Phase::Claiming) {
        let mut late = world.clone();
        late.late -= 1;
        step(&mut late, nth, setting, true);
        all.push(late);
    }
    if world.lags > 0 && cluster.seen.is_none() {
        for former in world.former.iter().filter(|former| **former != world.stages) {
            let mut stale = world.clone();
            stale.lags -= 1;
            stale.clusters[nth].seen = Some(former.clone());
            all.push(stale);
        }
    }
}
