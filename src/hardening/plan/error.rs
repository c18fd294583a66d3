//! Everything that can go wrong in the hardening subsystem, and the one table of what to do about it.

use crate::policy::PolicyError;
use crate::retry::Retry;
use crate::text::shortened;

/// A failure of the hardening subsystem. The text names objects and fields, never contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The stored spec breaks a rule of today.
    #[error(
        "spec.{field}: {problem}; the previous generation stays in force until the spec is corrected"
    )]
    InvalidSpec {
        /// Path below spec.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A name of ours is taken by an object that is not ours.
    #[error(
        "{object} is not ours (made by {manager}) and is left alone; rename or delete it, or annotate it gabion.dev/adopt: \"true\""
    )]
    NameTaken {
        /// Kind and name.
        object: String,
        /// Field manager that made it.
        manager: String,
    },
    /// Somebody else writes a field of ours.
    #[error(
        "{field} is owned by {manager} and is left alone for now; stop that writer{}", if field.starts_with("label ") { ", or set podSecurity.labelOwnership: External" } else { "" }
    )]
    FieldOwnedBy {
        /// The field.
        field: String,
        /// Its manager.
        manager: String,
    },
    /// A quota would be below what is in use.
    #[error(
        "ResourceQuota gabion-quota is held: {0}; the rest of it is in force, and this follows when usage falls to the limit"
    )]
    QuotaBelowUsage(String),
    /// The default deny must not come before its allow policies.
    #[error(
        "NetworkPolicy/gabion-default-deny is held: {0} is not ours, and denying without it would cut traffic that a baseline keeps open; free that name"
    )]
    AllowMissing(String),
    /// Baselines allow registries that exclude each other.
    #[error(
        "images.allowedRegistries of {0} have nothing in common, so that no image could start; allow a registry in all of them"
    )]
    EmptyIntersection(String),
    /// A user's own policy opens what the baselines deny.
    #[error(
        "{object} opens {directions} to everyone, which the baselines deny{}; narrow or delete it, or set network.guardUserPolicies: Ignore", if *marked { " (it carries marks of Gabion, which did not make it so)" } else { "" }
    )]
    NetworkWidened {
        /// Kind and name.
        object: String,
        /// What it opens.
        directions: String,
        /// Whether it carries a mark of ours, which anybody can copy.
        marked: bool,
    },
    /// Labels that somebody else writes are not what the baselines ask for.
    #[error(
        "namespace labels differ from the baselines: {0}; correct them where they are written (labelOwnership is External)"
    )]
    LabelsDiffer(String),
    /// A `LimitRange` of a user and ours leave no room for each other.
    #[error(
        "{object} and resources.containerDefaults or containerMax exclude each other, so that pods are refused: {why}; change one of them"
    )]
    LimitsExclude {
        /// Kind and name.
        object: String,
        /// The resource, and both amounts.
        why: String,
    },
    /// An object was deleted and is still there.
    #[error(
        "{object} was deleted and is still in force, as its finalizers ({finalizers}) keep it; remove them, or whoever waits there"
    )]
    Leftover {
        /// Kind and name.
        object: String,
        /// Its finalizers.
        finalizers: String,
    },
    /// Some namespaces failed.
    #[error(
        "{failed} of {selected} namespaces are not as they should be; the first is {first}; see NamespaceHardening effective there"
    )]
    NamespaceErrors {
        /// Namespaces that failed.
        failed: usize,
        /// Namespaces selected.
        selected: usize,
        /// The first of them, and why.
        first: String,
    },
    /// The CRD is going away, or many baselines at once.
    #[error(
        "teardown is paused: {0}; what it made stays in force until the baseline is annotated gabion.dev/confirm-teardown: <its name>"
    )]
    MassDeletion(String),
    /// The API server's type check warns about a compiled policy.
    #[error(
        "the API server's type check of {policy} says: {warning}; this revision is not used, please report it"
    )]
    TypeCheckWarning {
        /// The policy.
        policy: String,
        /// Its first warning.
        warning: String,
    },
    /// A compiled policy costs more than the API server spends.
    #[error("revision {revision} {problem}, and is not used; shorten {field}")]
    BudgetExceeded {
        /// The revision.
        revision: String,
        /// What it would need, and what there is.
        problem: String,
        /// The field of the spec that adds most, or those that may.
        field: String,
    },
    /// A probe pod was not answered as it must be.
    #[error(
        "a probe pod for revision {revision} was refused, and not by it: {words}; the revision is not used until its probes are answered, so exempt the probe namespace where that is said"
    )]
    ProbeFailed {
        /// The revision.
        revision: String,
        /// What the API server answered.
        words: String,
    },
    /// The namespace in which pods are tried is missing.
    #[error(
        "there is no namespace {namespace} to try pods in by dry run, or it is being deleted, so that no further policy is bound; apply config/rbac/policies.yaml"
    )]
    NoProbeNamespace {
        /// The namespace.
        namespace: String,
    },
    /// Policies are cluster-scoped, and this installation has no right to them.
    #[error(
        "the operator may not list and watch ValidatingAdmissionPolicies and their bindings: pods are checked by Pod Security labels only; apply config/rbac/policies.yaml, which needs rights in the whole cluster"
    )]
    NeedsClusterInstall,
    /// A Secret that a baseline names cannot be copied.
    #[error(
        "Secret {secret} {why}; until then the copies that there are stay as they are (serviceAccounts.pullSecrets)"
    )]
    PullSecretUnusable {
        /// Namespace and name.
        secret: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The name of a copy is taken.
    #[error(
        "{object} is not ours and is left alone; delete it, or choose another targetName in serviceAccounts.pullSecrets"
    )]
    SecretNameTaken {
        /// Kind and name.
        object: String,
    },
    /// Two baselines want one copy of two sources, or more copies than there may be.
    #[error(
        "Secret/{target} is not made from {unused}, because a baseline of higher priority has it made from {used}; choose another targetName in serviceAccounts.pullSecrets"
    )]
    PullSecretConflict {
        /// Name of the copy.
        target: String,
        /// The source that is not used.
        unused: String,
        /// The source that is.
        used: String,
    },
    /// A `ServiceAccount` has more entries than are written.
    #[error(
        "ServiceAccount/{account} has more than {most} imagePullSecrets, and is left alone; shorten that list"
    )]
    TooManyPullSecrets {
        /// Its name.
        account: String,
        /// Most entries.
        most: usize,
    },
    /// The API server forbids a verb.
    #[error("the API server forbids {verb} on {object}; grant it to the operator's ServiceAccount")]
    Forbidden {
        /// The verb.
        verb: &'static str,
        /// Kind and name.
        object: String,
    },
    /// The API server refuses a generated object, by itself or because of an admission policy or webhook.
    #[error(
        "the API server refuses {object}, made from {field}: {words}; correct that, or the policy that refuses it"
    )]
    Rejected {
        /// Kind and name.
        object: String,
        /// The field of the baseline that it is made from.
        field: String,
        /// What the API server answered.
        words: String,
    },
    /// Somebody changed the object first.
    #[error("{object} changed while it was written; trying again")]
    Stale {
        /// Kind and name.
        object: String,
    },
    /// The API server does not answer.
    #[error("the API server does not answer for {object}; trying again")]
    ApiUnavailable {
        /// Kind and name.
        object: String,
    },
}

