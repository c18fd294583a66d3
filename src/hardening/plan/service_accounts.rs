//! Whether the `ServiceAccounts` of a namespace hand out their token.
//!
//! What the field was before is kept in an annotation of the `ServiceAccount`, written together with the field.
//! `imagePullSecrets` is never part of these writes: see `copies`.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::copy::PullSecretsOf;
use super::owned::owns_annotation;
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::namespace_hardening::PreviousValue;
use crate::meta::{ResourceVersion, Uid};

/// Annotation with the value from before: `unset`, `true` or `false`.
pub(crate) const PREVIOUS_AUTOMOUNT: &str = "gabion.dev/previous-automount";

/// What `automountServiceAccountToken` was before we set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous(pub Option<bool>);

impl Previous {
    /// Reads the annotation. Users can write it too, so anything else counts as nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "unset" => Some(Self(None)),
            "true" => Some(Self(Some(true))),
            "false" => Some(Self(Some(false))),
            _ => None,
        }
    }

    /// The text of the annotation.
    pub(crate) fn as_str(self) -> &'static str {
        match self.0 {
            None => "unset",
            Some(true) => "true",
            Some(false) => "false",
        }
    }
}

/// What is kept of a live `ServiceAccount`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedServiceAccount {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Uid,
    /// Its resource version.
    pub resource_version: ResourceVersion,
    /// The field `automountServiceAccountToken`.
    pub automount: Option<bool>,
    /// The value from before, as we noted it in [`PREVIOUS_AUTOMOUNT`].
    pub previous: Option<Previous>,
    /// Whether the annotation does not say that, or says something that we did not write.
    pub stray: bool,
    /// What it says about pull secrets, if anything.
    pub pull_secrets: Option<Box<PullSecretsOf>>,
    /// Whoever wrote it last, apart from us.
    pub manager: String,
}

impl ObservedServiceAccount {
    /// Boils a live `ServiceAccount` down. `known` is what was noted of the same one before.
    pub(crate) fn of(account: &ServiceAccount, manager: String, known: Option<Previous>) -> Self {
        let meta = &account.metadata;
        let automount = account.automount_service_account_token;
        let text = meta.annotations.as_ref().and_then(|notes| notes.get(PREVIOUS_AUTOMOUNT));
        // Of some accounts the API server keeps no owners at all. There an annotation is ours if the rest is
        // as we leave it.
        let untracked = meta.managed_fields.as_ref().is_none_or(Vec::is_empty);
        let ours = owns_annotation(meta, PREVIOUS_AUTOMOUNT)
            || (untracked && known.is_none() && automount == Some(false));
        let noted = text.filter(|_| ours).and_then(|text| Previous::parse(text));
        let previous = known.or(noted);
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            automount,
            previous,
            stray: text.map(String::as_str) != previous.map(Previous::as_str),
            pull_secrets: PullSecretsOf::of(account),
            manager,
        }
    }
}

/// One write to a `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountPatch {
    /// Name of the `ServiceAccount`.
    pub name: String,
    /// Its uid.
    pub(crate) uid: Uid,
    /// Its resource version that was read.
    pub(crate) resource_version: ResourceVersion,
    /// New value of `automountServiceAccountToken`; `None` removes the field.
    pub automount: Option<bool>,
    /// New content of the annotation [`PREVIOUS_AUTOMOUNT`]; `None` removes it.
    pub previous: Option<Previous>,
    /// Whether it was as we want it before, and somebody changed it since.
    pub(crate) drifted: bool,
    /// Whoever wrote it last, apart from us.
    pub(crate) manager: String,
}

/// The write that brings one `ServiceAccount` to what is wanted, if any.
pub(crate) fn patch(
    account: &ObservedServiceAccount,
    disabled: bool,
    leaving: DeletionPolicy,
) -> Option<ServiceAccountPatch> {
    let write = |automount, previous| {
        Some(ServiceAccountPatch {
            name: account.name.clone(),
            uid: account.uid.clone(),
            resource_version: account.resource_version.clone(),
            automount,
            previous,
            drifted: disabled && account.previous.is_some(),
            manager: account.manager.clone(),
        })
    };
    match (disabled, account.previous) {
        // It was off before: nothing to remember, and an annotation of somebody else means nothing.
        (true, None) if account.automount == Some(false) => None,
        (true, Some(_)) if account.automount == Some(false) && !account.stray => None,
        (true, Some(previous)) => write(Some(false), Some(previous)),
        (true, None) => write(Some(false), Some(Previous(account.automount))),
        (false, None) => None,
        (false, Some(previous))
            if account.automount == Some(false) && leaving == DeletionPolicy::Revert =>
        {
            write(previous.0, None)
        }
        // Somebody changed it since, or it is to stay: only the memory goes.
        (false, Some(_)) => write(account.automount, None),
    }
}

