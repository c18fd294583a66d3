//! The baseline level of the Pod Security Standards.

use super::super::controls::ControlId;
use super::super::literal::{all_of, any_of, texts};
use super::super::settings::Settings;
use super::pod::{Container, Pod, Violations, at, flag, list, number, text};
use super::{Cel, Over, Rule};
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::Verdict;

/// Version from which on a check of the restricted level replaces one of the baseline level.
const NEVER: u16 = u16::MAX;

pub(super) const USER_NAMESPACE: &str = "!spec.?hostUsers.orValue(true)";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];

const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Safe sysctls and the version that added each.
const SYSCTLS: [(u16, &str); 14] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
    (37, "net.ipv4.tcp_slow_start_after_idle"),
    (37, "net.ipv4.tcp_notsent_lowat"),
];

/// SELinux types of containers and the version that added each; empty stands for the default.
const SELINUX_TYPES: [(u16, &str); 5] = [
    (0, ""),
    (0, "container_t"),
    (0, "container_init_t"),
    (0, "container_kvm_t"),
    (31, "container_engine_t"),
];

const HANDLERS: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

pub(super) static RULES: [Rule; 12] = [
    Rule {
        id: ControlId::PssHostNamespaces,
        when: |s| baseline(s, 0, NEVER),
        evaluate: host_namespaces,
        cel: |_| {
            Cel::pod(
                "!spec.?hostNetwork.orValue(false) && !spec.?hostPID.orValue(false) && !spec.?hostIPC.orValue(false)",
            )
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssPrivileged,
        when: |s| baseline(s, 0, NEVER),
        evaluate: |_, pod, violations| {
            each_flag(pod, violations, &["securityContext", "privileged"], true);
        },
        cel: |_| Cel::each(Over::Containers, "!own.?privileged.orValue(false)"),
        remedy: None,
    },
    Rule {
        id: ControlId::PssCapabilitiesBaseline,
        when: |s| baseline(s, 0, 22),
        evaluate: capabilities,
        cel: |_| {
            let allowed = texts(DEFAULT_CAPABILITIES);
            Cel::each(
                Over::Containers,
                format!(
                    "!own.?capabilities.?add.hasValue() || own.?capabilities.?add.orValue([]).all(x, x in {allowed})"
                ),
            )
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssHostPathVolumes,
        when: |s| baseline(s, 0, 0),
        evaluate: host_path,
        cel: |_| Cel::pod("spec.?volumes.orValue([]).all(v, !has(v.hostPath))"),
        remedy: None,
    },
    Rule {
        id: ControlId::PssHostPorts,
        when: |s| baseline(s, 0, NEVER),
        evaluate: host_ports,
        cel: |_| {
            Cel::each(
                Over::Containers,
                "!has(c.ports) || c.ports.all(p, p.?hostPort.orValue(0) == 0)",
            )
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssHostProbesAndHostLifecycle,
        when: |s| baseline(s, 34, NEVER),
        evaluate: probe_hosts,
        cel: |_| Cel::each(Over::Containers, probe_hosts_cel()),
        remedy: None,
    },
    Rule {
        id: ControlId::PssAppArmorProfile,
        when: |s| baseline(s, 0, NEVER),
        evaluate: app_armor,
        cel: |_| app_armor_cel(),
        remedy: None,
    },
    Rule {
        id: ControlId::PssSeLinuxOptions,
        when: |s| baseline(s, 0, NEVER),
        evaluate: selinux,
        cel: |s| {
            let types = texts(since(s, &SELINUX_TYPES));
            let options = |of: &str| {
                format!(
                    "(!{of}.?seLinuxOptions.hasValue() || ({of}.?seLinuxOptions.?type.orValue('') in {types} \
                     && {of}.?seLinuxOptions.?user.orValue('') == '' && {of}.?seLinuxOptions.?role.orValue('') == ''))"
                )
            };
            Cel::pod(options("whole")).and_each(Over::Containers, options("own"))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssProcMount,
        when: |s| baseline(s, 0, 35),
        evaluate: |s, pod, violations| {
            if s.minor() < 35 || !pod.user_namespace() {
                proc_mount(s, pod, violations);
            }
        },
        cel: |s| proc_mount_cel().unless((s.minor() >= 35).then_some(USER_NAMESPACE)),
        remedy: None,
    },
    Rule {
        id: ControlId::PssSeccompProfileBaseline,
        when: |s| baseline(s, 0, 19),
        evaluate: seccomp,
        cel: |s| {
            if s.minor() < 19 { seccomp_annotations_cel() } else { profiles_cel("seccompProfile") }
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssSysctls,
        when: |s| baseline(s, 0, NEVER),
        evaluate: sysctls,
        cel: |s| {
            let safe = texts(since(s, &SYSCTLS));
            Cel::pod(format!("whole.?sysctls.orValue([]).all(s, s.name in {safe})"))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssWindowsHostProcess,
        when: |s| baseline(s, 0, NEVER),
        evaluate: |_, pod, violations| {
            let keys = ["securityContext", "windowsOptions", "hostProcess"];
            if flag(pod.spec(), &keys) == Some(true) {
                violations.push((pod.path(&keys), "the pod is a Windows host process".to_owned()));
            }
            each_flag(pod, violations, &keys, true);
        },
        cel: |_| {
            let no = |of: &str| format!("!{of}.?windowsOptions.?hostProcess.orValue(false)");
            Cel::pod(no("whole")).and_each(Over::Containers, no("own"))
        },
        remedy: None,
    },
];

/// Refused at the baseline level from a version on, and at restricted until a stricter check takes its place.
fn baseline(settings: &Settings, from: u16, replaced: u16) -> Verdict {
    let until = match settings.level() {
        Level::Baseline => NEVER,
        Level::Restricted => replaced,
        Level::Privileged | Level::Unknown => return Verdict::Ignore,
    };
    let minor = settings.minor();
    if minor >= from && minor < until { Verdict::Deny } else { Verdict::Ignore }
}

fn since<'a>(
    settings: &Settings,
    table: &'a [(u16, &'static str)],
) -> impl Iterator<Item = &'a str> {
    let minor = settings.minor();
    table.iter().filter(move |(from, _)| *from <= minor).map(|(_, word)| *word)
}

/// Reports containers with a flag at a value.
fn each_flag(pod: &Pod<'_>, violations: &mut Violations, keys: &[&str], bad: bool) {
    for c in pod.containers.iter().filter(|c| flag(c.value, keys) == Some(bad)) {
        let message = format!("{} sets {} to {bad}", c.called(), keys.join("."));
        violations.push((c.path.keys(keys), message));
    }
}

fn host_namespaces(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if flag(pod.spec(), &[key]) == Some(true) {
            violations.push((pod.path(&[key]), format!("the pod sets {key} to true")));
        }
    }
}

fn capabilities(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const ADD: [&str; 3] = ["securityContext", "capabilities", "add"];
    for c in &pod.containers {
        for (index, added) in list(c.value, &ADD).iter().enumerate() {
            let added = added.as_str().unwrap_or_default();
            if !DEFAULT_CAPABILITIES.contains(&added) {
                let message = format!("{} adds the capability {added:?}", c.called());
                violations.push((c.path.keys(&ADD).index(index), message));
            }
        }
    }
}

fn host_path(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for (index, volume) in list(pod.spec(), &["volumes"]).iter().enumerate() {
        if at(volume, &["hostPath"]).is_some() {
            let name = text(volume, &["name"]).unwrap_or_default();
            let path = pod.path(&["volumes"]).index(index).key("hostPath");
            violations.push((path, format!("volume {name:?} is a path of the node")));
        }
    }
}

fn host_ports(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for c in &pod.containers {
        for (index, port) in list(c.value, &["ports"]).iter().enumerate() {
            let path = c.path.key("ports").index(index);
            let named = number(port, &["hostPort"]).filter(|port| *port != 0);
            if let Some(number) = named {
                violations.push((
                    path.key("hostPort"),
                    format!("{} opens port {number} of the node", c.called()),
                ));
            } else if pod.ports_on_host()
                && number(port, &["containerPort"]).is_some_and(|p| p != 0)
            {
                let message = format!("{} opens its port on the node, by hostNetwork", c.called());
                violations.push((path.key("containerPort"), message));
            }
        }
    }
}

fn probe_hosts(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for c in &pod.containers {
        for handler in HANDLERS {
            for action in ["httpGet", "tcpSocket"] {
                let keys = [handler, &[action, "host"]].concat();
                if text(c.value, &keys).is_some_and(|host| !host.is_empty()) {
                    let message = format!("{} sets {}", c.called(), keys.join("."));
                    violations.push((c.path.keys(&keys), message));
                }
            }
        }
    }
}

fn probe_hosts_cel() -> String {
    // Most containers have no hook, and many no probe: what is absent is asked for once.
    all_of(["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"].map(|field| {
        let unset = HANDLERS.iter().filter(|handler| handler[0] == field).flat_map(|handler| {
            let path = handler.join(".?");
            ["httpGet", "tcpSocket"]
                .map(|action| format!("c.?{path}.?{action}.?host.orValue('') == ''"))
        });
        any_of([format!("!has(c.{field})"), all_of(unset)])
    }))
}

fn profile_type<'a>(value: &'a serde_json::Value, profile: &str) -> Option<&'a str> {
    let profile = at(value, &["securityContext", profile])?;
    Some(text(profile, &["type"]).unwrap_or_default())
}