impl Error {
    /// Condition reason, event reason and metric label of the failure, and when to try again.
    pub(crate) fn class(&self) -> (&'static str, Retry) {
        match self {
            Self::InvalidSpec { .. } => ("InvalidSpec", Retry::OnChange),
            Self::NameTaken { .. } => ("NameTaken", Retry::OnChange),
            Self::FieldOwnedBy { .. } => ("FieldOwnedBy", Retry::Backoff),
            Self::QuotaBelowUsage(_) => ("QuotaBelowUsage", Retry::Backoff),
            Self::AllowMissing(_) => ("AllowMissing", Retry::OnChange),
            Self::EmptyIntersection(_) => ("EmptyIntersection", Retry::OnChange),
            Self::NetworkWidened { .. } => ("NetworkWidened", Retry::OnChange),
            Self::LabelsDiffer(_) => ("LabelsDiffer", Retry::OnChange),
            Self::LimitsExclude { .. } => ("LimitsExclude", Retry::OnChange),
            Self::Leftover { .. } => ("Leftover", Retry::OnChange),
            Self::NamespaceErrors { .. } => ("NamespaceErrors", Retry::Backoff),
            Self::MassDeletion(_) => ("MassDeletion", Retry::OnChange),
            Self::TypeCheckWarning { .. } => ("TypeCheckWarning", Retry::OnChange),
            Self::BudgetExceeded { .. } => ("BudgetExceeded", Retry::OnChange),
            Self::ProbeFailed { .. } => ("ProbeFailed", Retry::Backoff),
            Self::NoProbeNamespace { .. } => ("NoProbeNamespace", Retry::Backoff),
            Self::NeedsClusterInstall => ("NeedsClusterInstall", Retry::Backoff),
            Self::PullSecretUnusable { .. } => ("PullSecretUnusable", Retry::OnChange),
            Self::SecretNameTaken { .. } => ("SecretNameTaken", Retry::OnChange),
            Self::PullSecretConflict { .. } => ("PullSecretConflict", Retry::OnChange),
            Self::TooManyPullSecrets { .. } => ("TooManyPullSecrets", Retry::OnChange),
            Self::Forbidden { .. } => ("Forbidden", Retry::Backoff),
            Self::Rejected { .. } => ("Rejected", Retry::Backoff),
            Self::Stale { .. } => ("Stale", Retry::Backoff),
            Self::ApiUnavailable { .. } => ("ApiUnavailable", Retry::Backoff),
        }
    }

