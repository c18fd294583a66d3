//! The readers of headers and of configuration.

#[path = "../../../../src/registry/client/challenge.rs"]
pub mod challenge;
#[path = "../../../../src/registry/client/credentials.rs"]
pub mod credentials;
#[path = "../../../../src/registry/client/realm.rs"]
pub mod realm;
