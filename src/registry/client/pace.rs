//! When a host is asked again that has had enough, or does not answer. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// Longest time that a host may ask us to stay away.
const LONGEST: Duration = Duration::from_mins(1);
/// If it does not say for how long.
const USUAL: Duration = Duration::from_secs(5);
/// So many requests in a row without a useful answer, and a host counts as away.
const AWAY_AFTER: u32 = 5;
/// For so long at first, twice that after each further try.
const AWAY: Duration = Duration::from_secs(5);
/// While one request finds out whether it is back, the others wait.
const TRIAL: Duration = Duration::from_secs(10);

/// Why a host is not asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It asked to be left alone.
    Throttled(Duration),
    /// It does not answer.
    Away(Duration),
}

/// What is known of one host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Nothing is sent before.
    until: Option<Instant>,
    /// Requests in a row without a useful answer.
    failures: u32,
    /// Whether `until` is by the host's own wish.
    throttled: bool,
}

impl Pace {
    /// Whether a request may be sent. Where one is let through to find out, the others wait for what it finds.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Wait> {
        let Some(until) = self.until else { return Ok(()) };
        if now < until {
            let left = until - now;
            return Err(if self.throttled { Wait::Throttled(left) } else { Wait::Away(left) });
        }
        self.until = Some(now + TRIAL);
        Ok(())
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It has had too many requests, and may have said until when.
    pub(super) fn throttled(&mut self, now: Instant, after: Option<Duration>) -> Duration {
        let after = after.unwrap_or(USUAL).min(LONGEST);
        // Of two wishes the longer one counts.
        let until = self.until.filter(|_| self.throttled).unwrap_or(now).max(now + after);
        self.until = Some(until.min(now + LONGEST));
        self.throttled = true;
        after
    }

    /// It did not answer, or with a failure of its own.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if let Some(times) = self.failures.checked_sub(AWAY_AFTER) {
            self.until = Some(now + AWAY.saturating_mul(1 << times.min(8)).min(LONGEST));
            self.throttled = false;
        } else if self.until.is_some_and(|_| self.throttled) {
            // The trial after a throttle: it is no longer the host's wish, and others may try as well.
            (self.until, self.throttled) = (None, false);
        }
    }
}

/// What `Retry-After` says, in seconds or as a date (RFC 9110, section 10.2.3). `now` is for a date.
pub(super) fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What does not fit is long anyway.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let left = date.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Pass(u64),
        Answered,
        Throttled(Option<u64>),
        Failed,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => (0..30_u64).prop_map(Step::Pass),
            1 => Just(Step::Answered),
            1 => prop::option::of(0..200_u64).prop_map(Step::Throttled),
            4 => Just(Step::Failed),
        ]
    }

    proptest! {
        /// Whatever happened, nobody waits longer than the longest pause, one request gets through after it, and one
        /// answer ends all waiting.
        #[test]
        fn a_host_is_never_given_up(steps in prop::collection::vec(step(), 0..60)) {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let mut wish: Option<Instant> = None;
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += Duration::from_secs(seconds),
                    Step::Answered => { pace.answered(); wish = None; }
                    Step::Throttled(after) => {
                        pace.throttled(now, after.map(Duration::from_secs));
                        let after = Duration::from_secs(after.unwrap_or(5)).min(LONGEST);
                        wish = Some(wish.unwrap_or(now).max(now + after));
                    }
                    // A failure is an answer to a request that was let through.
                    Step::Failed => if pace.admit(now).is_ok() { pace.failed(now); wish = None; },
                }
                let mut trial = pace;
                match trial.admit(now) {
                    Ok(()) => prop_assert!(wish.is_none_or(|until| until <= now)),
                    Err(Wait::Throttled(left) | Wait::Away(left)) => {
                        prop_assert!(left <= LONGEST);
                        let mut later = pace;
                        prop_assert!(later.admit(now + left).is_ok());
                        // The others wait for the one.
                        prop_assert!(later.admit(now + left).is_err());
                    }
                }
                trial.answered();
                prop_assert!(trial.admit(now).is_ok());
            }
        }
    }

    #[test]
    fn a_host_is_away_after_some_failures_and_longer_after_each_further_one() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..AWAY_AFTER {
            assert_eq!(pace.admit(now), Ok(()));
            pace.failed(now);
        }
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let Err(Wait::Away(left)) = pace.admit(now) else { panic!("{pace:?}") };
            pauses.push(left.as_secs());
            now += left;
            assert_eq!(pace.admit(now), Ok(()));
            pace.failed(now);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date_and_is_bounded() {
        let now: jiff::Timestamp = "2026-11-06T08:49:37Z".parse().expect("a time");
        let read = |text| retry_after(text, now).map(|pause| pause.as_secs());
        assert_eq!(read("7"), Some(7));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("3600"), Some(60));
        assert_eq!(read("99999999999999999999999"), Some(60));
        assert_eq!(read("Fri, 06 Nov 2026 08:49:50 GMT"), Some(13));
        assert_eq!(read("Fri, 06 Nov 2026 08:49:30 GMT"), Some(0));
        assert_eq!(read("Sat, 07 Nov 2026 08:49:30 GMT"), Some(60));
        for text in ["", "-1", "soon", "1.5", "Sat, 07 Nov"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
