//! Secrets that consist of keys, as those of Kubernetes do.

use std::collections::BTreeMap;

use super::collect::{Answer, property_error};
use super::error::PlanError;
use crate::api::external_secrets::external_secret::RemoteRef;
use crate::gjson;
use crate::provider::SecretBytes;

/// All keys of an answer, if it has some and no single one is meant.
pub(super) fn all<'a>(
    remote: &RemoteRef,
    answer: &'a Answer,
) -> Option<&'a BTreeMap<String, SecretBytes>> {
    let Answer::Read { result: Ok(fetched), .. } = answer else { return None };
    fetched.keys.as_ref().filter(|_| remote.property.as_deref().is_none_or(str::is_empty))
}

/// The value of a secret that consists of keys: a key of this name, or a path in the JSON of the key before the first
/// dot.
pub(super) fn value(
    field: String,
    remote: &RemoteRef,
    keys: &BTreeMap<String, SecretBytes>,
    path: &str,
) -> Result<SecretBytes, PlanError> {
    if let Some(value) = keys.get(path) {
        return Ok(value.clone());
    }
    let key = remote.key.clone();
    let found = match path.split_once('.') {
        Some((name, inner)) if !inner.is_empty() => match keys.get(name) {
            Some(json) => {
                let found = gjson::find(json.expose(), inner);
                let found =
                    found.map_err(|error| property_error(error, field.clone(), key.clone()))?;
                if found.is_none() && !gjson::is_json(json.expose()) {
                    return Err(PlanError::NotJson { field, key });
                }
                found
            }
            None => None,
        },
        _ => None,
    };
    found.ok_or_else(|| PlanError::PropertyAbsent { field, key, property: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_a_key_or_a_path_in_the_json_of_the_key_before_the_first_dot() {
        let keys = [("a", "x"), ("b.c", "dotted"), ("json", r#"{"d": {"e": "f"}, "n": 1}"#)];
        let keys = keys.map(|(key, text)| (key.to_owned(), SecretBytes::from(text.to_owned())));
        let keys = BTreeMap::from(keys);
        let remote = RemoteRef { key: "k".to_owned(), ..RemoteRef::default() };
        let property = |path: &str| {
            let found = value("f".to_owned(), &remote, &keys, path).ok()?;
            Some(String::from_utf8_lossy(found.expose()).into_owned())
        };
        for (path, text) in [("a", "x"), ("b.c", "dotted"), ("json.d.e", "f"), ("json.n", "1")] {
            assert_eq!(property(path).as_deref(), Some(text), "{path}");
        }
        for path in ["none", "a.b", "json.none", "json.", ".a", "b"] {
            assert_eq!(property(path), None, "{path}");
        }
    }
}
