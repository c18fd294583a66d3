//! Names, labels and keys.

use std::net::IpAddr;

use serde_json::Value;

use super::{Found, fields, quoted, root, text};
use crate::check::object::Object;
use crate::policy::FieldPath;

/// Kinds whose names are one label of a host name.
const LABELS: [&str; 2] = ["Namespace", "Service"];
/// Groups in which any name is one that can stand in an address.
const FREE: [&str; 5] = [
    "rbac.authorization.k8s.io",
    "certificates.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "policy",
    "apiregistration.k8s.io",
];
/// Groups of questions, which are answered and not kept.
const REVIEWS: [&str; 2] = ["authentication.k8s.io", "authorization.k8s.io"];

/// The name and the labels of an object.
pub(super) fn of_object(object: &Object<'_>, found: &mut Found) {
    let metadata = &object.value["metadata"];
    let at = root().key("metadata");
    let given = |field: &str| metadata[field].as_str().is_some_and(|name| !name.is_empty());
    // The API server finds a name for a LimitRange.
    let nameless = object.kind == "LimitRange" || REVIEWS.contains(&object.group());
    if !given("name") && !given("generateName") && !nameless {
        return found.add(at.key("name"), "the object has no name");
    }
    if let Some(name) = text(&metadata["name"]).filter(|name| !name.is_empty())
        && !FREE.contains(&object.group())
    {
        let problem = match object.kind {
            kind if LABELS.contains(&kind) => no_label(name),
            "CronJob" if name.len() > 52 => Some("is longer than 52 characters"),
            "IPAddress" => name.parse::<IpAddr>().is_err().then_some("is no IP address"),
            _ => no_subdomain(name),
        };
        if let Some(problem) = problem {
            found.add(at.key("name"), format!("the name {} {problem}", quoted(name)));
        }
    }
    labels(&metadata["labels"], &at.key("labels"), found);
    annotations(&metadata["annotations"], &at.key("annotations"), found);
}

/// Labels of metadata, or of a selector.
pub(super) fn labels(labels: &Value, at: &FieldPath, found: &mut Found) {
    for (key, value) in fields(labels) {
        if let Some(problem) = no_qualified_name(key) {
            found.add(at.key(key), format!("the key of the label {problem}"));
        }
        if let Some(problem) = text(value).and_then(no_label_value) {
            let value = value.as_str().unwrap_or_default();
            found.add(at.key(key), format!("the value {} of the label {problem}", quoted(value)));
        }
    }
}

pub(super) fn annotations(annotations: &Value, at: &FieldPath, found: &mut Found) {
    const MOST_BYTES: usize = 256 * 1024;
    let mut sum = 0;
    for (key, value) in fields(annotations) {
        sum += key.len() + value.as_str().map_or(0, str::len);
        if let Some(problem) = no_qualified_name(&key.to_lowercase()) {
            found.add(at.key(key), format!("the key of the annotation {problem}"));
        }
    }
    if sum > MOST_BYTES {
        found.add(at.clone(), "the annotations are larger than 256 KiB");
    }
}

fn is_alphanumeric_at_the_ends(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

fn is_lower(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Why something is no label of a host name.
pub(super) fn no_label(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        Some("is longer than 63 characters")
    } else if !is_lower(text) || !is_alphanumeric_at_the_ends(text) {
        Some(
            "must have lower-case letters, digits and '-' only, and begin and end with a letter or a digit",
        )
    } else {
        None
    }
}

/// Why something is no host name.
pub(super) fn no_subdomain(text: &str) -> Option<&'static str> {
    if text.len() > 253 {
        Some("is longer than 253 characters")
    } else if !text.split('.').all(|part| is_lower(part) && is_alphanumeric_at_the_ends(part)) {
        Some(
            "must have lower-case letters, digits, '-' and '.' only, and begin and end with a letter or a digit",
        )
    } else {
        None
    }
}

fn is_name_part(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= 63 && text.bytes().all(fits) && is_alphanumeric_at_the_ends(text)
}

/// Why something is no key of a label.
fn no_qualified_name(text: &str) -> Option<&'static str> {
    if super::is_filled_in_later(text) {
        return None;
    }
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_some_and(|prefix| no_subdomain(prefix).is_some()) {
        return Some("must begin with a host name before the '/'");
    }
    (!is_name_part(name)).then_some(
        "must have at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or a digit",
    )
}

fn no_label_value(text: &str) -> Option<&'static str> {
    (!text.is_empty() && !is_name_part(text)).then_some(
        "must have at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or a digit",
    )
}

/// Why something is no name of a port.
pub(super) fn no_port_name(text: &str) -> Option<&'static str> {
    if text.len() > 15 {
        Some("is longer than 15 characters")
    } else if !is_lower(text) || !is_alphanumeric_at_the_ends(text) || text.contains("--") {
        Some(
            "must have lower-case letters, digits and single '-' only, and begin and end with a letter or a digit",
        )
    } else if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        Some("must have a letter in it")
    } else {
        None
    }
}

/// Why something is no key of a ConfigMap or a Secret.
pub(super) fn no_key(text: &str) -> Option<&'static str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.len() > 253 {
        Some("is longer than 253 characters")
    } else if text.is_empty() || !text.bytes().all(fits) {
        Some("must have letters, digits, '-', '_' and '.' only")
    } else if text == "." || text.starts_with("..") {
        Some("must not be '.', and must not begin with '..'")
    } else {
        None
    }
}
