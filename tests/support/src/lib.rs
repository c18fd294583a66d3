//! What the tests, the benchmarks and the demo run against: a real control plane, AWS as moto or as a server in this
//! process plays it, and our own binary as a separate process.
//!
//! Everything that is started here ends when its owner does, even if that is killed: see [`Leash`].
//! What is needed for it is built or installed once, on first use (`dev/`).
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a test says so by failing, and tables of cases read better whole"
)]

pub mod api_proxy;
pub mod audit;
mod cluster;
mod control_plane;
pub mod envelopes;
mod environment;
mod failure;
mod http_get;
mod kubectl;
mod leash;
pub mod malformed_baselines;
mod moto;
pub mod network_evaluator;
mod operator;
mod parameter_store;
mod ports;
mod programs;
pub mod secrets_manager;
pub mod sqs;
mod wait;

pub use cluster::{Cluster, condition, path};
pub use control_plane::{ControlPlane, Options, Server};
pub use environment::{OWN_KEY, Subsystem, TestEnv};
pub use failure::{Context, Failure, Result};
pub use http_get::{answers, fetch};
pub use kubectl::Kubectl;
pub use leash::{Leash, process_exists};
pub use moto::Moto;
pub use operator::{Operator, Stopped};
pub use ports::{free_port, webhook_address};
pub use programs::{
    control_plane_program, gabion, helm_program, promtool_program, python_environment, repository,
};
pub use rustix::process::Signal;
pub use wait::{SOON, at_rest, eventually, next_second};
