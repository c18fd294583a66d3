//! Everything that can go wrong in the secrets subsystem, and the one table of what it is called and what to do.

use crate::retry::Retry;
use std::time::Duration;

use super::{
    index::StoreKey,
    plan::{BadCondition, PlanError, push::PushError},
};
use crate::cluster::write::{ApiError, FieldCause};
use crate::generator::GeneratorError;
use crate::provider::ProviderError;

/// How often something that only a change can mend is reconciled all the same.
pub(crate) const RECHECK: Duration = Duration::from_hours(1);

/// Why an object of the secrets subsystem is not in order. `Display` is for users: names and fixed text.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store does not exist.
    #[error("{0} does not exist: create it, or correct secretStoreRef")]
    StoreMissing(StoreKey),
    /// The store is not ready.
    #[error("{store} is not ready: {cause}")]
    StoreNotReady {
        /// Which.
        store: StoreKey,
        /// Why, from the store's own condition.
        cause: String,
    },
    /// The ClusterSecretStore does not allow this namespace.
    #[error(
        "using cluster store {store:?} is not allowed from namespace {namespace:?}: denied by spec.conditions"
    )]
    StoreDenied {
        /// Name of the store.
        store: String,
        /// The namespace that asked.
        namespace: String,
    },
    /// The watch has not delivered the labels of the namespace yet, and the store allows by labels.
    #[error(
        "the labels of namespace {namespace:?} are not known, and cluster store {store:?} allows by \
         labels: the operator needs the right to list and watch namespaces (see /readyz)"
    )]
    NamespaceUnknown {
        /// Name of the store.
        store: String,
        /// The namespace.
        namespace: String,
    },
    /// The list of the ClusterSecretStore does not name this key for this namespace.
    #[error(
        "spec.{field}: cluster store {store:?} does not let namespace {namespace:?} use {what}: have it added to the \
         store's annotation gabion.dev/allowed-keys"
    )]
    KeyNotAllowed {
        /// Path below `spec`.
        field: String,
        /// What is asked for.
        what: String,
        /// Name of the store.
        store: String,
        /// The namespace that asked.
        namespace: String,
    },
    /// A field of a store cannot work.
    #[error("{field}: {reason}")]
    StoreField {
        /// Path of the field.
        field: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The provider is not one of ours.
    #[error(
        "provider {provider:?} is not supported by Gabion; its fields are kept and nothing is read"
    )]
    ProviderNotSupported {
        /// Its name.
        provider: String,
    },
    /// A reference of a namespaced store names another namespace.
    #[error(
        "{field} names namespace {namespace:?}, but a SecretStore reads only its own namespace: \
         remove the namespace, or use a ClusterSecretStore"
    )]
    CrossNamespace {
        /// Path of the field.
        field: String,
        /// The namespace it names.
        namespace: String,
    },
    /// An object that holds credentials, or a key of it, is missing.
    #[error("{field}: {what}")]
    AuthMissing {
        /// Path of the reference.
        field: String,
        /// What is missing.
        what: String,
    },
    /// The provider refused.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The API server refused.
    #[error("{}", refusal(_0))]
    Cluster(#[from] ApiError),
    /// The API server did not let a Secret be deleted.
    #[error("{}", refusal(_0))]
    NotDeleted(ApiError),
    /// The same, for a Secret under a former name.
    #[error("{}", refusal(_0))]
    OrphanNotDeleted(ApiError),
    /// The decision itself failed: the object asks for something that cannot be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A PushSecret asks for something that cannot be.
    #[error(transparent)]
    Push(#[from] PushError),
    /// A condition of a ClusterSecretStore cannot be evaluated.
    #[error("{store}: {source}")]
    BadCondition {
        /// Which store.
        store: StoreKey,
        /// What is wrong with it.
        source: BadCondition,
    },
    /// A generator does not exist.
    #[error("spec.{field}: {kind} {name:?} does not exist: create it, or correct the reference")]
    GeneratorMissing {
        /// Path below `spec`.
        field: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A generator is of a kind that Gabion does not have.
    #[error(
        "spec.{field}: generators of kind {kind} are not supported by Gabion; the fields of {name:?} are kept and nothing is generated"
    )]
    GeneratorNotSupported {
        /// Path below `spec`.
        field: String,
        /// The kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A generator contradicts itself.
    #[error("spec.{field}: {kind} {name:?}: {reason}")]
    GeneratorField {
        /// Path below `spec`.
        field: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A generator makes nothing.
    #[error("spec.{field}: {kind} {name:?}: {source}")]
    Generator {
        /// Path below `spec`.
        field: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Why.
        source: GeneratorError,
    },
    /// Whoever makes the values of a generator did not.
    #[error("spec.{field}: {kind} {name:?}: {source}")]
    GeneratorRefused {
        /// Path below `spec`.
        field: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Why.
        source: Box<ProviderError>,
    },
    /// The API server does not show a generator.
    #[error("spec.{field}: {}", refusal(source))]
    GeneratorUnreadable {
        /// Path below `spec`.
        field: String,
        /// Why not.
        source: ApiError,
    },
    /// The whole reconcile took too long.
    #[error("gave up after {0} s")]
    Deadline(u64),
}

impl Error {
    /// The one table: a name for metrics and logs, and what to do next.
    pub(crate) fn class(&self) -> (&'static str, Retry) {
        match self {
            Self::StoreMissing(_) => ("StoreMissing", Retry::Backoff),
            Self::StoreNotReady { .. } => ("StoreNotReady", Retry::OnChange),
            Self::StoreDenied { .. } => ("StoreDenied", Retry::OnChange),
            Self::KeyNotAllowed { .. } => ("KeyNotAllowed", Retry::OnChange),
            Self::NamespaceUnknown { .. } => ("NamespaceUnknown", Retry::Backoff),
            Self::StoreField { .. } | Self::BadCondition { .. } => {
                ("InvalidStore", Retry::OnChange)
            }
            Self::ProviderNotSupported { .. } => ("ProviderNotSupported", Retry::OnChange),
            Self::CrossNamespace { .. } => ("CrossNamespace", Retry::OnChange),
            Self::AuthMissing { .. } => ("AuthMissing", Retry::Backoff),
            Self::Provider(error) => provider_class(error),
            Self::Cluster(error) | Self::NotDeleted(error) | Self::OrphanNotDeleted(error) => {
                cluster_class(error)
            }
            Self::Push(error) => (error.reason(), error.retry()),
            Self::Plan(PlanError::Provider { source, .. }) => provider_class(source),
            Self::Plan(error) => (plan_reason(error), error.retry()),
            Self::GeneratorMissing { .. } => ("GeneratorMissing", Retry::Backoff),
            Self::GeneratorNotSupported { .. } => ("GeneratorNotSupported", Retry::OnChange),
            Self::GeneratorField { .. }
            | Self::Generator { source: GeneratorError::Field { .. }, .. } => {
                // Generators are read when they are used, and not watched.
                ("InvalidGenerator", Retry::Backoff)
            }
            Self::Generator { source: GeneratorError::Entropy, .. } => {
                ("GeneratorFailed", Retry::Backoff)
            }
            Self::GeneratorRefused { source, .. } => provider_class(source),
            Self::GeneratorUnreadable { source, .. } => cluster_class(source),
            Self::Deadline(_) => ("Deadline", Retry::Backoff),
        }
    }

    /// The provider does not answer anybody.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Provider(ProviderError::Unavailable { .. })
                | Self::Plan(PlanError::Provider { source: ProviderError::Unavailable { .. }, .. })
        )
    }

    /// It passes by itself: the provider does not answer, or says "later".
    pub(crate) fn is_passing(&self) -> bool {
        self.is_outage() || matches!(self, Self::Provider(ProviderError::Throttled))
    }

    /// The provider does not take the keys.
    pub(crate) fn is_refused_key(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::Credentials { .. }))
    }

    /// The first half of the condition's message, in words that dashboards know.
    pub(crate) fn headline(&self) -> &'static str {
        match self {
            Self::Plan(error) => error.headline(),
            Self::Cluster(_) => "could not update secret",
            Self::NotDeleted(_) => "could not delete secret",
            Self::OrphanNotDeleted(_) => "could not delete orphaned secrets",
            _ => "could not get secret data from provider",
        }
    }
}

