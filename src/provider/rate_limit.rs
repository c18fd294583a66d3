//! Token buckets: how many calls per second Gabion allows itself, per account and region.
//!
//! A bucket has lanes: while a call of one waits, none of a later one passes. A throttling answer halves
//! the rate, and it grows back over half a minute.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::endpoint::{Admission, Endpoint};
use super::{
    ProviderError,
    metrics::{CallOutcome, Metrics, Operation},
};
use crate::lane::Lane;

/// Calls per second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Sustained calls per second.
    pub per_second: f64,
    /// Calls that may come at once after a quiet time.
    pub burst: f64,
}

/// Limits per account and region. The defaults are fractions of AWS's quotas, because others share them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// `GetSecretValue`; the quota is 10,000 per second.
    pub get: Limit,
    /// `BatchGetSecretValue`; the quota is 100 per second and cannot be raised.
    pub batch: Limit,
    /// `DescribeSecret`; the quota is 40,000 per second (10,000 with `GetSecretValue` in older texts).
    pub describe: Limit,
    /// `ListSecrets`; the quota is 100 per second.
    pub list: Limit,
    /// Reads of parameters; the quota is 40 per second unless somebody pays for more.
    pub parameters: Limit,
    /// Descriptions and tags of parameters, whose quotas are lower and not published.
    pub describe_parameters: Limit,
    /// Writes of secrets; the quota of each operation is 50 per second.
    pub write: Limit,
    /// Writes of parameters and of their tags; the quota is 3 per second unless somebody pays for more.
    pub write_parameters: Limit,
    /// `AssumeRole` and its kin; users report throttling at rates far below those of reads.
    pub sts: Limit,
    /// Calls to queues, which have no quota.
    pub queue: Limit,
    /// Calls to an API server of Kubernetes, per store. It shares itself out among those who ask.
    pub kubernetes: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            get: Limit { per_second: 1_000.0, burst: 500.0 },
            batch: Limit { per_second: 50.0, burst: 50.0 },
            describe: Limit { per_second: 500.0, burst: 100.0 },
            list: Limit { per_second: 50.0, burst: 50.0 },
            parameters: Limit { per_second: 20.0, burst: 40.0 },
            describe_parameters: Limit { per_second: 5.0, burst: 10.0 },
            write: Limit { per_second: 20.0, burst: 20.0 },
            write_parameters: Limit { per_second: 2.0, burst: 3.0 },
            sts: Limit { per_second: 25.0, burst: 50.0 },
            queue: Limit { per_second: 500.0, burst: 500.0 },
            kubernetes: Limit { per_second: 50.0, burst: 100.0 },
        }
    }
}

/// The buckets of one account in one region.
pub(crate) struct Account {
    pub(crate) get: Bucket,
    pub(crate) batch: Bucket,
    pub(crate) describe: Bucket,
    pub(crate) list: Bucket,
    pub(crate) parameters: Bucket,
    pub(crate) describe_parameters: Bucket,
    pub(crate) write: Bucket,
    pub(crate) write_parameters: Bucket,
    pub(crate) sts: Bucket,
    pub(crate) queue: Bucket,
    pub(crate) kubernetes: Bucket,
}

impl Account {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            get: Bucket::new(limits.get),
            batch: Bucket::new(limits.batch),
            describe: Bucket::new(limits.describe),
            list: Bucket::new(limits.list),
            parameters: Bucket::new(limits.parameters),
            describe_parameters: Bucket::new(limits.describe_parameters),
            write: Bucket::new(limits.write),
            write_parameters: Bucket::new(limits.write_parameters),
            sts: Bucket::new(limits.sts),
            queue: Bucket::new(limits.queue),
            kubernetes: Bucket::new(limits.kubernetes),
        }
    }
}

/// What one client needs to pace and count its calls.
pub(crate) struct Meter {
    pub(crate) metrics: Arc<Metrics>,
    /// Whose quota its reads use.
    pub(crate) account: Arc<Account>,
    /// Whose quota its role changes use: AWS charges the account that asks.
    pub(crate) payer_of_sts: Arc<Account>,
    /// Where it reads.
    pub(crate) reader: Arc<Endpoint>,
    /// Where it changes roles.
    pub(crate) sts: Arc<Endpoint>,
}

