//! Pure decisions of the hardening subsystem: values in, values out.
//!
//! [`baseline`] compiles a stored object, [`selection`] says which namespaces it reaches, [`merge`] joins all
//! baselines of a namespace, and [`namespace`] turns the result and what is observed into ordered steps.
//! [`effective`] and [`baseline_status`] say it in status. Nothing here knows a client, a clock or randomness.

pub(crate) mod admission;
mod amounts;
pub mod baseline;
pub(crate) mod baseline_status;
pub(crate) mod conditions;
pub(crate) mod copies;
pub mod copy;
pub mod dns;
pub mod effective;
pub mod error;
pub(crate) mod exceptions;
pub(crate) mod fight;
pub mod labels;
pub(crate) mod merge;
pub mod namespace;
pub(crate) mod network;
pub mod objects;
pub mod owned;
mod peers;
pub(crate) mod permissive_policies;
pub mod pods;
#[cfg(test)]
mod pods_tests;
pub mod pull_secrets;
pub(crate) mod reach;
pub(crate) mod resources;
pub mod service_accounts;
pub mod steps;
pub mod teardown;
pub(crate) mod unimplemented;
