//! Controls that are not about a pod: files that the API server never sees, and what the controller keeps.

use super::{Control, ControlId, Severity, Target};

const fn of(
    id: ControlId,
    target: Target,
    severity: Severity,
    [title, looks_at, remedy]: [&'static str; 3],
    (cis, nsa): (&'static [&'static str], &'static [&'static str]),
) -> Control {
    Control { id, check: None, level: None, title, severity, looks_at, remedy, cis, nsa, target }
}

const IMAGES: &[&str] = &["Building secure container images"];

const RUNTIME: &[&str] = &["Logging"];

const FILE: Target = Target::File;
const CLUSTER: Target = Target::Cluster;
/// Becomes `CLUSTER` with what keeps it.
const PLANNED: Target = Target::None;

/// Files first, then the cluster.
pub(crate) static CONTROLS: [Control; 30] = [
    of(
        ControlId::HbDfUser,
        FILE,
        Severity::High,
        [
            "The image does not run as root",
            "last USER of the final stage",
            "create a user and end the final stage with USER <id>",
        ],
        (&["5.2.7"], &["Non-root containers"]),
    ),
    of(
        ControlId::HbDfStage,
        FILE,
        Severity::Low,
        [
            "Build tools stay out of the final image",
            "FROM, COPY --from and RUN",
            "build in a stage of its own and COPY --from it into a minimal final stage",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfBase,
        FILE,
        Severity::Medium,
        [
            "The final base image is minimal and pinned",
            "FROM of the final stage",
            "start the final stage from a minimal image, by version or digest",
        ],
        (&["5.5.1"], IMAGES),
    ),
    of(
        ControlId::HbDfSecret,
        FILE,
        Severity::High,
        [
            "No credential is built into the image",
            "ENV, ARG and COPY",
            "mount it at build time with RUN --mount=type=secret, or read it from a file at run time",
        ],
        (&["5.4.1"], &["Secrets"]),
    ),
    of(
        ControlId::HbDfFetch,
        FILE,
        Severity::Medium,
        [
            "What is fetched while building is checked",
            "ADD of a URL, downloads in RUN that are executed, unpacked or kept",
            "download in RUN, compare a checksum, then use it",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfClean,
        FILE,
        Severity::Low,
        [
            "Package managers leave nothing behind",
            "RUN",
            "remove the package lists in the same RUN that installs",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfHealth,
        FILE,
        Severity::Low,
        [
            "Health is checked by probes",
            "HEALTHCHECK",
            "Kubernetes ignores HEALTHCHECK: write a livenessProbe and a readinessProbe",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfCmd,
        FILE,
        Severity::Low,
        [
            "Each stage has one CMD and one ENTRYPOINT",
            "CMD and ENTRYPOINT",
            "remove all but the last, which is the only one with an effect",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfExpose,
        FILE,
        Severity::Medium,
        [
            "EXPOSE names valid ports",
            "EXPOSE",
            "write a port from 1 to 65535, an ascending range, and tcp, udp or sctp",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfInstall,
        FILE,
        Severity::Low,
        [
            "Packages are installed without questions and without extras",
            "RUN with apt-get, yum, dnf, microdnf or zypper",
            "install with -y, and apt-get with --no-install-recommends",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfPin,
        FILE,
        Severity::Low,
        [
            "Packages are installed by version",
            "RUN with apt-get, apk, pip, npm, gem or go install",
            "name the version of the package",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfSudo,
        FILE,
        Severity::Low,
        [
            "Builds use no sudo",
            "RUN",
            "write USER root before the command, and the other USER after it",
        ],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbDfWorkdir,
        FILE,
        Severity::Low,
        ["WORKDIR is absolute", "WORKDIR", "write an absolute path"],
        (&[], IMAGES),
    ),
    of(
        ControlId::HbVuln,
        FILE,
        Severity::High,
        [
            "Known vulnerabilities stay below the threshold",
            "reports of a scanner",
            "rebuild on an updated base image, or update the packages that the report names",
        ],
        (&["5.5.1"], IMAGES),
    ),
    of(
        ControlId::HbSecretGit,
        FILE,
        Severity::High,
        [
            "No Secret lies in a manifest",
            "data and stringData of Secrets",
            "keep the value in a secret manager and write an ExternalSecret",
        ],
        (&["5.4.1", "5.4.2"], &["Secrets"]),
    ),
    of(
        ControlId::HbSecretConfig,
        FILE,
        Severity::High,
        [
            "No credential lies in a ConfigMap",
            "data of ConfigMaps",
            "move the value to a Secret, or let the program read it from a file",
        ],
        (&["5.4.1"], &["Secrets"]),
    ),
    of(
        ControlId::HbEso,
        FILE,
        Severity::Medium,
        [
            "External secrets and stores refer to what exists",
            "references of ExternalSecrets, PushSecrets and stores",
            "correct the name, or add the object that is missing",
        ],
        (&["5.4.2"], &["Secrets"]),
    ),
    of(
        ControlId::HbEsoLacks,
        FILE,
        Severity::High,
        [
            "What of External Secrets Operator does not work under Gabion",
            "with --eso: objects of External Secrets Operator, flags of its Deployment",
            "keep External Secrets Operator for it, in a class of its own",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbEsoDiffers,
        FILE,
        Severity::Medium,
        [
            "What of External Secrets Operator works differently under Gabion",
            "with --eso: objects of External Secrets Operator, its webhooks, alerts on its metrics",
            "read docs/external-secrets.md, which says what differs",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbNpOpen,
        FILE,
        Severity::Medium,
        [
            "No NetworkPolicy opens pods to everyone",
            "ingress and egress of NetworkPolicies",
            "name the peers that may connect",
        ],
        (&["5.3.2"], &["Network policies"]),
    ),
    of(
        ControlId::HbNpDeny,
        CLUSTER,
        Severity::High,
        [
            "Traffic is denied unless it is allowed",
            "NetworkPolicy gabion-default-deny",
            "set network.defaultDeny in the baseline",
        ],
        (&["5.3.2"], &["Network policies"]),
    ),
    of(
        ControlId::HbNpAllow,
        CLUSTER,
        Severity::Low,
        [
            "Only the traffic that is needed is allowed",
            "NetworkPolicies gabion-allow-*",
            "list the connections in network.allow of the baseline",
        ],
        (&["5.3.2"], &["Network policies"]),
    ),
    of(
        ControlId::HbPull,
        CLUSTER,
        Severity::Low,
        [
            "Registry credentials come from one source",
            "pull Secrets of the namespace",
            "name the source in serviceAccounts.pullSecrets of the baseline",
        ],
        (&["5.4.2"], &["Secrets"]),
    ),
    of(
        ControlId::HbPullAttach,
        CLUSTER,
        Severity::Low,
        [
            "ServiceAccounts use the registry credentials",
            "imagePullSecrets of ServiceAccounts",
            "set attach in serviceAccounts.pullSecrets of the baseline",
        ],
        (&[], &["Secrets"]),
    ),
    of(
        ControlId::HbMtls,
        PLANNED,
        Severity::Medium,
        [
            "Traffic in the mesh is mutual TLS",
            "PeerAuthentication",
            "set istio.peerAuthentication: STRICT in the baseline",
        ],
        (&[], &["Encryption"]),
    ),
    of(
        ControlId::HbAuthz,
        PLANNED,
        Severity::Medium,
        [
            "Requests in the mesh are authorised",
            "AuthorizationPolicy",
            "list the callers in istio.authorization of the baseline",
        ],
        (&[], &["Encryption"]),
    ),
    of(
        ControlId::HbFalcoShell,
        PLANNED,
        Severity::Low,
        [
            "A shell in a container is noticed",
            "Falco rules",
            "add ShellInContainer to falco.rules of the baseline",
        ],
        (&[], RUNTIME),
    ),
    of(
        ControlId::HbSign,
        PLANNED,
        Severity::High,
        [
            "Images are signed by somebody who is trusted",
            "image of containers",
            "sign the image, and name a TrustPolicy in images.trustPolicies of the baseline",
        ],
        (&["5.5.1"], IMAGES),
    ),
    of(
        ControlId::HbPsa,
        CLUSTER,
        Severity::High,
        [
            "Namespaces carry the Pod Security labels",
            "pod-security.kubernetes.io labels",
            "set podSecurity in the baseline",
        ],
        (&["5.2.1"], &["Pod security enforcement"]),
    ),
    of(
        ControlId::HbCi,
        FILE,
        Severity::Low,
        [
            "Images and manifests are checked before they are merged",
            "workflows of GitHub Actions that build images or deploy manifests",
            "run gabion check in the workflow and upload its SARIF file",
        ],
        (&[], IMAGES),
    ),
];
