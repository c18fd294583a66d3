//! How a controller finds out that exactly this revision is in force, and that it can be evaluated at all.
//!
//! The API server does not check the types inside variables, so a policy that it accepts may still fail on every
//! request. Each policy of a revision is therefore tried by two dry-run requests before a binding says Deny.

use serde_json::{Value, json};

use super::error::PolicyError;
use super::image::canonical_prefix;
use super::settings::{Range, Settings};
use super::subject::{Subject, WorkloadKind};
use crate::policy::evaluate;

/// Annotation whose value makes one policy refuse the object.
pub(crate) const PROBE: &str = "gabion.dev/policy-probe";
/// Name of the probe objects.
pub(crate) const PROBE_NAME: &str = "gabion-policy-probe";

/// Two objects to create by dry-run, in a namespace that the policies reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Name of the policy that it proves.
    pub(crate) policy: String,
    /// Kind of both objects.
    pub(crate) kind: WorkloadKind,
    /// Holds every rule and has every field that a rule reads: must pass, or the policy errs.
    pub(crate) passes: Value,
    /// Like the first, with the annotation: must be denied, with `sentinel` in the message.
    pub denied: Value,
    /// Text that only this revision of this policy says.
    pub sentinel: String,
}

/// The probes of one policy.
pub(super) fn probe(
    settings: &Settings,
    kind: WorkloadKind,
    (policy, mark): (&str, &str),
) -> Result<Probe, PolicyError> {
    let passes = object(kind, &good_pod(settings)?);
    let mut denied = passes.clone();
    denied["metadata"]["annotations"] = json!({ PROBE: mark });
    Ok(Probe { policy: policy.to_owned(), kind, passes, denied, sentinel: sentinel(mark) })
}

/// What a policy says when it refuses an object with its mark.
pub(super) fn sentinel(mark: &str) -> String {
    format!("policy-probe {mark}")
}

fn object(kind: WorkloadKind, spec: &Value) -> Value {
    let metadata = json!({ "name": PROBE_NAME });
    if kind == WorkloadKind::Pod {
        return json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec });
    }
    let labels = json!({ "app": PROBE_NAME });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    })
}

/// A pod that holds every rule, with as many of the fields that rules read as a pod can have.
fn good_pod(settings: &Settings) -> Result<Value, PolicyError> {
    let candidates = images(settings);
    let spec = |image: &str| {
        let pod = good_spec(settings, image);
        let manifest = json!({ "spec": pod });
        let subject = Subject::of_kind(WorkloadKind::Pod, &manifest);
        evaluate(settings, &subject).is_empty().then_some(pod)
    };
    candidates.iter().find_map(|image| spec(image)).ok_or_else(|| {
        PolicyError::invalid(
            "images",
            "no image could start: every allowed registry is also denied; allow another one",
        )
    })
}

fn images(settings: &Settings) -> Vec<String> {
    let digest = "0".repeat(64);
    let prefixes: Vec<_> = match settings.allowed_registries.as_slice() {
        [] => vec!["registry.example.invalid".to_owned()],
        registries => registries.iter().map(|registry| canonical_prefix(registry)).collect(),
    };
    prefixes.iter().map(|prefix| format!("{prefix}/{PROBE_NAME}:v1@sha256:{digest}")).collect()
}

fn good_spec(settings: &Settings, image: &str) -> Value {
    let user = settings.user_ids.map_or(1000, |range: Range| range.min);
    let group = settings.group_ids.map_or(1000, |range| range.min);
    let fs_group = settings.fs_groups.map_or(1000, |range| range.min);
    let mut app = container("app", settings, image);
    app["volumeMounts"] = json!([{ "name": "logs", "mountPath": "/var/log" }]);
    app["ports"] = json!([{ "containerPort": settings.min_container_port.unwrap_or(8080) }]);
    let mut forwarder = container("forwarder", settings, image);
    forwarder["volumeMounts"] =
        json!([{ "name": "logs", "mountPath": "/var/log", "readOnly": true }]);
    let mut setup = container("setup", settings, image);
    for field in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
        setup.as_object_mut().and_then(|fields| fields.remove(field));
    }
    json!({
        "automountServiceAccountToken": false,
        "hostNetwork": false,
        "hostPID": false,
        "hostIPC": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": user,
            "runAsGroup": group,
            "fsGroup": fs_group,
            "supplementalGroups": [group],
            "seccompProfile": { "type": "RuntimeDefault" },
            "seLinuxOptions": { "type": "container_t", "level": "s0:c1,c2" },
            "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "1024" }],
        },
        "initContainers": [setup],
        "containers": [app, forwarder],
        "volumes": [
            { "name": "logs", "emptyDir": {} },
            { "name": "settings", "configMap": { "name": PROBE_NAME } },
            { "name": "bundle", "projected": { "sources": [{ "configMap": { "name": PROBE_NAME } }] } },
        ],
    })
}

fn container(name: &str, settings: &Settings, image: &str) -> Value {
    let port = settings.min_container_port.unwrap_or(8080);
    let mut env = vec![
        json!({ "name": "DATABASE_PASSWORD_FILE", "value": "/run/secrets/db_password" }),
        json!({ "name": "DATABASE_URL", "value": "postgres://app:$(DATABASE_PASSWORD)@db:5432/app?sslmode=require" }),
        json!({ "name": "NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }),
    ];
    env.extend(settings.required_env.iter().map(|name| json!({ "name": name, "value": "info" })));
    let amounts = json!({ "cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi" });
    let check = json!({ "httpGet": { "path": "/healthz", "port": port } });
    json!({
        "name": name,
        "image": image,
        "env": env,
        "envFrom": [],
        "resources": { "requests": amounts, "limits": amounts },
        "livenessProbe": check,
        "readinessProbe": { "tcpSocket": { "port": port } },
        "startupProbe": check,
        "lifecycle": { "preStop": check, "postStart": check },
        "securityContext": {
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "procMount": "Default",
            "capabilities": { "drop": ["ALL"], "add": ["NET_BIND_SERVICE"] },
            "seccompProfile": { "type": "RuntimeDefault" },
            "seLinuxOptions": { "type": "container_t" },
        },
    })
}
