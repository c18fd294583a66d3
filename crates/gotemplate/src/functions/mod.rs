//! The functions that templates may call, by name.
//!
//! Each family is a file or folder beside this one with a `pub const FUNCTIONS: &[Function]`.

#![allow(clippy::unnecessary_wraps)] // all bodies have one signature, those that cannot fail, too

pub(crate) mod builtin;
pub(crate) mod crypto;
pub(crate) mod sprig;

use std::{collections::HashMap, sync::LazyLock};

use super::function::Function;

/// Finds a function.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}

/// Go's own, then sprig's, then those of the External Secrets Operator. Later tables hide earlier ones: sprig's `slice` hides
/// Go's.
const TABLES: &[&[&[Function]]] = &[&[builtin::FUNCTIONS], sprig::TABLES, &[crypto::FUNCTIONS]];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let all = TABLES.iter().copied().flatten().copied().flatten();
    all.map(|function| (function.name, function)).collect()
});

#[cfg(test)]
mod cost_tests;
