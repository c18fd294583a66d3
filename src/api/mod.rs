//! The custom resources: types, their schemas and nothing else.

pub mod aws;
pub mod crds;
pub mod external_secret;
mod open_enum;
pub mod references;
pub mod secret_store;
pub mod template;
