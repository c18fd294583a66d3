//! Go's `text/template` with the functions of external-secrets: pure and bounded.
//!
//! Text goes in, bytes come out, exactly those that Go would make. Time and randomness come from a [`Source`]
//! that the caller hands in; [`Limits`] bound what a hostile template costs. Nothing here logs or prints.
//!
//! Read in this order: `value` (what templates work on), `lex` and `parse` (text to tree), `eval` (tree to bytes),
//! `format` (`printf`), `functions`.

pub mod budget;
pub mod error;
pub mod format;
pub mod function;
pub mod functions;
pub mod source;
pub mod time;
pub mod value;

pub use budget::{Context, Limits};
pub use error::{Class, Error, Failure};
pub use function::{Args, Function};
pub use source::{KeyKind, Source};
pub use value::{Entries, List, Map, Object, Text, Type, Value};

/// What opens and closes an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delimiters {
    /// `{{` by default.
    pub left: String,
    /// `}}` by default.
    pub right: String,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { left: "{{".to_owned(), right: "}}".to_owned() }
    }
}
