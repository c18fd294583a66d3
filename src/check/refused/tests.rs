use serde_json::{Value, json};

use super::*;
use crate::check::object::objects;

fn found(object: &Value) -> Vec<String> {
    let objects = objects(object);
    let findings = evaluate(&objects[0], objects[0].subject().as_ref());
    findings.iter().map(|f| format!("{}: {}", f.path, f.message)).collect()
}

fn pod(container: &Value, more: &Value) -> Value {
    let mut spec = json!({"containers": [{"name": "a", "image": "a:1"}], "volumes": [{"name": "v", "emptyDir": {}}]});
    for (name, value) in fields(container) {
        spec["containers"][0][name] = value.clone();
    }
    for (name, value) in fields(more) {
        spec[name] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn what_contradicts_itself_is_named_at_its_field() {
    let none = json!({});
    for (container, wanted) in [
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}}),
            "resources.requests.cpu: requests 2 of cpu, above its limit of 500m",
        ),
        (
            json!({"resources": {"requests": {"nvidia.com/gpu": 1}}}),
            "resources.requests[\"nvidia.com/gpu\"]: the request of nvidia.com/gpu needs a limit that is the same",
        ),
        (
            json!({"resources": {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}}),
            "resources.requests[\"nvidia.com/gpu\"]: the request of nvidia.com/gpu must be its limit",
        ),
        (
            json!({"resources": {"requests": {"hugepages-2Mi": "2Mi"}, "limits": {"hugepages-2Mi": "4Mi"}}}),
            "resources.requests.hugepages-2Mi: the request of hugepages-2Mi must be its limit",
        ),
        (
            json!({"lifecycle": {"preStop": {}}}),
            "lifecycle.preStop: has no handler: give one of exec, httpGet, tcpSocket, sleep",
        ),
        (
            json!({"volumeMounts": [{"name": "w", "mountPath": "/w"}]}),
            "volumeMounts[0].name: there is no volume \"w\"",
        ),
        (
            json!({"ports": [{"containerPort": 0}]}),
            "ports[0].containerPort: 0 is no port: a port is between 1 and 65535",
        ),
        (
            json!({"ports": [{"name": "much-too-long-a-name", "containerPort": 1}]}),
            "ports[0].name: the name \"much-too-long-a-name\" of the port is longer than 15 characters",
        ),
        (
            json!({"livenessProbe": {"exec": {"command": ["a"]}, "httpGet": {"port": 1}}}),
            "livenessProbe: has several handlers: exec and httpGet",
        ),
        (
            json!({"env": [{"name": "A", "value": "secret", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
            "env[0].valueFrom: variable \"A\" has a value and a valueFrom",
        ),
    ] {
        assert_eq!(found(&pod(&container, &none)), [format!("spec.containers[0].{wanted}")]);
    }
    let twice = json!({"containers": [{"name": "a", "image": "a"}, {"name": "a", "image": "a"}]});
    assert_eq!(
        found(&pod(&none, &twice)),
        ["spec.containers[1].name: a second container is called \"a\""]
    );
    let both = json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]});
    assert_eq!(
        found(&pod(&none, &both)),
        ["spec.volumes[0]: has several types: emptyDir and hostPath"]
    );
    let limit = json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": -1}}]});
    assert_eq!(found(&pod(&none, &limit)), ["spec.volumes[0].emptyDir.sizeLimit: is below zero"]);
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": 0}}}});
    assert_eq!(found(&claim), ["spec.resources.requests.storage: must be above zero"]);
    let address = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "a"}});
    assert_eq!(found(&address), ["metadata.name: the name \"a\" is no IP address"]);
}

#[test]
fn what_is_filled_in_later_and_what_is_right_is_fine() {
    let none = json!({});
    for fine in [
        pod(
            &json!({"name": "${NAME}", "ports": [{"name": "${PORT}", "containerPort": "${PORT}"}]}),
            &none,
        ),
        pod(&json!({"volumeMounts": [{"name": "${VOLUME}", "mountPath": "/a"}]}), &none),
        pod(&json!({"resources": {"requests": {"cpu": "${CPU}"}, "limits": {"cpu": "1m"}}}), &none),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "${NAME}-web"}, "spec": {
            "selector": {"matchLabels": {"app": "${NAME}"}},
            "template": {"metadata": {"labels": {"app": "${NAME}"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}}),
        pod(
            &json!({"resources": {"requests": {"nvidia.com/gpu": 1, "hugepages-2Mi": "2Mi", "cpu": 1},
            "limits": {"nvidia.com/gpu": "1", "hugepages-2Mi": "2Mi"}}}),
            &none,
        ),
        pod(
            &json!({"resources": {"requests": {"nvidia.com/gpu": 1}, "limits": "${LIMITS}"}}),
            &none,
        ),
        pod(&none, &json!({"volumes": [{"name": "v", "emptyDir": {}, "sizeLimit": "1Gi"}]})),
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}}),
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1."}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "2001:db8::1"}}),
        // Nothing is known of a version that is gone, and a patch of one value is none of a kind.
        json!({"apiVersion": "apps/v1beta1", "kind": "Deployment", "spec": {"replicas": -1}}),
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "A B"}}),
    ] {
        assert_eq!(found(&fine), [""; 0], "{fine}");
    }
}

#[test]
fn nothing_in_an_object_can_make_it_fail_or_say_too_much() {
    let many: Vec<_> = (0..10_000).map(|_| json!({"name": "A".repeat(1000)})).collect();
    let said = found(&pod(&json!({}), &json!({ "containers": many })));
    assert_eq!(said.len(), MOST);
    assert!(said.iter().all(|line| line.len() < 600));
    for odd in
        [json!(null), json!(1), json!("x"), json!([]), json!({}), json!([[{}]]), json!({"a": [1]})]
    {
        for kind in ["Pod", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim"] {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": odd, "spec": odd, "data": odd});
            found(&object);
        }
        for (api, kind) in [
            ("apps/v1", "Deployment"),
            ("batch/v1", "CronJob"),
            ("networking.k8s.io/v1", "Ingress"),
            ("networking.k8s.io/v1", "NetworkPolicy"),
            ("policy/v1", "PodDisruptionBudget"),
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ] {
            let spec = json!({"selector": odd, "template": odd, "rules": odd, "ingress": odd, "egress": odd});
            found(
                &json!({"apiVersion": api, "kind": kind, "metadata": {"name": "a"}, "spec": spec, "rules": odd,
                "roleRef": odd, "subjects": odd}),
            );
        }
    }
}
