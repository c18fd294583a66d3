//! Token buckets: how many calls per second Gabion allows itself.

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
    /// GetSecretValue; the quota is 10,000 per second.
    pub get: Limit,
    /// BatchGetSecretValue; the quota is 100 per second and cannot be raised.
    pub batch: Limit,
    /// DescribeSecret; the quota is 40,000 per second (10,000 together with GetSecretValue in older texts).
    pub describe: Limit,
    /// AssumeRole and its kin; users report throttling from 15 per second on.
    pub sts: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            get: Limit { per_second: 1_000.0, burst: 500.0 },
            batch: Limit { per_second: 50.0, burst: 50.0 },
            describe: Limit { per_second: 500.0, burst: 100.0 },
            sts: Limit { per_second: 10.0, burst: 20.0 },
        }
    }
}
