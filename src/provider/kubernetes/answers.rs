//! What an API server answers, as far as it is read.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::meta::Uid;
use crate::provider::{Fetched, ProviderError, SecretBytes};

/// What the data of a Secret come to at most; the API server takes no larger one.
const MOST_DATA: usize = 1 << 20;

/// A Secret. Values are wiped when dropped.
#[derive(Deserialize)]
pub(super) struct Secret {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, Zeroizing<String>>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: Uid,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Secret {
    /// Its data: each key, and all of them as a JSON object.
    pub(super) fn value(self, key: &str) -> Result<Fetched, ProviderError> {
        let (mut keys, mut size) = (BTreeMap::new(), 0_usize);
        for (name, encoded) in self.data.unwrap_or_default() {
            let bytes =
                STANDARD.decode(encoded.as_bytes()).map_err(|_| ProviderError::Invalid {
                    key: key.to_owned(),
                    reason: "its data cannot be decoded".to_owned(),
                })?;
            size = size.saturating_add(bytes.len());
            if size > MOST_DATA {
                return Err(ProviderError::Invalid {
                    key: key.to_owned(),
                    reason: "it holds more data than a Secret can".to_owned(),
                });
            }
            keys.insert(name, SecretBytes::new(bytes));
        }
        let texts: BTreeMap<&str, Cow<'_, str>> = keys
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.expose())))
            .collect();
        let text = json(&texts);
        Ok(Fetched {
            text: Some(text),
            keys: Some(keys),
            uid: Some(self.metadata.uid),
            ..Fetched::default()
        })
    }

    /// Its labels and annotations.
    pub(super) fn tags(self) -> Fetched {
        let labels = self.metadata.labels.unwrap_or_default();
        let annotations = self.metadata.annotations.unwrap_or_default();
        let all = BTreeMap::from([("annotations", &annotations), ("labels", &labels)]);
        let text = json(&all);
        let keys = all.into_iter().map(|(name, map)| (name.to_owned(), json(map))).collect();
        Fetched { text: Some(text), keys: Some(keys), ..Fetched::default() }
    }
}

/// Maps of texts are always JSON.
fn json(value: &impl serde::Serialize) -> SecretBytes {
    SecretBytes::new(serde_json::to_vec(value).unwrap_or_default())
}

/// A page of names.
#[derive(Deserialize)]
pub(super) struct Names {
    #[serde(default)]
    metadata: ListMetadata,
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

impl Names {
    /// The names, and what to ask the next page with.
    pub(super) fn into_parts(self) -> (impl Iterator<Item = String>, Option<String>) {
        let next = self.metadata.token.filter(|token| !token.is_empty());
        (self.items.into_iter().map(|item| item.metadata.name), next)
    }
}

/// What somebody may do.
#[derive(Deserialize)]
pub(super) struct Review {
    status: Rules,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    #[serde(default)]
    resource_rules: Option<Vec<Rule>>,
    #[serde(default)]
    incomplete: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
}

impl Review {
    /// Whether some Secret may be read, be it only one.
    pub(super) fn may_get_secrets(&self) -> bool {
        let named = |list: &[String], name: &str| list.iter().any(|one| one == name || one == "*");
        self.status.resource_rules.iter().flatten().any(|rule| {
            named(&rule.verbs, "get")
                && named(&rule.resources, "secrets")
                && (rule.api_groups.is_empty() || named(&rule.api_groups, ""))
        })
    }

    /// Whether there may be more rights than those listed.
    pub(super) fn is_incomplete(&self) -> bool {
        self.status.incomplete
    }
}

/// Whether an API server says that there is no such Secret. Any other server's 404 proves nothing, and a Secret may be
/// deleted for it.
pub(super) fn is_absent(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Status {
        reason: String,
        details: Details,
    }
    #[derive(Deserialize)]
    struct Details {
        kind: String,
    }
    serde_json::from_slice::<Status>(body)
        .is_ok_and(|status| status.reason == "NotFound" && status.details.kind == "secrets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_values_keep_their_bytes_and_texts_become_json() {
        let secret: Secret = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "db", "uid": "u", "labels": {"app.kubernetes.io/name": "x"}},
            "data": {"a": "eA==", "b": "/w=="},
        }))
        .expect("a Secret");
        let fetched = secret.value("db").expect("decodable");
        let keys = fetched.keys.expect("keys");
        assert_eq!(keys["b"].expose(), [0xff]);
        assert_eq!(
            fetched.text.expect("text").expose(),
            "{\"a\":\"x\",\"b\":\"\u{fffd}\"}".as_bytes()
        );
        assert_eq!(fetched.uid, Some("u".into()));
    }

    #[test]
    fn only_an_api_server_can_say_that_a_secret_is_absent() {
        let status =
            br#"{"kind":"Status","reason":"NotFound","details":{"name":"x","kind":"secrets"}}"#;
        assert!(is_absent(status));
        for other in [
            &b"404 page not found"[..],
            b"{}",
            br#"{"reason":"NotFound","details":{"kind":"namespaces"}}"#,
            br#"{"reason":"NotFound"}"#,
        ] {
            assert!(!is_absent(other));
        }
    }

    #[test]
    fn a_right_on_one_secret_is_a_right_and_one_on_other_resources_is_none() {
        let may = |rules: serde_json::Value| {
            let review =
                serde_json::json!({"status": {"resourceRules": rules, "incomplete": false}});
            let review: Review = serde_json::from_value(review).expect("a review");
            review.may_get_secrets()
        };
        let rule = |verb: &str, group: &str, resource: &str| serde_json::json!([{"verbs": [verb], "apiGroups": [group], "resources": [resource], "resourceNames": ["a"]}]);
        assert!(may(rule("get", "", "secrets")) && may(rule("*", "*", "*")));
        assert!(!may(rule("list", "", "secrets")) && !may(rule("get", "apps", "secrets")));
        assert!(!may(rule("get", "", "configmaps")) && !may(serde_json::json!(null)));
    }
}
