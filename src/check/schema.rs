//! Whether an object fits the schema of its definition, as strict validation by the API server evaluates it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use regex::Regex;
use serde_json::{Map, Value};

use super::object::short;
use crate::policy::FieldPath;

/// References within references that are followed, and forms within forms.
const DEEPEST: usize = 100;
/// What is said of one object.
const MOST: usize = 1000;
/// Names that are compared with one that is not known.
const MOST_COMPARED: usize = 50;

/// Something that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where.
    pub(crate) path: FieldPath,
    /// What is wrong and what to do.
    pub(crate) problem: String,
    /// It is a field that the schema does not know, which a lenient API server drops.
    pub(crate) unknown: bool,
}

/// A schema, and the document that its references point into.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schema {
    own: Arc<Value>,
    document: Arc<Value>,
}

impl Schema {
    /// A schema that is whole by itself.
    pub(crate) fn new(schema: Value) -> Self {
        let own = Arc::new(schema);
        Self { document: Arc::clone(&own), own }
    }

    /// A schema of a document.
    pub(crate) fn within(schema: Value, document: Arc<Value>) -> Self {
        Self { own: Arc::new(schema), document }
    }
}

/// Everything in a file of ours that does not fit; rules in CEL are left to the API server.
pub(crate) fn misfits(schema: &Value, object: &Value) -> Vec<Misfit> {
    let mut walk = Walk { document: schema, of_cluster: false, is_part: false, found: Vec::new() };
    walk.value(schema, object, &FieldPath::default(), 0);
    walk.found
}

/// Everything in an object of a cluster that does not fit. Null is the same as nothing there, and what is filled in
/// later may be anything.
pub(crate) fn misfits_of(schema: &Schema, object: &Value) -> Vec<Misfit> {
    let document = &schema.document;
    let mut walk = Walk { document, of_cluster: true, is_part: false, found: Vec::new() };
    walk.value(&schema.own, object, &FieldPath::default(), 0);
    walk.found
}

struct Walk<'s> {
    document: &'s Value,
    of_cluster: bool,
    /// One of several forms is looked at, which names only the fields that it is about.
    is_part: bool,
    found: Vec<Misfit>,
}

impl<'s> Walk<'s> {
    fn push(&mut self, path: &FieldPath, problem: String) {
        self.misfit(path.clone(), problem, false);
    }

    fn misfit(&mut self, path: FieldPath, problem: String, unknown: bool) {
        if self.found.len() < MOST {
            self.found.push(Misfit { path, problem, unknown });
        }
    }

