//! YAML (and so JSON) read into values that know where in the text they stand.
//!
//! Scalars are resolved as `kubectl` does it (YAML 1.1: `yes` is a boolean, `0777` is octal), keys that occur
//! twice are refused, aliases are expanded within a bound.

mod json;
mod node;
mod reader;
mod scalar;

pub(crate) use node::{Content, Entry, Node};
pub(crate) use reader::{Comment, Document, Fault, read};
pub(crate) use scalar::is_plain;

#[cfg(test)]
mod tests;

/// Values that one file may hold, aliases expanded: far above a file of 10 MB with honest content, far below
/// what an alias bomb would grow to.
const MOST_VALUES: usize = 1_000_000;

/// Collections within collections; Kubernetes itself goes no deeper than a few dozen.
const DEEPEST: usize = 100;
