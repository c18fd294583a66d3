//! `gabion check` as a user meets it: the binary, its output, its exit codes.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected fails the test

mod availability;
mod bad_input;
mod controls;
mod corpus;
mod daily;
mod eso;
mod examples;
mod fixes;
mod formats;
mod guide;
mod known;
mod linters;
mod lsp;
mod newcomer;
mod objects;
mod overlays;
mod own;
mod parity;
mod places;
mod program;
mod project;
mod reports;
mod rules;
mod schemas;
mod suppressions;