    /// The API server refuses this object, in these words.
    pub(crate) fn rejected(object: &str, words: &str) -> Self {
        let words = shortened(words, LONGEST_WORDS);
        Self::Rejected { object: object.to_owned(), field: origin(object), words }
    }

    /// Whether somebody else has what is ours.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::NameTaken { .. }
                | Self::FieldOwnedBy { .. }
                | Self::EmptyIntersection(_)
                | Self::SecretNameTaken { .. }
                | Self::PullSecretConflict { .. }
        )
    }

    /// Whether something is held back on purpose.
    pub(crate) fn is_hold(&self) -> bool {
        matches!(self, Self::QuotaBelowUsage(_) | Self::AllowMissing(_))
    }

    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidSpec { field: field.into(), problem: problem.into() }
    }
}

/// Most that is kept of the words of the API server.
const LONGEST_WORDS: usize = 400;

/// The field of a baseline that a generated object is made from.
fn origin(object: &str) -> String {
    let (kind, name) = object.split_once('/').unwrap_or((object, ""));
    match (kind, name) {
        ("NetworkPolicy", "gabion-default-deny") => "spec.network.defaultDeny".to_owned(),
        ("NetworkPolicy", "gabion-allow-dns") => "spec.network.dns".to_owned(),
        ("NetworkPolicy", name) => {
            let rule = ["gabion-allow-", "gabion-egress-", "gabion-ingress-"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .map_or(name, |rule| rule.split('.').next().unwrap_or(rule));
            format!("spec.network.allow[{rule}]")
        }
        ("ResourceQuota", _) => "spec.resources.quota.hard".to_owned(),
        ("LimitRange", _) => "spec.resources.containerDefaults or containerMax".to_owned(),
        ("Secret", _) => "spec.serviceAccounts.pullSecrets".to_owned(),
        ("ServiceAccount", name) if name.ends_with(" imagePullSecrets") => {
            "spec.serviceAccounts.pullSecrets".to_owned()
        }
        ("ServiceAccount", _) => "spec.serviceAccounts.automountToken".to_owned(),
        ("Namespace labels", _) => "spec.podSecurity".to_owned(),
        _ => "the baseline".to_owned(),
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::InvalidSpec { field, problem } => Self::InvalidSpec { field, problem },
            PolicyError::BudgetExceeded { revision, problem, field } => {
                Self::BudgetExceeded { revision, problem, field }
            }
        }
    }
}

