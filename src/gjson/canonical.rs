//! JSON as Go writes it: what `rewrite.merge` makes of the values that it merges.
//!
//! Members in the order of their names, the last of a name counting; numbers as Go prints the float that it has
//! read, but for integers of any length, which keep their digits: Go would lose those after the fifteenth.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{
    PropertyError, modifier,
    scan::{self, JsonType, Raw},
};

/// How deep a value may be nested.
const MAX_NESTING: usize = 256;

/// A value as Go's `json.Marshal` writes what `json.Unmarshal` read, with or without the escapes for HTML.
pub(crate) fn canonical(value: Raw<'_>, html: bool) -> Result<Zeroizing<String>, PropertyError> {
    let mut out = Zeroizing::new(String::with_capacity(value.text.len() + value.text.len() / 2));
    write(&mut out, value, html, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: Raw<'_>, html: bool, depth: usize) -> Result<(), PropertyError> {
    if depth > MAX_NESTING {
        return Err(PropertyError::TooDeep);
    }
    let raw = value.text;
    match value.json_type {
        JsonType::Object => {
            let members: BTreeMap<_, _> = scan::entries(raw)
                .map(|(key, value)| (scan::decode(key).to_string(), value))
                .collect();
            out.push('{');
            for (nth, (key, value)) in members.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                out.push_str(&modifier::quoted(key, html));
                out.push(':');
                write(out, *value, html, depth + 1)?;
            }
            out.push('}');
        }
        JsonType::Array => {
            out.push('[');
            for (nth, value) in scan::elements(raw).enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                write(out, value, html, depth + 1)?;
            }
            out.push(']');
        }
        JsonType::String => out.push_str(&modifier::quoted(&scan::decode(raw), html)),
        JsonType::Number => out.push_str(&number(raw)?),
        JsonType::True | JsonType::False | JsonType::Null => out.push_str(raw),
    }
    Ok(())
}

/// A number as Go's JSON encoder writes it: with an exponent when it is very small or very large.
fn number(raw: &str) -> Result<String, PropertyError> {
    if scan::is_integer(raw) {
        return Ok(raw.to_owned());
    }
    let value = finite(raw)?;
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        return Ok(match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        });
    }
    Ok(value.to_string())
}

/// A number, unless it is one that a Go float cannot hold.
pub(crate) fn finite(raw: &str) -> Result<f64, PropertyError> {
    raw.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or(PropertyError::NotJson)
}
