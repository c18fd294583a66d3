//! Practices that admission does not enforce: probes, replicas, disruption budgets, separate process namespaces, and no
//! API token without need.

use serde_json::Value;

use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Subject;
use crate::policy::WorkloadKind;

/// Evaluates a pod by itself.
pub(crate) fn evaluate(subject: &Subject<'_>) -> Vec<Finding> {
    shared_processes(subject).into_iter().collect()
}

/// Whether pods of this kind run until somebody stops them.
pub(crate) fn serves(kind: WorkloadKind) -> bool {
    matches!(kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet)
}

fn containers<'v>(subject: &Subject<'v>, list: &str) -> &'v [Value] {
    subject.spec[list].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Init containers that run as long as the pod.
fn sidecars<'v>(subject: &Subject<'v>) -> impl Iterator<Item = &'v Value> {
    let all = containers(subject, "initContainers").iter();
    all.filter(|container| container["restartPolicy"] == "Always")
}

fn has(container: &Value, probe: &str) -> bool {
    container[probe].is_object()
}

/// A pod without probes, or one that gets requests before it is ready. Whether it gets any depends on the Services.
///
/// The readiness probe of one container decides for the whole pod, so sidecars need none. A port for metrics needs no
/// readiness probe, and neither do most pods of a `DaemonSet`.
pub(crate) fn probes(subject: &Subject<'_>) -> Option<Finding> {
    let own = containers(subject, "containers");
    if !serves(subject.kind) || own.is_empty() {
        return None;
    }
    let all = || own.iter().chain(sidecars(subject));
    if all().any(|container| has(container, "readinessProbe")) {
        return None;
    }
    let probed = all().any(|container| {
        has(container, "livenessProbe") || has(container, "startupProbe") || has_hook(container)
    });
    let at = |index: usize, field: &str, problem: &str, is_note: bool| {
        let name = own.get(index).and_then(|container| container["name"].as_str());
        let name = super::object::short(name.unwrap_or_default());
        let path = subject.in_spec(&["containers"]).index(index).key(field);
        let finding =
            Finding::new(ControlId::HbProbe, path, format!("container {name:?} {problem}"));
        if is_note { finding.noted() } else { finding }
    };
    match (own.iter().position(takes_requests), probed) {
        (Some(index), _) if subject.kind != WorkloadKind::DaemonSet => Some(at(
            index,
            "readinessProbe",
            "has no readinessProbe, so it gets requests before it can answer",
            false,
        )),
        (_, false) => Some(at(
            0,
            "livenessProbe",
            "has no probe, so the kubelet does not restart it when it hangs",
            true,
        )),
        _ => None,
    }
}

/// Some programs use this hook to wait until they are ready.
fn has_hook(container: &Value) -> bool {
    container["lifecycle"]["postStart"].is_object()
}

fn takes_requests(container: &Value) -> bool {
    let ports = container["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    ports.iter().any(|port| {
        let name = port["name"].as_str().unwrap_or_default();
        !["metrics", "prometheus", "monitoring", "health", "healthz", "pprof", "debug"]
            .iter()
            .any(|word| name.split('-').any(|part| part == *word))
    })
}

fn shared_processes(subject: &Subject<'_>) -> Option<Finding> {
    const FIELD: &str = "shareProcessNamespace";
    let several = containers(subject, "containers").len() + sidecars(subject).count() > 1;
    let message = "containers of the pod can read each other's processes, environment and files";
    (several && subject.spec[FIELD] == true)
        .then(|| Finding::new(ControlId::HbProcNs, subject.in_spec(&[FIELD]), message))
}

/// A single replica. With the strategy Recreate it is intended.
pub(crate) fn replicas(subject: &Subject<'_>, object: &Value) -> Option<Finding> {
    let spec = &object["spec"];
    let stated = &spec["replicas"];
    let one = stated.is_null() || *stated == 1;
    let intended = spec["strategy"]["type"] == "Recreate";
    let message = if stated.is_null() {
        "replicas is not set and defaults to 1: an eviction is an outage"
    } else {
        "one replica: an eviction is an outage"
    };
    let path = FieldPath::default().keys(&["spec", "replicas"]);
    (subject.kind == WorkloadKind::Deployment && one && !intended)
        .then(|| Finding::new(ControlId::HbReplicas, path, message).noted())
}

