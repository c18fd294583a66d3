//! Secrets that consist of keys, as those of Kubernetes do.

use std::collections::BTreeMap;

use crate::gjson::{self, PropertyError};
use crate::provider::SecretBytes;

/// The value of a property: a key of this name, or a path in the JSON of the key before the first dot.
pub(super) fn value(
    keys: &BTreeMap<String, SecretBytes>,
    path: &str,
) -> Result<Option<SecretBytes>, PropertyError> {
    if let Some(value) = keys.get(path) {
        return Ok(Some(value.clone()));
    }
    let Some((name, inner)) = path.split_once('.').filter(|(_, inner)| !inner.is_empty()) else {
        return Ok(None);
    };
    let Some(json) = keys.get(name) else { return Ok(None) };
    match gjson::find(json.expose(), inner)? {
        // A broken text proves nothing about what it should contain.
        None if !gjson::is_json(json.expose()) => Err(PropertyError::NotJson),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_a_key_or_a_path_in_the_json_of_the_key_before_the_first_dot() {
        let keys = [("a", "x"), ("b.c", "dotted"), ("json", r#"{"d": {"e": "f"}, "n": 1}"#)];
        let keys = keys.map(|(key, text)| (key.to_owned(), SecretBytes::from(text.to_owned())));
        let keys = BTreeMap::from(keys);
        let property = |path: &str| {
            let text = |bytes: SecretBytes| String::from_utf8_lossy(bytes.expose()).into_owned();
            value(&keys, path).map(|found| found.map(text))
        };
        for (path, text) in [("a", "x"), ("b.c", "dotted"), ("json.d.e", "f"), ("json.n", "1")] {
            assert_eq!(property(path), Ok(Some(text.to_owned())), "{path}");
        }
        for path in ["none", "json.none", "json.", ".a", "b", "none.x"] {
            assert_eq!(property(path), Ok(None), "{path}");
        }
        assert_eq!(property("a.b"), Err(PropertyError::NotJson));
    }
}
