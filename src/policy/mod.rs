//! The rule set, and what it is made into.
//!
//! [`controls`] is the one table: what is checked, why it matters, how to put it right. [`settings`] says which
//! of them a baseline asks for. Each rule in [`rules`] is written twice, side by side: as Rust over a manifest
//! ([`evaluate`]) and as CEL for the API server ([`compile`]), so that a file, a running pod and a request get the
//! same verdict. Every text that a user writes reaches CEL through [`literal`] and nowhere else.

pub mod compile;
pub mod controls;
pub(crate) mod error;
mod evaluate;
pub(crate) mod expressions;
mod fast_path;
pub(crate) mod finding;
pub mod guards;
pub(crate) mod image;
pub(crate) mod limits;
pub(crate) mod literal;
#[cfg(test)]
mod page;
pub(crate) mod probe;
pub mod rules;
pub(crate) mod scope;
pub mod selection;
pub mod settings;
pub(crate) mod subject;
pub mod version;
pub mod waivers;

pub use compile::{PolicySet, compile};
pub use controls::{Control, ControlId, Severity, Target};
pub(crate) use error::PolicyError;
pub use evaluate::{evaluate, evaluate_excused};
pub use finding::{FieldPath, Finding, Segment};
pub use scope::Scope;
pub use settings::Settings;
pub use subject::{Subject, WorkloadKind};

#[cfg(test)]
mod compile_tests;
#[cfg(test)]
mod evaluate_tests;
