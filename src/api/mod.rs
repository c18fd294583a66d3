//! The custom resources: types, their schemas and nothing else.

pub mod choice;
pub mod hardening_baseline;
pub mod hardening_crds;
pub mod hardening_schema;
pub mod namespace_hardening;
