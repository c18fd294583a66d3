//! The checks of the Pod Security Standards, by the ids of the upstream admission plugin.

use super::{Control, ControlId, Severity, Target};
use crate::api::gabion::hardening_baseline::Level;

const fn pss(
    id: ControlId,
    check: &'static str,
    level: Level,
    severity: Severity,
    texts: [&'static str; 3],
    (cis, nsa): (&'static [&'static str], &'static [&'static str]),
) -> Control {
    let [title, looks_at, remedy] = texts;
    Control {
        id,
        check: Some(check),
        level: Some(level),
        title,
        severity,
        looks_at,
        remedy,
        cis,
        nsa,
        target: Target::Pod,
    }
}

const POD_SECURITY: &[&str] = &["Pod security enforcement"];
const NON_ROOT: &[&str] = &["Non-root containers"];
const HARDENED: &[&str] = &["Hardening container environments"];

/// Baseline checks first, then those that only restricted has.
pub(crate) static CONTROLS: [Control; 19] = [
    pss(
        ControlId::PssHostNamespaces,
        "hostNamespaces",
        Level::Baseline,
        Severity::Critical,
        [
            "Pods do not share the node's namespaces",
            "hostNetwork, hostPID, hostIPC",
            "remove hostNetwork, hostPID and hostIPC",
        ],
        (&["5.2.3", "5.2.4", "5.2.5"], POD_SECURITY),
    ),
    pss(
        ControlId::PssPrivileged,
        "privileged",
        Level::Baseline,
        Severity::Critical,
        [
            "Containers are not privileged",
            "securityContext.privileged of containers",
            "remove securityContext.privileged",
        ],
        (&["5.2.2"], POD_SECURITY),
    ),
    pss(
        ControlId::PssCapabilitiesBaseline,
        "capabilities_baseline",
        Level::Baseline,
        Severity::High,
        [
            "Containers add no capability beyond the default set",
            "securityContext.capabilities.add of containers",
            "remove from capabilities.add what is not in the default set",
        ],
        (&["5.2.8", "5.2.9"], POD_SECURITY),
    ),
    pss(
        ControlId::PssHostPathVolumes,
        "hostPathVolumes",
        Level::Baseline,
        Severity::Critical,
        [
            "Pods mount no path of the node",
            "volumes[].hostPath",
            "replace hostPath volumes with emptyDir, configMap, secret or a persistentVolumeClaim",
        ],
        (&["5.2.12"], POD_SECURITY),
    ),
    pss(
        ControlId::PssHostPorts,
        "hostPorts",
        Level::Baseline,
        Severity::Medium,
        [
            "Containers open no port of the node",
            "ports[].hostPort of containers",
            "remove hostPort and use a Service",
        ],
        (&["5.2.13"], POD_SECURITY),
    ),
    pss(
        ControlId::PssHostProbesAndHostLifecycle,
        "hostProbesAndHostLifecycle",
        Level::Baseline,
        Severity::Medium,
        [
            "Probes and lifecycle hooks reach only their own pod",
            "host of httpGet and tcpSocket in probes and lifecycle hooks",
            "remove host from probes and lifecycle hooks",
        ],
        (&[], POD_SECURITY),
    ),
    pss(
        ControlId::PssAppArmorProfile,
        "appArmorProfile",
        Level::Baseline,
        Severity::High,
        [
            "AppArmor is not switched off",
            "appArmorProfile.type of pod and containers; the container.apparmor.security.beta.kubernetes.io annotations",
            "set appArmorProfile.type to RuntimeDefault or Localhost, or leave it out",
        ],
        (&["5.7.3"], HARDENED),
    ),
    pss(
        ControlId::PssSeLinuxOptions,
        "seLinuxOptions",
        Level::Baseline,
        Severity::High,
        [
            "SELinux confines containers as usual",
            "seLinuxOptions type, user and role of pod and containers",
            "remove seLinuxOptions user and role, and use a container type such as container_t",
        ],
        (&["5.7.3"], HARDENED),
    ),
    pss(
        ControlId::PssProcMount,
        "procMount",
        Level::Baseline,
        Severity::High,
        [
            "/proc is masked, except in a user namespace",
            "securityContext.procMount of containers, hostUsers",
            "remove procMount, or set it to Default",
        ],
        (&[], POD_SECURITY),
    ),
    pss(
        ControlId::PssSeccompProfileBaseline,
        "seccompProfile_baseline",
        Level::Baseline,
        Severity::High,
        [
            "Seccomp is not switched off",
            "seccompProfile.type of pod and containers; below v1.19 the seccomp annotations",
            "set seccompProfile.type to RuntimeDefault or Localhost, or leave it out",
        ],
        (&["5.7.2"], HARDENED),
    ),
    pss(
        ControlId::PssSysctls,
        "sysctls",
        Level::Baseline,
        Severity::High,
        [
            "Pods set only safe sysctls",
            "securityContext.sysctls of the pod",
            "remove the sysctls that are not on the safe list of the pinned version",
        ],
        (&[], POD_SECURITY),
    ),
    pss(
        ControlId::PssWindowsHostProcess,
        "windowsHostProcess",
        Level::Baseline,
        Severity::Critical,
        [
            "Windows pods run no host process",
            "windowsOptions.hostProcess of pod and containers",
            "remove windowsOptions.hostProcess",
        ],
        (&["5.2.11"], POD_SECURITY),
    ),
    pss(
        ControlId::PssRestrictedVolumes,
        "restrictedVolumes",
        Level::Restricted,
        Severity::High,
        [
            "Volumes are of the kinds that hold no node or network secret",
            "volumes[]",
            "use configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret",
        ],
        (&["5.2.12"], POD_SECURITY),
    ),
    pss(
        ControlId::PssAllowPrivilegeEscalation,
        "allowPrivilegeEscalation",
        Level::Restricted,
        Severity::High,
        [
            "Processes cannot gain privileges",
            "securityContext.allowPrivilegeEscalation of containers",
            "set securityContext.allowPrivilegeEscalation: false in every container",
        ],
        (&["5.2.6"], POD_SECURITY),
    ),
    pss(
        ControlId::PssRunAsNonRoot,
        "runAsNonRoot",
        Level::Restricted,
        Severity::High,
        [
            "Containers must not run as root",
            "runAsNonRoot of pod and containers, hostUsers",
            "set securityContext.runAsNonRoot: true for the pod, and false nowhere",
        ],
        (&["5.2.7"], NON_ROOT),
    ),
    pss(
        ControlId::PssRunAsUser,
        "runAsUser",
        Level::Restricted,
        Severity::High,
        [
            "No container names root as its user",
            "runAsUser of pod and containers, hostUsers",
            "set runAsUser to an id other than 0, or leave it out",
        ],
        (&["5.2.7"], NON_ROOT),
    ),
    pss(
        ControlId::PssSeccompProfileRestricted,
        "seccompProfile_restricted",
        Level::Restricted,
        Severity::High,
        [
            "A seccomp profile confines every container",
            "seccompProfile.type of pod and containers",
            "set securityContext.seccompProfile.type: RuntimeDefault for the pod",
        ],
        (&["5.7.2"], HARDENED),
    ),
    pss(
        ControlId::PssCapabilitiesRestricted,
        "capabilities_restricted",
        Level::Restricted,
        Severity::High,
        [
            "Containers drop all capabilities and add at most NET_BIND_SERVICE",
            "securityContext.capabilities of containers",
            "set capabilities.drop: [ALL] in every container and add at most NET_BIND_SERVICE",
        ],
        (&["5.2.8", "5.2.9", "5.2.10"], POD_SECURITY),
    ),
    pss(
        ControlId::PssProcMountRestricted,
        "procMount_restricted",
        Level::Restricted,
        Severity::High,
        [
            "/proc is masked, in a user namespace too",
            "securityContext.procMount of containers",
            "remove procMount, or set it to Default",
        ],
        (&[], POD_SECURITY),
    ),
];