impl Meter {
    pub(crate) fn bucket(&self, operation: Operation) -> &Bucket {
        match operation {
            Operation::GetSecretValue => &self.account.get,
            Operation::BatchGetSecretValue => &self.account.batch,
            Operation::DescribeSecret => &self.account.describe,
            Operation::ListSecrets => &self.account.list,
            Operation::GetParameter | Operation::GetParameters | Operation::GetParametersByPath => {
                &self.account.parameters
            }
            Operation::DescribeParameters | Operation::ListTagsForResource => {
                &self.account.describe_parameters
            }
            Operation::CreateSecret
            | Operation::PutSecretValue
            | Operation::UpdateSecret
            | Operation::TagResource
            | Operation::UntagResource
            | Operation::RestoreSecret
            | Operation::DeleteSecret => &self.account.write,
            Operation::PutParameter
            | Operation::AddTagsToResource
            | Operation::RemoveTagsFromResource
            | Operation::DeleteParameter => &self.account.write_parameters,
            Operation::AssumeRole
            | Operation::AssumeRoleWithWebIdentity
            | Operation::GetSessionToken
            | Operation::GetAuthorizationToken
            | Operation::GetPublicAuthorizationToken => &self.payer_of_sts.sts,
            Operation::GetQueueUrl
            | Operation::ReceiveMessage
            | Operation::DeleteMessageBatch
            | Operation::ChangeMessageVisibilityBatch => &self.account.queue,
            Operation::GetKubernetesSecret
            | Operation::ListKubernetesSecrets
            | Operation::ReviewRules => &self.account.kubernetes,
        }
    }

    fn endpoint(&self, operation: Operation) -> &Endpoint {
        match operation {
            Operation::AssumeRole
            | Operation::AssumeRoleWithWebIdentity
            | Operation::GetSessionToken => &self.sts,
            _ => &self.reader,
        }
    }

    /// Waits for the call's turn, makes it and counts it. An endpoint that answers nobody is spared.
    pub(crate) async fn call<T>(
        &self,
        operation: Operation,
        lane: Lane,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let endpoint = self.endpoint(operation);
        let admission = endpoint.admit()?;
        self.bucket(operation).take(lane).await;
        // What waited for its turn may have waited long.
        if admission == Admission::Open {
            endpoint.admit()?;
        }
        let result = endpoint.note(call.await);
        let outcome = result.as_ref().err().map_or(CallOutcome::Success, CallOutcome::from);
        self.metrics.count_call(operation, outcome);
        result
    }

    /// After a throttling answer.
    pub(crate) fn slow_down(&self, operation: Operation) {
        if self.bucket(operation).slow_down() {
            self.metrics.count_slowdown();
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// Time for a halved rate to come back from nothing to the full one.
const RECOVERY_SECONDS: f64 = 30.0;
/// Throttling answers within this time of the last slow-down belong to the same burst of calls.
const ONE_BURST: Duration = Duration::from_millis(500);
/// The rate never falls below this share of the limit.
const SLOWEST: f64 = 1.0 / 32.0;
/// Upper bound of one sleep, so that an urgent call that gave up does not hold others for long.
const NAP: Duration = Duration::from_millis(250);

/// One token bucket.
pub(crate) struct Bucket {
    limit: Limit,
    level: Mutex<Level>,
    /// The head of each lane holds its turn while it sleeps: first come, first served, and one timer.
    turns: [tokio::sync::Mutex<()>; Lane::ALL.len()],
    waiting: [AtomicUsize; Lane::ALL.len()],
}

struct Level {
    tokens: f64,
    rate: f64,
    at: Instant,
    slowed: Option<Instant>,
}

impl Bucket {
    pub(crate) fn new(limit: Limit) -> Self {
        let level =
            Level { tokens: limit.burst, rate: limit.per_second, at: Instant::now(), slowed: None };
        Self {
            limit,
            level: Mutex::new(level),
            turns: Lane::ALL.map(|_| tokio::sync::Mutex::new(())),
            waiting: Lane::ALL.map(|_| AtomicUsize::new(0)),
        }
    }

    /// Waits for a token and takes it.
    pub(crate) async fn take(&self, lane: Lane) {
        let ahead = || Lane::ALL.into_iter().filter(|other| *other < lane);
        let first = || ahead().all(|other| self.waiting(other) == 0);
        if self.waiting(lane) == 0 && first() && self.try_take().is_ok() {
            return;
        }
        let _queued = Queued::new(&self.waiting[lane as usize]);
        let _turn = self.turns[lane as usize].lock().await;
        loop {
            let pause = if first() {
                match self.try_take() {
                    Ok(()) => return,
                    Err(pause) => pause,
                }
            } else {
                Duration::from_millis(5)
            };
            tokio::time::sleep(pause.min(NAP)).await;
        }
    }

    /// About how long a call of this lane would wait now.
    pub(crate) fn wait(&self, lane: Lane) -> Duration {
        let before = Lane::ALL.into_iter().filter(|other| *other <= lane);
        let ahead = 1 + before.map(|other| self.waiting(other)).sum::<usize>();
        let level = self.refilled();
        #[expect(clippy::cast_precision_loss, reason = "an estimate of a few thousand waiters")]
        let missing = (ahead as f64 - level.tokens).max(0.0);
        Duration::from_secs_f64(missing / level.rate)
    }

    /// Half the rate, and nothing left of the burst; false if the same burst of calls has done so already.
    fn slow_down(&self) -> bool {
        let mut level = self.refilled();
        if level.slowed.is_some_and(|at| level.at.duration_since(at) < ONE_BURST) {
            return false;
        }
        level.slowed = Some(level.at);
        level.rate = (level.rate / 2.0).max(self.limit.per_second * SLOWEST);
        level.tokens = level.tokens.min(0.0);
        true
    }

    fn waiting(&self, lane: Lane) -> usize {
        self.waiting[lane as usize].load(Ordering::Relaxed)
    }

    /// Takes a token, or says when the next one comes.
    fn try_take(&self) -> Result<(), Duration> {
        let mut level = self.refilled();
        if level.tokens >= 1.0 {
            level.tokens -= 1.0;
            return Ok(());
        }
        let seconds = (1.0 - level.tokens) / level.rate;
        Err(Duration::from_secs_f64(seconds).max(Duration::from_millis(1)))
    }

    fn refilled(&self) -> MutexGuard<'_, Level> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let seconds = now.duration_since(level.at).as_secs_f64();
        level.at = now;
        level.tokens = (level.tokens + seconds * level.rate).min(self.limit.burst.max(1.0));
        level.rate = (level.rate + self.limit.per_second * seconds / RECOVERY_SECONDS)
            .min(self.limit.per_second);
        level
    }
}

/// Counts a waiting call, also when it is given up.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(per_second: f64) -> Bucket {
        let bucket = Bucket::new(Limit { per_second, burst: 1.0 });
        assert!(bucket.try_take().is_ok());
        bucket
    }

