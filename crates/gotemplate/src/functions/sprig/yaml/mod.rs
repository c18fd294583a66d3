//! YAML as Go's `sigs.k8s.io/yaml` writes and reads it: YAML 1.1, by way of JSON.

mod decode;
mod emit;
mod encode;
mod order;
mod resolve;
mod scalar;

pub(super) use decode::{Scalars, decode};
pub(super) use encode::encode;

use crate::{Args, Context, Entries, Failure, Function, Text, Type, Value};

/// This family. It is not sprig's: the External Secrets Operator adds it.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("toYaml", &[Type::Any], to_yaml),
    Function::new("fromYaml", &[Type::String], from_yaml),
];

/// What YAML cannot write gives an empty text.
fn to_yaml(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    match encode(cx, args.any(0))? {
        Some(text) => Ok(Value::String(text)),
        None => cx.text(""),
    }
}

/// A dictionary. Of text that is no YAML, or no mapping, it has the key `Error` alone; what stands there is
/// ours, for Go's words quote the text.
fn from_yaml(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let problem = match decode(cx, args.text(0)?, Scalars::Json)? {
        Ok(Value::Nil) => return cx.map(Entries::default()),
        Ok(map) => return Ok(map),
        Err(problem) => problem,
    };
    let text = cx.text(problem.to_string())?;
    cx.map(std::iter::once((Text::from("Error"), text)).collect())
}

/// A mapping with strings as values, or nil, as [`crate::yaml`] reads it. None of anything else.
pub(crate) fn yaml_strings(cx: &mut Context<'_>, text: &[u8]) -> Result<Option<Value>, Failure> {
    Ok(decode(cx, text, Scalars::Strings)?.ok())
}
