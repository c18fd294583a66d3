//! When two admission objects mean the same to the API server, and what one becomes when it is written.

use serde_json::{Map, Value, json};

use crate::digest::digest_text;
use crate::marks::{FIELD_MANAGER, MANAGED_BY, OWNER};

/// What we answer for of an object: its spec and our marks, not what others add to its metadata.
pub(crate) struct Mark<'a>(pub(crate) &'a Value);

impl Mark<'_> {
    /// The same for objects that mean the same.
    pub(crate) fn digest(&self) -> String {
        let meta = &self.0["metadata"];
        let parts = json!([
            meta["labels"][MANAGED_BY],
            meta["annotations"][OWNER],
            canonical(&self.0["spec"])
        ]);
        hash(&parts)
    }

    /// Uid of the baseline behind it, or "".
    pub(crate) fn owner(&self) -> &str {
        self.0["metadata"]["annotations"][OWNER].as_str().unwrap_or_default()
    }

    /// Whether any mark of ours is on it.
    pub(crate) fn is_ours(&self) -> bool {
        let meta = &self.0["metadata"];
        let managers = meta["managedFields"].as_array().into_iter().flatten();
        meta["labels"][MANAGED_BY] == FIELD_MANAGER
            || !self.owner().is_empty()
            || managers.into_iter().any(|entry| entry["manager"] == FIELD_MANAGER)
    }
}

/// A short name for a value.
pub(crate) fn hash(value: &Value) -> String {
    digest_text(value)
}

/// The spec without what the API server fills in, and without what means nothing.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(key, value)| {
                let value = canonical(value);
                (!is_default(key, &value)).then(|| (key.clone(), value))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

fn is_default(key: &str, value: &Value) -> bool {
    match key {
        "matchPolicy" => value == "Equivalent",
        "failurePolicy" => value == "Fail",
        "scope" => value == "*",
        _ => {
            value.is_null()
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(Map::is_empty)
        }
    }
}

/// What an object becomes when ours is written over a live one: labels and annotations of others stay, owner
/// references go, which would let the garbage collector take policies away in any order.
#[must_use]
pub(crate) fn written(live: &Value, wanted: &Value) -> Value {
    let mut body = wanted.clone();
    for part in ["labels", "annotations"] {
        let mut all = live["metadata"][part].as_object().cloned().unwrap_or_default();
        all.extend(wanted["metadata"][part].as_object().cloned().unwrap_or_default());
        body["metadata"][part] = Value::Object(all);
    }
    for part in ["uid", "resourceVersion", "finalizers"] {
        body["metadata"][part] = live["metadata"][part].clone();
    }
    body
}

/// What an object becomes when we let go of it: the same without our marks.
#[must_use]
pub(crate) fn released(live: &Value) -> Value {
    let mut body = live.clone();
    let meta = &mut body["metadata"];
    if let Some(labels) = meta["labels"].as_object_mut() {
        labels.remove(MANAGED_BY);
    }
    if let Some(annotations) = meta["annotations"].as_object_mut() {
        annotations.remove(OWNER);
    }
    // One empty entry resets them: an object that names us as a writer would still count as ours.
    meta["managedFields"] = json!([{}]);
    body
}