    #[test]
    fn a_burst_passes_and_the_next_call_learns_how_long_to_wait() {
        let bucket = Bucket::new(Limit { per_second: 0.5, burst: 3.0 });
        for _ in 0..3 {
            assert!(bucket.try_take().is_ok());
        }
        let pause = bucket.try_take().expect_err("the burst is used up");
        assert!(
            pause > Duration::from_millis(1_500) && pause <= Duration::from_secs(2),
            "{pause:?}"
        );
    }

    #[test]
    fn throttling_halves_the_rate_once_per_burst_of_answers() {
        let bucket = Bucket::new(Limit { per_second: 100.0, burst: 100.0 });
        assert!(bucket.slow_down());
        for _ in 0..10 {
            assert!(!bucket.slow_down());
        }
        let level = bucket.refilled();
        assert!((50.0..60.0).contains(&level.rate), "{}", level.rate);
        assert!(level.tokens < 20.0, "{}", level.tokens);
    }

    #[test]
    fn a_slowed_bucket_recovers() {
        let bucket = Bucket::new(Limit { per_second: 100.0, burst: 100.0 });
        bucket.slow_down();
        if let Some(past) = Instant::now().checked_sub(Duration::from_secs(20)) {
            bucket.level.lock().expect("not poisoned").at = past;
        }
        assert!((bucket.refilled().rate - 100.0).abs() < f64::EPSILON);
    }

    #[tokio::test]
    async fn an_urgent_call_passes_periodic_ones_that_came_before() {
        let bucket = Arc::new(empty(20.0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = |lane: Lane| {
            let (bucket, order) = (bucket.clone(), order.clone());
            tokio::spawn(async move {
                bucket.take(lane).await;
                order.lock().expect("not poisoned").push(lane);
            })
        };
        let mut calls = vec![start(Lane::Periodic), start(Lane::Periodic), start(Lane::Periodic)];
        while bucket.waiting(Lane::Periodic) < 3 {
            tokio::task::yield_now().await;
        }
        calls.push(start(Lane::Urgent));
        for call in calls {
            call.await.expect("no panic");
        }
        let order = order.lock().expect("not poisoned").clone();
        assert_eq!(order, [Lane::Urgent, Lane::Periodic, Lane::Periodic, Lane::Periodic]);
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_no_longer_counts_as_waiting() {
        let bucket = empty(0.01);
        let given_up =
            tokio::time::timeout(Duration::from_millis(5), bucket.take(Lane::Urgent)).await;
        assert!(given_up.is_err());
        assert_eq!(bucket.waiting(Lane::Urgent), 0);
    }
}
