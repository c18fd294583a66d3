//! What goes wrong in a template, and where.
//!
//! A message is made of fixed text, names that the template's author wrote and names of Go types. It never
//! holds a value that came from data, so it may go into a condition or an event.

use std::fmt;

use super::position::Position;

/// The kind of mistake: what a caller counts and what the vectors compare with Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no template: syntax, an unknown function, an unknown variable.
    Parse,
    /// A key that the data has not.
    MissingKey,
    /// A value of the wrong type for where it is used, or a wrong number of arguments.
    Type,
    /// A function refused its arguments.
    Function,
    /// A bound of [`super::budget::Limits`] was reached.
    Bound,
    /// Anything else that stops a rendering, such as a template that is not defined.
    Exec,
}

/// A failure without its position: what functions return. The evaluator adds template, line and column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: ErrorKind,
    /// Fixed text, names of the template's own and Go types; never a value.
    pub message: String,
}

impl Failure {
    /// A failure of any kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A function that refuses its arguments; the evaluator puts `error calling NAME:` before it.
    pub fn function(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Function, message)
    }

    /// A value of the wrong type.
    pub(crate) fn type_(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Type, message)
    }

    /// A bound that was reached: its name and its limit.
    pub(crate) fn bound(name: &str, limit: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Bound,
            format!("the template exceeds the bound on {name} ({limit}): make it do less"),
        )
    }
}

/// A mistake in a template, with its position.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("template {template}:{line}:{column}: {message}")]
pub struct Error {
    /// Its kind.
    pub kind: ErrorKind,
    /// Name of the template, as it was given to the parser or by `define`.
    pub template: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What is wrong; never a value.
    pub message: String,
}

impl Error {
    pub(super) fn new(
        kind: ErrorKind,
        template: &str,
        position: Position,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = (position.line as usize, position.column as usize);
        Self { kind, template: template.to_owned(), line, column, message: message.into() }
    }
}
