//! What containers are given: ports, environment, tokens, log volumes.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::super::controls::ControlId;
use super::super::literal::{all_of, bound, text as literal};
use super::super::settings::Settings;
use super::guide::deny_if;
use super::pod::{Container, ContainerKind, Pod, Violations, at, flag, list, number, text};
use super::{Cel, Over, Rule};
use crate::api::gabion::hardening_baseline::Verdict;

/// Words of which one is in the name of every credential: a cheap test before the exact one.
const HINTS: [&str; 7] = ["pass", "pwd", "secret", "token", "credential", "key", "auth"];
/// A name that says that the value is a credential.
const CREDENTIAL: &str = "(password|passwd|passphrase|secret|token|credential|(^|[_.-])(pwd|pass)([_.-]|[0-9]*$)|(api|access|private|encryption|signing|account)[_.-]?key|(basic|client|db|redis|mongo)[_.-]auth$)";
/// A name that says that the value is something about a credential: where it is, what it is called, how long it
/// lasts.
const ABOUT: &str = "[_.-](file|files|path|dir|directory|name|names|ref|url|uri|endpoint|host|port|enabled|disabled|required|type|kind|algorithm|length|size|min|max|ttl|expiry|expires|expiration|age|seconds|minutes|hours|days|lifetime|timeout|count|limit|version|id|ids|arn|issuer|audience|policy|rotation|interval|mount|class|provider|store|backend|region|namespace|header|prefix|suffix|field|cache|scope|scopes)$";
/// A value that refers to another variable, or that is no secret whatever it is called.
const HARMLESS: &str = r"^(\$\([A-Za-z_][A-Za-z0-9_.-]*\)|true|false)$";
/// Containers that run as long as the pod.
const RUNNING: &str = "spec.?containers.orValue([]) + spec.?initContainers.orValue([])\
                       .filter(c, c.?restartPolicy.orValue('') == 'Always')";
/// A URL with a password in it.
const URL_PASSWORD: &str = "://[^/ :@]*:[^/ @]+@";

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
        evaluate: |_, pod, violations| {
            const KEYS: [&str; 1] = ["automountServiceAccountToken"];
            if flag(pod.spec(), &KEYS) == Some(true) {
                let message = "the pod asks for the token of its ServiceAccount".to_owned();
                violations.push((pod.path(&KEYS), message));
            }
        },
        cel: |_| Cel::pod("!spec.?automountServiceAccountToken.orValue(false)"),
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

/// Patterns are compiled once; a pattern that could not be compiled would match nothing, which a test excludes.
fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

fn is_match(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

static IS_CREDENTIAL: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(CREDENTIAL));
static IS_ABOUT: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(ABOUT));
static IS_HARMLESS: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(HARMLESS));
static HAS_PASSWORD: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(URL_PASSWORD));

/// Whether a variable with that name and literal value holds a credential, as far as its name can tell; also used
/// for variables in Dockerfiles.
pub(crate) fn is_literal_credential(name: &str, value: &str) -> bool {
    if value.is_empty() {
        return false;
    }
    if value.contains("://") && is_match(&HAS_PASSWORD, value) {
        return true;
    }
    let name = name.to_ascii_lowercase();
    HINTS.iter().any(|hint| name.contains(hint))
        && is_match(&IS_CREDENTIAL, &name)
        && !is_match(&IS_ABOUT, &name)
        && !is_match(&IS_HARMLESS, value)
}

fn literals(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for c in &pod.containers {
        for (index, entry) in list(c.value, &["env"]).iter().enumerate() {
            let name = text(entry, &["name"]).unwrap_or_default();
            if is_literal_credential(name, text(entry, &["value"]).unwrap_or_default()) {
                let message =
                    format!("{} has a literal value in the variable {name:?}", c.called());
                violations.push((c.path.key("env").index(index).key("value"), message));
            }
        }
    }
}

fn literals_cel() -> Cel {
    let hints = literal(&format!("(?i){}", HINTS.join("|")));
    let named = format!(
        "[e.name.lowerAscii()].exists(n, n.matches({}) && !n.matches({}) && !e.value.matches({}))",
        literal(CREDENTIAL),
        literal(ABOUT),
        literal(HARMLESS)
    );
    let url = format!("(e.value.contains('://') && e.value.matches({}))", literal(URL_PASSWORD));
    Cel::each(
        Over::Containers,
        format!(
            "!has(c.env) || !c.env.exists(e, has(e.value) && ({url} || (e.name.matches({hints}) && e.value != '' && {named})))"
        ),
    )
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
