//! Kinds of the group `generators.external-secrets.io`.

pub mod aws;
pub mod cluster;
pub mod foreign;
pub mod local;
pub mod mfa;
pub mod webhook;
