//! The secrets half on a real API server: our binary as a process of its own, under the rights of
//! `config/rbac` and no others, against a Secrets Manager that counts.
//!
//! All tests share one control plane, one operator and one Secrets Manager; each has a namespace and
//! credentials of its own. Those that hurt a server or need other flags start their own.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![allow(dead_code, clippy::unused_self, clippy::needless_pass_by_value)]

mod support;

#[path = "support/audit.rs"]
mod audit;

#[path = "support/secrets_manager.rs"]
mod secrets_manager;

#[path = "secrets/access.rs"]
mod access;
#[path = "secrets/cluster_stores.rs"]
mod cluster_stores;
#[path = "secrets/creation.rs"]
mod creation;
#[path = "secrets/deletion.rs"]
mod deletion;
#[path = "secrets/drift.rs"]
mod drift;
#[path = "secrets/guide.rs"]
mod guide;
#[path = "secrets/input.rs"]
mod input;
#[path = "secrets/kinds.rs"]
mod kinds;
#[path = "secrets/ownership.rs"]
mod ownership;
#[path = "secrets/references.rs"]
mod references;
#[path = "secrets/refresh.rs"]
mod refresh;
#[path = "secrets/restart.rs"]
mod restart;
#[path = "secrets/rights.rs"]
mod rights;
#[path = "secrets/rules.rs"]
mod rules;
#[path = "secrets/scene.rs"]
mod scene;
#[path = "secrets/status.rs"]
mod status;
#[path = "secrets/stores.rs"]
mod stores;
#[path = "secrets/takeover.rs"]
mod takeover;
#[path = "secrets/templates.rs"]
mod templates;
#[path = "secrets/world.rs"]
mod world;
#[path = "secrets/zz_afterwards.rs"]
mod zz_afterwards;
