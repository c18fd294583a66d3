//! What an attempt does next, given what its status says and where AWS has its labels.
//!
//! A phase is in the status before its first effect outside, and every effect can be repeated: whoever starts anew asks
//! where the labels are, and goes on from there. Nothing is moved that is not where it is said to be, so AWS itself
//! refuses what a second writer made wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// Label of the version that readers get.
pub(crate) const CURRENT: &str = "AWSCURRENT";
/// Label of the version before it.
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
/// Begin of the labels that say which SecretRotation made a version.
pub(crate) const LABELS: &str = "GABION-";
/// Label that whoever rotates holds meanwhile: AWS keeps it on one version, which makes it a lock.
pub(crate) const PENDING: &str = "AWSPENDING";
/// An attempt is given up if it is not promoted in this time.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// For so long AWS may show labels as they were before they were moved.
const LAG: SignedDuration = SignedDuration::from_mins(1);

/// Where the labels are: those of each version.
pub(crate) type Stages = BTreeMap<String, BTreeSet<String>>;

/// The version that has a label.
pub(crate) fn at<'a>(stages: &'a Stages, label: &str) -> Option<&'a str> {
    stages.iter().find(|(_, labels)| labels.contains(label)).map(|(id, _)| id.as_str())
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The new version is made.
    Creating,
    /// The lock is taken.
    Claiming,
    /// The new version becomes the current one.
    Promoting,
    /// Consumers read it.
    Propagating,
    /// All is put back as it was.
    Reverting,
}

impl Phase {
    const ALL: [Self; 5] =
        [Self::Creating, Self::Claiming, Self::Promoting, Self::Propagating, Self::Reverting];

    /// As the status has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Claiming => "Claiming",
            Self::Promoting => "Promoting",
            Self::Propagating => "Propagating",
            Self::Reverting => "Reverting",
        }
    }

    /// The phase that the status calls so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }

    /// Whether the operator must not vanish now: labels are under way.
    pub(crate) fn is_dangerous(self) -> bool {
        self != Self::Propagating
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    /// The new value is in force, and its consumers have it.
    Complete,
    /// Consumers did not get it in time: the old value is in force.
    RolledBack,
    /// Consumers did not get it in time, and a person decides.
    NeedsRollback,
    /// It was in force, and somebody put another value since.
    Superseded,
    /// Somebody put another value before it was in force.
    CurrentMoved,
    /// Somebody else holds the lock.
    Lost,
    /// It could not be brought into force in time.
    TimedOut,
    /// A person ended it.
    Aborted,
    /// The object is being deleted.
    Deleted,
}

impl Ending {
    const ALL: [Self; 9] = [
        Self::Complete,
        Self::RolledBack,
        Self::NeedsRollback,
        Self::Superseded,
        Self::CurrentMoved,
        Self::Lost,
        Self::TimedOut,
        Self::Aborted,
        Self::Deleted,
    ];

    /// As the status has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::RolledBack => "RolledBack",
            Self::NeedsRollback => "NeedsRollback",
            Self::Superseded => "Superseded",
            Self::CurrentMoved => "CurrentMoved",
            Self::Lost => "Lost",
            Self::TimedOut => "TimedOut",
            Self::Aborted => "Aborted",
            Self::Deleted => "Deleted",
        }
    }

    /// The ending that the status calls so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == name)
    }
}

/// One attempt, as the status has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) number: i64,
    pub(crate) phase: Phase,
    /// Id of the new version. It is random and stored before it is used.
    pub(crate) token: String,
    /// Id of the version that was current when it began.
    pub(crate) from: String,
    /// Id of the version before that one, when it began. Another one there means that somebody rotated meanwhile, even
    /// if the current version is the same again.
    pub(crate) previous: Option<String>,
    pub(crate) since: Timestamp,
    /// Since when consumers are waited for.
    pub(crate) promoted_at: Option<Timestamp>,
    /// Why it is put back.
    pub(crate) cause: Option<Ending>,
}

impl Attempt {
    fn in_phase(&self, phase: Phase) -> Step {
        Step::Write(Self { phase, ..self.clone() })
    }

