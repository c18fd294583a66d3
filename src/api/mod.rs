//! The custom resources: types, their schemas and nothing else.

// Comments on fields are what `kubectl explain` prints, where backticks are noise.
#![allow(clippy::doc_markdown)]

pub mod aws;
pub mod choice;
pub mod crds;
pub mod external_secret;
pub mod hardening_baseline;
pub mod hardening_crds;
pub mod hardening_schema;
pub mod namespace_hardening;
mod open_enum;
pub mod references;
pub mod rewrite;
pub mod secret_store;
pub mod sync_windows;
pub mod template;
