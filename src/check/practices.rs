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

/// A pod without probes, or one that gets requests before it is ready. Whether it gets any depends on the Services: the
/// first finding counts if one selects the pods, the second if none does.
///
/// The readiness probe of one container decides for the whole pod, so sidecars need none. A port for metrics needs no
/// readiness probe, and neither do most pods of a `DaemonSet`. Ports need not be declared to be open.
pub(crate) fn probes(subject: &Subject<'_>) -> (Option<Finding>, Option<Finding>) {
    let own = containers(subject, "containers");
    let all = || own.iter().chain(sidecars(subject));
    let is_ready = all().any(|container| has(container, "readinessProbe"));
    if !serves(subject.kind) || own.is_empty() || is_ready {
        return (None, None);
    }
    let probed = all().any(|container| {
        has(container, "livenessProbe") || has(container, "startupProbe") || has_hook(container)
    });
    let at = |index: usize, field: &str, problem: &str| {
        let name = own.get(index).and_then(|container| container["name"].as_str());
        let name = super::object::short(name.unwrap_or_default());
        let path = subject.in_spec(&["containers"]).index(index).key(field);
        Finding::new(ControlId::HbProbe, path, format!("container {name:?} {problem}"))
    };
    let unready = |index: usize| {
        let problem = "has no readinessProbe, so it gets requests before it can answer";
        at(index, "readinessProbe", problem)
    };
    let idle = (!probed).then(|| {
        let problem = "has no probe, so the kubelet does not restart it when it hangs";
        at(0, "livenessProbe", problem).noted()
    });
    let declared = own.iter().position(takes_requests);
    let served = match declared {
        _ if subject.kind == WorkloadKind::DaemonSet => idle.clone(),
        Some(index) => Some(unready(index)),
        None if own.iter().all(declares_no_port) => Some(unready(0)),
        None => idle.clone(),
    };
    // What declares a port means to be asked: it is a note if no Service is among the files.
    let unserved = match declared {
        Some(index) if subject.kind != WorkloadKind::DaemonSet => Some(unready(index).noted()),
        _ => idle,
    };
    (served, unserved)
}

fn declares_no_port(container: &Value) -> bool {
    container["ports"].as_array().is_none_or(Vec::is_empty)
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

/// A single replica. With the strategy Recreate it is intended. An autoscaler decides about it, too.
pub(crate) fn replicas(subject: &Subject<'_>, object: &Value) -> Option<Finding> {
    let spec = &object["spec"];
    let intended = spec["strategy"]["type"] == "Recreate";
    let message = if spec["replicas"].is_null() {
        "replicas is not set and defaults to 1: an eviction is an outage"
    } else {
        "one replica: an eviction is an outage"
    };
    let path = FieldPath::default().keys(&["spec", "replicas"]);
    (subject.kind == WorkloadKind::Deployment && !intended)
        .then(|| Finding::new(ControlId::HbReplicas, path, message).noted())
}

/// Several replicas, which a drain can evict at once.
pub(crate) fn budget(subject: &Subject<'_>) -> Option<Finding> {
    let kind = matches!(subject.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet);
    let path = FieldPath::default().keys(&["spec", "replicas"]);
    let message = "no PodDisruptionBudget among the files selects these pods";
    kind.then(|| Finding::new(ControlId::HbPdb, path, message).noted())
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
        let (served, _) = probes(&subject);
        let found: Vec<_> = evaluate(&subject).into_iter().chain(served).collect();
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
            (WorkloadKind::Deployment, json!([{"name": "a"}]), Some(ready)),
            (WorkloadKind::StatefulSet, json!([{"ports": []}]), Some(ready)),
            (WorkloadKind::DaemonSet, json!([{"name": "a"}]), Some(live)),
            (WorkloadKind::Deployment, json!([{"ports": web}]), Some(ready)),
            (WorkloadKind::StatefulSet, json!([{"ports": web, "livenessProbe": {}}]), Some(ready)),
            (WorkloadKind::Deployment, json!([{"livenessProbe": {}}]), Some(ready)),
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
    fn without_a_service_only_declared_ports_ask_for_readiness() {
        let of = |containers: Value| {
            let object = json!({"spec": {"template": {"spec": {"containers": containers}}}});
            let (_, unserved) = probes(&Subject::of_kind(WorkloadKind::Deployment, &object));
            unserved.map(|finding| (finding.path.to_string(), finding.note))
        };
        let at = |field: &str| Some((format!("spec.template.spec.containers[0].{field}"), true));
        assert_eq!(of(json!([{"ports": [{"containerPort": 80}]}])), at("readinessProbe"));
        assert_eq!(of(json!([{"name": "a"}])), at("livenessProbe"));
        assert_eq!(of(json!([{"livenessProbe": {}}])), None);
    }

    #[test]
    fn one_replica_is_intended_with_the_strategy_recreate() {
        let of = |spec: Value| {
            let object = json!({ "spec": spec });
            let subject = Subject::of_kind(WorkloadKind::Deployment, &object);
            replicas(&subject, &object).is_some()
        };
        assert!(of(json!({})) && of(json!({"replicas": 1})));
        assert!(!of(json!({"strategy": {"type": "Recreate"}})));
    }
}
