//! YAML as Go's `sigs.k8s.io/yaml` reads it.

use std::collections::BTreeMap;

use crate::{Context, Failure, Value, functions::sprig::yaml_strings};

/// A YAML mapping as Go reads it into a `map[string]string`: the first document, with the scalars of YAML 1.1.
/// Numbers and booleans become their text in Go, null the empty one: `0123` is `83`, `1000000.0` is `1e+06`, the key
/// `off` is `false`. None if the text is no such mapping.
///
/// The work counts against the bounds of the context.
pub fn string_map(
    context: &mut Context<'_>,
    text: &[u8],
) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let map = match yaml_strings(context, text)? {
        Some(Value::Map(map)) => map,
        Some(Value::Nil) => return Ok(Some(BTreeMap::new())),
        _ => return Ok(None),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entries = map.entries().into_iter().map(|(key, value)| match value {
        Value::String(value) => Some((text(&key), text(&value))),
        Value::Nil => Some((text(&key), String::new())),
        _ => None,
    });
    Ok(entries.collect())
}
