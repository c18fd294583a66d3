//! One rule set, three judges: our evaluator, our compiled policies on a real API server, and its own PodSecurity
//! plugin must agree on generated pods, in the verdict and in the checks that fail.
//!
//! `GABION_JUDGES_PODS` says how many pods (2,000), `GABION_JUDGES_SEED` which (printed; any number).
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::needless_pass_by_value
)]

/// Tells a figure past the test harness, which keeps what tests print to itself unless they fail.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "judges: {}", format_args!($($part)*));
    }};
}

mod controls;
mod fields;
mod live;
mod mutation;
mod ours;
mod plugin;
mod pods;
mod test_random;

mod agreement;
mod corpus;
mod excused;
mod fixtures;
mod hostile;
mod images;
mod objects;
mod padded;
mod updates;
