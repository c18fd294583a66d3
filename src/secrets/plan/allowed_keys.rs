//! Which remote keys a namespace may read through a ClusterSecretStore that lists them.
//!
//! The list is an annotation: a definition that does not know a field drops it, and a list that is dropped would allow
//! everything. Once there is a list, nothing is allowed that it does not name, and a list that cannot be read allows
//! nothing at all.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::{Selector, SelectorExt};
use serde::Deserialize;

use super::access::Access;

/// The annotation of a ClusterSecretStore that holds the list.
pub(crate) const ANNOTATION: &str = "gabion.dev/allowed-keys";

/// Stands for the name of the namespace in a pattern.
const NAMESPACE: &str = "{namespace}";
/// Bytes of the annotation.
const MOST_BYTES: usize = 64 * 1024;
/// Rules in a list.
const MOST_RULES: usize = 256;
/// Patterns in all rules together.
const MOST_PATTERNS: usize = 256;
/// Bytes of a pattern.
const LONGEST_PATTERN: usize = 2048;
/// Bytes of a key that any provider takes; a longer one is not compared.
const LONGEST_KEY: usize = 2048;

/// What is wrong with a list.
pub(crate) type Problem = String;

/// A list as it is written, and what it means.
#[derive(Clone, Debug)]
pub(crate) struct AllowedKeys {
    text: String,
    rules: Result<Vec<Rule>, Problem>,
}

/// The text decides: the rest follows from it.
impl PartialEq for AllowedKeys {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Patterns for some namespaces.
#[derive(Clone, Debug)]
struct Rule {
    namespaces: Vec<String>,
    selector: Option<Selector>,
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenRule {
    #[serde(default)]
    namespaces: Vec<String>,
    namespace_selector: Option<WrittenSelector>,
    keys: Vec<String>,
}

/// A LabelSelector in which a slip of the pen is an error: one that is left out would select every namespace.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenSelector {
    match_labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    match_expressions: Vec<WrittenExpression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExpression {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl AllowedKeys {
    /// Reads the text of the annotation.
    pub(crate) fn read(text: &str) -> Self {
        Self { text: text.to_owned(), rules: rules(text) }
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.rules.as_ref().err().map(String::as_str)
    }

    /// What a namespace with these labels may read; `None`: its labels are not known, which are no labels that are
    /// absent.
    pub(crate) fn of(
        &self,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Result<Patterns, &str> {
        let mut patterns = Patterns { allowed: Vec::new(), depends_on_labels: false };
        for rule in self.rules.as_ref().map_err(String::as_str)? {
            let by_name = rule.namespaces.iter().any(|name| name == namespace);
            let by_label = match (&rule.selector, labels) {
                (Some(_), None) => Access::Unknown,
                (Some(selector), Some(labels)) if selector.matches(labels) => Access::Allowed,
                (None, _) | (Some(_), Some(_)) => Access::Denied,
            };
            if by_name || by_label == Access::Allowed {
                let keys = rule.keys.iter().map(|key| key.replace(NAMESPACE, namespace));
                patterns.allowed.extend(keys);
            } else if by_label == Access::Unknown {
                patterns.depends_on_labels = true;
            }
        }
        Ok(patterns)
    }
}

/// What one namespace may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patterns {
    allowed: Vec<String>,
    /// There may be more, which depends on labels that are not known.
    depends_on_labels: bool,
}

impl Patterns {
    /// Whether a key may be read.
    pub(crate) fn decide(&self, key: &str) -> Access {
        if self.allows(key) {
            Access::Allowed
        } else if self.depends_on_labels {
            Access::Unknown
        } else {
            Access::Denied
        }
    }

    /// Whether anything may be read.
    pub(crate) fn decide_any(&self) -> Access {
        match (self.depends_on_labels, self.allowed.is_empty()) {
            // What would be left out cannot be told.
            (true, _) => Access::Unknown,
            (false, true) => Access::Denied,
            (false, false) => Access::Allowed,
        }
    }

    /// Whether a key may be read by what is known.
    pub(crate) fn allows(&self, key: &str) -> bool {
        key.len() <= LONGEST_KEY && self.allowed.iter().any(|pattern| matches(pattern, key))
    }
}

/// Whether a pattern matches a key: `*` stands for any characters. An ARN names a secret of any account, so that only
/// a pattern for ARNs, or for everything, matches one.
fn matches(pattern: &str, key: &str) -> bool {
    if key.starts_with("arn:") && !pattern.starts_with("arn:") && pattern != "*" {
        return false;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = key.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

fn rules(text: &str) -> Result<Vec<Rule>, Problem> {
    if text.len() > MOST_BYTES {
        return Err(format!("it has {} bytes, may have at most {MOST_BYTES}", text.len()));
    }
    let written: Vec<WrittenRule> = serde_saphyr::from_str(text).map_err(|_| {
        "it is no list of rules with keys, and namespaces or namespaceSelector: see docs/external-secrets.md"
            .to_owned()
    })?;
    if written.is_empty() {
        return Err(
            "it has no rule, so that nothing could be read: add one, or remove the annotation"
                .to_owned(),
        );
    }
    let count: usize = written.iter().map(|rule| rule.keys.len()).sum();
    if written.len() > MOST_RULES || count > MOST_PATTERNS {
        return Err(format!(
            "it has more than {MOST_RULES} rules, or {MOST_PATTERNS} keys: use * in keys"
        ));
    }
    written.into_iter().enumerate().map(|(nth, rule)| self::rule(nth, rule)).collect()
}

fn rule(nth: usize, rule: WrittenRule) -> Result<Rule, Problem> {
    let WrittenRule { namespaces, namespace_selector, keys } = rule;
    if namespaces.is_empty() && namespace_selector.is_none() {
        return Err(format!("[{nth}] names no namespaces: set namespaces or namespaceSelector"));
    }
    if keys.is_empty() {
        return Err(format!("[{nth}].keys is empty: name the keys that may be read"));
    }
    if let Some(wrong) = keys.iter().position(|key| key.is_empty() || key.len() > LONGEST_PATTERN) {
        return Err(format!(
            "[{nth}].keys[{wrong}] is empty, or longer than {LONGEST_PATTERN} bytes"
        ));
    }
    let selector = namespace_selector.map(|selector| {
        let expressions = selector.match_expressions.into_iter().map(|written| {
            let WrittenExpression { key, operator, values } = written;
            LabelSelectorRequirement { key, operator, values }
        });
        let selector = LabelSelector {
            match_labels: selector.match_labels,
            match_expressions: Some(expressions.collect()),
        };
        Selector::try_from(selector)
            .map_err(|error| format!("[{nth}].namespaceSelector cannot be evaluated: {error}"))
    });
    Ok(Rule { namespaces, selector: selector.transpose()?, keys })
}

#[cfg(test)]
mod tests;
