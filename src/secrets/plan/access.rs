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

/// Whether a namespace may use a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
    /// It depends on labels that are not known.
    Unknown,
}

impl Access {
    fn of(met: bool) -> Self {
        if met { Self::Allowed } else { Self::Denied }
    }

    /// What both say together, one being enough. What is not known is no reason to let anybody in.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Allowed, _) | (_, Self::Allowed) => Self::Allowed,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Denied, Self::Denied) => Self::Denied,
        }
    }
}

/// Whether a namespace with this name and these labels meets any condition, or there is none. Labels that are not
/// known (`None`) are not labels that are absent.
///
/// A regular expression matches anywhere in the name, as in External Secrets Operator.
pub(crate) fn access(
    conditions: &[StoreCondition],
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<Access, BadCondition> {
    if conditions.is_empty() {
        return Ok(Access::Allowed);
    }
    let mut access = Access::Denied;
    for (index, condition) in conditions.iter().enumerate() {
        access = access.or(meets(condition, index, namespace, labels)?);
    }
    Ok(access)
}

fn meets(
    condition: &StoreCondition,
    index: usize,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<Access, BadCondition> {
    let mut met = Access::of(condition.namespaces.iter().any(|name| name == namespace));
    if let Some(selector) = &condition.namespace_selector {
        let bad = |error: kube::core::ParseExpressionError| BadCondition {
            index,
            field: "namespaceSelector",
            reason: error.to_string(),
        };
        let selector = Selector::try_from(selector.clone()).map_err(bad)?;
        met = met.or(labels.map_or(Access::Unknown, |labels| Access::of(selector.matches(labels))));
    }
    for pattern in &condition.namespace_regexes {
        let regex = Regex::new(pattern).map_err(|_| BadCondition {
            index,
            field: "namespaceRegexes",
            reason: format!("{pattern:?} is not a regular expression"),
        })?;
        met = met.or(Access::of(regex.is_match(namespace)));
    }
    Ok(met)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

    use super::*;

    fn labels(team: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("team".to_owned(), team.to_owned())])
    }

    #[test]
    fn no_condition_allows_everybody() {
        assert_eq!(access(&[], "any", None), Ok(Access::Allowed));
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
        assert_eq!(access(&conditions, "shop", Some(&none)), Ok(Access::Allowed));
        assert_eq!(access(&conditions, "prod-a", Some(&none)), Ok(Access::Allowed));
        assert_eq!(access(&conditions, "other", Some(&labels("core"))), Ok(Access::Allowed));
        assert_eq!(access(&conditions, "nonprod-a", Some(&labels("edge"))), Ok(Access::Denied));
    }

    #[test]
    fn s3_labels_that_are_not_known_let_nobody_in() {
        for (operator, values) in [("DoesNotExist", None), ("NotIn", Some(vec!["1".to_owned()]))] {
            let requirement = LabelSelectorRequirement {
                key: "untrusted".to_owned(),
                operator: operator.to_owned(),
                values,
            };
            let selector = LabelSelector {
                match_expressions: Some(vec![requirement]),
                ..LabelSelector::default()
            };
            let by_label =
                StoreCondition { namespace_selector: Some(selector), ..StoreCondition::default() };
            let by_name =
                StoreCondition { namespaces: vec!["shop".into()], ..StoreCondition::default() };
            let none = BTreeMap::new();
            let conditions = [by_label, by_name];
            assert_eq!(access(&conditions, "n", None), Ok(Access::Unknown), "{operator}");
            assert_eq!(access(&conditions, "n", Some(&none)), Ok(Access::Allowed), "{operator}");
            assert_eq!(access(&conditions, "shop", None), Ok(Access::Allowed), "by its name");
        }
    }

    #[test]
    fn a_broken_pattern_is_named_and_allows_nobody() {
        let broken =
            StoreCondition { namespace_regexes: vec!["(".into()], ..StoreCondition::default() };
        let error = access(&[broken], "shop", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.conditions[0].namespaceRegexes: \"(\" is not a regular expression"
        );
    }
}
