//! sprig's functions as external-secrets ships them, oddities included.
//!
//! A family is a file with its table. `docs/templates.md` lists where we differ from Go on purpose.

mod arithmetic;
mod bytes;
mod casing;
mod conversions;
mod decimal;
mod defaults;
mod dicts;
mod encoding;
mod equality;
pub mod json;
mod lists;
mod paths;
mod printed;
mod reflection;
mod sequences;
mod splitting;
mod strings;
mod unicode;
mod words;
mod wrapping;

use crate::template::Function;

/// All families.
pub const TABLES: &[&[Function]] = &[
    arithmetic::FUNCTIONS,
    casing::FUNCTIONS,
    conversions::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    encoding::FUNCTIONS,
    json::FUNCTIONS,
    lists::FUNCTIONS,
    paths::FUNCTIONS,
    reflection::FUNCTIONS,
    sequences::FUNCTIONS,
    splitting::FUNCTIONS,
    strings::FUNCTIONS,
    words::FUNCTIONS,
    wrapping::FUNCTIONS,
];
