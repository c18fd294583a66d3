//! Which namespaces may use a ClusterSecretStore.

use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt};
use regex::Regex;

use crate::api::external_secrets::secret_store::StoreCondition;

/// A condition that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.conditions[{index}].{field}: {reason}")]
pub(crate) struct BadCondition {
    /// Which entry.
    pub(crate) index: usize,
    /// Which field of it.
    pub(crate) field: &'static str,
    /// What is wrong.
    pub(crate) reason: String,
}

/// True if a namespace with this name and these labels meets any condition, or there is none.
///
/// A regular expression matches anywhere in the name, as in External Secrets Operator.
pub(crate) fn is_allowed(
    conditions: &[StoreCondition],
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<bool, BadCondition> {
    if conditions.is_empty() {
        return Ok(true);
    }
    let mut allowed = false;
    for (index, condition) in conditions.iter().enumerate() {
        allowed |= meets(condition, index, namespace, labels)?;
    }
    Ok(allowed)
}

fn meets(
    condition: &StoreCondition,
    index: usize,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<bool, BadCondition> {
    let mut met = condition.namespaces.iter().any(|name| name == namespace);
    if let Some(selector) = &condition.namespace_selector {
        let bad = |error: kube::core::ParseExpressionError| BadCondition {
            index,
            field: "namespaceSelector",
            reason: error.to_string(),
        };
        let selector = Selector::try_from(selector.clone()).map_err(bad)?;
        met |= selector.matches(labels);
    }
    for pattern in &condition.namespace_regexes {
        let regex = Regex::new(pattern).map_err(|_| BadCondition {
            index,
            field: "namespaceRegexes",
            reason: format!("{pattern:?} is not a regular expression"),
        })?;
        met |= regex.is_match(namespace);
    }
    Ok(met)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

    use super::*;

    fn labels(team: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("team".to_owned(), team.to_owned())])
    }

    #[test]
    fn no_condition_allows_everybody() {
        assert_eq!(is_allowed(&[], "any", &BTreeMap::new()), Ok(true));
    }

    #[test]
    fn any_matcher_of_any_entry_is_enough() {
        let by_name =
            StoreCondition { namespaces: vec!["shop".into()], ..StoreCondition::default() };
        let by_pattern = StoreCondition {
            namespace_regexes: vec!["^prod-".into()],
            namespace_selector: Some(LabelSelector {
                match_labels: Some(labels("core")),
                ..LabelSelector::default()
            }),
            ..StoreCondition::default()
        };
        let conditions = [by_name, by_pattern];
        let none = BTreeMap::new();
        assert_eq!(is_allowed(&conditions, "shop", &none), Ok(true));
        assert_eq!(is_allowed(&conditions, "prod-a", &none), Ok(true));
        assert_eq!(is_allowed(&conditions, "other", &labels("core")), Ok(true));
        assert_eq!(is_allowed(&conditions, "nonprod-a", &labels("edge")), Ok(false));
    }

    #[test]
    fn a_broken_pattern_is_named_and_allows_nobody() {
        let broken =
            StoreCondition { namespace_regexes: vec!["(".into()], ..StoreCondition::default() };
        let error = is_allowed(&[broken], "shop", &BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.conditions[0].namespaceRegexes: \"(\" is not a regular expression"
        );
    }
}