    fn reverting(&self, cause: Ending) -> Step {
        Step::Write(Self { phase: Phase::Reverting, cause: Some(cause), ..self.clone() })
    }
}

/// How far consumers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumers {
    /// Some have yet to read it.
    Waiting,
    /// All have read it.
    Synced,
    /// Some have not read it in time.
    TimedOut,
}

/// What AWS answered when the new version was to lose a label. A look may lag, and such an answer does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// The label was there, and is not any more.
    Moved,
    /// The label is elsewhere.
    Elsewhere,
    /// A version is not there, or the secret is not.
    Gone,
}

/// The answers since the phase was entered, as far as this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Proved {
    current: Option<Answer>,
    pending: Option<Answer>,
    label: Option<Answer>,
}

impl Proved {
    /// Notes an answer.
    pub(crate) fn note(&mut self, label: &str, answer: Answer) {
        let of = match label {
            CURRENT => &mut self.current,
            PENDING => &mut self.pending,
            _ => &mut self.label,
        };
        *of = Some(answer);
    }
}

/// What counts beside labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The label of this object.
    pub(crate) label: &'a str,
    pub(crate) proved: Proved,
    pub(crate) consumers: Consumers,
    /// Whether it is put back when consumers do not get it.
    pub(crate) automatic: bool,
    /// Somebody ends it: a person, or a deletion.
    pub(crate) stop: Option<Ending>,
    pub(crate) now: Timestamp,
}

/// What to do next. One at a time: the next one follows from what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask where the labels are.
    Describe,
    /// Write this into the status.
    Write(Attempt),
    /// Make the new version, named by the token, with the label of this object.
    Put,
    /// Move a label; it fails if it is not where this says.
    Move { label: String, to: Option<String>, from: Option<String> },
    /// Wake consumers, and wait.
    Wait,
    /// It is over.
    End(Ending),
}

/// What an attempt does next. `seen` is where the labels are, and `None` after anything that may have changed it.
pub(crate) fn next(attempt: &Attempt, seen: Option<&Stages>, facts: &Facts<'_>) -> Step {
    let Some(stages) = seen else { return Step::Describe };
    match attempt.phase {
        Phase::Creating => {
            if let Some(cause) = stopped(attempt, stages, facts) {
                return attempt.reverting(cause);
            }
            if stages.contains_key(&attempt.token) {
                attempt.in_phase(Phase::Claiming)
            } else {
                Step::Put
            }
        }
        Phase::Claiming => claim(attempt, stages, facts),
        Phase::Promoting => promote(attempt, stages, facts),
        Phase::Propagating => propagate(attempt, stages, facts),
        Phase::Reverting => revert::next(attempt, stages, facts),
    }
}

/// Why an attempt that is not in force yet goes no further.
fn stopped(attempt: &Attempt, stages: &Stages, facts: &Facts<'_>) -> Option<Ending> {
    let waited = facts.now.duration_since(attempt.since);
    let is_as_it_was = at(stages, CURRENT) == Some(&attempt.from)
        && at(stages, PREVIOUS) == attempt.previous.as_deref();
    if !is_as_it_was {
        return Some(Ending::CurrentMoved);
    }
    facts.stop.or_else(|| (waited > PATIENCE).then_some(Ending::TimedOut))
}

fn claim(attempt: &Attempt, stages: &Stages, facts: &Facts<'_>) -> Step {
    if let Some(cause) = stopped(attempt, stages, facts) {
        return attempt.reverting(cause);
    }
    match at(stages, PENDING) {
        Some(holder) if holder == attempt.token => attempt.in_phase(Phase::Promoting),
        // One that is on the current version is left from a rotation that is over.
        holder if holder.is_none_or(|holder| holder == attempt.from) => Step::Move {
            label: PENDING.to_owned(),
            to: Some(attempt.token.clone()),
            from: holder.map(ToOwned::to_owned),
        },
        _ => attempt.reverting(Ending::Lost),
    }
}

