//! Waiting for something to become true.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep, timeout};

use crate::{Failure, Result};

/// A bound for what takes a second or two on a quiet machine.
pub const SOON: Duration = Duration::from_secs(40);

/// Tries until `attempt` returns `Ok`, and returns what it gave. Its errors say what is still amiss; when
/// the time is over, the last of them is in the failure, after `what` was waited for.
///
/// The time is a bound for a broken system on a slow machine, not a measurement: be generous.
pub async fn eventually<T, E, F>(
    limit: Duration,
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<T>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(10);
    let mut last = String::from("the first attempt did not end");
    while Instant::now() < deadline {
        match timeout(deadline - Instant::now(), attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => break,
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    Err(Failure::new(format!("{what}: not so within {limit:?}; last: {last}")))
}

/// Waits until the clock shows another second: times in objects are whole seconds.
pub async fn next_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = 1_000 - now.subsec_millis();
    sleep(Duration::from_millis(u64::from(left) + 20)).await;
}

/// Waits until `figure` has stayed the same for a second, so that nothing is half done; the figure.
pub async fn at_rest(figure: impl Fn() -> usize) -> usize {
    let mut before = figure();
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = figure();
        if now == before {
            return now;
        }
        before = now;
    }
}
