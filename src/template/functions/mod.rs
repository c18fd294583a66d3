//! The functions that templates may call, by name.
//!
//! Each family is a file or folder beside this one with a `pub const FUNCTIONS: &[Function]`.

pub mod crypto;

use super::function::Function;

/// Finds a function. Later tables hide earlier ones: sprig's `slice` hides Go's.
pub fn find(name: &str) -> Option<&'static Function> {
    TABLES.iter().rev().find_map(|table| table.iter().find(|function| function.name == name))
}

/// Go's own, then sprig's, then those of external-secrets.
const TABLES: &[&[Function]] = &[crypto::FUNCTIONS];
