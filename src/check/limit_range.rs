//! Amounts that the LimitRange of a baseline would have the API server refuse.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Subject;
use crate::quantity::Quantity;

type Amounts = BTreeMap<String, String>;

/// What a baseline fills in and bounds, by resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitRange {
    requests: Amounts,
    limits: Amounts,
    max: Amounts,
}

impl LimitRange {
    /// The LimitRange that the operator makes for a baseline.
    pub(crate) fn of(spec: &HardeningBaselineSpec) -> Self {
        let Some(resources) = &spec.resources else { return Self::default() };
        let defaults = resources.container_defaults.clone().unwrap_or_default();
        let max = resources.container_max.clone();
        // What states no default limit has the largest one, and what states no default request that limit.
        let mut limits = max.clone();
        limits.extend(defaults.limits);
        let mut requests = limits.clone();
        requests.extend(defaults.requests);
        Self { requests, limits, max }
    }

    /// What is wrong with the amounts of a pod once the API server has filled in what it leaves out.
    pub(crate) fn evaluate(&self, subject: &Subject<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for list in ["initContainers", "containers"] {
            let containers = subject.spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
            for (index, container) in containers.iter().enumerate() {
                let at = subject.in_spec(&[list]).index(index).key("resources");
                let name = container["name"].as_str().unwrap_or_default();
                for resource in self.limits.keys() {
                    if let Some((section, problem)) =
                        self.problem(&container["resources"], resource)
                    {
                        let message = format!("container {name:?} {problem}");
                        let path = at.keys(&[section, resource]);
                        let remedy = "state a limit that is not below the request and not above containerMax";
                        let finding = Finding::new(ControlId::HbRes, path, message);
                        findings.push(Finding {
                            verdict: Verdict::Deny,
                            ..finding.with_remedy(remedy)
                        });
                    }
                }
            }
        }
        findings
    }

    /// The section at which an amount is refused, and why.
    fn problem(&self, resources: &Value, resource: &str) -> Option<(&'static str, String)> {
        let stated = |section: &str| amount(&resources[section][resource]);
        let (own_limit, own_request) = (stated("limits"), stated("requests"));
        let limit = own_limit.clone().or_else(|| self.limits.get(resource).cloned())?;
        // A limit that is stated stands in for a request that is not.
        let filled = || own_limit.clone().or_else(|| self.requests.get(resource).cloned());
        let request = own_request.clone().or_else(filled)?;
        if let Some(max) = self.max.get(resource).filter(|max| above(&limit, max)) {
            return Some((
                "limits",
                format!("limits {resource} to {limit}, and {max} is the most"),
            ));
        }
        if !above(&request, &limit) {
            return None;
        }
        let problem = if own_limit.is_some() {
            format!("requests {request} of {resource}, above its limit of {limit}")
        } else {
            format!(
                "requests {request} of {resource} and states no limit: the baseline fills in {limit}, which is less"
            )
        };
        Some(("requests", problem))
    }
}

fn amount(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn above(one: &str, other: &str) -> bool {
    match (Quantity::parse(one.trim()), Quantity::parse(other.trim())) {
        (Some(one), Some(other)) => one > other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::WorkloadKind;

    #[test]
    fn reports_5_amounts_that_our_own_limit_range_refuses_are_found() {
        let spec: HardeningBaselineSpec =
            serde_json::from_value(json!({"allNamespaces": true, "resources": {
                "containerDefaults": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m"}},
                "containerMax": {"cpu": "2", "memory": "1Gi"},
            }}))
            .unwrap();
        let range = LimitRange::of(&spec);
        let found = |resources: Value| {
            let pod = json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
            let findings = range.evaluate(&Subject::of_kind(WorkloadKind::Pod, &pod));
            findings.iter().map(|f| f.path.to_string()).collect::<Vec<_>>()
        };
        let at = |field: &str| vec![format!("spec.containers[0].resources.{field}")];
        assert_eq!(found(json!({"requests": {"memory": "600Mi"}})), at("requests.memory"));
        assert_eq!(found(json!({"limits": {"memory": "2Gi"}})), at("limits.memory"));
        assert_eq!(found(json!({"requests": {"cpu": "3"}})), at("requests.cpu"));
        assert_eq!(
            found(json!({"requests": {"cpu": 1}, "limits": {"cpu": "500m"}})),
            at("requests.cpu")
        );
        for fine in [
            json!(null),
            json!({"requests": {"memory": "512Mi"}}),
            json!({"limits": {"memory": "600Mi"}, "requests": {"memory": "600Mi"}}),
            json!({"limits": {"cpu": "50m"}}),
            json!({"requests": {"ephemeral-storage": "1Ti"}}),
        ] {
            assert_eq!(found(fine.clone()), [""; 0], "{fine}");
        }
    }
}
