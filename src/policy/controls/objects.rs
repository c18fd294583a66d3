//! Controls of `gabion check` about objects beside pods, and about what admission does not require of pods.

use super::{Control, ControlId, Severity, Target};

const fn of(
    id: ControlId,
    severity: Severity,
    [title, looks_at, remedy]: [&'static str; 3],
    (cis, nsa): (&'static [&'static str], &'static [&'static str]),
) -> Control {
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
        target: Target::File,
    }
}

const ACCESS: &[&str] = &["Authentication and authorization"];
const NETWORK: &[&str] = &["Network policies"];

/// Rights, traffic, pods.
pub(crate) static CONTROLS: [Control; 17] = [
    of(
        ControlId::HbRbacWildcard,
        Severity::High,
        [
            "Roles list what they allow",
            "apiGroups, resources and verbs of Roles and ClusterRoles",
            "list the groups, resources and verbs that are used",
        ],
        (&["5.1.3"], ACCESS),
    ),
    of(
        ControlId::HbRbacAdmin,
        Severity::High,
        [
            "Nobody is bound to cluster-admin",
            "roleRef and subjects of RoleBindings and ClusterRoleBindings",
            "bind a role with the rights that are used",
        ],
        (&["5.1.1", "5.1.7"], ACCESS),
    ),
    of(
        ControlId::HbRbacSecrets,
        Severity::Medium,
        [
            "Roles read Secrets by name only",
            "rules about secrets in Roles and ClusterRoles",
            "name the Secrets in resourceNames, or mount them into the pod",
        ],
        (&["5.1.2"], ACCESS),
    ),
    of(
        ControlId::HbRbacEscalate,
        Severity::High,
        [
            "Roles grant no right to gain more rights",
            "escalate, bind, impersonate, serviceaccounts/token and nodes/proxy in Roles and ClusterRoles",
            "remove the right, or name in resourceNames what it is for",
        ],
        (&["5.1.8", "5.1.10", "5.1.13"], ACCESS),
    ),
    of(
        ControlId::HbSvcNodePort,
        Severity::Medium,
        [
            "Services open no port of the node",
            "type of Services",
            "use ClusterIP behind an Ingress or a Gateway, or LoadBalancer",
        ],
        (&[], NETWORK),
    ),
    of(
        ControlId::HbSvcExternalIp,
        Severity::High,
        [
            "Services claim no external addresses",
            "externalIPs of Services",
            "remove externalIPs and use LoadBalancer",
        ],
        (&[], NETWORK),
    ),
    of(
        ControlId::HbSvcSelector,
        Severity::Medium,
        [
            "Services select pods",
            "selector of Services, labels of the pods among the files",
            "correct the selector, or the labels of the pod template",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbIngTls,
        Severity::Medium,
        [
            "Traffic into the cluster is encrypted",
            "tls, rules and annotations of Ingresses",
            "add the host to tls, with the Secret that holds its certificate",
        ],
        (&[], &["Encryption"]),
    ),
    of(
        ControlId::HbNpNone,
        Severity::Medium,
        [
            "A NetworkPolicy restricts who connects to every pod",
            "labels of pod templates, podSelector and policyTypes of NetworkPolicies",
            "add a NetworkPolicy that denies by default, or set network.defaultDeny in the baseline",
        ],
        (&["5.3.2"], NETWORK),
    ),
    of(
        ControlId::HbProcNs,
        Severity::Medium,
        [
            "Containers of a pod do not see each other's processes",
            "shareProcessNamespace of pods with several containers",
            "remove shareProcessNamespace",
        ],
        (&[], &["Pod security enforcement"]),
    ),
    of(
        ControlId::HbTokenDefault,
        Severity::Low,
        [
            "Pods mount no API token by default",
            "automountServiceAccountToken of pods and ServiceAccounts, subjects of bindings",
            "set automountServiceAccountToken: false in the pod or in its ServiceAccount",
        ],
        (&["5.1.6"], &["Protecting Pod service account tokens"]),
    ),
    of(
        ControlId::HbProbe,
        Severity::Low,
        [
            "Containers have probes",
            "probes and ports of Deployments, StatefulSets and DaemonSets, selectors of Services",
            "add a readinessProbe, and a livenessProbe where a restart helps",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbReplicas,
        Severity::Low,
        [
            "Deployments have several replicas",
            "replicas of Deployments, targets of autoscalers",
            "run two replicas or more, or suppress the note with the reason",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbPdb,
        Severity::Low,
        [
            "A PodDisruptionBudget keeps workloads available and lets nodes be drained",
            "PodDisruptionBudgets, autoscalers, replicas and labels of Deployments and StatefulSets",
            "add a PodDisruptionBudget with maxUnavailable: 1",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbSchema,
        Severity::Medium,
        [
            "Fields are those that the API server knows",
            "every field of kinds whose schema is known",
            "correct the name or the value of the field",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbApi,
        Severity::High,
        [
            "API versions are served",
            "apiVersion and kind",
            "write a version that the API server serves",
        ],
        (&[], &[]),
    ),
    of(
        ControlId::HbInvalid,
        Severity::High,
        [
            "Objects are valid",
            "fields of Kubernetes kinds that must fit each other, names, labels, amounts, schedules",
            "correct the field: the API server refuses the object",
        ],
        (&[], &[]),
    ),
];