    fn value(&mut self, schema: &'s Value, given: &Value, path: &FieldPath, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            // What is in another file is not known here.
            let target = reference.strip_prefix('#').and_then(|at| self.document.pointer(at));
            return target
                .into_iter()
                .for_each(|target| self.value(target, given, path, depth + 1));
        }
        let later = self.of_cluster && given.as_str().is_some_and(is_filled_in_later);
        if later {
            return;
        }
        if let Some(problem) = wrong_type(schema, given) {
            return self.push(path, problem);
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(given)
        {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
            let given = given.to_string();
            self.push(path, format!("{} is not one of {}", short(&given), words.join(", ")));
        }
        match given {
            Value::Object(fields) => self.object(schema, fields, path, depth),
            Value::Array(items) => {
                self.bounds(schema, ("Items", "items"), items.len(), path);
                for (index, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &path.index(index), depth + 1);
                }
            }
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => {
                self.number(schema, number.as_f64().unwrap_or_default(), path);
            }
            _ => {}
        }
        self.forms(schema, given, path, depth);
    }

    /// Forms of which a value must have all, one or none.
    fn forms(&mut self, schema: &'s Value, given: &Value, path: &FieldPath, depth: usize) {
        let listed = |key: &str| schema[key].as_array().map(Vec::as_slice).unwrap_or_default();
        for form in listed("allOf") {
            let outer = std::mem::replace(&mut self.is_part, true);
            self.value(form, given, path, depth + 1);
            self.is_part = outer;
        }
        for key in ["anyOf", "oneOf"] {
            let forms = listed(key);
            let fitting = forms.iter().filter(|form| self.fits(form, given, depth)).count();
            if fitting == 0 && !forms.is_empty() {
                let names: Vec<_> = forms.iter().filter_map(needs).collect();
                let hint = if names.len() == forms.len() {
                    format!(": give one of {}", names.join(", "))
                } else {
                    String::new()
                };
                self.push(path, format!("has none of the forms that are allowed{hint}"));
            } else if key == "oneOf" && fitting > 1 {
                let fitting = forms.iter().filter(|form| self.fits(form, given, depth));
                let names: Vec<_> = fitting.filter_map(needs).collect();
                let names = if names.is_empty() {
                    String::new()
                } else {
                    format!(": {}", names.join(", "))
                };
                self.push(path, format!("has several forms of which only one is allowed{names}"));
            }
        }
        if schema["not"].is_object() && self.fits(&schema["not"], given, depth) {
            self.push(path, "has a form that is not allowed".to_owned());
        }
    }

    fn fits(&self, form: &'s Value, given: &Value, depth: usize) -> bool {
        let document = self.document;
        let of_cluster = self.of_cluster;
        let mut walk = Walk { document, of_cluster, is_part: true, found: Vec::new() };
        walk.value(form, given, &FieldPath::default(), depth + 1);
        walk.found.is_empty()
    }

    fn text(&mut self, schema: &Value, text: &str, path: &FieldPath) {
        self.bounds(schema, ("Length", "characters"), text.chars().count(), path);
        let pattern = schema["pattern"].as_str();
        if let Some(pattern) = pattern.filter(|pattern| !fits(pattern, text)) {
            // What stands in an object may be secret.
            let what = if self.of_cluster { String::new() } else { format!("{text:?} ") };
            self.push(path, format!("{what}must match {pattern}"));
        }
    }

    fn number(&mut self, schema: &Value, number: f64, path: &FieldPath) {
        for (bound, beyond) in [("minimum", -1.0), ("maximum", 1.0)] {
            let limit = schema[bound].as_f64();
            if let Some(limit) = limit.filter(|limit| (number - limit) * beyond > 0.0) {
                self.push(path, format!("{number} is beyond the {bound} of {limit}"));
            }
        }
    }

    fn bounds(&mut self, schema: &Value, (of, units): (&str, &str), size: usize, path: &FieldPath) {
        let limit = |bound: &str| schema[format!("{bound}{of}")].as_u64();
        let size = size as u64;
        if let Some(least) = limit("min").filter(|least| size < *least) {
            self.push(path, format!("has {size} {units}, needs at least {least}"));
        }
        if let Some(most) = limit("max").filter(|most| size > *most) {
            self.push(path, format!("has {size} {units}, may have at most {most}"));
        }
    }

    fn object(
        &mut self,
        schema: &'s Value,
        fields: &Map<String, Value>,
        path: &FieldPath,
        depth: usize,
    ) {
        self.bounds(schema, ("Properties", "keys"), fields.len(), path);
        let nothing = |given: &Value| self.of_cluster && given.is_null();
        let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = needed.filter(|name| fields.get(*name).is_none_or(nothing));
        for name in missing.collect::<Vec<_>>() {
            self.push(&path.key(name), format!("field {name} is missing"));
        }
        let known = schema["properties"].as_object();
        for (name, given) in fields {
            if self.of_cluster && given.is_null() && known.is_some_and(|k| k.contains_key(name)) {
                continue;
            }
            let at = path.key(name);
            if let Some(property) = known.and_then(|known| known.get(name)) {
                self.value(property, given, &at, depth + 1);
            } else if schema["additionalProperties"].is_object() {
                self.value(&schema["additionalProperties"], given, &at, depth + 1);
            } else if let Some(known) = known.filter(|known| !known.is_empty())
                && self.is_closed(schema, name)
            {
                let look = self.found.len() < MOST_COMPARED;
                let near = known.keys().find(|known| look && is_near(known, name));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.misfit(at, format!("unknown field {:?}{hint}", short(name)), true);
            }
        }
    }

    /// Whether a schema takes no fields but those that it names.
    fn is_closed(&self, schema: &Value, name: &str) -> bool {
        let embedded = schema["x-kubernetes-embedded-resource"] == true
            && ["apiVersion", "kind", "metadata"].contains(&name);
        let mark = self.of_cluster && name.starts_with('$');
        schema["x-kubernetes-preserve-unknown-fields"] != true
            && schema["additionalProperties"] != true
            && (!self.is_part || schema["additionalProperties"] == false)
            && !embedded
            && !mark
    }
}

/// Whether a text fits a pattern. Patterns that this library does not read are left to the API server.
fn fits(pattern: &str, text: &str) -> bool {
    const MOST_KEPT: usize = 2000;
    static KEPT: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    // To read a pattern takes longer than to use it, and objects of one kind share theirs.
    let Ok(mut kept) = KEPT.lock() else { return true };
    if !kept.contains_key(pattern) {
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(pattern.to_owned(), Regex::new(pattern).ok());
    }
    kept.get(pattern).and_then(Option::as_ref).is_none_or(|pattern| pattern.is_match(text))
}

