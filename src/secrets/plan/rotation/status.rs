//! What the status says, and whether it lets a rotation begin.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use super::TRIGGER;
use super::attempt::{Attempt, Ending, Phase};
use super::check::YOUNGEST;
use super::schedule::{Due, Schedule};
use crate::api::gabion::secret_rotation::{
    AttemptStatus, LastRotation, SecretRotation, SecretRotationStatus,
};
use crate::text::shortened;

/// So many failures in a row end the tries.
const MOST_FAILURES: i64 = 3;
/// Pause after the first failure; each later one doubles it.
const PAUSE: SignedDuration = SignedDuration::from_mins(15);
/// Pause of whoever did not get the lock.
const LOST_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// Longest message.
const MAX_MESSAGE: usize = 2048;
/// Longest value of the trigger that is told from another one.
const MAX_TRIGGER: usize = 256;
const IDLE: &str = "Idle";

/// The attempt that runs. One that nobody understands counts as lost: AWS's labels say what is left of it.
pub(crate) fn attempt(object: &SecretRotation) -> Option<Attempt> {
    let status = object.status.as_ref()?;
    let stored = status.attempt.as_ref()?;
    let phase = Phase::named(status.phase.as_deref()?)?;
    let is_id = |id: &str| (32..=64).contains(&id.len());
    (is_id(&stored.token) && !stored.from.is_empty()).then(|| Attempt {
        number: stored.number,
        phase,
        token: stored.token.clone(),
        from: stored.from.clone(),
        previous: stored.previous.clone(),
        since: stored.since.0,
        promoted_at: stored.promoted_at.as_ref().map(|at| at.0),
        cause: stored.cause.as_deref().and_then(Ending::named),
    })
}

/// The value of the trigger.
pub(crate) fn trigger(object: &SecretRotation) -> String {
    shortened(object.annotations().get(TRIGGER).map_or("", String::as_str), MAX_TRIGGER)
}

/// Id of the version that the last attempt made.
pub(crate) fn last_version(object: &SecretRotation) -> Option<&str> {
    let last = object.status.as_ref()?.last_rotation.as_ref()?;
    Some(last.version.as_str())
}

/// Whether a rotation may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At once, for this time of the schedule or for a person's word.
    Now {
        /// The time of the schedule.
        due: Option<Timestamp>,
    },
    /// Not before.
    At(Timestamp),
    /// Not before something changes.
    Never,
    /// Too many have failed.
    GivenUp,
}

/// Whether a rotation may begin. `made` is when the present value was made, where that was asked.
pub(crate) fn begin(
    object: &SecretRotation,
    schedule: &Schedule,
    made: Option<Timestamp>,
    now: Timestamp,
) -> Begin {
    let absent = SecretRotationStatus::default();
    let status = object.status.as_ref().unwrap_or(&absent);
    if object.spec.suspend {
        return Begin::Never;
    }
    let observed = status.observed_trigger.as_deref();
    if observed.is_some_and(|observed| observed != trigger(object)) && !trigger(object).is_empty() {
        let last = status.last_attempt.as_ref().map(|at| at.0);
        let earliest = last.and_then(|last| last.checked_add(YOUNGEST).ok());
        return match earliest.filter(|at| *at > now) {
            Some(at) => Begin::At(at),
            None => Begin::Now { due: None },
        };
    }
    let is_edited = status.observed_generation != object.metadata.generation;
    if status.failures.unwrap_or_default() >= MOST_FAILURES && !is_edited {
        return Begin::GivenUp;
    }
    let held = status.retry_after.as_ref().map(|at| at.0).filter(|at| *at > now && !is_edited);
    match (due(object, schedule, made, now), held) {
        (Due::Never, _) => Begin::Never,
        (Due::At(at), held) => Begin::At(held.map_or(at, |held| held.max(at))),
        (Due::Now(_), Some(held)) => Begin::At(held),
        (Due::Now(at), None) => Begin::Now { due: Some(at) },
    }
}

