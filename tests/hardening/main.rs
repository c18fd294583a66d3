//! Hardening on a real API server: our binary as a process of its own, under the rights that
//! `config/rbac` gives to this subsystem and no others.
//!
//! Most tests share one control plane and one operator, and have a namespace and baselines of their own.
//! Those that hurt a server, change what concerns the whole cluster, or count what the operator does, start
//! their own.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod recorder;
mod scene;

mod appearance;
mod attacks;
mod boot;
mod deletion;
mod exceptions;
mod fights;
mod guards;
mod hostile;
mod limits;
mod network;
mod policies;
mod protected;
mod pull_secrets;
mod reports;
mod resources;
mod rights;
mod selection;
mod several;
mod steady;
mod taken;
mod trouble;
mod weak;
