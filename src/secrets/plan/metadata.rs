//! What labels and annotations Kubernetes takes: asked before it is, because its own answer quotes the value.
//!
//! Source: Kubernetes, "Labels and Selectors" and "Annotations", section "Syntax and character set".

use std::collections::BTreeMap;

use super::error::PlanError;
use super::key::Key;

/// Longest name, and longest value of a label.
const LONGEST: usize = 63;
const LONGEST_PREFIX: usize = 253;
/// All keys and values of an object's annotations together, in bytes.
const ALL_ANNOTATIONS: usize = 256 << 10;

/// Labels and annotations that stand in the template itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Written<'a> {
    /// Labels.
    pub(crate) labels: Option<&'a BTreeMap<String, String>>,
    /// Annotations.
    pub(crate) annotations: Option<&'a BTreeMap<String, String>>,
}

/// Refuses what the API server would refuse. `written` are the keys that stand in the template itself.
pub(crate) fn check_metadata(
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    written: Written<'_>,
) -> Result<(), PlanError> {
    let refused = |part: &str, nth: usize, key: &str, reason| {
        let of_part = if part == "labels" { written.labels } else { written.annotations };
        let is_written = of_part.is_some_and(|written| written.contains_key(key));
        let key = if is_written { Key::from(key) } else { Key::made(nth, key) };
        PlanError::BadMetadata {
            field: format!("target.template ({part})"),
            key: key.name(),
            reason,
        }
    };
    for (nth, (key, value)) in labels.iter().enumerate() {
        if !is_qualified_name(key) {
            return Err(refused("labels", nth, key, "that is no name of a label"));
        }
        if !value.is_empty() && !is_name(value) {
            let reason = "its value may have at most 63 of A-Z, a-z, 0-9, '-', '_', '.', and begins and ends with a letter or digit";
            return Err(refused("labels", nth, key, reason));
        }
    }
    for (nth, key) in annotations.keys().enumerate() {
        if !is_qualified_name(&key.to_ascii_lowercase()) {
            return Err(refused("annotations", nth, key, "that is no name of an annotation"));
        }
    }
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    match annotations.first_key_value() {
        Some((key, _)) if bytes > ALL_ANNOTATIONS => {
            let reason = "all annotations together have more than 262144 bytes";
            Err(refused("annotations", 0, key, reason))
        }
        _ => Ok(()),
    }
}

/// `name` or `prefix/name`, the prefix being a DNS subdomain.
fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
    }
}

fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| inner(*b))
}

fn is_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        is_name(label)
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(key: &str, value: &str) -> Result<(), String> {
        let map = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        check_metadata(&map, &BTreeMap::new(), Written::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_kubernetes_takes_is_taken() {
        let longest = "a".repeat(63);
        for (key, value) in
            [("app", "x"), ("a.b-c_d", ""), ("example.com/App", "A-1.b_c"), (&longest, &longest)]
        {
            labels(key, value).unwrap();
        }
        let notes = BTreeMap::from([("Example.com/a".to_owned(), "any ☃ text".repeat(1000))]);
        check_metadata(&BTreeMap::new(), &notes, Written::default()).unwrap();
    }

    #[test]
    fn what_kubernetes_refuses_is_refused_without_its_value() {
        let too_long = "a".repeat(64);
        for (key, value) in [
            ("app", "hunter2!"),
            ("app", "-x"),
            ("app", too_long.as_str()),
            ("", "x"),
            ("/a", "x"),
            ("a/b/c", "x"),
            ("Example.com/a", "x"),
            ("a b", "x"),
            (too_long.as_str(), "x"),
        ] {
            let error = labels(key, value).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let much = BTreeMap::from([("a".to_owned(), "x".repeat(ALL_ANNOTATIONS))]);
        let error = check_metadata(&BTreeMap::new(), &much, Written::default()).unwrap_err();
        assert!(error.to_string().contains("262144"), "{error}");
    }
}
