//! Why each control exists: what happens if an object breaks it.

use super::ControlId;

impl ControlId {
    /// Why it matters, in a sentence or two.
    pub(crate) fn why(self) -> &'static str {
        // In the order of the enum, which the compiler checks.
        WHY[self as usize].1
    }
}

const _: () = {
    let mut at = 0;
    while at < WHY.len() {
        assert!(WHY[at].0 as usize == at);
        at += 1;
    }
};

static WHY: [(ControlId, &str); ControlId::ALL.len()] = [
    (
        ControlId::PssHostNamespaces,
        "A container in the node's network, process or IPC namespace can read the traffic and the memory of every other container on the node.",
    ),
    (ControlId::PssPrivileged, "A privileged container has every right of root on the node."),
    (
        ControlId::PssCapabilitiesBaseline,
        "Capabilities beyond the default set, such as SYS_ADMIN, are ways out of the container.",
    ),
    (
        ControlId::PssHostPathVolumes,
        "A path of the node gives access to its files. The socket of the container runtime gives access to everything on it.",
    ),
    (
        ControlId::PssHostPorts,
        "A port of the node is reachable from outside of the cluster, and no NetworkPolicy applies to it.",
    ),
    (
        ControlId::PssHostProbesAndHostLifecycle,
        "The kubelet sends probes from the node. A host in a probe reaches addresses that the pod itself cannot reach.",
    ),
    (
        ControlId::PssAppArmorProfile,
        "Without AppArmor, a compromised process can use everything that its user can use.",
    ),
    (
        ControlId::PssSeLinuxOptions,
        "Another SELinux type or user removes the separation between containers and node.",
    ),
    (ControlId::PssProcMount, "An unmasked /proc shows and changes settings of the kernel."),
    (
        ControlId::PssSeccompProfileBaseline,
        "Without seccomp a container can make every system call, and so reach every bug of the kernel.",
    ),
    (
        ControlId::PssSysctls,
        "A sysctl that is not on the safe list changes the node for all its pods.",
    ),
    (
        ControlId::PssWindowsHostProcess,
        "A Windows host process runs on the node itself, outside of any container.",
    ),
    (
        ControlId::PssRestrictedVolumes,
        "Volumes that name a server or a disk let a pod mount storage that no storage class gives it.",
    ),
    (
        ControlId::PssAllowPrivilegeEscalation,
        "A setuid program gives a process more rights than the user that started it has.",
    ),
    (
        ControlId::PssRunAsNonRoot,
        "If a process escapes from its container, it has the rights of its user. Root in the container is then root on the node.",
    ),
    (
        ControlId::PssRunAsUser,
        "If a process escapes from its container, it has the rights of its user. Root in the container is then root on the node.",
    ),
    (
        ControlId::PssSeccompProfileRestricted,
        "Kubernetes filters no system calls unless the pod names a profile or the kubelet has a default.",
    ),
    (
        ControlId::PssCapabilitiesRestricted,
        "The default set contains rights that few programs need, such as sending raw packets.",
    ),
    (
        ControlId::PssProcMountRestricted,
        "The restricted level keeps /proc masked in user namespaces too.",
    ),
    (
        ControlId::HbRofs,
        "On a read-only root filesystem, an attacker cannot replace programs or leave files for the next start.",
    ),
    (
        ControlId::HbUid,
        "Ids in a known range belong to no user of the node, so that an escaped process owns nothing there.",
    ),
    (
        ControlId::HbGid,
        "Ids in a known range belong to no group of the node, so that an escaped process can read nothing there.",
    ),
    (
        ControlId::HbFsg,
        "Files on a volume that belong to a group of the node can be read by its processes.",
    ),
    (
        ControlId::HbSeccompLocal,
        "A profile that nobody reviewed can allow every system call, and it still counts as a profile.",
    ),
    (
        ControlId::HbRes,
        "A container without limits can use up the memory and CPU of its node. Without requests, the scheduler cannot plan.",
    ),
    (
        ControlId::HbImgRegistry,
        "An image from an unknown registry was scanned and signed by nobody. A typo in a name is enough to run it.",
    ),
    (
        ControlId::HbImgBase,
        "A whole distribution contains a shell, a package manager, and the vulnerabilities of everything in it.",
    ),
    (
        ControlId::HbImgTag,
        "If a tag moves, the next restart runs another program, and two nodes can run different ones.",
    ),
    (
        ControlId::HbPort,
        "Ports below 1024 need root or a capability that the restricted level removes.",
    ),
    (
        ControlId::HbSecretLiteral,
        "Everyone who reads the manifest, the repository or the pod reads the credential. To rotate it means to deploy.",
    ),
    (
        ControlId::HbSecretEnv,
        "Environment variables appear in crash reports, in child processes and in the output of `kubectl exec`. Files do not.",
    ),
    (ControlId::HbToken, "An attacker in the pod can use the token to call the API server."),
    (
        ControlId::HbLogEnv,
        "A log collector parses one format. It cannot search what comes in another.",
    ),
    (ControlId::HbLogRo, "A container that can write the logs can delete the traces of an attack."),
    (ControlId::HbDfUser, "The image runs as root wherever a pod does not name another user."),
    (
        ControlId::HbDfStage,
        "Compilers and package managers in an image help an attacker, and have vulnerabilities of their own.",
    ),
    (
        ControlId::HbDfBase,
        "Most of an image comes from its base. A small base with a version has few vulnerabilities and does not change unnoticed.",
    ),
    (
        ControlId::HbDfSecret,
        "A layer keeps what a later instruction deletes. Everyone who pulls the image can read it.",
    ),
    (
        ControlId::HbDfFetch,
        "Whoever controls the server, or the network to it, decides what is in the image.",
    ),
    (
        ControlId::HbDfClean,
        "Package lists and caches make the image larger, and no program uses them.",
    ),
    (
        ControlId::HbDfHealth,
        "Kubernetes does not run HEALTHCHECK. Without probes, the container counts as healthy.",
    ),
    (
        ControlId::HbDfCmd,
        "Only the last CMD or ENTRYPOINT of a stage has an effect. The program in an earlier one never starts.",
    ),
    (
        ControlId::HbDfExpose,
        "The build fails, or the file documents a port on which nothing listens.",
    ),
    (
        ControlId::HbDfInstall,
        "Without -y the build stops at a question. Recommended packages add programs that nobody chose, with their vulnerabilities.",
    ),
    (
        ControlId::HbDfPin,
        "Without versions, the same Dockerfile builds another image tomorrow. It is a note, because repositories of distributions delete old versions.",
    ),
    (
        ControlId::HbDfSudo,
        "RUN can switch users with USER. sudo in the image is a program with the right to become root.",
    ),
    (
        ControlId::HbDfWorkdir,
        "A relative WORKDIR depends on the base image, and changes when the base does.",
    ),
    (ControlId::HbVuln, "Attackers know published vulnerabilities, and try them."),
    (
        ControlId::HbSecretGit,
        "A repository keeps the value for ever and copies it to everyone who clones it. base64 is not encryption.",
    ),
    (
        ControlId::HbSecretConfig,
        "Many users may read ConfigMaps, and the API server does not encrypt them.",
    ),
    (ControlId::HbEso, "The Secret never appears, and pods that mount it do not start."),
    (
        ControlId::HbEsoLacks,
        "After the switch the object is refused or left alone, and the Secret that it made is not refreshed any more.",
    ),
    (
        ControlId::HbEsoDiffers,
        "The object works, but a Secret, an alert or a call can come out otherwise than before the switch.",
    ),
    (
        ControlId::HbNpOpen,
        "A rule that admits everyone makes every stricter policy for the same pods useless.",
    ),
    (
        ControlId::HbNpDeny,
        "Without a default deny, every pod can reach every other pod that no policy selects.",
    ),
    (
        ControlId::HbNpAllow,
        "A connection that is allowed and not needed is a path from one workload to the next.",
    ),
    (
        ControlId::HbPull,
        "Copies of registry credentials expire one by one, and pods can no longer pull images.",
    ),
    (
        ControlId::HbPullAttach,
        "A ServiceAccount without registry credentials cannot pull private images.",
    ),
    (
        ControlId::HbMtls,
        "Without mutual TLS, whoever can read the network can read what services send to each other.",
    ),
    (
        ControlId::HbAuthz,
        "Without an AuthorizationPolicy, every workload in the mesh can call every other one.",
    ),
    (
        ControlId::HbFalcoShell,
        "A shell in a container is often the first thing that an attacker starts.",
    ),
    (ControlId::HbSign, "Without a signature nobody can verify who built the image."),
    (
        ControlId::HbPsa,
        "Without the labels, the Pod Security admission of the API server checks no pod of the namespace.",
    ),
    (ControlId::HbCi, "A manifest that is checked only after deployment is deployed unchecked."),
    (
        ControlId::HbRbacWildcard,
        "A wildcard also grants what a later version adds, and often Secrets and roles. The severity is high for all resources of a Kubernetes API group, medium if resources are named, and low in groups of custom resources.",
    ),
    (
        ControlId::HbRbacAdmin,
        "Whoever compromises the holder has the whole cluster. No RBAC rule limits the group system:masters. In a single namespace the severity is medium.",
    ),
    (
        ControlId::HbRbacSecrets,
        "Whoever can list Secrets has every credential of the namespace, tokens of other ServiceAccounts included. In a single namespace the severity is low.",
    ),
    (
        ControlId::HbRbacEscalate,
        "With one of these rights, the holder can gain every other right, up to cluster-admin.",
    ),
    (
        ControlId::HbSvcNodePort,
        "The port is open on every node, and bypasses the TLS, the authentication and the logs of an Ingress.",
    ),
    (
        ControlId::HbSvcExternalIp,
        "The cluster sends traffic for that address to the Service, whoever owns the address (CVE-2020-8554).",
    ),
    (
        ControlId::HbSvcSelector,
        "A Service that selects no pod has no endpoints: its callers get no answer, and no condition reports it. Gabion reports it if a workload of the same name has other labels.",
    ),
    (ControlId::HbIngTls, "Passwords, cookies and tokens cross the network unencrypted."),
    (
        ControlId::HbNpNone,
        "Every pod in the cluster can reach a pod that no policy for incoming connections selects. It is a note if no policy for the namespace is among the files, because the cluster may have one.",
    ),
    (
        ControlId::HbProcNs,
        "A container can read the environment and the files of the others through /proc, credentials included.",
    ),
    (
        ControlId::HbTokenDefault,
        "A pod that does not mention the token gets one, and an attacker can use it to call the API server. It is a note, because some pods need it.",
    ),
    (
        ControlId::HbProbe,
        "Without a readiness probe, a container gets requests before it can answer. Without any probe, a container that hangs is never restarted. It is a note if no Service among the files selects the pods.",
    ),
    (
        ControlId::HbReplicas,
        "If the only pod is evicted, the workload is unavailable. It is a note, because some programs must run once.",
    ),
    (
        ControlId::HbPdb,
        "Without a PodDisruptionBudget, a drain can evict all replicas at once. That is a note, because it may be elsewhere. With one that keeps every pod, a drain never ends.",
    ),
    (
        ControlId::HbSchema,
        "kubectl refuses a field that the API server does not know, and other clients have it dropped: a securityContext with a slip in its name protects nothing. A value of the wrong type is refused in any case.",
    ),
    (
        ControlId::HbApi,
        "The API server refuses an object of a version that it does not serve, and the deployment stops halfway. It is a note where it depends on the settings of the cluster.",
    ),
    (
        ControlId::HbInvalid,
        "The API server refuses the object although it knows each field, and the deployment stops halfway.",
    ),
];
