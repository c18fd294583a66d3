//! Pure decisions of the hardening subsystem: values in, values out.
//!
//! [`baseline`] compiles a stored object, [`selection`] says which namespaces it reaches, [`merge`] joins all
//! baselines of a namespace, and [`namespace`] turns the result and what is observed into ordered steps.
//! [`effective`] and [`baseline_status`] say it in status. Nothing here knows a client, a clock or chance.

pub(crate) mod admission;
pub(crate) mod baseline;
pub(crate) mod baseline_status;
pub(crate) mod conditions;
pub(crate) mod dns;
pub(crate) mod effective;
pub(crate) mod error;
pub(crate) mod fight;
pub(crate) mod labels;
pub(crate) mod merge;
pub(crate) mod namespace;
pub(crate) mod network;
pub(crate) mod objects;
pub(crate) mod permissive_policies;
pub(crate) mod resources;
pub(crate) mod service_accounts;
pub(crate) mod steps;
pub(crate) mod teardown;
pub(crate) mod unimplemented;