/// The answer of the API server, without what may be a value: admission plugins and webhooks put parts of the object into
/// their words, and paths of fields hold keys.
fn refusal(error: &ApiError) -> String {
    match error {
        ApiError::Forbidden { message } => format!("not allowed: {}", admission(message)),
        ApiError::Invalid { what, causes } if !causes.is_empty() => {
            let said = |cause: &FieldCause| {
                if cause.field.is_empty() {
                    admission(&cause.message)
                } else {
                    format!("{} ({})", without_keys(&cause.field), cause.reason)
                }
            };
            let fields: Vec<_> = causes.iter().map(said).collect();
            format!("the API server refused {what}: {}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// RBAC and quotas speak of users, verbs and numbers. Of whoever else refuses, only the name is known to be safe.
fn admission(message: &str) -> String {
    let is_rbac = message.contains("is forbidden: User ") && message.contains(" cannot ");
    if is_rbac || message.contains(" exceeded quota: ") {
        return message.to_owned();
    }
    let named = ["denied the request", "denied request"];
    let named =
        named.into_iter().find_map(|words| Some(&message[..message.find(words)? + words.len()]));
    let who = named.unwrap_or("an admission plugin refused it");
    format!("{who}; its reason is not repeated here, because it may quote a value")
}

/// A path of a field, without keys of maps.
fn without_keys(field: &str) -> String {
    let mut shown = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, inside)) = rest.split_once('[') {
        let (key, after) = inside.split_once(']').unwrap_or((inside, ""));
        let is_index = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        shown.push_str(before);
        shown.push('[');
        shown.push_str(if is_index { key } else { "..." });
        shown.push(']');
        rest = after;
    }
    shown + rest
}

fn provider_class(error: &ProviderError) -> (&'static str, Retry) {
    match error {
        ProviderError::NotFound { .. } => ("SecretNotFound", Retry::Backoff),
        ProviderError::NoSuchVersion { .. } => ("VersionNotFound", Retry::Backoff),
        ProviderError::Denied { .. } => ("AccessDenied", Retry::Backoff),
        ProviderError::Credentials { .. } => ("CredentialsRefused", Retry::Backoff),
        ProviderError::Invalid { .. } => ("RequestRefused", Retry::Backoff),
        ProviderError::Settings { .. } => ("InvalidStoreSettings", Retry::OnChange),
        ProviderError::TooManyListed => ("TooManyFound", Retry::Backoff),
        ProviderError::Throttled => ("Throttled", Retry::Backoff),
        ProviderError::Unavailable { .. } => ("ProviderUnavailable", Retry::Backoff),
    }
}

fn cluster_class(error: &ApiError) -> (&'static str, Retry) {
    match error {
        ApiError::Forbidden { .. } => ("Forbidden", Retry::Backoff),
        ApiError::Conflict { .. } | ApiError::AlreadyExists { .. } => ("Conflict", Retry::Backoff),
        ApiError::Invalid { .. } => ("Rejected", Retry::OnChange),
        ApiError::TooLarge { .. } => ("TooLarge", Retry::OnChange),
        ApiError::NamespaceTerminating { .. } => ("NamespaceTerminating", Retry::OnChange),
        ApiError::Fenced => ("NotLeading", Retry::Backoff),
        ApiError::NotFound { .. } | ApiError::Unavailable { .. } => {
            ("ClusterUnavailable", Retry::Backoff)
        }
    }
}

fn plan_reason(error: &PlanError) -> &'static str {
    match error {
        PlanError::NotImplemented { .. } => "NotImplemented",
        PlanError::UnknownValue { .. } => "UnknownValue",
        PlanError::Annotation { .. } => "InvalidAnnotation",
        PlanError::Duration { .. } => "InvalidDuration",
        PlanError::Schedule { .. } => "InvalidSchedule",
        PlanError::Regexp { .. } | PlanError::CostlyRegexp { .. } => "InvalidRegexp",
        PlanError::EmptyFind { .. } | PlanError::TooManyTags { .. } => "InvalidFind",
        PlanError::TooManyFound { .. } | PlanError::FoundTooLarge { .. } => "TooManyFound",
        PlanError::Missing { .. } => "FieldMissing",
        PlanError::MergeConflict { .. } => "MergeConflict",
        PlanError::PriorityAbsent { .. } => "PriorityAbsent",
        PlanError::NoStore { .. } => "NoStore",
        PlanError::NoSource { .. } | PlanError::Nothing => "NothingToRead",
        PlanError::TooManyGenerators { .. } => "TooManyGenerators",
        PlanError::DuplicateKey { .. } => "DuplicateKey",
        PlanError::Provider { .. } => "ProviderError",
        PlanError::PropertyAbsent { .. } => "PropertyAbsent",
        PlanError::PropertyPath { .. } => "PropertyPath",
        PlanError::NotJson { .. } => "NotJson",
        PlanError::NotAnObject { .. } | PlanError::NotMergeable { .. } => "NotAnObject",
        PlanError::NoValue { .. } => "NoValue",
        PlanError::KeyCollision { .. } => "KeyCollision",
        PlanError::BadKey { .. } | PlanError::LongKey { .. } => "InvalidKey",
        PlanError::Undecodable { .. } => "Undecodable",
        PlanError::NullByte { .. } => "NullByte",
        PlanError::Template { .. } => "TemplateFailed",
        PlanError::TemplateAbsent { .. } => "TemplateMissing",
        PlanError::NotAMap { .. } | PlanError::BadMetadata { .. } => "TemplateOutput",
        PlanError::Foreign { .. } => "TargetNotOurs",
        PlanError::OwnedByAnother { .. } => "TargetOfAnother",
        PlanError::OwnedByOther { .. } => "TargetOwned",
        PlanError::Immutable { .. } => "Immutable",
        PlanError::DeleteNeedsOwner { .. } => "DeleteNeedsOwner",
        PlanError::ForbiddenType { .. } => "ForbiddenType",
        PlanError::TypeChange { .. } => "TypeChange",
        PlanError::TooLarge { .. } => "TooLarge",
        PlanError::NotPersisted { .. } => "NotPersisted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_says_is_repeated_without_values() {
        let rbac = "secrets is forbidden: User \"u\" cannot create resource \"secrets\"";
        let policy = "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hunter2";
        let webhook = "admission webhook \"w\" denied the request: label hunter2";
        let other = "secrets \"a\" is forbidden: hunter2";
        for (message, kept) in [
            (rbac, "cannot create"),
            (policy, "'p' with binding 'b' denied request;"),
            (webhook, "webhook \"w\" denied the request;"),
            (other, "an admission plugin refused it;"),
        ] {
            let text = Error::Cluster(ApiError::Forbidden { message: message.into() }).to_string();
            assert!(text.contains(kept) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_policy_that_refuses_names_no_field_and_is_named_itself() {
        let cause = FieldCause {
            field: String::new(),
            reason: String::new(),
            message: "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hunter2"
                .into(),
        };
        let error = ApiError::Invalid { what: "Secret t/db".to_owned(), causes: vec![cause] };
        let text = Error::Cluster(error).to_string();
        let shown = "the API server refused Secret t/db: ValidatingAdmissionPolicy 'p' with binding 'b' denied request;";
        assert!(text.starts_with(shown) && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_field_that_is_refused_is_named_without_the_key_in_it() {
        let cause = |field: &str| FieldCause {
            field: field.to_owned(),
            reason: "FieldValueInvalid".to_owned(),
            message: "hunter2".to_owned(),
        };
        let causes = vec![cause("data[hunter2]"), cause("spec.a[3].b")];
        let error = ApiError::Invalid { what: "Secret t/db".to_owned(), causes };
        assert_eq!(
            Error::Cluster(error).to_string(),
            "the API server refused Secret t/db: data[...] (FieldValueInvalid), spec.a[3].b (FieldValueInvalid)"
        );
    }
}
