//! What should be: values in, values out. No client, no clock, no randomness.
//!
//! In the order in which one reconcile asks: [`due`] when to read, [`collect`] what to read and what the
//! answers mean, [`template`] what is made of them, [`policy`] what to do about the Secret, [`desired`] what it
//! should hold, [`status`] what to say about it.

pub mod access;
pub mod collect;
pub mod decode;
pub mod desired;
pub mod due;
pub mod error;
pub mod existing;
pub mod hash;
pub mod metadata;
pub mod policy;
pub mod rewrite;
pub mod status;
pub mod store_status;
pub mod template;
pub mod window;

pub use access::BadCondition;
pub use error::{PlanError, Retry};
