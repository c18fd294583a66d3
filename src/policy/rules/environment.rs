//! What containers are given: ports, environment, tokens, log volumes.

use serde_json::Value;

use super::super::controls::ControlId;
use super::super::literal::{all_of, bound, text as literal, texts};
use super::super::settings::Settings;
use super::credentials::{literals, literals_cel};
use super::guide::deny_if;
use super::pod::{Container, ContainerKind, Pod, Violations, at, flag, list, number, text};
use super::{Cel, Over, Rule};
use crate::api::gabion::hardening_baseline::Verdict;

/// Containers that run as long as the pod.
const RUNNING: &str = "spec.?containers.orValue([]) + spec.?initContainers.orValue([])\
                       .filter(c, c.?restartPolicy.orValue('') == 'Always')";
pub(super) static RULES: [Rule; 6] = [
    Rule {
        id: ControlId::HbPort,
        when: |s| if s.min_container_port.is_some() { Verdict::Warn } else { Verdict::Ignore },
        evaluate: ports,
        cel: |s| {
            let least = s.min_container_port.unwrap_or_default();
            Cel::each(
                Over::Containers,
                format!(
                    "!has(c.ports) || c.ports.all(p, p.?containerPort.orValue({least}) >= {least})"
                ),
            )
        },
        remedy: Some(|s| {
            let least = s.min_container_port.unwrap_or_default();
            format!("listen on a port of {least} or more and map it in the Service")
        }),
    },
    Rule {
        id: ControlId::HbSecretLiteral,
        when: |s| s.literal_credential_env,
        evaluate: literals,
        cel: |_| literals_cel(),
        remedy: None,
    },
    Rule {
        id: ControlId::HbSecretEnv,
        when: |s| s.secret_env,
        evaluate: secret_env,
        cel: |_| {
            Cel::each(
                Over::Containers,
                "(!has(c.env) || c.env.all(e, !e.?valueFrom.?secretKeyRef.hasValue())) \
                 && (!has(c.envFrom) || c.envFrom.all(e, !has(e.secretRef)))",
            )
        },
        remedy: None,
    },
    Rule {
        id: ControlId::HbToken,
        when: |s| deny_if(s.no_token),
        evaluate: tokens,
        cel: |s| {
            let allowed = texts(s.token_audiences.iter().map(String::as_str));
            Cel::pod(format!(
                "!spec.?automountServiceAccountToken.orValue(false) \
                 && spec.?volumes.orValue([]).all(v, v.?projected.?sources.orValue([]).all(s, \
                 !has(s.serviceAccountToken) || s.serviceAccountToken.?audience.orValue('') in {allowed}))"
            ))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::HbLogEnv,
        when: |s| if s.required_env.is_empty() { Verdict::Ignore } else { Verdict::Warn },
        evaluate: required_env,
        cel: required_env_cel,
        remedy: Some(|s| {
            let names: Vec<_> = s.required_env.iter().take(4).map(String::as_str).collect();
            let shown: String = names.join(", ").chars().take(120).collect();
            format!("set the environment variables {shown} in every container but forwarders")
        }),
    },
    Rule {
        id: ControlId::HbLogRo,
        when: |s| if s.log_volume_read_only { Verdict::Warn } else { Verdict::Ignore },
        evaluate: log_volumes,
        cel: |_| {
            let writers = "running.filter(c, c.?volumeMounts.orValue([]).exists(m, \
                           m.name == v.name && !m.?readOnly.orValue(false))).size() <= 1";
            let kept = format!(
                "spec.?volumes.orValue([]).all(v, !running.exists(c, \
                 c.?volumeMounts.orValue([]).exists(m, m.name == v.name && {})) || {writers})",
                log_path_cel()
            );
            Cel::pod(bound("running", RUNNING, &kept))
        },
        remedy: None,
    },
];

fn ports(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    let Some(least) = settings.min_container_port else { return };
    for c in &pod.containers {
        for (index, port) in list(c.value, &["ports"]).iter().enumerate() {
            if let Some(port) = number(port, &["containerPort"]).filter(|p| *p < i64::from(least)) {
                let path = c.path.key("ports").index(index).key("containerPort");
                violations.push((path, format!("{} listens on port {port}", c.called())));
            }
        }
    }
}

/// A pod gets a token by its own field, or by a volume; one that the API server mounts is such a volume, too.
fn tokens(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const FIELD: [&str; 1] = ["automountServiceAccountToken"];
    if flag(pod.spec(), &FIELD) == Some(true) {
        let message = "the pod asks for the token of its ServiceAccount".to_owned();
        violations.push((pod.path(&FIELD), message));
    }
    for (index, volume) in list(pod.spec(), &["volumes"]).iter().enumerate() {
        for (number, source) in list(volume, &["projected", "sources"]).iter().enumerate() {
            let Some(token) = at(source, &["serviceAccountToken"]) else { continue };
            let audience = text(token, &["audience"]).unwrap_or_default();
            if settings.token_audiences.iter().any(|allowed| allowed == audience) {
                continue;
            }
            let name = text(volume, &["name"]).unwrap_or_default();
            let message = if audience.is_empty() {
                format!("volume {name:?} holds a token for the API server")
            } else {
                format!("volume {name:?} holds a token for the audience {audience:?}")
            };
            let path = pod.path(&["volumes"]).index(index).keys(&["projected", "sources"]);
            violations.push((path.index(number).key("serviceAccountToken"), message));
        }
    }
}

fn secret_env(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for c in &pod.containers {
        for (index, entry) in list(c.value, &["env"]).iter().enumerate() {
            if at(entry, &["valueFrom", "secretKeyRef"]).is_some() {
                let name = text(entry, &["name"]).unwrap_or_default();
                let path = c.path.key("env").index(index).keys(&["valueFrom", "secretKeyRef"]);
                violations
                    .push((path, format!("{} has a secret in the variable {name:?}", c.called())));
            }
        }
        for (index, source) in list(c.value, &["envFrom"]).iter().enumerate() {
            if at(source, &["secretRef"]).is_some() {
                let path = c.path.key("envFrom").index(index).key("secretRef");
                violations
                    .push((path, format!("{} has a whole Secret in its environment", c.called())));
            }
        }
    }
}

/// Whether a container only reads a volume: such forwarders are not asked how they log.
fn reads_only(c: &Container<'_>) -> bool {
    list(c.value, &["volumeMounts"]).iter().any(|mount| {
        flag(mount, &["readOnly"]) == Some(true)
            && is_log_path(text(mount, &["mountPath"]).unwrap_or_default())
    })
}

fn required_env(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    let asked = |c: &&Container<'_>| c.kind == ContainerKind::Main && !reads_only(c);
    for c in pod.containers.iter().filter(asked) {
        // What a ConfigMap brings cannot be seen from here.
        if !list(c.value, &["envFrom"]).is_empty() {
            continue;
        }
        let has = |name: &str| {
            list(c.value, &["env"]).iter().any(|entry| text(entry, &["name"]) == Some(name))
        };
        for name in settings.required_env.iter().filter(|name| !has(name)) {
            let message = format!("{} has no environment variable {name}", c.called());
            violations.push((c.path.key("env"), message));
        }
    }
}

fn required_env_cel(settings: &Settings) -> Cel {
    let has = |name: &String| format!("c.?env.orValue([]).exists(e, e.name == {})", literal(name));
    let reads = format!(
        "(has(c.volumeMounts) && c.volumeMounts.exists(m, m.?readOnly.orValue(false) && {}))",
        log_path_cel()
    );
    Cel::each(
        Over::Main,
        format!(
            "({} || {reads} || c.?envFrom.orValue([]).size() > 0)",
            all_of(settings.required_env.iter().map(has))
        ),
    )
}

/// Whether a path is where logs are: `/var/log` and below, or a folder named `log` or `logs`.
fn is_log_path(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path == "/var/log"
        || path.starts_with("/var/log/")
        || path.ends_with("/log")
        || path.ends_with("/logs")
}

/// [`is_log_path`] in CEL, for the mount `m`.
fn log_path_cel() -> &'static str {
    "(m.mountPath.startsWith('/var/log/') || m.mountPath.endsWith('/log') || m.mountPath.endsWith('/log/') \
     || m.mountPath.endsWith('/logs') || m.mountPath.endsWith('/logs/'))"
}

