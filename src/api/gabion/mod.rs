//! Kinds of the group `gabion.dev`.

pub mod crds;
pub mod hardening_baseline;
pub mod namespace_hardening;
pub mod schema;
pub mod secret_rotation;
