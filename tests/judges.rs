//! One rule set, three judges: our evaluator, our compiled policies on a real API server, and its own PodSecurity
//! plugin must agree on generated pods, in the verdict and in the checks that fail.
//!
//! `GABION_JUDGES_PODS` says how many pods (2,000), `GABION_JUDGES_SEED` which (printed; any number).
#![allow(
    missing_docs,
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::needless_pass_by_value
)]

mod support;

/// Tells a figure past the test harness, which keeps what tests print to itself unless they fail.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "judges: {}", format_args!($($part)*));
    }};
}

#[path = "judges/chance.rs"]
mod chance;
#[path = "judges/controls.rs"]
mod controls;
#[path = "judges/fields.rs"]
mod fields;
#[path = "judges/live.rs"]
mod live;
#[path = "judges/mutation.rs"]
mod mutation;
#[path = "judges/ours.rs"]
mod ours;
#[path = "judges/plugin.rs"]
mod plugin;
#[path = "judges/pods.rs"]
mod pods;

#[path = "judges/agreement.rs"]
mod agreement;
#[path = "judges/corpus.rs"]
mod corpus;
#[path = "judges/fixtures.rs"]
mod fixtures;
#[path = "judges/hostile.rs"]
mod hostile;
#[path = "judges/images.rs"]
mod images;
#[path = "judges/padded.rs"]
mod padded;
#[path = "judges/updates.rs"]
mod updates;
