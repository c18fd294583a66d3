//! What a cluster applies, and the pages that are lists: they say what the program says.

#![allow(clippy::unwrap_used, clippy::panic)] // a file that is not as expected fails the test

mod chart;
mod kustomizations;
mod pages;
mod pod;
mod rights;
mod yaml;