/// Reports profiles that are set to something other than the two good types.
pub(super) fn profiles(pod: &Pod<'_>, violations: &mut Violations, profile: &str) {
    let keys = ["securityContext", profile, "type"];
    let bad = |value| profile_type(value, profile).filter(|kind| !PROFILES.contains(kind));
    if let Some(kind) = bad(pod.spec()) {
        violations.push((pod.path(&keys), format!("the pod sets {profile} to {kind:?}")));
    }
    for c in &pod.containers {
        if let Some(kind) = bad(c.value) {
            let message = format!("{} sets {profile} to {kind:?}", c.called());
            violations.push((c.path.keys(&keys), message));
        }
    }
}

fn profiles_cel(profile: &str) -> Cel {
    let good = |of: &str| {
        format!("{of}.?{profile}.?type.orValue('RuntimeDefault') in {}", texts(PROFILES))
    };
    Cel::pod(good("whole")).and_each(Over::Containers, good("own"))
}

fn app_armor(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    profiles(pod, violations, "appArmorProfile");
    let annotations = at(pod.subject.metadata, &["annotations"]).and_then(|a| a.as_object());
    for (key, value) in annotations.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let good = matches!(value, "" | "runtime/default") || value.starts_with("localhost/");
        if key.starts_with(APPARMOR) && !good {
            let message = format!("the annotation {key:?} switches AppArmor off");
            violations.push((pod.annotations_path().key(key), message));
        }
    }
}

