//! The findings of an object, by its kind.

use serde_json::Value;

use super::{
    budget, credentials, cross_references, exposure, namespace, network,
    object::{Object, short},
    practices, rbac,
    rules::Rules,
    secret,
    selectors::{self, Unless},
    shapes::Shapes,
};
use crate::policy::Finding;
use crate::policy::Subject;
use crate::policy::WorkloadKind;
use crate::policy::evaluate as evaluate_pod;

/// The findings of an object; `None` if there are no checks for it.
pub(crate) fn evaluate(
    object: &Object<'_>,
    subject: Option<&Subject<'_>>,
    rules: &Rules,
) -> Option<Vec<Finding>> {
    let value = object.value;
    Some(match (subject, object.group(), object.kind) {
        (Some(subject), ..) => pod(subject, rules),
        (_, "networking.k8s.io", "NetworkPolicy") => network::evaluate(value),
        (_, "networking.k8s.io", "Ingress") => exposure::of_ingress(value),
        (_, "", "Service") => exposure::of_service(value),
        (_, "", "Secret") => secret::evaluate(value),
        (_, "", "ConfigMap") => credentials::of_config_map(value),
        (_, "", "Namespace") => namespace::evaluate(value, &rules.settings),
        (_, rbac::GROUP, kind @ ("Role" | "ClusterRole")) => {
            rbac::of_role(value, kind == "ClusterRole")
        }
        (_, rbac::GROUP, kind @ ("RoleBinding" | "ClusterRoleBinding")) => {
            rbac::of_binding(value, kind == "ClusterRoleBinding")
        }
        (_, budget::GROUP, "PodDisruptionBudget") if rules.practices => budget::of_budget(value),
        // Read for the findings of others.
        (_, cross_references::GROUP, _)
        | (_, budget::GROUP, "PodDisruptionBudget")
        | (_, "autoscaling", "HorizontalPodAutoscaler")
        | (_, "", "ServiceAccount") => Vec::new(),
        _ => return None,
    })
}

/// The findings of the pods in an object of a kind for which there are no checks; `None` if there are none in it.
pub(crate) fn of_shapes(shapes: &Shapes<'_>, rules: &Rules) -> Option<Vec<Finding>> {
    let pods = shapes.templates.iter().flat_map(|subject| pod(subject, rules));
    (!shapes.templates.is_empty()).then(|| pods.collect())
}

fn pod(subject: &Subject<'_>, rules: &Rules) -> Vec<Finding> {
    let mut findings = evaluate_pod(&rules.settings, subject);
    findings.extend(credentials::of_arguments(&rules.settings, subject));
    findings.extend(rules.limit_range.evaluate(subject));
    if rules.practices {
        findings.extend(practices::evaluate(subject));
    }
    findings
}

/// The findings of an object that other objects can cancel, each with what cancels it.
pub(crate) fn conditional(
    object: &Object<'_>,
    subject: Option<&Subject<'_>>,
    rules: &Rules,
) -> Vec<(Unless, Finding)> {
    let value = object.value;
    let of = |unless, found: Option<Finding>| found.map(|one| (unless, one)).into_iter().collect();
    match (subject, object.group(), object.kind) {
        (Some(subject), ..) if rules.practices => selectors::of_workload(subject, value),
        (None, "", "Service") => of(Unless::Pods, selectors::of_service(value)),
        (None, budget::GROUP, "PodDisruptionBudget") if rules.practices => {
            of(Unless::Spare, budget::of_all_pods(value))
        }
        _ => Vec::new(),
    }
}

/// What to say of a document that was meant to be an object.
pub(crate) fn half_an_object(value: &Value) -> Option<String> {
    let has = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
    let body = has("metadata") || has("spec");
    let missing = match (has("apiVersion"), has("kind")) {
        (true, false) if body => "kind",
        (false, true) if body => "apiVersion",
        _ => return None,
    };
    Some(format!("looks like an object and has no {missing}, so it is not evaluated: add it"))
}

/// What to say of an object whose kind is written as no API server knows it.
pub(crate) fn misnamed(object: &Object<'_>) -> Option<String> {
    let (group, kind) = (object.group(), object.kind);
    let workloads = WorkloadKind::TEMPLATES.into_iter().chain([WorkloadKind::Pod]);
    let workloads = workloads.map(|known| (known.group(), known.as_str()));
    let others = [
        ("", "Secret"),
        ("", "ConfigMap"),
        ("", "Namespace"),
        ("", "Service"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("networking.k8s.io", "Ingress"),
        (rbac::GROUP, "Role"),
        (rbac::GROUP, "ClusterRole"),
        (rbac::GROUP, "RoleBinding"),
        (rbac::GROUP, "ClusterRoleBinding"),
    ];
    let mut known = workloads.chain(others);
    let (right, name) = known.find(|(_, name)| name.eq_ignore_ascii_case(kind))?;
    if group == right && name != kind {
        return Some(format!("kind {kind:?} is not known: write {name}"));
    }
    let version = if right.is_empty() { "v1".to_owned() } else { format!("{right}/v1") };
    (group == "extensions" && name == kind).then(|| {
        format!(
            "{kind} of {} is served by no cluster any more: write {version}",
            short(object.api_version)
        )
    })
}

/// How a kind for which there are no checks is listed.
pub(crate) fn unevaluated(group: &str, kind: &str) -> String {
    let (group, kind) = (short(group), short(kind));
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}
