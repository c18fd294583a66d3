//! When a secret is to be rotated.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::error::RotationError;
use crate::api::gabion::secret_rotation::Schedule as Spec;
use crate::duration;
use crate::secrets::plan::window::Cron;

/// AWS keeps versions of a day, and no consumer follows faster.
const SHORTEST: SignedDuration = SignedDuration::from_hours(1);
/// What is missed by more than this is left out.
const STARTING_DEADLINE: SignedDuration = SignedDuration::from_hours(24);
const LONGEST_DEADLINE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest time over which what is overdue from the first look on is spread.
const LONGEST_SPREAD: SignedDuration = SignedDuration::from_hours(24);

/// A schedule that can be followed.
pub(crate) enum Schedule {
    /// By a person's word alone.
    OnDemand,
    /// So long after the present value was made.
    Every(SignedDuration),
    /// At these times.
    Cron { cron: Box<Cron>, zone: TimeZone, jitter: SignedDuration, deadline: SignedDuration },
}

/// When to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// At once; it was due then.
    Now(Timestamp),
    /// Then.
    At(Timestamp),
    /// When a person says so.
    Never,
}

impl Schedule {
    /// What a spec means.
    pub(crate) fn read(spec: Option<&Spec>) -> Result<Self, RotationError> {
        let Some(spec) = spec else { return Ok(Self::OnDemand) };
        let invalid = |field: &'static str, problem: &str| {
            Err(RotationError::Field { field, problem: problem.to_owned() })
        };
        let length = |field: &'static str, text: &str| match duration::parse(text) {
            Some(length) if length.is_positive() => Ok(length),
            _ => Err(RotationError::Field {
                field,
                problem: "is not a duration above zero, such as 30m or 720h".to_owned(),
            }),
        };
        let jitter = spec.jitter.as_deref().map(|text| length("schedule.jitter", text));
        let jitter = jitter.transpose()?.unwrap_or(SignedDuration::ZERO);
        let deadline = spec.starting_deadline.as_deref();
        let deadline = deadline.map(|text| length("schedule.startingDeadline", text));
        let deadline = deadline.transpose()?.unwrap_or(STARTING_DEADLINE);
        if deadline > LONGEST_DEADLINE {
            return invalid("schedule.startingDeadline", "is above 168h: shorten it");
        }
        match (spec.every.as_deref(), spec.cron.as_deref()) {
            (Some(every), None) => {
                let every = length("schedule.every", every)?;
                if every < SHORTEST {
                    return invalid("schedule.every", "is below 1h: lengthen it");
                }
                Ok(Self::Every(every))
            }
            (None, Some(text)) => {
                let Some(cron) = Cron::parse(text) else {
                    return invalid("schedule.cron", "is not five fields of cron, as in 0 3 1 * *");
                };
                let zone = spec.time_zone.as_deref().unwrap_or("UTC");
                let Ok(zone) = TimeZone::get(zone) else {
                    return invalid(
                        "schedule.timeZone",
                        "is no name of the IANA time zone database, such as Europe/Berlin",
                    );
                };
                if jitter > LONGEST_SPREAD {
                    return invalid("schedule.jitter", "is above 24h: shorten it");
                }
                let cron = Box::new(cron);
                Ok(Self::Cron { cron, zone, jitter, deadline })
            }
            _ => invalid("schedule", "needs every or cron, and not both"),
        }
    }

    /// When to rotate next. `base` is when the present value was made, for intervals, and when the schedule was last
    /// looked at, for cron; `known` is whether this object has rotated before.
    pub(crate) fn due(
        &self,
        base: Timestamp,
        created: Timestamp,
        uid: &str,
        now: Timestamp,
    ) -> Due {
        match self {
            Self::OnDemand => Due::Never,
            Self::Every(every) => {
                let Ok(at) = base.checked_add(*every) else { return Due::Never };
                // Fifty objects that are overdue when they are created do not all start at once.
                let at = if at < created {
                    created.checked_add(share((*every / 10).min(LONGEST_SPREAD), uid)).unwrap_or(at)
                } else {
                    at
                };
                if at <= now { Due::Now(at) } else { Due::At(at) }
            }
            Self::Cron { cron, zone, jitter, deadline } => {
                let jitter = share(*jitter, uid);
                let late = |at: Timestamp| at.checked_add(jitter).unwrap_or(at);
                // What is missed by too much is left out; of the rest only the last one counts.
                let oldest = now.checked_sub(*deadline).unwrap_or(base).max(base);
                let oldest = oldest.checked_sub(jitter).unwrap_or(oldest).max(base);
                let mut last = None;
                let mut from = oldest;
                loop {
                    match cron.next(from, zone) {
                        Some(at) if late(at) <= now => (last, from) = (Some(at), at),
                        later => {
                            return match (last, later) {
                                (Some(at), _) => Due::Now(at),
                                (None, Some(at)) => Due::At(late(at)),
                                (None, None) => Due::Never,
                            };
                        }
                    }
                }
            }
        }
    }
}

