//! Package `fmt` of Go: how values print.

use super::{budget::Context, error::Failure, value::Value};

/// As `%v` prints a value, which is how actions print: `fmt.Sprint` of one value.
pub fn display(cx: &mut Context<'_>, value: &Value) -> Result<Vec<u8>, Failure> {
    let text = match value {
        Value::String(text) => text.to_vec(),
        Value::Bool(truth) => truth.to_string().into_bytes(),
        Value::Int(_, number) => number.to_string().into_bytes(),
        Value::Uint(_, number) => number.to_string().into_bytes(),
        _ => return Err(Failure::function("this value cannot be printed yet")),
    };
    cx.allocate(text.len())?;
    Ok(text)
}
