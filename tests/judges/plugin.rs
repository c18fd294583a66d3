//! What the PodSecurity plugin says, as ids of checks.

use std::collections::BTreeSet;

/// A level and version that cases are evaluated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bar {
    /// `baseline` or `restricted`.
    pub level: &'static str,
    /// Minor version of the standards.
    pub minor: u16,
}

impl Bar {
    /// In the form that labels have.
    pub fn version(self) -> String {
        format!("v1.{}", self.minor)
    }

    /// A name for objects that belong to it.
    pub fn name(self) -> String {
        format!("{}-{}", self.level, self.minor)
    }
}

/// The ids of the checks that a refusal of the plugin names; `None` if it is no such refusal.
pub fn failed_checks(message: &str, bar: Bar) -> Option<BTreeSet<String>> {
    let (_, reasons) = message.split_once("violates PodSecurity ")?;
    let (_, reasons) = reasons.split_once("\": ")?;
    Some(reasons_of(reasons).into_iter().map(|reason| id(&reason, bar)).collect())
}

/// Splits `a (x, "y, z"), b (w)` into its reasons, each without what is in brackets.
fn reasons_of(text: &str) -> Vec<String> {
    let (mut reasons, mut reason) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for sign in text.chars() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => reasons.push(std::mem::take(&mut reason)),
            _ if depth == 0 => reason.push(sign),
            _ => {}
        }
    }
    reasons.push(reason);
    reasons.into_iter().map(|reason| reason.trim().to_owned()).collect()
}

/// The check whose reason this is. Some checks share their words with the stricter one that takes their place.
fn id(reason: &str, bar: Bar) -> String {
    let restricted = bar.level == "restricted";
    let id = match reason {
        "host namespaces" => "hostNamespaces",
        "privileged" => "privileged",
        "non-default capabilities" => "capabilities_baseline",
        "unrestricted capabilities" => "capabilities_restricted",
        "hostPath volumes" => "hostPathVolumes",
        "hostPort" => "hostPorts",
        "probe or lifecycle host" => "hostProbesAndHostLifecycle",
        "forbidden AppArmor profile" | "forbidden AppArmor profiles" => "appArmorProfile",
        "seLinuxOptions" => "seLinuxOptions",
        "procMount" if restricted && bar.minor >= 35 => "procMount_restricted",
        "procMount" => "procMount",
        "seccompProfile" if restricted && bar.minor >= 19 => "seccompProfile_restricted",
        "seccompProfile" => "seccompProfile_baseline",
        "forbidden sysctls" => "sysctls",
        "hostProcess" => "windowsHostProcess",
        "restricted volume types" => "restrictedVolumes",
        "allowPrivilegeEscalation != false" => "allowPrivilegeEscalation",
        "runAsNonRoot != true" => "runAsNonRoot",
        "runAsUser=0" => "runAsUser",
        other => return format!("unknown reason {other:?}"),
    };
    id.to_owned()
}