/// One error of every kind, for tests that walk the table and the page of reasons.
#[cfg(test)]
pub(crate) fn samples() -> Vec<Error> {
    let object = || "NetworkPolicy/gabion-default-deny".to_owned();
    vec![
        Error::invalid("podSecurity.level", "must be privileged, baseline or restricted"),
        Error::NameTaken { object: object(), manager: "kubectl-create".into() },
        Error::FieldOwnedBy { field: "label x".into(), manager: "argocd-controller".into() },
        Error::QuotaBelowUsage("pods used=3 hard=2".into()),
        Error::AllowMissing("NetworkPolicy/gabion-allow-dns".into()),
        Error::EmptyIntersection("org, pci".into()),
        Error::NetworkWidened {
            object: "NetworkPolicy/mine".into(),
            directions: "Ingress".into(),
            marked: true,
        },
        Error::LabelsDiffer("enforce is baseline, should be restricted".into()),
        Error::LimitsExclude { object: "LimitRange/team".into(), why: "memory: 1 and 2".into() },
        Error::Leftover { object: object(), finalizers: "example.com/hold".into() },
        Error::NamespaceErrors { failed: 1, selected: 2, first: "shop (Stale)".into() },
        Error::MassDeletion("the CustomResourceDefinition is being deleted".into()),
        Error::TypeCheckWarning { policy: "gabion-prod".into(), warning: "undefined field".into() },
        Error::BudgetExceeded {
            revision: "9f31c2".into(),
            problem: "costs more than the API server spends on one request".into(),
            field: "images.allowedRegistries".into(),
        },
        Error::ProbeFailed { revision: "9f31c2".into(), words: "denied by a webhook".into() },
        Error::NoProbeNamespace { namespace: "gabion-probe".into() },
        Error::NeedsClusterInstall,
        Error::PullSecretUnusable {
            secret: "platform/registry".into(),
            why: "does not exist; create it".into(),
        },
        Error::SecretNameTaken { object: "Secret/registry".into() },
        Error::PullSecretConflict {
            target: "registry".into(),
            unused: "platform/b".into(),
            used: "platform/a".into(),
        },
        Error::TooManyPullSecrets { account: "default".into(), most: 64 },
        Error::Forbidden { verb: "patch", object: object() },
        Error::rejected(&object(), "ports: Invalid value"),
        Error::Stale { object: object() },
        Error::ApiUnavailable { object: object() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn weak_only_labels_can_be_left_to_their_writer() {
        for (field, offered) in [
            ("label pod-security.kubernetes.io/enforce", true),
            ("NetworkPolicy/gabion-default-deny", false),
            ("ServiceAccount/default automountServiceAccountToken", false),
        ] {
            let error = Error::FieldOwnedBy { field: field.into(), manager: "m".into() };
            assert_eq!(error.to_string().contains("labelOwnership"), offered, "{error}");
        }
    }

    #[test]
    fn reasons_are_words_and_no_two_errors_share_one() {
        let reasons: Vec<_> = samples().iter().map(|e| e.class().0).collect();
        let distinct: BTreeSet<_> = reasons.iter().collect();
        assert_eq!(distinct.len(), reasons.len());
        for reason in reasons {
            assert!(reason.starts_with(|c: char| c.is_ascii_uppercase()), "{reason}");
            assert!(reason.chars().all(|c| c.is_ascii_alphanumeric()), "{reason}");
        }
    }

    #[test]
    fn every_error_names_the_object_and_the_remedy() {
        for error in samples() {
            let text = error.to_string();
            assert!(text.len() > 30 && text.contains([';', ',']), "{text}");
        }
    }
}