fn due(
    object: &SecretRotation,
    schedule: &Schedule,
    made: Option<Timestamp>,
    now: Timestamp,
) -> Due {
    let created = object.metadata.creation_timestamp.as_ref().map_or(now, |at| at.0);
    let status = object.status.as_ref();
    let base = match schedule {
        Schedule::OnDemand => return Due::Never,
        Schedule::Every(_) => {
            let known = status.and_then(|status| status.counted_from.as_ref()).map(|at| at.0);
            match made.or(known) {
                Some(base) => base,
                // Nobody knows yet how old the present value is.
                None => return Due::Now(now),
            }
        }
        Schedule::Cron { .. } => {
            let last = status.and_then(|status| status.last_schedule_time.as_ref());
            last.map_or(created, |last| last.0)
        }
    };
    schedule.due(base, created, object.metadata.uid.as_deref().unwrap_or_default(), now)
}

/// When the next rotation is due, as the status shows it.
fn next(object: &SecretRotation, schedule: &Schedule, now: Timestamp) -> Option<Time> {
    match begin(object, schedule, None, now) {
        Begin::At(at) => Some(whole(at)),
        Begin::Now { due } => due.map(whole),
        Begin::Never | Begin::GivenUp => None,
    }
}

fn whole(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Says something about readiness, and nothing else.
pub(crate) fn said(
    object: &SecretRotation,
    schedule: Option<&Schedule>,
    ready: (&str, &str, &str),
    now: Timestamp,
) -> SecretRotationStatus {
    let mut object = object.clone();
    let mut status = object.status.take().unwrap_or_default();
    if status.attempt.is_none() || attempt_is_lost(&status) {
        status.phase = Some(IDLE.to_owned());
        status.attempt = None;
    }
    status.observed_trigger.get_or_insert_with(|| trigger(&object));
    set(&mut status, object.metadata.generation, "Ready", ready, now);
    object.status = Some(status.clone());
    if let Some(schedule) = schedule {
        status.next_rotation = next(&object, schedule, now);
    }
    status
}

fn attempt_is_lost(status: &SecretRotationStatus) -> bool {
    status.phase.as_deref().and_then(Phase::named).is_none()
}

/// Notes when the present value was made.
pub(crate) fn counted(object: &SecretRotation, made: Timestamp) -> SecretRotation {
    let mut object = object.clone();
    object.status.get_or_insert_default().counted_from = Some(whole(made));
    object
}

/// An attempt is begun, or comes to another phase.
pub(crate) fn written(
    object: &SecretRotation,
    attempt: &Attempt,
    due: Option<Timestamp>,
    now: Timestamp,
) -> SecretRotationStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if status.attempts != Some(attempt.number) {
        status.attempts = Some(attempt.number);
        status.last_attempt = Some(whole(now));
        status.observed_trigger = Some(trigger(object));
        status.consumers = None;
        if let Some(due) = due {
            status.last_schedule_time = Some(whole(due));
        }
    }
    status.phase = Some(attempt.phase.as_str().to_owned());
    status.attempt = Some(AttemptStatus {
        number: attempt.number,
        token: attempt.token.clone(),
        from: attempt.from.clone(),
        previous: attempt.previous.clone(),
        since: whole(attempt.since),
        promoted_at: attempt.promoted_at.map(whole),
        cause: attempt.cause.map(|cause| cause.as_str().to_owned()),
    });
    let text = format!("rotation {} is in phase {}", attempt.number, attempt.phase.as_str());
    let rotating = ("True", attempt.phase.as_str(), text.as_str());
    set(&mut status, object.metadata.generation, "Rotating", rotating, now);
    status
}

