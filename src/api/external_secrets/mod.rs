//! Kinds of the group `external-secrets.io`.

pub mod aws;
pub mod cluster_external_secret;
pub mod cluster_push_secret;
pub mod external_secret;
pub mod kubernetes;
pub mod push_secret;
pub mod references;
pub mod rewrite;
pub mod secret_store;
pub mod sync_windows;
pub mod template;
