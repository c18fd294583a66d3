//! What should be: values in, values out. No client, no clock, no randomness.
//!
//! In the order in which one reconcile asks: [`due`] when to read, [`collect`] what to read and what the
//! answers mean, [`template`] what is made of them, [`policy`] what to do about the Secret, [`desired`] what it
//! should hold, [`status`] what to say about it.

pub(crate) mod access;
pub(crate) mod allowed_keys;
pub(crate) mod cluster_kinds;
pub(crate) mod cluster_object;
pub(crate) mod cluster_status;
pub mod collect;
pub(crate) mod condition;
pub mod decode;
pub(crate) mod desired;
pub mod due;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod existing;
pub mod find;
pub mod generate;
pub(crate) mod hash;
pub mod key;
mod keys;
pub(crate) mod metadata;
pub(crate) mod policy;
pub(crate) mod push;
pub mod rewrite;
pub(crate) mod rollout;
pub(crate) mod rotation;
pub(crate) mod status;
pub(crate) mod store_status;
pub mod template;
pub(crate) mod webhook;
pub(crate) mod window;

pub(crate) use access::BadCondition;
pub(crate) use error::PlanError;

#[cfg(test)]
mod golden_tests;
