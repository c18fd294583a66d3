//! How functions of templates are declared.
//!
//! A declaration is the signature that the Go function has, because Go's calls by reflection show it: wrong
//! numbers of arguments, `wrong type for value; expected string; got int`, number constants that become an
//! `int64` because the parameter is one. The evaluator checks and converts; a body gets what it declared.
//!
//! ```text
//! pub const FUNCTIONS: &[Function] = &[
//!     Function::new("trunc", &[Type::INT, Type::String], trunc),
//!     Function::variadic("dict", &[], Type::Any, dict),
//! ];
//!
//! fn trunc(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
//!     let (length, text) = (args.int(0)?, args.text(1)?);
//!     cx.text(cut(text, length))
//! }
//! ```

use super::{
    budget::Context,
    error::Failure,
    value::{List, Map, Text, Type, Value},
};

/// What a function does, once its arguments are checked.
pub(crate) type Body =
    for<'c, 'a, 'v> fn(&'c mut Context<'a>, &'c Args<'v>) -> Result<Value, Failure>;

/// A function with the signature it has in Go.
pub(crate) struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub fixed: &'static [Type],
    /// Type of the further parameters, where the function takes any number of them.
    pub rest: Option<Type>,
    /// What it does.
    pub body: Body,
}

impl Function {
    /// A function with a fixed number of parameters.
    pub(crate) const fn new(name: &'static str, fixed: &'static [Type], body: Body) -> Self {
        Self { name, fixed, rest: None, body }
    }

    /// A function that takes any number of further parameters.
    pub(crate) const fn variadic(
        name: &'static str,
        fixed: &'static [Type],
        rest: Type,
        body: Body,
    ) -> Self {
        Self { name, fixed, rest: Some(rest), body }
    }

    /// True of `and` and `or`, which evaluate no more arguments than decide.
    pub(super) fn short_circuits(&self) -> bool {
        matches!(self.name, "and" | "or")
    }

    /// Type of the parameter at this place, from 0.
    pub(crate) fn parameter(&self, at: usize) -> Option<Type> {
        self.fixed.get(at).copied().or(self.rest)
    }
}

/// The arguments of a call, of the types that the function declared.
///
/// Asking for another type than was declared is a bug of ours and gives an error, not a panic.
pub(crate) struct Args<'v>(&'v [Value]);

impl<'v> Args<'v> {
    /// Of a call.
    pub(crate) fn new(values: &'v [Value]) -> Self {
        Self(values)
    }

    /// Number of arguments.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Any value; nil when there is none at this place.
    pub(crate) fn any(&self, at: usize) -> &'v Value {
        self.0.get(at).unwrap_or(&Value::Nil)
    }

    /// The arguments from this place on.
    pub(crate) fn from(&self, at: usize) -> &'v [Value] {
        self.0.get(at..).unwrap_or_default()
    }

    /// A `string`.
    pub(crate) fn text(&self, at: usize) -> Result<&'v Text, Failure> {
        match self.any(at) {
            Value::String(text) => Ok(text),
            other => Err(unexpected("string", other)),
        }
    }

    /// Any signed integer.
    pub(crate) fn int(&self, at: usize) -> Result<i64, Failure> {
        match self.any(at) {
            Value::Int(_, number) => Ok(*number),
            other => Err(unexpected("int", other)),
        }
    }

    /// A float.
    pub(crate) fn float(&self, at: usize) -> Result<f64, Failure> {
        match self.any(at) {
            Value::Float(_, number) => Ok(*number),
            other => Err(unexpected("float64", other)),
        }
    }

    /// A `bool`.
    pub(crate) fn bool(&self, at: usize) -> Result<bool, Failure> {
        match self.any(at) {
            Value::Bool(truth) => Ok(*truth),
            other => Err(unexpected("bool", other)),
        }
    }

    /// A slice of any type.
    pub(crate) fn list(&self, at: usize) -> Result<&'v List, Failure> {
        match self.any(at) {
            Value::List(list) => Ok(list),
            other => Err(unexpected("slice", other)),
        }
    }

    /// A map of any type.
    pub(crate) fn map(&self, at: usize) -> Result<&'v Map, Failure> {
        match self.any(at) {
            Value::Map(map) => Ok(map),
            other => Err(unexpected("map", other)),
        }
    }
}

fn unexpected(expected: &str, got: &Value) -> Failure {
    Failure::type_(format!("wrong type for value; expected {expected}; got {}", got.type_name()))
}
