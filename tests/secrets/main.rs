//! External secrets on a real API server: our binary as a process of its own, under the rights of
//! `config/rbac` and no others, against a Secrets Manager that counts.
//!
//! All tests share one control plane, one operator and one Secrets Manager; each has a namespace and
//! credentials of its own. Those that hurt a server or need other flags start their own.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::unused_self, clippy::needless_pass_by_value)]

mod access;
mod allowed_keys;
mod cluster_external;
mod cluster_push;
mod cluster_stores;
mod confidentiality;
mod creation;
mod deletion;
mod drift;
mod events;
mod faults;
mod find;
mod gaps;
mod generators;
mod generators_of_others;
mod guide;
mod input;
mod kubernetes;
mod many;
mod ownership;
mod parameters;
mod probes;
mod push;
mod push_tenants;
mod references;
mod refresh;
mod restart;
mod rights;
mod rollouts;
mod rotation;
mod rules;
mod scene;
mod status;
mod stores;
mod takeover;
mod templates;
mod undecodable;
