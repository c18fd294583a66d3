//! Types and kinds of values.

use super::equality::deep_equal;
use crate::{Args, Context, Failure, Function, Type, Value};

const ANY: Type = Type::Any;
const STRING: Type = Type::String;

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("typeOf", &[ANY], |cx, args| cx.text(args.any(0).type_name())),
    Function::new("typeIs", &[STRING, ANY], |_, args| {
        Ok(Value::Bool(**args.text(0)? == *args.any(1).type_name().as_bytes()))
    }),
    Function::new("typeIsLike", &[STRING, ANY], type_is_like),
    Function::new("kindOf", &[ANY], |cx, args| cx.text(kind(args.any(0)))),
    Function::new("kindIs", &[STRING, ANY], |_, args| {
        Ok(Value::Bool(**args.text(0)? == *kind(args.any(1)).as_bytes()))
    }),
    Function::new("deepEqual", &[ANY, ANY], |cx, args| {
        deep_equal(cx, args.any(0), args.any(1)).map(Value::Bool)
    }),
];

/// The type's name, or that of a pointer to it.
fn type_is_like(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (wanted, name) = (args.text(0)?, args.any(1).type_name());
    let pointer = name.strip_prefix('*').unwrap_or(&name);
    Ok(Value::Bool(**wanted == *name.as_bytes() || **wanted == *pointer.as_bytes()))
}

/// As `reflect.Kind` writes it.
pub(super) fn kind(value: &Value) -> &'static str {
    value.type_().map_or("invalid", |type_| type_.kind())
}
