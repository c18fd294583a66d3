//! What the API server refuses although every field is known and of the right type.
//!
//! A live test compares each rule with an API server, both ways.

mod container;
mod names;
mod pod;
mod scheduling;
mod traffic;
mod values;
mod volumes;
mod workload;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::object::{Object, short};
use super::{schema::is_filled_in_later, schemas};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Subject;

/// Findings of one object.
const MOST: usize = 40;

/// What is wrong with an object.
pub(crate) fn evaluate(object: &Object<'_>, subject: Option<&Subject<'_>>) -> Vec<Finding> {
    let mut found = Found::default();
    let value = object.value;
    if !schemas::is_known(object) {
        return Vec::new();
    }
    names::of_object(object, &mut found);
    if let Some(subject) = subject {
        pod::evaluate(subject, value, &mut found);
        workload::evaluate(subject, value, &mut found);
    }
    match (object.group(), object.kind) {
        ("", "Service") => traffic::service(value, &mut found),
        ("networking.k8s.io", "Ingress") => traffic::ingress(value, &mut found),
        ("networking.k8s.io", "NetworkPolicy") => traffic::network_policy(value, &mut found),
        ("", "ConfigMap" | "Secret") => values::data(object, &mut found),
        ("autoscaling", "HorizontalPodAutoscaler") => values::autoscaler(value, &mut found),
        ("policy", "PodDisruptionBudget") => values::budget(value, &mut found),
        ("", "PersistentVolumeClaim") => {
            volumes::claim(&value["spec"], &root().key("spec"), &mut found);
        }
        (super::rbac::GROUP, _) => values::roles(object, &mut found),
        _ => {}
    }
    found.findings
}

fn root() -> FieldPath {
    FieldPath::default()
}

/// Names of the volumes of a pod.
type Volumes<'v> = BTreeSet<&'v str>;

/// What was found.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
}

impl Found {
    fn add(&mut self, path: FieldPath, message: impl Into<String>) {
        if self.findings.len() < MOST {
            self.findings.push(Finding::new(ControlId::HbInvalid, path, message));
        }
    }

    /// A whole number that is out of bounds.
    fn bounded(&mut self, holder: &Value, at: &FieldPath, field: &str, (least, most): (i64, i64)) {
        let Some(number) = holder[field].as_i64() else { return };
        if number < least {
            self.add(at.key(field), format!("{number} is below {least}"));
        } else if number > most {
            self.add(at.key(field), format!("{number} is above {most}"));
        }
    }

    fn port(&mut self, holder: &Value, at: &FieldPath, field: &str) {
        let Some(number) = holder[field].as_i64() else { return };
        if !(1..=65_535).contains(&number) {
            self.add(at.key(field), format!("{number} is no port: a port is between 1 and 65535"));
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The items of a list, with their paths.
fn listed<'v>(
    holder: &'v Value,
    at: &FieldPath,
    field: &str,
) -> impl Iterator<Item = (&'v Value, FieldPath)> {
    let at = at.key(field);
    items(&holder[field]).iter().enumerate().map(move |(index, item)| (item, at.index(index)))
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).filter(|(_, value)| !value.is_null())
}

/// A text that is written out.
fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !is_filled_in_later(text))
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// The fields of which something has one or several.
fn set<'f>(holder: &Value, names: &[&'f str]) -> Vec<&'f str> {
    names.iter().copied().filter(|name| !holder[*name].is_null()).collect()
}

fn quoted(text: &str) -> String {
    format!("{:?}", short(text))
}

/// A profile of the node has a name, and no other has.
fn profile(context: &Value, at: &FieldPath, field: &str, found: &mut Found) {
    let profile = &context[field];
    let at = at.keys(&[field, "localhostProfile"]);
    match (profile["type"].as_str(), profile["localhostProfile"].is_null()) {
        (Some("Localhost"), true) => found.add(at, "a profile of type Localhost needs its name"),
        (Some("RuntimeDefault" | "Unconfined"), false) => {
            found.add(at, "must be left out, as the type is not Localhost");
        }
        _ => {}
    }
}
