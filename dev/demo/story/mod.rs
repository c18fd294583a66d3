//! The story that `make demo` tells and that `tests/demo.rs` checks: its steps, each of which fails if what it
//! shows is not so.

// The test and the demo each use a part.
#![allow(dead_code)]

pub mod audit;
pub mod hardening;
pub mod screen;
pub mod secrets;
pub mod shell;
pub mod stage;
pub mod summary;
pub mod witness;

use crate::support::Failure;

/// Fails with `why` unless it is `so`.
pub fn check(so: bool, why: impl FnOnce() -> String) -> Result<(), Failure> {
    if so { Ok(()) } else { Err(Failure::new(why())) }
}
