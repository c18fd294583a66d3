//! What a webhook's answer makes.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::gjson;
use crate::provider::SecretBytes;

/// Longest path.
const MOST_STEPS: usize = 32;

/// The values in an answer: every key of the object at `path`. The error is fixed text, for the user.
pub(crate) fn values(
    body: &[u8],
    path: Option<&str>,
) -> Result<BTreeMap<String, SecretBytes>, String> {
    let steps = steps(path.unwrap_or_default())?;
    let mut inner: &RawValue =
        serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
    for step in &steps {
        inner = descend(inner.get(), step).ok_or_else(|| {
            format!("the answer has nothing at spec.result.jsonPath {:?}", path.unwrap_or_default())
        })?;
    }
    gjson::entries(inner.get().as_bytes()).map_err(|_| {
        "spec.result.jsonPath has to lead to an object: its keys are the values".to_owned()
    })
}

enum Step {
    Key(String),
    Index(usize),
}

fn descend<'a>(json: &'a str, step: &Step) -> Option<&'a RawValue> {
    match step {
        Step::Key(key) => {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(json).ok()?.remove(key)
        }
        Step::Index(nth) => serde_json::from_str::<Vec<&RawValue>>(json).ok()?.get(*nth).copied(),
    }
}

/// The steps of a path: `$.a.b`, `$['a'][0]`. Nothing else of JSONPath has one value.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = || {
        format!(
            "spec.result.jsonPath {path:?}: write a path such as $.data, $.items[0] or $['a key']"
        )
    };
    let mut rest = path.trim().strip_prefix('$').unwrap_or(path.trim());
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= MOST_STEPS {
            return Err(wrong());
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let (text, after) = inside.split_once(']').ok_or_else(wrong)?;
            let quoted = ['\'', '"'].into_iter().find_map(|quote| {
                text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote))
            });
            steps.push(match quoted {
                Some(key) => Step::Key(key.to_owned()),
                None => Step::Index(text.parse().map_err(|_| wrong())?),
            });
            rest = after;
            continue;
        }
        let text = rest.strip_prefix('.').unwrap_or(rest);
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (key, after) = text.split_at(end);
        if key.is_empty() || key.contains(['*', '?', '@', ']', '(']) {
            return Err(wrong());
        }
        steps.push(Step::Key(key.to_owned()));
        rest = after;
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(body: &str, path: &str) -> Result<Vec<(String, String)>, String> {
        let text = |bytes: &SecretBytes| String::from_utf8_lossy(bytes.expose()).into_owned();
        let values = values(body.as_bytes(), Some(path))?;
        Ok(values.iter().map(|(key, value)| (key.clone(), text(value))).collect())
    }

    #[test]
    fn the_keys_of_the_object_at_the_path_are_the_values_as_they_were_written() {
        let body = r#"{"data": [{"a key": {"s": "x", "n": 1.10, "o": {"b": [1]}, "z": null}}]}"#;
        let pairs = |list: &[(&str, &str)]| {
            list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let expected: Vec<_> =
            pairs(&[("n", "1.10"), ("o", r#"{"b": [1]}"#), ("s", "x"), ("z", "")]);
        for path in ["$.data[0]['a key']", "data[0][\"a key\"]", "$['data'][0].a key"] {
            assert_eq!(made(body, path), Ok(expected.clone()), "{path}");
        }
        assert_eq!(made(r#"{"a": "b"}"#, "$"), Ok(pairs(&[("a", "b")])));
        assert_eq!(made(r#"{"a": "b"}"#, ""), Ok(pairs(&[("a", "b")])));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_told_without_a_word_of_it() {
        for (body, path) in [
            ("hunter2", "$"),
            (r#"{"a": "hunter2"}"#, "$.a"),
            (r#"{"a": "hunter2"}"#, "$.b"),
            (r#"["hunter2"]"#, "$"),
            (r#"["hunter2"]"#, "$[1]"),
            (r#"{"a": "hunter2"}"#, "$..a"),
            (r#"{"a": "hunter2"}"#, "$.*"),
            (r#"{"a": "hunter2"}"#, "$[?(@.a)]"),
            (r#"{"a": "hunter2"}"#, "$[a"),
            ("", "$"),
        ] {
            let problem = made(body, path).expect_err(path);
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        assert!(made("{}", &".a".repeat(33)).is_err());
    }
}