/// Several replicas, which a drain can evict at once.
pub(crate) fn budget(subject: &Subject<'_>, object: &Value) -> Option<Finding> {
    let several = object["spec"]["replicas"].as_i64().is_some_and(|replicas| replicas > 1);
    let kind = matches!(subject.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet);
    let path = FieldPath::default().keys(&["spec", "replicas"]);
    let message = "no PodDisruptionBudget among the files selects these pods";
    (kind && several).then(|| Finding::new(ControlId::HbPdb, path, message).noted())
}

/// A pod that does not mention the token, and gets one.
pub(crate) fn token(subject: &Subject<'_>) -> Option<Finding> {
    const FIELD: &str = "automountServiceAccountToken";
    let message = "the pod gets an API token unless its ServiceAccount switches it off";
    (subject.spec.is_object() && subject.spec[FIELD].is_null()).then(|| {
        Finding::new(ControlId::HbTokenDefault, subject.in_spec(&[FIELD]), message).noted()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(kind: WorkloadKind, spec: &Value) -> Vec<String> {
        let object = json!({"spec": {"template": {"spec": spec}}});
        let subject = Subject::of_kind(kind, &object);
        let found: Vec<_> = evaluate(&subject).into_iter().chain(probes(&subject)).collect();
        let one = |f: &Finding| {
            let path = f.path.to_string().replace("spec.template.spec.", "");
            if f.note { format!("note {path}") } else { path }
        };
        found.iter().map(one).collect()
    }

    #[test]
    fn pods_without_probes_are_found() {
        let web = json!([{"name": "http", "containerPort": 8080}]);
        let metrics = json!([{"name": "http-metrics", "containerPort": 9090}]);
        let (ready, live) = ("containers[0].readinessProbe", "note containers[0].livenessProbe");
        for (kind, containers, wanted) in [
            (WorkloadKind::Deployment, json!([{"name": "a"}]), Some(live)),
            (WorkloadKind::Deployment, json!([{"ports": web}]), Some(ready)),
            (WorkloadKind::StatefulSet, json!([{"ports": web, "livenessProbe": {}}]), Some(ready)),
            (WorkloadKind::Deployment, json!([{"livenessProbe": {}}]), None),
            (WorkloadKind::Deployment, json!([{"ports": metrics, "livenessProbe": {}}]), None),
            (WorkloadKind::Deployment, json!([{"ports": metrics}]), Some(live)),
            (WorkloadKind::Deployment, json!([{"ports": web, "readinessProbe": {}}]), None),
            // The pod is not ready before its first container is.
            (
                WorkloadKind::Deployment,
                json!([{"ports": web, "readinessProbe": {}}, {"name": "proxy", "ports": web}]),
                None,
            ),
            (WorkloadKind::DaemonSet, json!([{"ports": web, "livenessProbe": {}}]), None),
            (WorkloadKind::DaemonSet, json!([{"ports": web}]), Some(live)),
            (WorkloadKind::Job, json!([{"ports": web}]), None),
            (WorkloadKind::ReplicaSet, json!([{"ports": web}]), None),
            (WorkloadKind::Deployment, json!([]), None),
            (WorkloadKind::Deployment, json!("x"), None),
        ] {
            let wanted: Vec<_> = wanted.into_iter().collect();
            let spec = json!({ "containers": containers });
            assert_eq!(found(kind, &spec), wanted, "{kind:?} {spec}");
        }
    }

    #[test]
    fn processes_are_shared_by_several_containers_only() {
        let of = |containers: Value, inits: Value| {
            let spec = json!({
                "shareProcessNamespace": true, "containers": containers, "initContainers": inits,
            });
            found(WorkloadKind::Job, &spec)
        };
        let shared = ["shareProcessNamespace"];
        assert_eq!(of(json!([{}, {}]), json!([])), shared);
        assert_eq!(of(json!([{}]), json!([{"restartPolicy": "Always"}])), shared);
        assert_eq!(of(json!([{}]), json!([{}])), [""; 0]);
    }

    #[test]
    fn one_replica_is_noted_unless_it_is_intended() {
        let of = |spec: Value| {
            let object = json!({ "spec": spec });
            let subject = Subject::of_kind(WorkloadKind::Deployment, &object);
            (replicas(&subject, &object).is_some(), budget(&subject, &object).is_some())
        };
        assert_eq!(of(json!({})), (true, false));
        assert_eq!(of(json!({"replicas": 1})), (true, false));
        assert_eq!(of(json!({"replicas": 0})), (false, false));
        assert_eq!(of(json!({"replicas": 2})), (false, true));
        assert_eq!(of(json!({"strategy": {"type": "Recreate"}})), (false, false));
    }
}
