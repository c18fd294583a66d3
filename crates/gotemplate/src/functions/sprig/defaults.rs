//! Defaults and logic: what counts as empty, and what takes its place.

use crate::{Args, Context, Failure, Function, Type, Value};

const ANY: Type = Type::Any;

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("default", &[ANY], ANY, default),
    Function::new("empty", &[ANY], |_, args| Ok(Value::Bool(is_empty(args.any(0))))),
    Function::variadic("coalesce", &[], ANY, coalesce),
    Function::variadic("all", &[], ANY, |_, args| {
        Ok(Value::Bool(!args.from(0).iter().any(is_empty)))
    }),
    Function::variadic("any", &[], ANY, |_, args| {
        Ok(Value::Bool(!args.from(0).iter().all(is_empty)))
    }),
    Function::new("ternary", &[ANY, ANY, Type::Bool], ternary),
    Function::new("fail", &[Type::String], fail),
];

/// The zero of a basic type, a container without elements, nil; never a struct, a time for instance.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

/// The first of the further arguments unless it is empty or absent.
fn default(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let given = args.any(1);
    Ok(if is_empty(given) { args.any(0).clone() } else { given.clone() })
}

fn coalesce(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(args.from(0).iter().find(|value| !is_empty(value)).cloned().unwrap_or_default())
}

fn ternary(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    Ok(args.any(usize::from(!args.bool(2)?)).clone())
}

/// The message may hold a value, so it is not shown.
fn fail(_: &mut Context<'_>, _: &Args<'_>) -> Result<Value, Failure> {
    Err(Failure::function("the template calls fail"))
}
