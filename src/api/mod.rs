//! The custom resources, by group: types, their schemas and nothing else.

// Comments on fields are what `kubectl explain` prints, where backticks are noise.
#![allow(clippy::doc_markdown)]

mod crd_enum;
pub mod crds;
pub mod external_secrets;
pub mod gabion;
pub mod generators;
