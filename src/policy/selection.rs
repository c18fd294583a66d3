//! Which namespaces a baseline reaches.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::gabion::hardening_baseline::Selector;
use crate::api::gabion::hardening_baseline::SelectorOperator;

/// Label that the API server puts on every namespace: its name.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Namespaces that no baseline ever touches, apart from the operator's own and those named by flag.
pub(crate) const ALWAYS_PROTECTED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// Namespaces that no baseline touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected(BTreeSet<String>);

impl Protected {
    /// The fixed list, the operator's own namespace, and the names given by flag.
    pub fn new(operator_namespace: &str, flags: impl IntoIterator<Item = String>) -> Self {
        let fixed = ALWAYS_PROTECTED.into_iter().map(str::to_owned);
        Self(
            fixed
                .chain([operator_namespace.to_owned()])
                .chain(flags)
                .filter(|n| !n.is_empty())
                .collect(),
        )
    }

    /// Whether the namespace is protected.
    pub(crate) fn contains(&self, namespace: &str) -> bool {
        self.0.contains(namespace)
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// What a baseline says about the namespaces it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Labels that the namespace must have; empty selects all.
    pub selector: Selector,
    /// Namespaces left out by name.
    pub exclude: BTreeSet<String>,
}

impl Selection {
    /// Whether a namespace with this name and these labels is reached.
    pub(crate) fn reaches(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        protected: &Protected,
    ) -> bool {
        !protected.contains(name)
            && !self.exclude.contains(name)
            && matches(&self.selector, labels, name)
    }
}

/// Whether a selector holds for the labels of a namespace. The API server keeps the name label equal to the
/// name, so the name stands in for it where a cached object lacks the label.
pub(crate) fn matches(selector: &Selector, labels: &BTreeMap<String, String>, name: &str) -> bool {
    let value = |key: &str| match key {
        NAME_LABEL => Some(name),
        _ => labels.get(key).map(String::as_str),
    };
    let labelled = selector.match_labels.iter().all(|(key, wanted)| value(key) == Some(wanted));
    labelled
        && selector.match_expressions.iter().all(|requirement| {
            let found = value(&requirement.key);
            let listed = found.is_some_and(|found| requirement.values.iter().any(|v| v == found));
            match requirement.operator {
                SelectorOperator::In => listed,
                SelectorOperator::NotIn => !listed,
                SelectorOperator::Exists => found.is_some(),
                SelectorOperator::DoesNotExist => found.is_none(),
                // A compiled baseline has no such operator; reaching nothing is the safe answer.
                SelectorOperator::Unknown => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gabion::hardening_baseline::Requirement;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn expression(key: &str, operator: SelectorOperator, values: &[&str]) -> Selector {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        Selector {
            match_expressions: vec![Requirement { key: key.into(), operator, values }],
            ..Selector::default()
        }
    }

    #[test]
    fn expressions_follow_the_rules_of_kubernetes() {
        use SelectorOperator::{DoesNotExist, Exists, In, NotIn};
        let prod = labels(&[("env", "prod")]);
        let none = labels(&[]);
        for (selector, with, without) in [
            (expression("env", In, &["prod", "stage"]), true, false),
            (expression("env", NotIn, &["prod"]), false, true),
            (expression("env", NotIn, &["dev"]), true, true),
            (expression("env", Exists, &[]), true, false),
            (expression("env", DoesNotExist, &[]), false, true),
            (Selector { match_labels: prod.clone(), ..Selector::default() }, true, false),
            (Selector::default(), true, true),
            (expression(NAME_LABEL, In, &["shop"]), true, true),
        ] {
            assert_eq!(matches(&selector, &prod, "shop"), with, "{selector:?}");
            assert_eq!(matches(&selector, &none, "shop"), without, "{selector:?}");
        }
    }

    #[test]
    fn protected_and_excluded_namespaces_are_never_reached() {
        let protected = Protected::new("gabion-system", ["platform".to_owned()]);
        let all = Selection { exclude: ["legacy".to_owned()].into(), ..Selection::default() };
        for name in
            ["kube-system", "kube-public", "kube-node-lease", "gabion-system", "platform", "legacy"]
        {
            assert!(!all.reaches(name, &labels(&[("env", "prod")]), &protected), "{name}");
        }
        assert!(all.reaches("shop", &labels(&[]), &protected));
    }
}
