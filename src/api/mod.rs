//! The custom resources: types, their schemas and nothing else.

// Comments on fields are what `kubectl explain` prints, where backticks are noise.
#![allow(clippy::doc_markdown)]

pub mod aws;
pub mod crds;
pub mod external_secret;
mod open_enum;
pub mod references;
pub mod secret_store;
pub mod template;
