//! What goes wrong in a template, and where.
//!
//! A message is made of fixed text, names that the template's author wrote and names of Go types. It never
//! holds a value that came from data, so it may go into a condition or an event.

use std::fmt;

use super::lex::Place;

/// The kind of mistake: what a caller counts and what the vectors compare with Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
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

/// A failure without its place: what functions return. The evaluator adds template, line and column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Its kind.
    pub class: Class,
    /// Fixed text, names of the template's own and Go types; never a value.
    pub message: String,
}

impl Failure {
    /// A failure of any class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// A function that refuses its arguments; the evaluator puts `error calling NAME:` before it.
    pub fn function(message: impl Into<String>) -> Self {
        Self::new(Class::Function, message)
    }

    /// A value of the wrong type.
    pub fn type_(message: impl Into<String>) -> Self {
        Self::new(Class::Type, message)
    }

    /// A bound that was reached: its name and its limit.
    pub fn bound(name: &str, limit: impl fmt::Display) -> Self {
        Self::new(
            Class::Bound,
            format!("the template exceeds the bound on {name} ({limit}): make it do less"),
        )
    }
}

/// A mistake in a template, with its place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("template {template}:{line}:{column}: {message}")]
pub struct Error {
    /// Its kind.
    pub class: Class,
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
        class: Class,
        template: &str,
        place: Place,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = (place.line as usize, place.column as usize);
        Self { class, template: template.to_owned(), line, column, message: message.into() }
    }
}
