//! When one workload is rolled: not before its Secrets have settled, inside the window, within the bounds.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{cluster, known::Known, look::Look};
use crate::cluster::{ObjectKey, write::ApiError};
use crate::secrets::plan::{
    rollout::{
        revision,
        wave::{self, Change},
        workload::Workload,
    },
    window::{self, Gate},
};

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

fn hold(reason: &'static str, text: impl Into<String>, wait: Duration) -> Starts {
    Starts::Held(Hold { reason, text: text.into(), wait })
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
            return Ok(hold("Pending", text, ready - now));
        }
        if !self.context.rollouts.limits().start(&self.place(workload), self.key, now) {
            let text = "waits for other rollouts: at most 10 workloads of the cluster at once, 30 a minute";
            return Ok(hold("Pending", text, Duration::from_secs(5)));
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
        if let Some(until) = self.context.rollouts.limits().held(now) {
            let text = "three waves failed within ten minutes: nothing is rolled for half an hour";
            return Some(hold("RolloutsHeld", text, (until - now).min(LONGEST_WAIT)));
        }
        let windows = &self.ask.windows;
        if !windows.is_empty() {
            match window::allowed(windows, self.now) {
                Gate::Open => {}
                Gate::ClosedUntil(then) => {
                    let text = format!("gabion.dev/rollout-window opens at {}", seconds(then));
                    return Some(hold("Held", text, self.until(then)));
                }
                Gate::Closed => {
                    let text = "gabion.dev/rollout-window never opens";
                    return Some(hold("Held", text, LONGEST_WAIT));
                }
            }
        }
        let again = workload.patched?.checked_add(self.ask.min_interval).ok()?;
        (again > self.now).then(|| {
            let text = format!("{workload} rolled lately, and rolls again at {}", seconds(again));
            hold("Held", text, self.until(again))
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
