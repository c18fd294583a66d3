//! The hardening half on a real API server: our binary as a process of its own, under the rights that
//! `config/rbac` gives to this half and no others.
//!
//! Most tests share one control plane and one operator, and have a namespace and baselines of their own.
//! Those that hurt a server, change what concerns the whole cluster, or count what the operator does, start
//! their own.
#![allow(
    missing_docs,
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value
)]

mod support;

#[path = "support/audit.rs"]
mod audit;

#[path = "support/network_judge.rs"]
mod network_judge;

#[path = "hardening/cluster.rs"]
mod cluster;
#[path = "hardening/proxy.rs"]
mod proxy;
#[path = "hardening/recorder.rs"]
mod recorder;
#[path = "hardening/scene.rs"]
mod scene;
#[path = "hardening/world.rs"]
mod world;

#[path = "hardening/appearance.rs"]
mod appearance;
#[path = "hardening/boot.rs"]
mod boot;
#[path = "hardening/deletion.rs"]
mod deletion;
#[path = "hardening/fights.rs"]
mod fights;
#[path = "hardening/hostile.rs"]
mod hostile;
#[path = "hardening/limits.rs"]
mod limits;
#[path = "hardening/network.rs"]
mod network;
#[path = "hardening/policies.rs"]
mod policies;
#[path = "hardening/protected.rs"]
mod protected;
#[path = "hardening/reports.rs"]
mod reports;
#[path = "hardening/resources.rs"]
mod resources;
#[path = "hardening/rights.rs"]
mod rights;
#[path = "hardening/selection.rs"]
mod selection;
#[path = "hardening/several.rs"]
mod several;
#[path = "hardening/steady.rs"]
mod steady;
#[path = "hardening/taken.rs"]
mod taken;
#[path = "hardening/trouble.rs"]
mod trouble;
