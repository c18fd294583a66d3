//! Evaluates an object by a `CustomResourceDefinition` the way the API server does with strict field validation:
//! the structure by hand, the CEL rules by `kube-cel`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_cel::Validator;
use regex::Regex;
use serde_json::Value;

/// Everything that is wrong with the object, each with its path.
pub fn faults(crd: &CustomResourceDefinition, object: &Value) -> Vec<String> {
    let crd = serde_json::to_value(crd).expect("a definition is JSON");
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").expect("a schema");
    let mut found = Vec::new();
    structure(schema, object, "", &mut found);
    if found.is_empty() {
        let errors = Validator::new().validate(schema, object, None).err();
        for error in errors.map(kube_cel::ValidationErrors::into_vec).into_iter().flatten() {
            // `type()` is beyond the evaluator here; only a real API server evaluates those rules.
            if !error.message.contains("cannot be evaluated client-side") {
                found.push(format!("{}: {}", error.field_path, error.message));
            }
        }
    }
    found
}

fn structure(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        if !value.is_i64() && !value.is_string() {
            found.push(format!("{path}: must be a number or a string"));
        }
    } else if let Some(wanted) = schema.get("type").and_then(Value::as_str) {
        let right = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "boolean" => value.is_boolean(),
            _ => true,
        };
        if !right {
            found.push(format!("{path}: must be of type {wanted}"));
            return;
        }
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        found.push(format!("{path}: unsupported value {value}"));
    }
    match value {
        Value::Object(fields) => object(schema, fields, path, found),
        Value::Array(items) => {
            bounds(schema, "Items", items.len() as u64, path, found);
            if schema.get("x-kubernetes-list-type") == Some(&Value::from("set")) {
                for (index, item) in items.iter().enumerate() {
                    if items[..index].contains(item) {
                        found.push(format!("{path}[{index}]: duplicate"));
                    }
                }
            }
            for (index, item) in items.iter().enumerate() {
                structure(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        Value::String(text) => {
            bounds(schema, "Length", text.chars().count() as u64, path, found);
            if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
                && !Regex::new(pattern).expect("a pattern").is_match(text)
            {
                found.push(format!("{path}: must match {pattern}"));
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            if schema.get("minimum").and_then(Value::as_f64).is_some_and(|least| number < least) {
                found.push(format!("{path}: too small"));
            }
            if schema.get("maximum").and_then(Value::as_f64).is_some_and(|most| number > most) {
                found.push(format!("{path}: too large"));
            }
        }
        _ => {}
    }
}

fn bounds(schema: &Value, of: &str, size: u64, path: &str, found: &mut Vec<String>) {
    if schema.get(format!("min{of}")).and_then(Value::as_u64).is_some_and(|least| size < least) {
        found.push(format!("{path}: too few or too short"));
    }
    if schema.get(format!("max{of}")).and_then(Value::as_u64).is_some_and(|most| size > most) {
        found.push(format!("{path}: too many or too long"));
    }
}

fn object(
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
    path: &str,
    found: &mut Vec<String>,
) {
    bounds(schema, "Properties", fields.len() as u64, path, found);
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !fields.contains_key(name.as_str().expect("a name")) {
            found.push(format!("{path}.{}: required", name.as_str().expect("a name")));
        }
    }
    for (name, value) in fields {
        let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
        if let Some(property) = schema.pointer(&format!("/properties/{}", name.replace('/', "~1")))
        {
            structure(property, value, &path, found);
        } else if let Some(additional) = schema.get("additionalProperties") {
            structure(additional, value, &path, found);
        } else if !(path.starts_with("metadata.")
            || ["apiVersion", "kind", "metadata"].contains(&path.as_str()))
        {
            found.push(format!("{path}: unknown field"));
        }
    }
}
