//! sprig's functions, oddities included.
//!
//! A family is a file with its table. `docs/templates.md` lists where we differ from Go on purpose.

mod arithmetic;
mod bytes;
mod casing;
mod conversions;
mod dates;
mod decimal;
mod defaults;
mod dicts;
mod encoding;
mod equality;
pub(crate) mod json;
pub(crate) mod layout;
mod lists;
mod paths;
mod printed;
mod random;
mod reflection;
mod regexes;
mod semver;
mod sequences;
mod splitting;
mod strings;
pub(crate) mod unicode;
mod urls;
mod words;
mod wrapping;
mod yaml;

use crate::Function;

pub(crate) use yaml::yaml_strings;

/// All families.
pub(crate) const TABLES: &[&[Function]] = &[
    arithmetic::FUNCTIONS,
    casing::FUNCTIONS,
    conversions::FUNCTIONS,
    dates::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    encoding::FUNCTIONS,
    json::FUNCTIONS,
    lists::FUNCTIONS,
    paths::FUNCTIONS,
    random::FUNCTIONS,
    reflection::FUNCTIONS,
    regexes::FUNCTIONS,
    semver::FUNCTIONS,
    sequences::FUNCTIONS,
    splitting::FUNCTIONS,
    strings::FUNCTIONS,
    urls::FUNCTIONS,
    words::FUNCTIONS,
    wrapping::FUNCTIONS,
    yaml::FUNCTIONS,
];
