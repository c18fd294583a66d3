//! Which objects a patch is for.

use regex::Regex;

use super::{super::yaml::Node, transform::Resource, tree};

/// What a patch says of the objects that it is for.
pub(super) struct Target {
    fields: Vec<(&'static str, Regex)>,
    labels: Vec<Condition>,
    annotations: Vec<Condition>,
}

/// What a selector asks of a label.
enum Condition {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

impl Target {
    /// The error names what is not known.
    pub(super) fn of(node: &Node) -> Result<Self, String> {
        let mut fields = Vec::new();
        for field in ["group", "version", "kind", "name", "namespace"] {
            if let Some(text) = tree::text_at(node, &[field]).filter(|text| !text.is_empty()) {
                let regex = Regex::new(&format!("^(?:{text})$"));
                fields
                    .push((field, regex.map_err(|_| format!("the pattern {text:?} of {field}"))?));
            }
        }
        let selector = |field: &str| {
            let text = tree::text_at(node, &[field]).unwrap_or_default();
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(Condition::of).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            fields,
            labels: selector("labelSelector")?,
            annotations: selector("annotationSelector")?,
        })
    }

    pub(super) fn holds(&self, one: &Resource) -> bool {
        let (group, version) = one.api();
        let fields = self.fields.iter().all(|(field, pattern)| match *field {
            "group" => pattern.is_match(group),
            "version" => pattern.is_match(version),
            "kind" => pattern.is_match(one.kind()),
            "name" => {
                pattern.is_match(one.name())
                    || one.former.iter().any(|(name, _)| pattern.is_match(name))
            }
            _ => {
                let own = one.namespace().unwrap_or("default");
                let former =
                    one.former.iter().map(|(_, former)| former.as_deref().unwrap_or("default"));
                pattern.is_match(own) || former.into_iter().any(|former| pattern.is_match(former))
            }
        });
        let all = |field: &str, conditions: &[Condition]| {
            conditions
                .iter()
                .all(|condition| condition.holds(tree::at(&one.root, &["metadata", field])))
        };
        fields && all("labels", &self.labels) && all("annotations", &self.annotations)
    }
}

impl Condition {
    fn of(text: &str) -> Result<Self, String> {
        if text.contains(['(', ' ', '<', '>']) {
            return Err(format!("the selector {text:?}"));
        }
        let owned =
            |(key, value): (&str, &str)| (key.to_owned(), value.trim_start_matches('=').to_owned());
        if let Some((key, value)) = text.split_once("!=").map(owned) {
            return Ok(Self::IsNot(key, value));
        }
        if let Some((key, value)) = text.split_once('=').map(owned) {
            return Ok(Self::Is(key, value));
        }
        Ok(text
            .strip_prefix('!')
            .map_or_else(|| Self::Has(text.to_owned()), |key| Self::HasNot(key.to_owned())))
    }

    fn holds(&self, labels: Option<&Node>) -> bool {
        let value = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Node::as_str);
        match self {
            Self::Is(key, wanted) => value(key) == Some(wanted),
            Self::IsNot(key, wanted) => value(key) != Some(wanted),
            Self::Has(key) => value(key).is_some(),
            Self::HasNot(key) => value(key).is_none(),
        }
    }
}
