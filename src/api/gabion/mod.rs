//! Kinds of the group `gabion.dev`.

pub mod baseline_exception;
pub mod baseline_exception_approval;
pub mod crds;
pub mod hardening_baseline;
pub mod namespace_hardening;
pub mod schema;
pub mod secret_rotation;
