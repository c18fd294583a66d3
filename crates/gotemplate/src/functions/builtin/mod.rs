//! The functions that Go's templates bring along.

mod compare;
mod element;
mod escape;

use super::super::{
    budget::Context,
    error::Failure,
    format,
    function::{Args, Function},
    value::{Type, Value},
};

const ANY: Type = Type::Reflect;

/// All of them.
pub(crate) const FUNCTIONS: &[Function] = &[
    // The evaluator does not call the bodies of these two: it stops at the argument that decides.
    Function::variadic("and", &[ANY], ANY, last),
    Function::variadic("or", &[ANY], ANY, last),
    Function::new("not", &[ANY], not),
    Function::variadic("eq", &[ANY], ANY, compare::eq),
    Function::new("ne", &[ANY, ANY], compare::ne),
    Function::new("lt", &[ANY, ANY], compare::lt),
    Function::new("le", &[ANY, ANY], compare::le),
    Function::new("gt", &[ANY, ANY], compare::gt),
    Function::new("ge", &[ANY, ANY], compare::ge),
    Function::new("len", &[ANY], element::len),
    Function::variadic("index", &[ANY], ANY, element::index),
    Function::variadic("slice", &[ANY], ANY, element::slice),
    Function::variadic("call", &[ANY], ANY, call),
    Function::variadic("print", &[], Type::Any, print),
    Function::variadic("println", &[], Type::Any, println),
    Function::variadic("printf", &[Type::String], Type::Any, printf),
    Function::variadic("html", &[], Type::Any, escape::html),
    Function::variadic("js", &[], Type::Any, escape::js),
    Function::variadic("urlquery", &[], Type::Any, escape::urlquery),
];

fn last(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(args.from(0).last().cloned().unwrap_or_default())
}

fn not(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(!args.any(0).is_true()))
}

/// No value of ours is a function.
fn call(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Err(Failure::function(match args.any(0) {
        Value::Nil => "call of nil".to_owned(),
        other => format!("non-function of type {}", other.type_name()),
    }))
}

fn print(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::String(format::print(cx, args.from(0))?))
}

fn println(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::String(format::println(cx, args.from(0))?))
}

fn printf(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(Value::String(format::printf(cx, args.text(0)?, args.from(1))?))
}
