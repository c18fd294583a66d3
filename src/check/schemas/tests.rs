use serde_json::{Value, json};

use super::*;
use crate::check::object::objects;

fn outcome(schemas: &Schemas, object: &Value) -> Outcome {
    schemas.evaluate(&objects(object)[0])
}

fn findings(schemas: &Schemas, object: &Value) -> Vec<Finding> {
    match outcome(schemas, object) {
        Outcome::Evaluated(findings) => findings,
        other => panic!("{other:?}"),
    }
}

fn found(object: &Value) -> Vec<String> {
    let found = findings(&Schemas::default(), object);
    found.iter().map(|f| format!("{}: {}", f.path, f.message)).collect()
}

fn of(minor: u32) -> Schemas {
    Schemas { minor, ..Schemas::default() }
}

fn pod(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if spec["containers"].is_null() {
        spec["containers"] = json!([{"name": "a"}]);
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn unknown_fields_and_wrong_types_of_built_in_kinds_are_named() {
    let container = |fields: Value| {
        let mut container = json!({"name": "a"});
        for (name, value) in fields.as_object().unwrap() {
            container[name] = value.clone();
        }
        pod(&json!({ "containers": [container] }))
    };
    for (object, wanted) in [
        (
            container(json!({"securityContex": {}})),
            "spec.containers[0].securityContex: unknown field \"securityContex\"; did you mean securityContext?",
        ),
        (
            container(json!({"Image": "x"})),
            "spec.containers[0].Image: unknown field \"Image\"; did you mean image?",
        ),
        (
            pod(&json!({"hostPID": "true"})),
            "spec.hostPID: must be of type boolean; write true or false without quotes",
        ),
        (pod(&json!({"containers": {}})), "spec.containers: must be of type array"),
        (
            container(json!({"env": [{"name": "A", "value": 1}]})),
            "spec.containers[0].env[0].value: must be of type string; put it in quotes",
        ),
        (
            pod(&json!({"nodeSelector": {"a": true}})),
            "spec.nodeSelector.a: must be of type string; put it in quotes",
        ),
        (
            container(json!({"imagePullPolicy": "always"})),
            "spec.containers[0].imagePullPolicy: \"always\" is not one of Always, IfNotPresent, Never",
        ),
        (
            container(json!({"resources": {"limits": {"memory": "12Gigs"}}})),
            "spec.containers[0].resources.limits.memory: \"12Gigs\" is no quantity: write one such as 500m or 1Gi",
        ),
        (
            pod(&json!({"terminationGracePeriodSeconds": 1.5})),
            "spec.terminationGracePeriodSeconds: must be of type integer",
        ),
        (
            pod(&json!({"priority": 3_000_000_000_u32})),
            "spec.priority: must be of type integer of 32 bits",
        ),
        (pod(&json!({"containers": [{}]})), "spec.containers[0].name: field name is missing"),
        (
            pod(&json!({"containers": [{"name": ""}]})),
            "spec.containers[0].name: field name is empty",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "no base"}}),
            "data.a: is not base64: encode it, or move it to stringData",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"lables": {}}}),
            "metadata.lables: unknown field \"lables\"; did you mean labels?",
        ),
    ] {
        assert_eq!(found(&object), [wanted]);
    }
}

#[test]
fn what_the_api_server_reads_is_fine() {
    for fine in [
        pod(&json!({
            "containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": ""}],
                "resources": {"limits": {"cpu": 1, "memory": "1Gi", "x/y": 1.5}},
                "livenessProbe": {"httpGet": {"port": "http", "path": "/"}}}],
            "securityContext": null, "terminationGracePeriodSeconds": 30.0,
        })),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {"tokenRequests": [{"audience": ""}]}}),
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aGk=\n", "b": null, "c": "ENC[x]"}, "sops": {"mac": "x"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"any": 1}, "spec": {
            "replicas": "${REPLICAS}", "selector": {"$patch": "replace"}, "template": {"metadata": {"creationTimestamp": null}}}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": {
            "group": "a", "names": {"kind": "A", "plural": "as"}, "scope": "Namespaced", "versions": [{"name": "v1",
            "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {
                "x-kubernetes-preserve-unknown-fields": true, "default": {"b": 1}, "items": {"type": "x"}}}}}}]}}),
    ] {
        assert_eq!(found(&fine), [""; 0], "{fine}");
    }
}

/// What is said of a version, and what to write.
fn of_kind(schemas: &Schemas, version: &str, kind: &str) -> Option<String> {
    let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
    let Outcome::Evaluated(found) = outcome(schemas, &object) else { return None };
    let finding = found.iter().find(|finding| finding.control.id == ControlId::HbApi)?;
    Some(format!("{}; {}", finding.message, finding.remedy))
}

