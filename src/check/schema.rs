//! Whether an object fits the schema of its definition, as strict validation by the API server evaluates it.

use regex::Regex;
use serde_json::{Map, Value};

use crate::policy::FieldPath;

/// Something that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where.
    pub(crate) path: FieldPath,
    /// What is wrong and what to do.
    pub(crate) problem: String,
}

/// Everything in an object that does not fit; rules in CEL are left to the API server.
pub(crate) fn misfits(schema: &Value, object: &Value) -> Vec<Misfit> {
    let mut found = Vec::new();
    value(schema, object, &FieldPath::default(), &mut found);
    found
}

fn push(found: &mut Vec<Misfit>, path: &FieldPath, problem: String) {
    found.push(Misfit { path: path.clone(), problem });
}

fn value(schema: &Value, given: &Value, path: &FieldPath, found: &mut Vec<Misfit>) {
    if let Some(problem) = wrong_type(schema, given) {
        return push(found, path, problem);
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(given)
    {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
        push(found, path, format!("{given} is not one of {}", words.join(", ")));
    }
    match given {
        Value::Object(fields) => object(schema, fields, path, found),
        Value::Array(items) => {
            bounds(schema, "Items", "items", items.len(), path, found);
            for (index, item) in items.iter().enumerate() {
                value(&schema["items"], item, &path.index(index), found);
            }
        }
        Value::String(text) => {
            bounds(schema, "Length", "characters", text.chars().count(), path, found);
            let pattern = schema["pattern"].as_str();
            if let Some(pattern) =
                pattern.filter(|p| Regex::new(p).is_ok_and(|p| !p.is_match(text)))
            {
                push(found, path, format!("{text:?} must match {pattern}"));
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            for (bound, beyond) in [("minimum", -1.0), ("maximum", 1.0)] {
                let limit = schema[bound].as_f64();
                if let Some(limit) = limit.filter(|limit| (number - limit) * beyond > 0.0) {
                    push(found, path, format!("{number} is beyond the {bound} of {limit}"));
                }
            }
        }
        _ => {}
    }
}

fn wrong_type(schema: &Value, given: &Value) -> Option<String> {
    if !schema["x-kubernetes-int-or-string"].is_null() {
        let fits = given.is_i64() || given.is_string();
        return (!fits).then(|| "must be a number or a string".to_owned());
    }
    let wanted = schema["type"].as_str()?;
    let fits = match wanted {
        "object" => given.is_object(),
        "array" => given.is_array(),
        "string" => given.is_string(),
        "integer" => given.is_i64() || given.is_u64(),
        "boolean" => given.is_boolean(),
        _ => true,
    };
    let hint = if wanted == "string" { "; put it in quotes" } else { "" };
    (!fits).then(|| format!("must be of type {wanted}{hint}"))
}

fn bounds(
    schema: &Value,
    of: &str,
    units: &str,
    size: usize,
    path: &FieldPath,
    found: &mut Vec<Misfit>,
) {
    let limit = |bound: &str| schema[format!("{bound}{of}")].as_u64();
    let size = size as u64;
    if let Some(least) = limit("min").filter(|least| size < *least) {
        push(found, path, format!("has {size} {units}, needs at least {least}"));
    }
    if let Some(most) = limit("max").filter(|most| size > *most) {
        push(found, path, format!("has {size} {units}, may have at most {most}"));
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &FieldPath, found: &mut Vec<Misfit>) {
    bounds(schema, "Properties", "keys", fields.len(), path, found);
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            push(found, path, format!("field {name} is missing"));
        }
    }
    let known = schema["properties"].as_object();
    for (name, given) in fields {
        let at = path.key(name);
        if let Some(property) = known.and_then(|known| known.get(name)) {
            value(property, given, &at, found);
        } else if schema["additionalProperties"].is_object() {
            value(&schema["additionalProperties"], given, &at, found);
        } else if let Some(known) = known.filter(|known| !known.is_empty())
            && schema["x-kubernetes-preserve-unknown-fields"] != true
        {
            let near = known.keys().find(|known| is_near(known, name));
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            push(found, &at, format!("unknown field {name:?}{hint}"));
        }
    }
}

/// Whether two names differ in case only, or by one letter that is added, missing, changed or swapped.
fn is_near(one: &str, other: &str) -> bool {
    strsim::osa_distance(&one.to_lowercase(), &other.to_lowercase()) <= 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn check_4_what_does_not_fit_is_named_with_its_path_and_what_to_do() {
        let schema = json!({
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {"type": "object", "properties": {
                    "podSecurity": {"type": "object", "properties": {"level": {"enum": ["a", "b"], "type": "string"}}},
                    "names": {"type": "array", "maxItems": 1, "items": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}},
                    "count": {"type": "integer", "minimum": 1, "maximum": 5},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "port": {"x-kubernetes-int-or-string": true},
                }},
                "metadata": {"type": "object"},
            },
        });
        let found = |spec: Value| {
            let all = misfits(&schema, &json!({"metadata": {"any": "thing"}, "spec": spec}));
            all.iter().map(|m| format!("{}: {}", m.path, m.problem)).collect::<Vec<_>>()
        };
        assert!(
            found(json!({"count": 3, "names": ["a"], "labels": {"x": "y"}, "port": 80})).is_empty()
        );
        for (spec, wanted) in [
            (
                json!({"podSecurty": {}}),
                "spec.podSecurty: unknown field \"podSecurty\"; did you mean podSecurity?",
            ),
            (json!({"zzz": {}}), "spec.zzz: unknown field \"zzz\""),
            (
                json!({"podSecurity": {"level": "c"}}),
                "spec.podSecurity.level: \"c\" is not one of a, b",
            ),
            (json!({"names": ["a", "b"]}), "spec.names: has 2 items, may have at most 1"),
            (json!({"names": ["A"]}), "spec.names[0]: \"A\" must match ^[a-z]+$"),
            (json!({"names": [true]}), "spec.names[0]: must be of type string; put it in quotes"),
            (json!({"count": 6}), "spec.count: 6 is beyond the maximum of 5"),
            (json!({"count": 0}), "spec.count: 0 is beyond the minimum of 1"),
            (
                json!({"labels": {"x": 1}}),
                "spec.labels.x: must be of type string; put it in quotes",
            ),
            (json!({"port": []}), "spec.port: must be a number or a string"),
        ] {
            assert_eq!(found(spec), [wanted]);
        }
        assert_eq!(misfits(&schema, &json!({}))[0].problem, "field spec is missing");
    }

    #[test]
    fn near_names_are_one_slip_away() {
        assert!(is_near("podSecurity", "podSecurty") && is_near("images", "Images"));
        assert!(is_near("images", "iamges") && is_near("images", "imagess"));
        assert!(!is_near("images", "pods") && !is_near("images", "imag"));
    }
}
