//! How far a run has come, on a terminal whose user waits.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

/// Nothing is shown of a run that is over before.
const QUIET: Duration = Duration::from_millis(700);

/// Between two changes of what is shown.
const EVERY: Duration = Duration::from_millis(100);

/// How far a run has come.
pub(crate) struct Progress {
    total: usize,
    done: usize,
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Nothing done of `total` files; a run that nobody watches shows nothing.
    pub(crate) fn of(total: usize, watched: bool) -> Self {
        Self { total, done: 0, next: watched.then(|| Instant::now() + QUIET), shown: false }
    }

    /// One file more.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.next.is_some_and(|next| Instant::now() >= next) {
            self.next = Some(Instant::now() + EVERY);
            self.shown = true;
            let (done, total) = (self.done, self.total);
            // The result is what counts; a terminal that is gone changes nothing about it.
            let _ = write!(io::stderr(), "\r{done} of {total} files");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