/// The annotations are looked up by container: the API refuses those that name no container, and walking tens of
/// thousands of annotations would cost the API server seconds.
fn app_armor_cel() -> Cel {
    let cel = profiles_cel("appArmorProfile");
    let key = format!("('{APPARMOR}' + c.name)");
    let annotation = format!(
        "(!({key} in annotations) || annotations[{key}] in ['', 'runtime/default'] \
         || annotations[{key}].startsWith('localhost/'))"
    );
    let each = cel.each.map(|(over, fields)| (over, format!("{fields} && {annotation}")));
    Cel { each, ..cel }
}

fn selinux(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const OPTIONS: [&str; 2] = ["securityContext", "seLinuxOptions"];
    let mut inspect = |value, path: &super::super::finding::FieldPath, called: String| {
        let Some(options) = at(value, &OPTIONS) else { return };
        let kind = text(options, &["type"]).unwrap_or_default();
        if !since(settings, &SELINUX_TYPES).any(|known| known == kind) {
            let message = format!("{called} has the SELinux type {kind:?}");
            violations.push((path.keys(&OPTIONS).key("type"), message));
        }
        for key in ["user", "role"] {
            if text(options, &[key]).is_some_and(|word| !word.is_empty()) {
                let message = format!("{called} sets the SELinux {key}");
                violations.push((path.keys(&OPTIONS).key(key), message));
            }
        }
    };
    inspect(pod.spec(), &pod.path(&[]), "the pod".to_owned());
    for c in &pod.containers {
        inspect(c.value, &c.path, c.called());
    }
}

/// Reports every unmasked `/proc`.
pub(super) fn proc_mount(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "procMount"];
    for c in &pod.containers {
        if let Some(mount) = text(c.value, &KEYS).filter(|mount| *mount != "Default") {
            let message = format!("{} sets procMount to {mount:?}", c.called());
            violations.push((c.path.keys(&KEYS), message));
        }
    }
}

pub(super) fn proc_mount_cel() -> Cel {
    Cel::each(Over::Containers, "own.?procMount.orValue('Default') == 'Default'")
}

fn seccomp(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    if settings.minor() >= 19 {
        return profiles(pod, violations, "seccompProfile");
    }
    let good = |value: &str| {
        matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/")
    };
    let of = |c: &Container<'_>| format!("{SECCOMP_CONTAINER}{}", c.name);
    let mut keys: Vec<_> = pod.containers.iter().map(of).collect();
    keys.insert(0, SECCOMP_POD.to_owned());
    for key in keys {
        if pod.annotation(&key).is_some_and(|value| !good(value)) {
            let message = format!("the annotation {key:?} switches seccomp off");
            violations.push((pod.annotations_path().key(&key), message));
        }
    }
}

fn seccomp_annotations_cel() -> Cel {
    let good = |key: &str| {
        format!(
            "(!({key} in annotations) \
             || annotations[{key}] in ['runtime/default', 'docker/default'] \
             || annotations[{key}].startsWith('localhost/'))"
        )
    };
    Cel::pod(good(&format!("'{SECCOMP_POD}'")))
        .and_each(Over::Containers, good(&format!("('{SECCOMP_CONTAINER}' + c.name)")))
}

fn sysctls(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "sysctls"];
    for (index, sysctl) in list(pod.spec(), &KEYS).iter().enumerate() {
        let name = text(sysctl, &["name"]).unwrap_or_default();
        if !since(settings, &SYSCTLS).any(|safe| safe == name) {
            let path = pod.path(&KEYS).index(index).key("name");
            violations.push((path, format!("the pod sets the sysctl {name:?}")));
        }
    }
}
