//! What users apply: the definitions in `crds/`, their rules, and objects as they are written in the wild.

#![allow(clippy::unwrap_used, clippy::panic)] // a definition that cannot be read fails the test

mod definitions;
mod objects;
mod rules;
