//! How often one object may be pushed, whoever asks for it.

use jiff::{SignedDuration, Timestamp};

/// A shorter `refreshInterval` is taken as this one.
pub(crate) const LEAST_INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// Pushes that may come at once after a quiet time: a person who edits, or a Secret that changes, does not wait.
const BURST: i32 = 10;
/// After these, one push in this time.
const EVERY: SignedDuration = LEAST_INTERVAL;

/// What is left of the pushes of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When all of them are left again.
    full_at: Option<Timestamp>,
}

impl Pace {
    /// Takes one push, or says when there is one.
    pub(crate) fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        // What a clock says that was ahead must not hold the object for longer than the burst is worth.
        let latest = later(now, EVERY * BURST);
        let full_at = self.full_at.map_or(now, |at| at.clamp(now, latest));
        let earliest = later(full_at, -(EVERY * (BURST - 1)));
        if earliest > now {
            self.full_at = Some(full_at);
            return Err(earliest);
        }
        self.full_at = Some(later(full_at, EVERY));
        Ok(())
    }

    /// Whether at most one is left. An object that is edited all the time gives way to others.
    pub(crate) fn is_spent(self, now: Timestamp) -> bool {
        self.full_at.is_some_and(|at| at >= later(now, EVERY * (BURST - 1)))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes when: after a burst, one push in five seconds, and never one later than that.
        #[test]
        fn an_object_is_pushed_at_once_or_soon_and_never_all_the_time(gaps in prop::collection::vec(0_i64..4_000, 1..200)) {
            let (mut pace, mut now) = (Pace::default(), Timestamp::UNIX_EPOCH);
            let (start, mut taken) = (now, 0_i64);
            for gap in gaps {
                now = now.checked_add(SignedDuration::from_millis(gap)).unwrap();
                match pace.take(now) {
                    Ok(()) => taken += 1,
                    Err(at) => {
                        prop_assert!(at > now && at <= now.checked_add(EVERY).unwrap());
                        let mut later = pace;
                        prop_assert_eq!(later.take(at), Ok(()));
                    }
                }
                let seconds = now.duration_since(start).as_secs();
                prop_assert!(taken <= i64::from(BURST) + seconds / EVERY.as_secs());
            }
        }
    }

    #[test]
    fn who_is_edited_all_the_time_is_not_urgent_any_more() {
        let (mut pace, now) = (Pace::default(), Timestamp::UNIX_EPOCH);
        let urgent = (0..10).filter(|_| {
            let urgent = !pace.is_spent(now);
            pace.take(now).unwrap();
            urgent
        });
        assert_eq!(urgent.count(), 9);
        let next = pace.take(now).unwrap_err();
        assert!(pace.is_spent(next), "one every five seconds is all the time");
        assert!(!pace.is_spent(later(next, EVERY * 2)), "a pause, and it is urgent again");
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nobody_for_long() {
        let (mut pace, now) = (Pace::default(), Timestamp::UNIX_EPOCH);
        let ahead = now.checked_add(SignedDuration::from_hours(24)).unwrap();
        assert_eq!(pace.take(ahead), Ok(()));
        assert_eq!(pace.take(now), Err(now.checked_add(EVERY).unwrap()));
    }
}
