//! Who may write.
//!
//! Every write passes [`Fence::check`] first. Without leader election the fence is always open. With it the
//! fence is open until a moment that each renewal of the lease moves on, on this process's own monotonic
//! clock: if renewals stop for whatever reason, even a stuck task, writes stop by themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Says whether this process may write. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Instant,
    /// Milliseconds after `origin` until which writes are allowed.
    open_until: AtomicU64,
}

/// This process is not the leader, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold the lease, so it does not write")]
pub struct Fenced;

impl Fence {
    /// A fence that never closes: one replica, no leader election.
    pub fn open() -> Self {
        Self::until(u64::MAX)
    }

    /// A fence that is closed until [`Fence::extend`] opens it.
    pub fn closed() -> Self {
        Self::until(0)
    }

    fn until(open_until: u64) -> Self {
        Self(Arc::new(Inner { origin: Instant::now(), open_until: AtomicU64::new(open_until) }))
    }

    /// Allows writes until `validity` after `from`.
    pub fn extend(&self, from: Instant, validity: Duration) {
        let until = from.saturating_duration_since(self.0.origin) + validity;
        self.0.open_until.store(millis(until), Ordering::Release);
    }

    /// Forbids writes from now on.
    pub fn close(&self) {
        self.0.open_until.store(0, Ordering::Release);
    }

    /// True while writes are allowed.
    pub fn is_open(&self) -> bool {
        self.check().is_ok()
    }

    /// How long writes are allowed, if nothing renews that. Fails unless they are allowed now.
    pub(crate) fn check(&self) -> Result<Duration, Fenced> {
        let until = self.0.open_until.load(Ordering::Acquire);
        let left = until.saturating_sub(millis(self.0.origin.elapsed()));
        if left > 0 { Ok(Duration::from_millis(left)) } else { Err(Fenced) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_that_is_not_renewed_closes_by_itself() {
        let fence = Fence::closed();
        assert_eq!(fence.check(), Err(Fenced));
        let hour = Duration::from_hours(1);
        fence.extend(Instant::now(), hour);
        assert!(fence.check().is_ok_and(|left| left <= hour));
        let fence = Fence::closed();
        fence.extend(Instant::now(), Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(fence.check(), Err(Fenced));
    }

    #[test]
    fn an_old_renewal_does_not_reach_into_the_present() {
        let fence = Fence::closed();
        std::thread::sleep(Duration::from_millis(30));
        let sent = Instant::now();
        std::thread::sleep(Duration::from_millis(30));
        fence.extend(sent, Duration::from_millis(20));
        assert!(!fence.is_open());
    }
}
