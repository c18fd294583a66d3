//! When one workload is rolled: not before its Secrets have settled, inside the window, within the bounds.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{cluster, known::Known, limits::Answer, look::Look};
use crate::cluster::{ObjectKey, write::ApiError};
use crate::secrets::plan::{
    rollout::{
        revision,
        wave::{self, Change},
        workload::Workload,
    },
    window::{self, Gate},
};
use crate::telemetry::Wait;

/// Changes of several Secrets of a workload within this time are one rollout.
const DEBOUNCE: Duration = Duration::from_secs(5);
/// A Secret that changes all the time does not put a rollout off for longer.
const LONGEST_DEBOUNCE: Duration = Duration::from_mins(1);
/// A held wave is looked at again after at most this time: an annotation of its time zone may have changed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Whether a workload was rolled.
pub(super) enum Starts {
    Started,
    Held(Hold),
}

/// Why it was not.
pub(super) struct Hold {
    pub(super) wait_for: Wait,
    pub(super) reason: &'static str,
    pub(super) text: String,
    pub(super) wait: Duration,
}

/// What one workload is to be rolled for.
struct Due {
    by: ObjectKey,
    uid: Option<String>,
    secret: String,
    revision: u64,
    since: Instant,
}

fn hold(
    (wait_for, reason): (Wait, &'static str),
    text: impl Into<String>,
    wait: Duration,
) -> Starts {
    Starts::Held(Hold { wait_for, reason, text: text.into(), wait })
}

const PENDING: &str = "Pending";
const HELD: &str = "Held";
/// What is said of one that stands in line.
const NO_PLACE: &str = "waits for a place: at most 10 workloads of the cluster, 5 of them in one namespace, roll at \
    once, and 30 start in a minute; the namespace of which the least rolls is next";
/// Whoever stands in line asks again this often. It is woken when it is its turn.
const ASKS: Duration = Duration::from_secs(10);

impl Hold {
    /// There is no place.
    pub(super) fn no_place() -> Self {
        Self { wait_for: Wait::Place, reason: PENDING, text: NO_PLACE.to_owned(), wait: ASKS }
    }
}

impl Look<'_> {
    /// Rolls a workload, unless something holds it.
    pub(super) async fn start(&self, workload: &Workload) -> Result<Starts, ApiError> {
        if let Some(held) = self.held(workload) {
            return Ok(held);
        }
        let due = self.due(workload);
        let (now, settle) = (Instant::now(), self.context.config.rollout_settle);
        let times = || due.iter().map(|due| due.since).chain([self.known.since]);
        let (first, last) = (times().min().unwrap_or(now), times().max().unwrap_or(now));
        let ready = (last + DEBOUNCE.max(settle)).min(first + LONGEST_DEBOUNCE.max(settle));
        if ready > now {
            let text = "waits for more changes of its Secrets, to roll once for all of them";
            return Ok(hold((Wait::Changes, PENDING), text, ready - now));
        }
        let answer = self.context.rollouts.start(&self.place(workload), self.key, now);
        match answer {
            Answer::Starts => {}
            Answer::Waits => return Ok(Starts::Held(Hold::no_place())),
            Answer::Taken => {
                let text = format!("{workload} still rolls for another ExternalSecret");
                return Ok(hold((Wait::Workload, PENDING), text, Duration::from_secs(5)));
            }
        }
        let mut listed: BTreeMap<String, u64> = workload.listed.clone();
        listed.extend(due.iter().map(|due| (due.secret.clone(), due.revision)));
        listed.insert(self.change.secret.to_owned(), self.change.revision);
        let list = revision::list(&listed);
        // Before the request: one whose answer is lost may have been done.
        self.note(workload, &due);
        let writer = &self.context.writer;
        let patched = cluster::patch(writer, &self.key.namespace, workload, &list).await;
        let outcome = if patched.is_ok() { "started" } else { "refused" };
        self.context.metrics.rollouts.count(workload.kind.name(), outcome);
        if let Err(error) = patched {
            self.forget(workload, &due);
            return Err(error);
        }
        tracing::info!(key = %self.key, %workload, revision = self.change.revision, "rolls for a changed Secret");
        Ok(Starts::Started)
    }

    /// Notes that a workload is rolled for its Secrets: one that goes back on it is seen.
    fn note(&self, workload: &Workload, due: &[Due]) {
        let all = due.iter().map(|due| (&due.by, due.uid.as_deref(), due.revision));
        let own = (self.key, self.known.uid.as_deref(), self.change.revision);
        for (key, uid, revision) in all.chain([own]) {
            self.context.rollouts.update(key, uid, |known| {
                if known.wave.revision == revision {
                    known.wave.rolled.insert(workload.uid.clone());
                }
            });
        }
    }

    /// It was not rolled.
    fn forget(&self, workload: &Workload, due: &[Due]) {
        let all = due.iter().map(|due| (&due.by, due.uid.as_deref()));
        for (key, uid) in all.chain([(self.key, self.known.uid.as_deref())]) {
            self.context.rollouts.update(key, uid, |known| {
                known.wave.rolled.remove(&workload.uid);
            });
        }
    }

    /// What holds every rollout, or this one.
    fn held(&self, workload: &Workload) -> Option<Starts> {
        let now = Instant::now();
        if let Some(held) = self.context.rollouts.limits().held(&self.key.namespace, now) {
            let text = if held.everywhere {
                "workloads of three namespaces failed to roll within ten minutes: nothing is rolled for half an hour"
            } else {
                "three workloads of the namespace failed to roll within ten minutes: nothing of it is rolled for half \
                 an hour"
            };
            let reason = (Wait::Failures, "RolloutsHeld");
            return Some(hold(reason, text, (held.until - now).min(LONGEST_WAIT)));
        }
        let windows = &self.ask.windows;
        if !windows.is_empty() {
            match window::allowed(windows, self.now) {
                Gate::Open => {}
                Gate::ClosedUntil(then) => {
                    let text = format!("gabion.dev/rollout-window opens at {}", seconds(then));
                    return Some(hold((Wait::Window, HELD), text, self.until(then)));
                }
                Gate::Closed => {
                    let text = "gabion.dev/rollout-window never opens";
                    return Some(hold((Wait::Window, HELD), text, LONGEST_WAIT));
                }
            }
        }
        let again = workload.patched?.checked_add(self.ask.min_interval).ok()?;
        (again > self.now).then(|| {
            let text = format!("{workload} rolled lately, and rolls again at {}", seconds(again));
            hold((Wait::Window, HELD), text, self.until(again))
        })
    }

    fn until(&self, then: Timestamp) -> Duration {
        let wait = Duration::try_from(then.duration_since(self.now)).unwrap_or_default();
        wait.clamp(Duration::from_millis(500), LONGEST_WAIT)
    }

    /// The other ExternalSecrets of the namespace for which this workload has to be rolled, too.
    fn due(&self, workload: &Workload) -> Vec<Due> {
        let others = self.context.rollouts.within(&self.key.namespace);
        let others = others.into_iter().filter(|(key, _)| key != self.key);
        others.filter_map(|(key, known)| self.due_for(workload, key, known)).collect()
    }

    fn due_for(&self, workload: &Workload, key: ObjectKey, known: Known) -> Option<Due> {
        let ask = known.ask.ok().flatten()?;
        let status = known.status?;
        let digest = self.context.index.secret(&known.secret).filter(|digest| digest.shown)?;
        let revision = digest.revision?;
        let change =
            Change { secret: &known.secret.name, revision: revision.number, at: revision.at };
        let is_due = ask.includes(workload, change.secret)
            && wave::is_due(workload, change, status.done)
            && wave::has_failed(&status, change.revision, &ask).is_none();
        // One that was not looked at yet changed just now.
        let seen = known.wave.revision == change.revision;
        let since = if seen { known.since } else { Instant::now() };
        let (secret, revision) = (change.secret.to_owned(), change.revision);
        is_due.then_some(Due { by: key, uid: known.uid, secret, revision, since })
    }
}

fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
