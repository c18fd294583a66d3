//! When somebody else keeps changing what we keep: stop, say so, and come back later.

use std::collections::VecDeque;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// Changes by others within [`WINDOW`] that make a fight.
pub(crate) const FLIPS: usize = 5;
/// How far back changes count.
pub(crate) const WINDOW: Duration = Duration::from_mins(10);
/// How long a field is left alone the first time; it doubles with each fight after it.
pub(crate) const FIRST_HOLD: Duration = Duration::from_hours(1);
/// Longest time that a field is left alone.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_hours(24);

/// The same for the default deny, without which a namespace is open.
pub(crate) const FIRST_VITAL: Duration = Duration::from_secs(5);
const LONGEST_VITAL: Duration = Duration::from_mins(1);
const DENY: &str = "NetworkPolicy/gabion-default-deny";

/// The history of one field of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fight {
    flips: VecDeque<Timestamp>,
    hold: Option<Hold>,
    fights: u32,
    /// Without this field a namespace is open: it is never left alone for long.
    vital: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    manager: String,
    until: Timestamp,
}

/// Whether a field may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Repair it.
    Write,
    /// Leave it alone until then; this manager keeps changing it.
    Leave {
        /// Who changes it.
        manager: String,
        /// When to try again.
        until: Timestamp,
    },
}

impl Fight {
    /// The history of this field.
    pub(crate) fn over(field: &str) -> Self {
        Self { vital: field == DENY, ..Self::default() }
    }

    /// Somebody else changed the field at `now`.
    pub(crate) fn flipped(&mut self, manager: &str, now: Timestamp) -> Verdict {
        if let verdict @ Verdict::Leave { .. } = self.verdict(now) {
            return verdict;
        }
        let earliest = now.as_nanosecond() - nanos(WINDOW);
        self.flips.retain(|flip| flip.as_nanosecond() > earliest);
        self.flips.push_back(now);
        if self.flips.len() < FLIPS {
            return Verdict::Write;
        }
        self.flips.clear();
        let (first, longest) =
            if self.vital { (FIRST_VITAL, LONGEST_VITAL) } else { (FIRST_HOLD, LONGEST_HOLD) };
        let hold = first.saturating_mul(1 << self.fights.min(8)).min(longest);
        self.fights = self.fights.saturating_add(1);
        let until =
            Timestamp::from_nanosecond(now.as_nanosecond() + nanos(hold)).unwrap_or(Timestamp::MAX);
        self.hold = Some(Hold { manager: manager.to_owned(), until });
        self.verdict(now)
    }

    /// Whether the field may be written at `now`.
    pub(crate) fn verdict(&self, now: Timestamp) -> Verdict {
        match &self.hold {
            Some(hold) if hold.until > now => {
                Verdict::Leave { manager: hold.manager.clone(), until: hold.until }
            }
            _ => Verdict::Write,
        }
    }

    /// Whether nothing is worth remembering at `now`: no hold, and no change for as long as the longest one.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        let last =
            self.hold.as_ref().map(|h| h.until).into_iter().chain(self.flips.back().copied()).max();
        last.is_none_or(|last| now.as_nanosecond() - last.as_nanosecond() > nanos(LONGEST_HOLD))
    }
}

fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_loop_that_removes_a_label_every_two_seconds_costs_few_writes() {
        let mut fight = Fight::default();
        let verdicts: Vec<_> =
            (0..30).map(|i| fight.flipped("argocd-controller", at(i * 2))).collect();
        let writes = verdicts.iter().filter(|v| **v == Verdict::Write).count();
        assert!(writes < FLIPS, "with the first write that makes {} in all", writes + 1);
        assert_eq!(
            verdicts.last(),
            Some(&Verdict::Leave { manager: "argocd-controller".into(), until: at(8 + 3600) })
        );
        assert_eq!(fight.verdict(at(8 + 3600)), Verdict::Write, "it comes back");
    }

    #[test]
    fn the_next_fight_is_left_alone_for_twice_as_long() {
        let mut fight = Fight::default();
        let holds: Vec<i64> = (0..7)
            .map(|round: i64| {
                let start = round * 1_000_000;
                let last = (0..5).map(|i| fight.flipped("x", at(start + i))).last();
                match last {
                    Some(Verdict::Leave { until, .. }) => until.as_second() - start - 4,
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        assert_eq!(holds, [3600, 7200, 14400, 28800, 57600, 86400, 86400]);
    }

    #[test]
    fn q2_the_default_deny_is_never_left_alone_for_long() {
        let mut fight = Fight::over(DENY);
        for round in 0..20_i64 {
            let start = round * 100;
            let last = (0..5).map(|i| fight.flipped("x", at(start + i))).last();
            let Some(Verdict::Leave { until, .. }) = last else { panic!("{last:?}") };
            assert!(until.as_second() - start - 4 <= 60, "{until}");
        }
    }

    #[test]
    fn changes_far_apart_are_drift_and_no_fight() {
        let mut fight = Fight::default();
        for i in 0..50 {
            assert_eq!(fight.flipped("x", at(i * 151)), Verdict::Write);
        }
        assert!(fight.is_forgotten(at(50 * 151 + 90_000)) && !fight.is_forgotten(at(50 * 151)));
    }
}
