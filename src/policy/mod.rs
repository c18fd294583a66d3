//! The rule set, and what it is made into.
//!
//! [`controls`] is the one table: what is checked, why it matters, how to put it right. [`settings`] says which
//! of them a baseline asks for. Each rule in [`rules`] is written twice, side by side: as Rust over a manifest
//! ([`evaluate`]) and as CEL for the API server ([`compile`]), so that a file, a running pod and a request get the
//! same verdict. Every text that a user writes reaches CEL through [`literal`] and nowhere else.

pub mod compile;
pub mod controls;
pub mod error;
pub mod evaluate;
pub mod expressions;
mod fast_path;
pub mod finding;
pub mod image;
pub mod limits;
pub mod literal;
pub mod page;
pub mod probe;
pub mod rules;
pub mod scope;
pub mod selection;
pub mod settings;
pub mod subject;
pub mod version;
mod waivers;

pub use compile::{PolicySet, compile};
pub use controls::{Control, Severity, Target, control};
pub use error::PolicyError;
pub use evaluate::evaluate;
pub use finding::{FieldPath, Finding, Segment};
pub use probe::{PROBE, PROBE_NAME, Probe};
pub use scope::{Scope, WaivedContainer, Waiver};
pub use settings::Settings;
pub use subject::{Subject, WorkloadKind};

#[cfg(test)]
mod compile_tests;
#[cfg(test)]
mod evaluate_tests;