/// An attempt is over.
pub(crate) fn ended(
    object: &SecretRotation,
    schedule: Option<&Schedule>,
    attempt: &Attempt,
    ending: Ending,
    now: Timestamp,
) -> SecretRotationStatus {
    let mut status = object.status.clone().unwrap_or_default();
    status.phase = Some(IDLE.to_owned());
    status.attempt = None;
    status.observed_generation = object.metadata.generation;
    status.last_rotation = Some(LastRotation {
        at: whole(now),
        version: attempt.token.clone(),
        outcome: ending.as_str().to_owned(),
        seconds: now.duration_since(attempt.since).as_secs().max(0),
    });
    let failures = status.failures.unwrap_or_default();
    let pause = match ending {
        Ending::RolledBack | Ending::NeedsRollback | Ending::TimedOut => {
            status.failures = Some(failures + 1);
            let doubled = 1_i32 << u32::try_from(failures.clamp(0, 6)).unwrap_or_default();
            Some((PAUSE * doubled).min(SignedDuration::from_hours(24)))
        }
        Ending::Lost | Ending::Aborted => Some(LOST_PAUSE),
        _ => {
            status.failures = None;
            None
        }
    };
    status.retry_after = pause.and_then(|pause| now.checked_add(pause).ok()).map(whole);
    // Of another value that somebody put, nobody knows yet how old it is.
    status.counted_from = match ending {
        Ending::Complete => Some(whole(attempt.since)),
        Ending::CurrentMoved | Ending::Superseded => None,
        _ => status.counted_from,
    };
    let generation = object.metadata.generation;
    let is_fine = matches!(ending, Ending::Complete | Ending::Superseded | Ending::Deleted);
    let message = message(ending, attempt);
    let ready = if is_fine { "True" } else { "False" };
    set(&mut status, generation, "Ready", (ready, ending.as_str(), &message), now);
    set(&mut status, generation, "Rotating", ("False", IDLE, "no rotation runs"), now);
    let object = SecretRotation { status: Some(status.clone()), ..object.clone() };
    if let Some(schedule) = schedule {
        status.next_rotation = next(&object, schedule, now);
    }
    status
}

/// What an ending means, and what to do about it.
pub(crate) fn message(ending: Ending, attempt: &Attempt) -> String {
    let Attempt { number, token, from, .. } = attempt;
    match ending {
        Ending::Complete => format!("rotation {number} is complete: version {token} is in force"),
        Ending::RolledBack => format!(
            "rotation {number} was taken back, because consumers did not get the new value in time: version {from} is in force"
        ),
        Ending::NeedsRollback => format!(
            "consumers did not get the new value of rotation {number} in time: mend them, or put the old value back with aws secretsmanager update-secret-version-stage --version-stage AWSCURRENT --move-to-version-id {from} --remove-from-version-id {token}"
        ),
        Ending::Superseded => {
            format!("somebody put another value after rotation {number}: it stays in force")
        }
        Ending::CurrentMoved => format!(
            "somebody put another value during rotation {number}, or rotated and took it back: what is in force stays, and version {token} is dropped"
        ),
        Ending::Lost => format!(
            "somebody else rotates this secret at the same time: rotation {number} is dropped"
        ),
        Ending::TimedOut => format!(
            "rotation {number} could not be brought into force in 15 minutes, and is dropped: the last failure is in the events"
        ),
        Ending::Aborted => {
            format!("rotation {number} was ended by the annotation gabion.dev/abort")
        }
        Ending::Deleted => format!("rotation {number} was taken back before the deletion"),
    }
}

fn set(
    status: &mut SecretRotationStatus,
    generation: Option<i64>,
    type_: &str,
    (value, reason, message): (&str, &str, &str),
    now: Timestamp,
) {
    let was = status.conditions.iter().find(|condition| condition.type_ == type_);
    let since = was.filter(|was| was.status == value).map(|was| was.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: shortened(message, MAX_MESSAGE),
        last_transition_time: since.unwrap_or_else(|| whole(now)),
        observed_generation: generation,
    };
    status.conditions.retain(|condition| condition.type_ != type_);
    status.conditions.push(condition);
}