/// A part of a time that is always the same for one uid, and spread evenly over many.
fn share(of: SignedDuration, uid: &str) -> SignedDuration {
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let part = i128::from((hash ^ (hash >> 32)) & 0xffff);
    let nanos = of.as_nanos() * part / 0x1_0000;
    i64::try_from(nanos).map_or(SignedDuration::ZERO, SignedDuration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cron(text: &str, zone: &str) -> Schedule {
        let (cron, zone) = (Some(text.to_owned()), Some(zone.to_owned()));
        let spec = Spec { cron, time_zone: zone, ..Spec::default() };
        Schedule::read(Some(&spec)).unwrap()
    }

    fn every(text: &str) -> Schedule {
        Schedule::read(Some(&Spec { every: Some(text.to_owned()), ..Spec::default() })).unwrap()
    }

    fn due(schedule: &Schedule, base: &str, now: &str) -> Due {
        schedule.due(at(base), at("2020-01-01T00:00:00Z"), "u", at(now))
    }

    #[test]
    fn t20_a_local_time_that_is_skipped_comes_once_and_one_that_is_doubled_too() {
        let schedule = cron("30 2 * * *", "Europe/Berlin");
        // 2026-03-29: 02:00 becomes 03:00.
        let skipped = Due::At(at("2026-03-29T01:00:00Z"));
        assert_eq!(due(&schedule, "2026-03-28T12:00:00Z", "2026-03-28T12:00:00Z"), skipped);
        let after = due(&schedule, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
        assert_eq!(after, Due::At(at("2026-03-30T00:30:00Z")));
        // 2026-10-25: 03:00 becomes 02:00.
        let first = at("2026-10-25T00:30:00Z");
        let before = due(&schedule, "2026-10-24T12:00:00Z", "2026-10-24T12:00:00Z");
        assert_eq!(before, Due::At(first));
        let second = due(&schedule, "2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z");
        assert_eq!(second, Due::At(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn t20_what_was_missed_comes_once_unless_it_is_too_old() {
        let schedule = cron("0 3 * * *", "UTC");
        let missed = due(&schedule, "2026-03-01T03:00:00Z", "2026-03-04T10:00:00Z");
        assert_eq!(missed, Due::Now(at("2026-03-04T03:00:00Z")));
        let monthly = cron("0 3 1 * *", "UTC");
        let old = due(&monthly, "2026-02-20T03:00:00Z", "2026-03-04T10:00:00Z");
        assert_eq!(old, Due::At(at("2026-04-01T03:00:00Z")));
        // A clock that is set back fires nothing again.
        let back = due(&schedule, "2026-03-04T03:00:00Z", "2026-03-03T10:00:00Z");
        assert_eq!(back, Due::At(at("2026-03-05T03:00:00Z")));
    }

    #[test]
    fn an_interval_counts_from_the_present_value_and_spreads_what_is_overdue() {
        let schedule = every("720h");
        let later = due(&schedule, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
        assert_eq!(later, Due::At(at("2026-03-31T00:00:00Z")));
        let now = due(&schedule, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
        assert_eq!(now, Due::Now(at("2026-03-31T00:00:00Z")));
        let created = at("2026-03-01T00:00:00Z");
        let overdue =
            |uid: &str| match schedule.due(at("2020-01-01T00:00:00Z"), created, uid, created) {
                Due::At(at) | Due::Now(at) => at.duration_since(created),
                Due::Never => panic!("never"),
            };
        let spread: Vec<_> = (0..50).map(|nth| overdue(&format!("6f1d7f6e-{nth}"))).collect();
        assert!(spread.iter().all(|it| *it < SignedDuration::from_hours(24)), "{spread:?}");
        let early = spread.iter().filter(|it| **it < SignedDuration::from_hours(12)).count();
        assert!((10..=40).contains(&early), "{spread:?}");
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (spec, expected) in [
            (Spec { every: Some("5m".into()), ..Spec::default() }, "schedule.every"),
            (Spec { every: Some("-5h".into()), ..Spec::default() }, "schedule.every"),
            (Spec { cron: Some("@every 5h".into()), ..Spec::default() }, "schedule.cron"),
            (Spec { cron: Some("a b c".into()), ..Spec::default() }, "schedule.cron"),
            (Spec::default(), "needs every or cron"),
            (
                Spec {
                    cron: Some("0 3 * * *".into()),
                    time_zone: Some("Mars".into()),
                    ..Spec::default()
                },
                "schedule.timeZone",
            ),
        ] {
            let problem = Schedule::read(Some(&spec)).err().unwrap().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
