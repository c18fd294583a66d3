//! Whether the `ServiceAccounts` of a namespace hand out their token.
//!
//! What the field was before is kept in an annotation of the `ServiceAccount`, written together with the field.
//! `imagePullSecrets` is never part of a write.

use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::namespace_hardening::PreviousValue;

/// Annotation with the value from before: `unset`, `true` or `false`.
pub(crate) const PREVIOUS_AUTOMOUNT: &str = "gabion.dev/previous-automount";

/// What is kept of a live `ServiceAccount`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedServiceAccount {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
    /// The field `automountServiceAccountToken`.
    pub automount: Option<bool>,
    /// The annotation [`PREVIOUS_AUTOMOUNT`].
    pub previous: Option<String>,
    /// Whoever wrote it last, apart from us.
    pub manager: String,
}

/// One write to a `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountPatch {
    /// Name of the `ServiceAccount`.
    pub name: String,
    /// Its uid.
    pub(crate) uid: String,
    /// Its resource version that was read.
    pub(crate) resource_version: String,
    /// New value of `automountServiceAccountToken`; `None` removes the field.
    pub automount: Option<bool>,
    /// New text of the annotation [`PREVIOUS_AUTOMOUNT`]; `None` removes it.
    pub previous: Option<String>,
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
    match (disabled, &account.previous) {
        (true, _) if account.automount == Some(false) => None,
        (true, Some(previous)) => write(Some(false), Some(previous.clone())),
        (true, None) => {
            let previous =
                account.automount.map_or_else(|| "unset".to_owned(), |value| value.to_string());
            write(Some(false), Some(previous))
        }
        (false, None) => None,
        (false, Some(previous))
            if account.automount == Some(false) && leaving == DeletionPolicy::Revert =>
        {
            write(previous.parse().ok(), None)
        }
        // Somebody changed it since, or it is to stay: only the memory goes.
        (false, Some(_)) => write(account.automount, None),
    }
}

/// The earlier values, for status.
pub(crate) fn previous(accounts: &[ObservedServiceAccount]) -> Vec<PreviousValue> {
    let item = |name: &str| format!("ServiceAccount/{name} automountServiceAccountToken");
    let recorded =
        accounts.iter().filter_map(|a| a.previous.as_ref().map(|previous| (a, previous)));
    recorded
        .map(|(account, previous)| PreviousValue {
            item: item(&account.name),
            value: (previous != "unset").then(|| previous.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(automount: Option<bool>, previous: Option<&str>) -> ObservedServiceAccount {
        ObservedServiceAccount {
            name: "default".into(),
            automount,
            previous: previous.map(str::to_owned),
            ..ObservedServiceAccount::default()
        }
    }

    #[test]
    fn the_value_from_before_comes_back() {
        for before in [None, Some(true)] {
            let set = patch(&account(before, None), true, DeletionPolicy::Revert).expect("a write");
            assert_eq!(set.automount, Some(false));
            let kept = account(set.automount, set.previous.as_deref());
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
        let changed = account(Some(true), Some("unset"));
        let back = patch(&changed, false, DeletionPolicy::Revert).expect("forgets");
        assert_eq!((back.automount, back.previous), (Some(true), None));
        let again = patch(&changed, true, DeletionPolicy::Revert).expect("drift is repaired");
        assert_eq!((again.automount, again.previous.as_deref()), (Some(false), Some("unset")));
    }
}
