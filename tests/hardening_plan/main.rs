//! The hardening kinds and the plan for a namespace, without a server: what the schema takes, the order of writes,
//! what stays reachable at every point, and what comes back at the end.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    clippy::large_stack_arrays,
    reason = "a test says so by failing, and tables of cases read better whole"
)]

mod model_namespace;
mod schema_check;
mod shop;

mod contract;
mod network;
mod steps;