/// The earlier values, for status.
pub(crate) fn previous(accounts: &[ObservedServiceAccount]) -> Vec<PreviousValue> {
    let item = |name: &str| format!("ServiceAccount/{name} automountServiceAccountToken");
    let recorded = accounts.iter().filter_map(|a| a.previous.map(|previous| (a, previous)));
    recorded
        .map(|(account, previous)| PreviousValue {
            item: item(&account.name),
            value: previous.0.map(|value| value.to_string()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::hardening::plan::owned::claim;

    fn account(automount: Option<bool>, previous: Option<Previous>) -> ObservedServiceAccount {
        ObservedServiceAccount {
            name: "default".into(),
            automount,
            previous,
            ..ObservedServiceAccount::default()
        }
    }

    #[test]
    fn the_value_from_before_comes_back() {
        for before in [None, Some(true)] {
            let set = patch(&account(before, None), true, DeletionPolicy::Revert).expect("a write");
            assert_eq!(set.automount, Some(false));
            let kept = account(set.automount, set.previous);
            assert_eq!(patch(&kept, true, DeletionPolicy::Revert), None, "steady");
            let back = patch(&kept, false, DeletionPolicy::Revert).expect("a write");
            assert_eq!((back.automount, back.previous), (before, None));
        }
    }

    #[test]
    fn an_account_that_was_off_already_is_never_written() {
        let own = account(Some(false), None);
        assert_eq!(patch(&own, true, DeletionPolicy::Revert), None);
        assert_eq!(patch(&own, false, DeletionPolicy::Revert), None);
    }

    #[test]
    fn a_value_that_is_no_longer_ours_stays() {
        let changed = account(Some(true), Some(Previous(None)));
        let back = patch(&changed, false, DeletionPolicy::Revert).expect("forgets");
        assert_eq!((back.automount, back.previous), (Some(true), None));
        let again = patch(&changed, true, DeletionPolicy::Revert).expect("drift is repaired");
        assert_eq!((again.automount, again.previous), (Some(false), Some(Previous(None))));
    }

    /// An account whose annotation holds this text, written by `manager`.
    fn stored(automount: Option<bool>, text: &str, manager: Option<&str>) -> ServiceAccount {
        let mut meta = ObjectMeta {
            annotations: Some([(PREVIOUS_AUTOMOUNT.to_owned(), text.to_owned())].into()),
            ..ObjectMeta::default()
        };
        if let Some(manager) = manager {
            claim(&mut meta);
            meta.managed_fields.as_mut().unwrap()[0].manager = Some(manager.to_owned());
        }
        ServiceAccount {
            metadata: meta,
            automount_service_account_token: automount,
            ..ServiceAccount::default()
        }
    }

    #[test]
    fn a1_s6_only_a_word_of_ours_that_we_wrote_is_believed() {
        let long = "x".repeat(250_000);
        for (automount, text, manager, wanted) in [
            (Some(false), "true", Some("gabion"), Some(Previous(Some(true)))),
            (Some(false), "unset", Some("gabion"), Some(Previous(None))),
            (Some(false), "true", Some("kubectl-annotate"), None),
            (Some(false), long.as_str(), Some("gabion"), None),
            (Some(false), "True", Some("gabion"), None),
            (Some(false), "unset", None, Some(Previous(None))),
            (None, "true", None, None),
        ] {
            let seen = stored(automount, text, manager);
            let seen = ObservedServiceAccount::of(&seen, String::new(), None);
            assert_eq!(seen.previous, wanted, "{manager:?}");
            assert_eq!(seen.stray, wanted.is_none());
            if wanted.is_none() {
                assert_eq!(
                    patch(&seen, false, DeletionPolicy::Revert),
                    None,
                    "nothing is restored"
                );
            }
        }
    }

    #[test]
    fn what_we_noted_is_not_forgotten_because_somebody_else_writes_over_it() {
        let seen = stored(Some(false), "true", Some("kubectl-annotate"));
        let seen = ObservedServiceAccount::of(&seen, String::new(), Some(Previous(None)));
        let again = patch(&seen, true, DeletionPolicy::Revert).expect("the note is put right");
        assert_eq!((again.automount, again.previous), (Some(false), Some(Previous(None))));
        let back = patch(&seen, false, DeletionPolicy::Revert).expect("a write");
        assert_eq!(back.automount, None);
    }
}
