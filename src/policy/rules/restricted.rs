//! What the restricted level of the Pod Security Standards adds.

use super::super::controls::ControlId;
use super::super::literal::{any_of, texts};
use super::super::settings::Settings;
use super::baseline::{USER_NAMESPACE, proc_mount, proc_mount_cel, profiles};
use super::pod::{Pod, Violations, at, flag, list, number, text};
use super::{Cel, Over, Rule};
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::Verdict;

const WINDOWS: &str = "spec.?os.?name.orValue('') == 'windows'";

const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) static RULES: [Rule; 7] = [
    Rule {
        id: ControlId::PssRestrictedVolumes,
        when: |s| restricted(s, 0),
        evaluate: volumes,
        cel: |_| {
            let kinds = any_of(VOLUMES.iter().map(|kind| format!("has(v.{kind})")));
            Cel::pod(format!("spec.?volumes.orValue([]).all(v, {kinds})"))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssAllowPrivilegeEscalation,
        when: |s| restricted(s, 8),
        evaluate: escalation,
        cel: |s| {
            Cel::each(Over::Containers, "!own.?allowPrivilegeEscalation.orValue(true)")
                .unless(windows_exempt(s))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssRunAsNonRoot,
        when: |s| restricted(s, 0),
        evaluate: non_root,
        cel: |s| {
            Cel::pod("whole.?runAsNonRoot.orValue(true)")
                .and_each(
                    Over::Containers,
                    "own.?runAsNonRoot.or(whole.?runAsNonRoot).orValue(false)",
                )
                .unless(user_namespace_exempt(s))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssRunAsUser,
        when: |s| restricted(s, 23),
        evaluate: root_user,
        cel: |s| {
            let other = |of: &str| format!("{of}.?runAsUser.orValue(1) != 0");
            Cel::pod(other("whole"))
                .and_each(Over::Containers, other("own"))
                .unless(user_namespace_exempt(s))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssSeccompProfileRestricted,
        when: |s| restricted(s, 19),
        evaluate: seccomp,
        cel: |s| {
            let good = texts(["RuntimeDefault", "Localhost"]);
            Cel::pod(format!(
                "whole.?seccompProfile.?type.orValue('RuntimeDefault') in {good}"
            ))
            .and_each(
                Over::Containers,
                format!(
                    "own.?seccompProfile.?type.or(whole.?seccompProfile.?type).orValue('') in {good}"
                ),
            )
            .unless(windows_exempt(s))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssCapabilitiesRestricted,
        when: |s| restricted(s, 22),
        evaluate: capabilities,
        cel: |s| {
            Cel::each(
                Over::Containers,
                "'ALL' in own.?capabilities.?drop.orValue([]) \
                 && (!own.?capabilities.?add.hasValue() || own.?capabilities.?add.orValue([]).all(x, x == 'NET_BIND_SERVICE'))",
            )
            .unless(windows_exempt(s))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::PssProcMountRestricted,
        when: |s| restricted(s, 35),
        evaluate: proc_mount,
        cel: |_| proc_mount_cel(),
        remedy: None,
    },
];

fn restricted(settings: &Settings, from: u16) -> Verdict {
    if settings.level() == Level::Restricted && settings.minor() >= from {
        Verdict::Deny
    } else {
        Verdict::Ignore
    }
}

/// Windows pods cannot set the fields in question; the standards know that from v1.25 on.
fn windows_exempt(settings: &Settings) -> Option<&'static str> {
    (settings.minor() >= 25).then_some(WINDOWS)
}

/// Root in a user namespace is nobody on the node; the standards know that from v1.35 on.
fn user_namespace_exempt(settings: &Settings) -> Option<&'static str> {
    (settings.minor() >= 35).then_some(USER_NAMESPACE)
}

fn volumes(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for (index, volume) in list(pod.spec(), &["volumes"]).iter().enumerate() {
        let sources = volume.as_object().into_iter().flatten();
        let mut sources = sources.filter(|(key, value)| *key != "name" && !value.is_null());
        // One without a source is made an emptyDir.
        let Some((first, _)) = sources.clone().next() else { continue };
        if !sources.any(|(key, _)| VOLUMES.contains(&key.as_str())) {
            let name = text(volume, &["name"]).unwrap_or_default();
            let path = pod.path(&["volumes"]).index(index).key(first);
            violations.push((path, format!("volume {name:?} is of the kind {first:?}")));
        }
    }
}

fn escalation(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "allowPrivilegeEscalation"];
    if settings.minor() >= 25 && pod.windows() {
        return;
    }
    for c in pod.containers.iter().filter(|c| flag(c.value, &KEYS) != Some(false)) {
        let message = format!("{} does not set allowPrivilegeEscalation to false", c.called());
        violations.push((c.path.keys(&KEYS), message));
    }
}

fn non_root(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "runAsNonRoot"];
    if settings.minor() >= 35 && pod.user_namespace() {
        return;
    }
    let whole = flag(pod.spec(), &KEYS);
    if whole == Some(false) {
        violations.push((pod.path(&KEYS), "the pod sets runAsNonRoot to false".to_owned()));
    }
    for c in &pod.containers {
        let message = match flag(c.value, &KEYS) {
            Some(true) => continue,
            Some(false) => format!("{} sets runAsNonRoot to false", c.called()),
            None if whole == Some(true) => continue,
            None => format!("neither the pod nor {} sets runAsNonRoot to true", c.called()),
        };
        violations.push((c.path.keys(&KEYS), message));
    }
}

fn root_user(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "runAsUser"];
    if settings.minor() >= 35 && pod.user_namespace() {
        return;
    }
    if number(pod.spec(), &KEYS) == Some(0) {
        violations.push((pod.path(&KEYS), "the pod runs as user 0".to_owned()));
    }
    for c in pod.containers.iter().filter(|c| number(c.value, &KEYS) == Some(0)) {
        violations.push((c.path.keys(&KEYS), format!("{} runs as user 0", c.called())));
    }
}

fn seccomp(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const PROFILE: [&str; 2] = ["securityContext", "seccompProfile"];
    if settings.minor() >= 25 && pod.windows() {
        return;
    }
    profiles(pod, violations, "seccompProfile");
    if at(pod.spec(), &PROFILE).is_some() {
        // A good profile of the pod covers its containers, and a bad one has been reported.
        return;
    }
    for c in pod.containers.iter().filter(|c| at(c.value, &PROFILE).is_none()) {
        let message = format!("neither the pod nor {} sets a seccompProfile", c.called());
        violations.push((c.path.keys(&PROFILE).key("type"), message));
    }
}

fn capabilities(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const FIELD: [&str; 2] = ["securityContext", "capabilities"];
    if settings.minor() >= 25 && pod.windows() {
        return;
    }
    for c in &pod.containers {
        let field = at(c.value, &FIELD).unwrap_or(&serde_json::Value::Null);
        let path = c.path.keys(&FIELD);
        if !list(field, &["drop"]).iter().any(|dropped| dropped.as_str() == Some("ALL")) {
            violations
                .push((path.key("drop"), format!("{} does not drop ALL capabilities", c.called())));
        }
        for (index, added) in list(field, &["add"]).iter().enumerate() {
            let added = added.as_str().unwrap_or_default();
            if added != "NET_BIND_SERVICE" {
                let message = format!("{} adds the capability {added:?}", c.called());
                violations.push((path.key("add").index(index), message));
            }
        }
    }
}