fn promote(attempt: &Attempt, stages: &Stages, facts: &Facts<'_>) -> Step {
    let current = at(stages, CURRENT);
    if current == Some(&attempt.token) {
        if facts.proved.pending.is_none() {
            return release(attempt, PENDING, None);
        }
        let attempt = Attempt { promoted_at: Some(facts.now), ..attempt.clone() };
        return attempt.in_phase(Phase::Propagating);
    }
    // It was in force, and the version that came after it pushed it back.
    if at(stages, PREVIOUS) == Some(&attempt.token) {
        return attempt.reverting(Ending::Superseded);
    }
    if let Some(cause) = stopped(attempt, stages, facts) {
        return attempt.reverting(cause);
    }
    match at(stages, PENDING) {
        Some(holder) if holder == attempt.token => {}
        Some(holder) if holder != attempt.from => return attempt.reverting(Ending::Lost),
        // Nobody has the lock: somebody took it off, or the look lags. Taking it again shows which.
        _ => return attempt.in_phase(Phase::Claiming),
    }
    Step::Move {
        label: CURRENT.to_owned(),
        to: Some(attempt.token.clone()),
        from: Some(attempt.from.clone()),
    }
}

fn propagate(attempt: &Attempt, stages: &Stages, facts: &Facts<'_>) -> Step {
    match at(stages, CURRENT) {
        Some(current) if *current == attempt.token => {}
        // AWS may still show what was before: it is asked again before that is believed.
        Some(current) if *current == attempt.from && is_just_promoted(attempt, facts) => {
            return Step::Wait;
        }
        _ => return attempt.reverting(Ending::Superseded),
    }
    match facts.consumers {
        // What is in force needs nobody who watches over it.
        _ if facts.stop == Some(Ending::Deleted) => Step::End(Ending::Complete),
        Consumers::Synced => Step::End(Ending::Complete),
        Consumers::Waiting => Step::Wait,
        Consumers::TimedOut if facts.automatic => attempt.reverting(Ending::RolledBack),
        Consumers::TimedOut => Step::End(Ending::NeedsRollback),
    }
}

fn is_just_promoted(attempt: &Attempt, facts: &Facts<'_>) -> bool {
    attempt.promoted_at.is_some_and(|at| facts.now.duration_since(at) < LAG)
}

/// Takes a label off the new version, or moves it to another one. AWS refuses it if the label is not there.
fn release(attempt: &Attempt, label: &str, to: Option<&str>) -> Step {
    let (to, from) = (to.map(ToOwned::to_owned), Some(attempt.token.clone()));
    Step::Move { label: label.to_owned(), to, from }
}

/// A version of this object that holds the lock and that no attempt knows: the status was lost, or a request came late.
/// It has the label of this object, or is what the last attempt made.
pub(crate) fn leftover<'a>(stages: &'a Stages, label: &str, last: Option<&str>) -> Option<&'a str> {
    let version = at(stages, PENDING)?;
    let labels = stages.get(version)?;
    let is_ours = labels.contains(label) || last == Some(version);
    (is_ours && !labels.contains(CURRENT)).then_some(version)
}

/// The label of another SecretRotation on the current version or the one before it.
pub(crate) fn foreign<'a>(stages: &'a Stages, label: &str) -> Option<&'a str> {
    let versions = [CURRENT, PREVIOUS].into_iter().filter_map(|of| stages.get(at(stages, of)?));
    let mut labels = versions.flatten().map(String::as_str);
    labels.find(|other| other.starts_with(LABELS) && *other != label)
}

/// How the labels are after a move that was made.
pub(crate) fn moved(stages: &mut Stages, label: &str, to: Option<&str>) {
    let before = at(stages, label).map(ToOwned::to_owned);
    for labels in stages.values_mut() {
        labels.remove(label);
    }
    if let Some(to) = to {
        stages.entry(to.to_owned()).or_default().insert(label.to_owned());
    }
    if let (CURRENT, Some(before)) = (label, before)
        && Some(before.as_str()) != to
    {
        moved(stages, PREVIOUS, Some(&before));
    }
    stages.retain(|_, labels| !labels.is_empty());
}

mod revert;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
