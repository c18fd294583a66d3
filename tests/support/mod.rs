//! What the tests and the demo run against: a real control plane, AWS as moto plays it, and our own
//! binary as a separate process.
//!
//! Everything that is started here ends when its owner does, even if that is killed: see [`Leash`].
//! What is needed for it is built or installed once, on first use (`dev/`).

// Each test uses a part.
#![allow(dead_code, unused_imports)]

mod control_plane;
mod failure;
mod kubectl;
mod leash;
mod moto;
mod operator;
mod ports;
mod programs;
mod wait;

pub use control_plane::{ControlPlane, Options, Server};
pub use failure::{Context, Failure, Result};
pub use kubectl::Kubectl;
pub use leash::{Leash, process_exists};
pub use moto::Moto;
pub use operator::{Operator, Stopped};
pub use ports::free_port;
pub use programs::{control_plane_program, python_environment, repository};
pub use rustix::process::Signal;
pub use wait::{at_rest, eventually};
