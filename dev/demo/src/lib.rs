//! The story that `make demo` tells and that `dev/demo/tests` checks: its steps, each of which fails if what it
//! shows is not so.

pub mod audit;
pub mod hardening;
pub mod screen;
pub mod secrets;
pub mod shell;
pub mod stage;
pub mod summary;
pub mod witness;

use support::Failure;

/// Fails with `why` unless it is `so`.
pub fn check(so: bool, why: impl FnOnce() -> String) -> Result<(), Failure> {
    if so { Ok(()) } else { Err(Failure::new(why())) }
}
