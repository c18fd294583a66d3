//! Go's `text/template` with the functions of external-secrets: pure and bounded.
//!
//! Text goes in, bytes come out, exactly those that Go would make. Time and randomness come from a [`Source`]
//! that the caller hands in; [`Limits`] bound what a hostile template costs. Nothing here logs or prints.
//!
//! Read in this order: `value` (what templates work on), `tree`, `lex` and `parse` (text to tree), `eval` and `call`
//! (tree to bytes), `format` (`printf`), `functions`.

pub mod budget;
mod buffer;
mod call;
pub mod error;
mod eval;
pub mod format;
pub mod function;
pub mod functions;
mod lex;
mod methods;
mod number;
mod parse;
pub mod quote;
pub mod regexp;
pub mod rune;
pub mod source;
pub mod time;
mod tree;
pub mod value;

use zeroize::Zeroizing;

pub use budget::{Context, Limits};
pub use buffer::Buffer;
pub use error::{Class, Error, Failure};
pub use eval::MissingKey;
pub use function::{Args, Function};
pub use source::{KeyKind, Source};
pub use value::{Entries, List, Map, Object, Text, Type, Value};

/// What opens and closes an action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A parsed template. It may be rendered any number of times, by several threads at once.
pub struct Template {
    tree: tree::Tree,
    missing_key: MissingKey,
}

impl Template {
    /// Parses a text. Errors name the template by `name`. An empty delimiter is the default one.
    pub fn parse(name: &str, text: &[u8], delimiters: &Delimiters) -> Result<Self, Error> {
        let tree = parse::parse(name, text, delimiters)?;
        Ok(Self { tree, missing_key: MissingKey::default() })
    }

    /// What a key is that a map has not; an error by default.
    #[must_use]
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Renders the template with `data` as its dot.
    pub fn render(
        &self,
        data: Value,
        source: &mut dyn Source,
        limits: &Limits,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        eval::render(&self.tree, data, self.missing_key, Context::new(source, limits))
    }
}