#[test]
fn versions_that_are_gone_are_named_with_the_one_to_write() {
    for (version, kind, since, api) in [
        ("apps/v1beta1", "Deployment", 16, "apps/v1"),
        ("batch/v1beta1", "CronJob", 25, "batch/v1"),
        ("batch/v2alpha1", "CronJob", 21, "batch/v1"),
        ("policy/v1beta1", "PodDisruptionBudget", 25, "policy/v1"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 26, "autoscaling/v2"),
        ("networking.k8s.io/v1beta1", "Ingress", 22, "networking.k8s.io/v1"),
        ("extensions/v1beta1", "Ingress", 22, "networking.k8s.io/v1"),
        ("extensions/v1beta1", "DaemonSet", 16, "apps/v1"),
        ("events.k8s.io/v1beta1", "Event", 25, "events.k8s.io/v1"),
        ("storage.k8s.io/v1alpha1", "VolumeAttributesClass", 35, "storage.k8s.io/v1"),
    ] {
        let said = of_kind(&Schemas::default(), version, kind);
        let wanted = format!(
            "{kind} of {version} is gone since Kubernetes 1.{since}; write apiVersion: {api}, and compare the fields"
        );
        assert_eq!(said.as_deref(), Some(wanted.as_str()));
    }
    let said = |version: &str, kind: &str| of_kind(&Schemas::default(), version, kind).unwrap();
    assert!(said("policy/v1beta1", "PodSecurityPolicy").ends_with("serves this kind any more"));
    assert!(
        said("networking.k8s.io/v1alpha1", "ClusterCIDR").contains("gone since Kubernetes 1.29")
    );
    assert!(said("apps/v1", "Deploymnt").ends_with("write kind: Deployment"));
    assert!(
        said("v1", "Deployment").ends_with("write apiVersion: apps/v1, and compare the fields")
    );
    assert!(said("v1", "Endpoints").contains("deprecated since Kubernetes 1.33"));
    for none in [
        ("example.com/v1", "Widget"),
        ("policy/v1", "PodDisruptionBudget"),
        ("v1", "Config"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("apps/v1", "DeploymentList"),
    ] {
        assert_eq!(of_kind(&Schemas::default(), none.0, none.1), None);
    }
}

#[test]
fn the_version_that_the_files_are_for_decides() {
    let class = |minor| of_kind(&of(minor), "storage.k8s.io/v1", "VolumeAttributesClass");
    assert!(class(33).unwrap().contains("exists since Kubernetes 1.34, and this is for 1.33"));
    assert_eq!(class(34), None);
    let beta =
        |minor| of_kind(&of(minor), "storage.k8s.io/v1beta1", "VolumeAttributesClass").unwrap();
    assert!(beta(35).contains("is gone in Kubernetes 1.37") && beta(37).contains("is gone since"));
    let field = pod(&json!({"hostnameOverride": "x"}));
    assert!(findings(&of(33), &field)[0].message.contains("exists since Kubernetes 1.34"));
    assert_eq!(findings(&of(34), &field), []);
    for (text, minor) in [
        ("1.35", Ok(35)),
        ("v1.36.2", Ok(36)),
        ("1.32", Err(())),
        ("2.33", Err(())),
        ("1", Err(())),
    ] {
        assert_eq!(minor_version(text).map_err(|_| ()), minor, "{text}");
    }
}

#[test]
fn our_kinds_and_given_ones_are_known() {
    let secret = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"nam": "a"},
        "spec": {"refreshIntervall": "1h"}});
    let said = found(&secret);
    assert!(said.iter().any(|said| said.contains("did you mean refreshInterval?")), "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("metadata.nam: unknown field")), "{said:?}");
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "size": "x", "more": 1,
        "status": {"size": "x"}});
    assert_eq!(outcome(&Schemas::default(), &widget), Outcome::Unknown);
    let mut given = Definitions::default();
    given.add(&json!({"spec": {"group": "example.com", "names": {"kind": "Widget"}, "versions": [
        {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"},
            "status": {"type": "object", "required": ["phase"], "properties": {"phase": {"type": "string"}}}}}}},
    ]}}));
    let schemas = Schemas { given, ..Schemas::default() };
    let findings = findings(&schemas, &widget);
    let said: Vec<_> = findings.iter().map(|f| (f.path.to_string(), f.severity)).collect();
    assert_eq!(said, [("more".to_owned(), Severity::Medium), ("size".to_owned(), Severity::High)]);
}

#[test]
fn json_schemas_are_found_by_their_names_and_folders_without_any_are_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(Definitions::of_folders(&[&empty]).is_err_and(|e| e.contains("holds no Custom")));
    let schema = r#"{"type": "object", "properties": {"size": {"type": "integer"}}}"#;
    write("argoproj.io/rollout_v1alpha1.json", schema);
    write("widget-example-v1.json", schema);
    write("thing-example-v1.json", "{");
    let definition = r#"{"spec": {"group": "example.com", "names": {"kind": "Gear"}, "versions": [
        {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"}}}}}]}}"#;
    write("gear-v1.json", definition);
    write("values.yaml", "a: 1\n---\nb: {{ c }}\n");
    let given = Definitions::of_folders(&[&folder.path().to_owned()]).unwrap();
    let schemas = Schemas { given, ..Schemas::default() };
    for (api, kind) in [
        ("argoproj.io/v1alpha1", "Rollout"),
        ("example.com/v1", "Widget"),
        ("example.com/v1", "Gear"),
    ] {
        let object = json!({"apiVersion": api, "kind": kind, "size": "x"});
        assert_eq!(findings(&schemas, &object).len(), 1, "{kind}");
    }
    let broken = outcome(&schemas, &json!({"apiVersion": "example.com/v1", "kind": "Thing"}));
    assert!(
        matches!(broken, Outcome::Broken(why) if why.contains("thing-example-v1.json is no JSON"))
    );
    let other = outcome(&schemas, &json!({"apiVersion": "example.com/v2", "kind": "Widget"}));
    assert_eq!(other, Outcome::Unknown);
}
