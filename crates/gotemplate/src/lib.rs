#![doc = include_str!("../README.md")]
//!
//! # Reading the source
//!
//! `value`, `text` and `map` are what templates work on. `lex` and `parse` turn text into a `tree`; `eval` and `call`
//! turn the tree into bytes; `format` is `printf`. `functions` has a module for each family of functions, and
//! `budget` the bounds that all of them account to.
#![warn(missing_docs, unreachable_pub)]

mod budget;
mod buffer;
mod cache;
mod call;
mod data;
mod environment;
mod error;
mod eval;
mod format;
mod function;
mod functions;
mod lex;
mod map;
mod methods;
mod number;
mod parse;
mod position;
mod quote;
pub mod regexp;
mod rune;
mod text;
mod time;
mod tree;
mod value;
pub mod yaml;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub use budget::{Context, Limits};
pub use cache::Cache;
pub use data::Data;
pub use environment::{Environment, KeyKind};
pub use error::{Error, ErrorKind, Failure};
pub use eval::MissingKey;
pub use jiff::Timestamp;
pub use zeroize::Zeroizing;

use buffer::Buffer;
use function::{Args, Function};
use value::{Entries, List, Map, Object, Text, Type, Value};

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
    fn weight(&self) -> usize {
        self.tree.nodes * tree::NODE_BYTES
    }

    /// What a missing key of a map evaluates to; an error by default.
    #[must_use]
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Renders the template with `data` as its dot.
    pub fn render(
        &self,
        data: &Data,
        environment: &mut dyn Environment,
        limits: &Limits,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.render_within(data, &mut Context::new(environment, limits))
    }

    /// Renders within a context: all renderings in one context share its bounds.
    pub fn render_within(
        &self,
        data: &Data,
        context: &mut Context<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let expected = self.last_length.load(Relaxed);
        let output = eval::render(&self.tree, data.0.clone(), self.missing_key, context, expected)?;
        self.last_length.store(output.len(), Relaxed);
        Ok(output)
    }
}

#[cfg(test)]
mod tests;
