//! Go's `text/template` with the functions of external-secrets: pure and bounded.
//!
//! Text goes in, bytes come out, exactly those that Go would make. Time and randomness come from a [`Environment`]
//! that the caller hands in; [`Limits`] bound what a hostile template costs. Nothing here logs or prints.
//!
//! Read in this order: `value`, `text` and `map` (what templates work on), `tree`, `lex` and `parse` (text to tree),
//! `eval` and `call` (tree to bytes), `format` (`printf`), `functions`.

#![warn(missing_docs)]

pub mod budget;
mod buffer;
pub mod cache;
mod call;
pub mod environment;
pub mod error;
mod eval;
pub mod format;
pub mod function;
pub mod functions;
mod lex;
mod map;
mod methods;
mod number;
mod parse;
pub mod quote;
pub mod regexp;
pub mod rune;
mod text;
pub mod time;
mod tree;
pub mod value;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use zeroize::Zeroizing;

pub use budget::{Context, Limits};
pub use buffer::Buffer;
pub use cache::Cache;
pub use environment::{Environment, KeyKind};
pub use error::{Class, Error, Failure};
pub use eval::MissingKey;
pub use function::{Args, Function};
pub use value::{Entries, List, Map, Object, Text, Type, Value};

/// What opens and closes an action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delimiters {
    /// `{{` by default.
    pub left: String,
    /// `}}` by default.
    pub right: String,
}

impl Delimiters {
    fn or_default(&self) -> Self {
        let mut delimiters = self.clone();
        let default = Self::default();
        if delimiters.left.is_empty() {
            delimiters.left = default.left;
        }
        if delimiters.right.is_empty() {
            delimiters.right = default.right;
        }
        delimiters
    }
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
    /// Bytes of the last output: the next one is about as long.
    last_length: AtomicUsize,
}

impl Template {
    /// Parses a text. Errors name the template by `name`. As in Go, an empty delimiter is the default one.
    pub fn parse(name: &str, text: &[u8], delimiters: &Delimiters) -> Result<Self, Error> {
        let tree = parse::parse(name, text, &delimiters.or_default())?;
        Ok(Self { tree, missing_key: MissingKey::default(), last_length: AtomicUsize::new(0) })
    }

    /// About how many bytes the parsed template takes.
    pub fn weight(&self) -> usize {
        self.tree.nodes * tree::NODE_BYTES
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
        source: &mut dyn Environment,
        limits: &Limits,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.render_within(data, &mut Context::new(source, limits))
    }

    /// The same within a context that several renderings share, and with it their bounds.
    pub fn render_within(
        &self,
        data: Value,
        context: &mut Context<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let expected = self.last_length.load(Relaxed);
        let output = eval::render(&self.tree, data, self.missing_key, context, expected)?;
        self.last_length.store(output.len(), Relaxed);
        Ok(output)
    }
}

#[cfg(test)]
mod tests;
