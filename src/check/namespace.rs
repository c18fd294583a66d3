//! Namespaces whose Pod Security labels ask for less than the rules.

use serde_json::Value;

use crate::api::gabion::hardening_baseline::Level;
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Settings;

/// What is wrong with a namespace. One without labels is left to the operator, which sets them.
pub(crate) fn evaluate(namespace: &Value, settings: &Settings) -> Vec<Finding> {
    const PREFIX: &str = "pod-security.kubernetes.io/";
    let Some((wanted, _)) = settings.pod_security else { return Vec::new() };
    let mut findings = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        let key = format!("{PREFIX}{mode}");
        let Some(value) = namespace["metadata"]["labels"].get(&key).and_then(Value::as_str) else {
            continue;
        };
        let level = [Level::Privileged, Level::Baseline, Level::Restricted]
            .into_iter()
            .find(|level| level.as_str() == value);
        let problem = match level {
            None => format!("{value:?} is not a level: privileged, baseline or restricted"),
            Some(level) if level < wanted => {
                format!("label {mode} asks for {value}, less than {}", wanted.as_str())
            }
            Some(_) => continue,
        };
        let path = FieldPath::default().keys(&["metadata", "labels", &key]);
        findings.push(Finding::new(ControlId::HbPsa, path, problem));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_that_ask_for_less_or_for_nothing_known_are_named() {
        let restricted = Settings::built_in("restricted").unwrap();
        let evaluated = |labels: Value| {
            evaluate(&json!({"metadata": {"labels": labels}}), &restricted)
                .into_iter()
                .map(|finding| finding.message)
                .collect::<Vec<_>>()
        };
        assert!(evaluated(json!({"pod-security.kubernetes.io/enforce": "restricted"})).is_empty());
        assert!(evaluated(json!({"app": "x"})).is_empty());
        let lower = evaluated(json!({"pod-security.kubernetes.io/warn": "baseline"}));
        assert!(
            lower[0].contains("label warn asks for baseline, less than restricted"),
            "{lower:?}"
        );
        let wrong = evaluated(json!({"pod-security.kubernetes.io/enforce": "Restricted"}));
        assert!(wrong[0].contains("is not a level"), "{wrong:?}");
    }
}