/// The fields that a form asks for, if that is what tells it from others.
fn needs(form: &Value) -> Option<String> {
    let names = form["required"].as_array()?.iter().filter_map(Value::as_str);
    Some(names.collect::<Vec<_>>().join(" and "))
}

/// A placeholder that something fills in before the API server sees it, or a value that is encrypted.
pub(crate) fn is_filled_in_later(text: &str) -> bool {
    text.contains("${") || text.contains("{{") || text.starts_with("ENC[")
}

fn wrong_type(schema: &Value, given: &Value) -> Option<String> {
    if !schema["x-kubernetes-int-or-string"].is_null() {
        let fits = given.is_i64() || given.is_string();
        return (!fits).then(|| "must be a number or a string".to_owned());
    }
    if schema["nullable"] == true && given.is_null() {
        return None;
    }
    // JSON schemas list the types that they take.
    if let Some(types) = schema["type"].as_array() {
        let types: Vec<_> = types.iter().filter_map(Value::as_str).collect();
        let fits = types.is_empty() || types.iter().any(|wanted| is_of(wanted, given));
        return (!fits).then(|| format!("must be of type {}", types.join(" or ")));
    }
    let wanted = schema["type"].as_str()?;
    let hint = if wanted == "string" { "; put it in quotes" } else { "" };
    (!is_of(wanted, given)).then(|| format!("must be of type {wanted}{hint}"))
}

fn is_of(wanted: &str, given: &Value) -> bool {
    match wanted {
        "object" => given.is_object(),
        "array" => given.is_array(),
        "string" => given.is_string(),
        "integer" => given.is_i64() || given.is_u64(),
        "number" => given.is_number(),
        "boolean" => given.is_boolean(),
        "null" => given.is_null(),
        _ => true,
    }
}

/// Whether two names differ in case only, or by one letter that is added, missing, changed or swapped.
pub(crate) fn is_near(one: &str, other: &str) -> bool {
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
    fn references_forms_and_what_is_not_there_yet_are_as_in_a_cluster() {
        let form = |name: &str| json!({"required": [name]});
        let schema = Schema::new(json!({
            "definitions": {"size": {"type": ["integer", "null"], "minimum": 1}},
            "type": "object",
            "properties": {
                "size": {"$ref": "#/definitions/size"},
                "elsewhere": {"$ref": "other.json#/definitions/x"},
                "from": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [form("a"), form("b")]},
                "raw": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
                "any": {"type": "object", "properties": {"x": {}}, "x-kubernetes-preserve-unknown-fields": true},
                "name": {"type": "string", "pattern": "^a"},
                "ratio": {"type": "number"},
                "twice": {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]},
            },
        }));
        let found = |object: Value| {
            let all = misfits_of(&schema, &object);
            all.iter().map(|m| format!("{}: {}", m.path, m.problem)).collect::<Vec<_>>()
        };
        for fine in [
            json!({"size": null, "elsewhere": [1], "from": {"a": "x"}, "name": "ab", "ratio": 0.5}),
            json!({"raw": {"apiVersion": "v1", "kind": "Pod", "metadata": {}}, "any": {"y": 1}}),
            json!({"size": "${SIZE}", "twice": {"b": 1}, "name": null}),
        ] {
            assert_eq!(found(fine), [""; 0]);
        }
        for (object, wanted) in [
            (json!({"size": "1"}), "size: must be of type integer or null"),
            (json!({"size": 0}), "size: 0 is beyond the minimum of 1"),
            (json!({"from": {}}), "from: has none of the forms that are allowed: give one of a, b"),
            (
                json!({"from": {"a": "x", "b": "y"}}),
                "from: has several forms of which only one is allowed: a, b",
            ),
            (json!({"name": "hunter2"}), "name: must match ^a"),
            (json!({"raw": {"spc": {}}}), "raw.spc: unknown field \"spc\"; did you mean spec?"),
            (json!({"twice": {"a": 1}}), "twice.a: must be of type string; put it in quotes"),
        ] {
            assert_eq!(found(object), [wanted]);
        }
        let circle = Schema::new(json!({"properties": {"a": {"$ref": "#"}}}));
        let deep = (0..200).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert_eq!(misfits_of(&circle, &deep), []);
    }

    #[test]
    fn near_names_are_one_slip_away() {
        assert!(is_near("podSecurity", "podSecurty") && is_near("images", "Images"));
        assert!(is_near("images", "iamges") && is_near("images", "imagess"));
        assert!(!is_near("images", "pods") && !is_near("images", "imag"));
    }
}
