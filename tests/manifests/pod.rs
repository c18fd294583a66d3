//! Our own pod is the first that has to be as a hardening guide demands.

use serde_json::{Value, json};

use super::yaml::{document, documents, read, texts};

fn deployment() -> Value {
    document("config/operator/deployment.yaml", "Deployment", "gabion")
}

fn pod() -> Value {
    deployment()["spec"]["template"]["spec"].clone()
}

fn container() -> Value {
    let containers = pod()["containers"].clone();
    assert_eq!(containers.as_array().map(Vec::len), Some(1));
    containers[0].clone()
}

#[test]
fn it_runs_as_nobody_in_particular_without_privileges() {
    let security = &pod()["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert!(security[field].as_i64().is_some_and(|id| id >= 1000), "{field}");
    }
    assert_eq!(security["seccompProfile"], json!({"type": "RuntimeDefault"}));
    let own = &container()["securityContext"];
    assert_eq!(own["runAsNonRoot"], true);
    assert_eq!(own["privileged"], false);
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(own["seccompProfile"], json!({"type": "RuntimeDefault"}));
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod()[field].is_null(), "{field}");
    }
}

#[test]
fn its_root_is_read_only_and_only_tmp_can_be_written() {
    assert_eq!(container()["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container()["volumeMounts"], json!([{"name": "tmp", "mountPath": "/tmp"}]));
    let volumes = pod()["volumes"].clone();
    assert_eq!(volumes.as_array().map(Vec::len), Some(1));
    assert!(volumes[0]["emptyDir"]["sizeLimit"].is_string());
}

#[test]
fn its_resources_are_bounded() {
    for bound in ["requests", "limits"] {
        for resource in ["cpu", "memory", "ephemeral-storage"] {
            assert!(container()["resources"][bound][resource].is_string(), "{bound} of {resource}");
        }
    }
}

#[test]
fn only_the_pod_that_needs_the_token_gets_it() {
    let account = document("config/operator/service-account.yaml", "ServiceAccount", "gabion");
    assert_eq!(account["automountServiceAccountToken"], false);
    assert_eq!(pod()["automountServiceAccountToken"], true);
    assert_eq!(pod()["serviceAccountName"], "gabion");
    assert_eq!(pod()["enableServiceLinks"], false);
}

#[test]
fn it_has_no_literal_secret_and_says_how_to_log() {
    let env = container()["env"].clone();
    let value = |name: &str| {
        env.as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["name"] == name)
            .map(|entry| entry["value"].clone())
    };
    assert_eq!(value("LOG_LEVEL"), Some(json!("info")));
    assert_eq!(value("LOG_FORMAT"), Some(json!("json")));
    for entry in env.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let telling = ["PASSWORD", "SECRET", "TOKEN", "KEY"].iter().any(|word| name.contains(word));
        assert!(!telling, "{name}");
    }
}

#[test]
fn it_is_probed_where_it_listens_and_ends_in_time() {
    let ports = container()["ports"].clone();
    let number = |name: &str| {
        let port = ports.as_array().unwrap().iter().find(|port| port["name"] == name).unwrap();
        port["containerPort"].as_i64().unwrap()
    };
    let (metrics, health) = (number("metrics"), number("health"));
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(
            container()[probe]["httpGet"],
            json!({"path": path, "port": "health"}),
            "{probe}"
        );
    }
    assert_eq!(pod()["terminationGracePeriodSeconds"], 15);
    let service = document("config/operator/service.yaml", "Service", "gabion-metrics");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "metrics");
    let flags = read("docs/flags.md");
    assert!(flags.contains(&format!("`:{metrics}`")) && flags.contains(&format!("`:{health}`")));
    let image = read("Dockerfile");
    assert!(image.contains(&format!("EXPOSE {metrics} {health}")));
}

#[test]
fn its_image_is_named_with_a_version_and_ends_without_root_or_shell() {
    let images = documents("config/operator/kustomization.yaml")[0]["images"].clone();
    assert_eq!(images[0]["name"], container()["image"]);
    assert_eq!(images[0]["newTag"], env!("CARGO_PKG_VERSION"));
    let dockerfile = read("Dockerfile");
    let stages: Vec<_> = dockerfile.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages, ["FROM ${BUILDER} AS build", "FROM ${BASE}"]);
    let last = dockerfile.rsplit("FROM ").next().unwrap();
    assert!(last.contains("USER 65532:65532") && last.contains("ENTRYPOINT [\"/gabion\"]"));
    assert!(!last.contains("RUN ") && dockerfile.contains("ARG BASE=scratch"));
    assert_eq!(pod()["securityContext"]["runAsUser"], 65532);
}

#[test]
fn its_namespace_is_restricted_and_closed_but_for_what_it_needs() {
    let namespace = document("config/operator/namespace.yaml", "Namespace", "gabion-system");
    for mode in ["enforce", "audit", "warn"] {
        let label = format!("pod-security.kubernetes.io/{mode}");
        assert_eq!(namespace["metadata"]["labels"][&label], "restricted");
    }
    let file = "config/operator/network-policy.yaml";
    let deny = document(file, "NetworkPolicy", "gabion-default-deny");
    assert_eq!(deny["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let own = document(file, "NetworkPolicy", "gabion");
    let ports = |direction: &str| {
        let rules = own["spec"][direction].as_array().unwrap();
        let ports = rules.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
        ports.map(|port| port["port"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ports("ingress"), [8080, 8081]);
    assert_eq!(ports("egress"), [53, 53, 443, 6443, 80]);
}

#[test]
fn every_selector_finds_the_pod_and_a_drain_is_never_blocked() {
    let labels = deployment()["spec"]["template"]["metadata"]["labels"].clone();
    let selectors = [
        deployment()["spec"]["selector"]["matchLabels"].clone(),
        document("config/operator/service.yaml", "Service", "gabion-metrics")["spec"]["selector"].clone(),
        document("config/operator/network-policy.yaml", "NetworkPolicy", "gabion")["spec"]["podSelector"]
            ["matchLabels"]
            .clone(),
    ];
    for selector in selectors {
        for (label, value) in selector.as_object().unwrap() {
            assert_eq!(&labels[label], value);
        }
    }
    let file = "config/operator/pod-disruption-budget.yaml";
    assert_eq!(document(file, "PodDisruptionBudget", "gabion")["spec"]["maxUnavailable"], 1);
}

#[test]
fn one_replica_never_overlaps_with_another_and_more_elect_one() {
    assert_eq!(deployment()["spec"]["replicas"], 1);
    assert_eq!(deployment()["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(texts(&container()["args"]), ["run"]);
    let overlay = read("config/overlays/replicas/kustomization.yaml");
    assert!(overlay.contains("--enable-leader-election") && overlay.contains("RollingUpdate"));
}
