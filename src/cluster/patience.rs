//! For how long what should go on may stand still.

use std::time::Duration;

use super::queue::Limits;

/// Longer than any provider may be slow: every call has a deadline.
const HUNG: Duration = Duration::from_mins(15);
/// A watch that the API server should have ended is given up so much later.
const GRACE: Duration = Duration::from_secs(5);

/// One time, of which all others are parts: a dead connection must be noticed before work counts as stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(Duration::from_mins(2))
    }
}

impl Patience {
    /// A shorter time would end processes that are only slow.
    pub(crate) const SHORTEST: Duration = Duration::from_secs(20);

    /// Work that waits for longer than `stall`, while nothing of it finishes, is stuck.
    pub(crate) fn new(stall: Duration) -> Self {
        Self(stall.max(Self::SHORTEST))
    }

    /// When a queue is stuck.
    pub(crate) fn limits(self) -> Limits {
        Limits { idle: self.0, hung: HUNG.max(self.0) }
    }

    /// A watch that fails for longer makes the process unready.
    pub(crate) fn tolerated_failure(self) -> Duration {
        self.0 / 2
    }

    /// How long one watch request lives, in seconds.
    pub(crate) fn watch_seconds(self) -> u32 {
        u32::try_from((self.0 / 2).as_secs()).unwrap_or(u32::MAX)
    }

    /// A dead connection is noticed when its watch should have ended.
    pub(crate) fn watch(self) -> Duration {
        Duration::from_secs(self.watch_seconds().into()) + GRACE
    }

    /// The API server has this long to begin an answer, and to go on with a page.
    pub(crate) fn answer(self) -> Duration {
        self.0 / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_connection_is_noticed_before_work_is_stuck() {
        for stall in [0, 20, 60, 120, 3_600] {
            let patience = Patience::new(Duration::from_secs(stall));
            let limits = patience.limits();
            assert!(patience.watch() < limits.idle && limits.idle <= limits.hung, "{patience:?}");
            assert!(patience.answer() < patience.tolerated_failure(), "{patience:?}");
        }
        let usual = Patience::default();
        assert_eq!((usual.watch_seconds(), usual.answer()), (60, Duration::from_secs(30)));
    }
}
