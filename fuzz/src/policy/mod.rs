//! The rule of what image references name.

#[path = "../../../src/policy/image.rs"]
pub mod image;
#[path = "../../../src/policy/literal.rs"]
mod literal;