fn log_volumes(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    let mounts = |c: &Container<'_>, volume: &str| -> Vec<(FieldIndex, bool, bool)> {
        let all = list(c.value, &["volumeMounts"]).iter().enumerate();
        let of = all.filter(|(_, mount)| text(mount, &["name"]) == Some(volume));
        of.map(|(index, mount)| {
            let path = text(mount, &["mountPath"]).unwrap_or_default();
            (index, is_log_path(path), flag(mount, &["readOnly"]) != Some(true))
        })
        .collect()
    };
    for volume in list(pod.spec(), &["volumes"]).iter().filter_map(|v| v.get("name")) {
        let name = Value::as_str(volume).unwrap_or_default();
        let holds_logs = pod.running().any(|c| mounts(c, name).iter().any(|(_, log, _)| *log));
        let writers = pod.running().filter_map(|c| {
            let writes = mounts(c, name).into_iter().find(|(_, _, writes)| *writes);
            writes.map(|(index, _, _)| (c, index))
        });
        // The first one is the writer.
        for (c, index) in writers.filter(|_| holds_logs).skip(1) {
            let message = format!("{} can write to the log volume {name:?}", c.called());
            let path = c.path.key("volumeMounts").index(index).key("readOnly");
            violations.push((path, message));
        }
    }
}

type FieldIndex = usize;
