//! What the hardening guide asks of a pod beyond the Pod Security Standards.

use super::{Control, ControlId, Severity, Target};

const fn of(
    id: ControlId,
    severity: Severity,
    texts: [&'static str; 3],
    (cis, nsa): (&'static [&'static str], &'static [&'static str]),
) -> Control {
    let [title, looks_at, remedy] = texts;
    Control {
        id,
        check: None,
        level: None,
        title,
        severity,
        looks_at,
        remedy,
        cis,
        nsa,
        target: Target::Pod,
    }
}

/// In the order in which they are evaluated.
pub(crate) static CONTROLS: [Control; 15] = [
    of(
        ControlId::HbRofs,
        Severity::High,
        [
            "The root filesystem of containers is read-only",
            "securityContext.readOnlyRootFilesystem of containers",
            "set securityContext.readOnlyRootFilesystem: true and mount an emptyDir on what is written, such as /tmp and /var/log",
        ],
        (&["5.7.3"], &["Immutable container file systems"]),
    ),
    of(
        ControlId::HbUid,
        Severity::Medium,
        [
            "Containers run as a user in the allowed range",
            "runAsUser of pod and containers",
            "set securityContext.runAsUser to an id in the allowed range",
        ],
        (&["5.2.7"], &["Non-root containers"]),
    ),
    of(
        ControlId::HbGid,
        Severity::Medium,
        [
            "Containers run with groups in the allowed range",
            "runAsGroup of pod and containers, supplementalGroups",
            "set securityContext.runAsGroup to an id in the allowed range",
        ],
        (&["5.7.3"], &["Non-root containers"]),
    ),
    of(
        ControlId::HbFsg,
        Severity::Low,
        [
            "Volumes belong to a group in the allowed range",
            "securityContext.fsGroup of the pod",
            "set securityContext.fsGroup of the pod to an id in the allowed range",
        ],
        (&["5.7.3"], &["Non-root containers"]),
    ),
    of(
        ControlId::HbSeccompLocal,
        Severity::Medium,
        [
            "Localhost seccomp profiles are on the allowed list",
            "seccompProfile.localhostProfile of pod and containers",
            "use RuntimeDefault, or a Localhost profile that the baseline lists",
        ],
        (&["5.7.2"], &["Hardening container environments"]),
    ),
    of(
        ControlId::HbRes,
        Severity::Medium,
        [
            "Containers state their requests and limits",
            "resources of containers and init containers, limits of the pod",
            "set the requests and limits that the baseline requires in every container",
        ],
        (&["5.7.1"], &["Resource policies"]),
    ),
    of(
        ControlId::HbImgRegistry,
        Severity::High,
        [
            "Images come from allowed registries",
            "image of containers",
            "use an image from an allowed registry, by its full name",
        ],
        (&["5.5.1"], &["Building secure container images"]),
    ),
    of(
        ControlId::HbImgBase,
        Severity::Medium,
        [
            "Images are not general-purpose distributions",
            "image of containers",
            "use a minimal image, such as a distroless one, instead of a denied repository",
        ],
        (&["5.5.1"], &["Building secure container images"]),
    ),
    of(
        ControlId::HbImgTag,
        Severity::Medium,
        [
            "Images are pinned",
            "image of containers",
            "name a version instead of latest, and add @sha256:<digest> where digests are required",
        ],
        (&["5.5.1"], &["Building secure container images"]),
    ),
    of(
        ControlId::HbPort,
        Severity::Low,
        [
            "Containers listen on ports that need no privilege",
            "ports[].containerPort of containers",
            "listen on a higher port and map it in the Service",
        ],
        (&[], &["Non-root containers"]),
    ),
    of(
        ControlId::HbSecretLiteral,
        Severity::High,
        [
            "No credential is written into the environment",
            "name and value of env",
            "move the value to a Secret: mount it as a file, or use valueFrom.secretKeyRef",
        ],
        (&["5.4.1"], &["Secrets"]),
    ),
    of(
        ControlId::HbSecretEnv,
        Severity::Low,
        [
            "Secrets are files, not environment variables",
            "env[].valueFrom.secretKeyRef and envFrom[].secretRef",
            "mount the Secret as a volume and read the file",
        ],
        (&["5.4.1"], &["Secrets"]),
    ),
    of(
        ControlId::HbToken,
        Severity::Medium,
        [
            "Pods do not ask for an API token",
            "automountServiceAccountToken of the pod, serviceAccountToken in projected volumes",
            "remove automountServiceAccountToken: true and volumes with a serviceAccountToken, or run it where baselines allow tokens",
        ],
        (&["5.1.6"], &["Protecting Pod service account tokens"]),
    ),
    of(
        ControlId::HbLogEnv,
        Severity::Low,
        [
            "Containers are told how to log",
            "env of containers",
            "set the required environment variables, such as LOG_LEVEL and LOG_FORMAT",
        ],
        (&[], &["Logging"]),
    ),
    of(
        ControlId::HbLogRo,
        Severity::Medium,
        [
            "Only one container writes a shared log volume",
            "volumeMounts below /var/log",
            "mount the log volume with readOnly: true in every container but its writer",
        ],
        (&[], &["Logging"]),
    ),
];
