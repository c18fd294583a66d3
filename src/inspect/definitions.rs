//! Whether the definitions that a cluster serves have every field that this program knows.

use std::collections::BTreeSet;

use serde_json::Value;

/// Fields that are named; the rest is counted.
const NAMED: usize = 5;

/// The paths of all fields in a schema.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let properties = schema["properties"].as_object();
    for (name, inner) in properties.into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        fields(inner, &path, found);
        found.insert(path);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            fields(&schema[part], path, found);
        }
    }
}

/// The schema of a kind in what the API server publishes of a group and version.
fn published<'a>(document: &'a Value, group: &str, version: &str, kind: &str) -> Option<&'a Value> {
    let schemas = document.pointer("/components/schemas")?.as_object()?;
    schemas.values().find(|schema| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|found| {
            found["group"] == group && found["version"] == version && found["kind"] == kind
        })
    })
}

/// What is missing in the published document, in one sentence; nothing if all is there.
pub(super) fn missing(
    document: &Value,
    (group, version, kind): (&str, &str, &str),
    ours: &Value,
) -> Option<String> {
    let Some(theirs) = published(document, group, version, kind) else {
        return Some(format!("{kind} is not served in {group}/{version}"));
    };
    let (mut wanted, mut there) = (BTreeSet::new(), BTreeSet::new());
    for part in ["spec", "status"] {
        fields(&ours["properties"][part], part, &mut wanted);
        fields(&theirs["properties"][part], part, &mut there);
    }
    let missing: Vec<_> = wanted.difference(&there).map(String::as_str).collect();
    if missing.is_empty() {
        return None;
    }
    let named = missing.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some(format!("{kind} is older than this program: it lacks {named}{more}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHO: (&str, &str, &str) = ("g", "v1", "K");

    fn document(schema: &Value) -> Value {
        let mut schema = schema.clone();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": "g", "version": "v1", "kind": "K"}]);
        json!({"components": {"schemas": {"g.v1.K": schema}}})
    }

    #[test]
    fn a_field_that_is_missing_is_named_wherever_it_is() {
        let inner = |name: &str| json!({"properties": {name: {"type": "string"}}});
        let schema = |name: &str| {
            json!({"properties": {"spec": {"properties": {
                "list": {"items": inner(name)},
                "map": {"additionalProperties": inner(name)},
            }}}})
        };
        assert_eq!(missing(&document(&schema("a")), WHO, &schema("a")), None);
        let found = missing(&document(&schema("a")), WHO, &schema("b")).unwrap();
        assert!(found.ends_with("it lacks spec.list.b, spec.map.b"), "{found}");
        let none = missing(&json!({}), WHO, &schema("a")).unwrap();
        assert_eq!(none, "K is not served in g/v1");
    }
}
