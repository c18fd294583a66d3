//! Taking a baseline back.
//!
//! There is no list of things to undo: a namespace is planned without the baselines that leave, and what is
//! left over goes. So a teardown can stop between any two writes and go on from what it finds, and where
//! another baseline still selects the namespace its values are written before the old ones are dropped.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::error::Error;
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::meta::Uid;

/// Reason of Ready while a baseline is being taken back.
pub(crate) const TEARING_DOWN: &str = "TearingDown";
/// Finalizer of a baseline: its teardown must run before it goes.
pub(crate) const FINALIZER: &str = "gabion.dev/teardown";
/// Annotation with which a person confirms the deletion of a baseline; its value is the baseline's name.
pub(crate) const CONFIRM_DELETE: &str = "gabion.dev/confirm-delete";
/// Annotation with which a person lets a paused teardown go on; its value is the baseline's name. No manifest
/// carries it, so it says something about this very deletion.
pub(crate) const CONFIRM_TEARDOWN: &str = "gabion.dev/confirm-teardown";
/// An unconfirmed deletion waits this long for others that belong to it, where there are other baselines.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);
/// Deletions this close together count as one.
pub(crate) const MASS_WINDOW: Duration = Duration::from_mins(1);

/// A baseline that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its uid.
    pub uid: Uid,
    /// What it leaves behind.
    pub policy: DeletionPolicy,
}

/// All baselines that leave a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Departure {
    retaining: BTreeSet<Uid>,
    all_retain: bool,
}

impl Departure {
    /// Sums up the baselines that leave.
    pub(crate) fn of(leaving: &[Leaving]) -> Self {
        let retaining = leaving.iter().filter(|l| l.policy == DeletionPolicy::Retain);
        let retaining: BTreeSet<Uid> = retaining.map(|l| l.uid.clone()).collect();
        Self { all_retain: !leaving.is_empty() && retaining.len() == leaving.len(), retaining }
    }

    /// Whether an object with these owners stays behind: every one of them leaves and says so.
    pub(crate) fn retains(&self, owners: &[Uid]) -> bool {
        !owners.is_empty() && owners.iter().all(|owner| self.retaining.contains(owner))
    }

    /// What happens to labels and `ServiceAccounts`, which carry no owner of their own.
    pub(crate) fn policy(&self) -> DeletionPolicy {
        if self.all_retain { DeletionPolicy::Retain } else { DeletionPolicy::Revert }
    }
}

/// One baseline, as the breaker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// When its deletion began, if it did.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Whether a person confirmed it.
    pub(crate) confirmed: bool,
    /// Whether it selects any namespace.
    pub(crate) selects: bool,
}

impl Deletion {
    /// Reads a baseline.
    pub(crate) fn of(baseline: &HardeningBaseline, selects: bool) -> Self {
        let confirmed = says(baseline, CONFIRM_DELETE) || says(baseline, CONFIRM_TEARDOWN);
        let deleted_at = baseline.metadata.deletion_timestamp.as_ref().map(|t| t.0);
        Self { deleted_at, confirmed, selects }
    }
}

fn says(baseline: &HardeningBaseline, annotation: &str) -> bool {
    let meta = &baseline.metadata;
    let value = meta.annotations.as_ref().and_then(|a| a.get(annotation));
    value.is_some() && value == meta.name.as_ref()
}

fn ready_reason(baseline: &HardeningBaseline) -> &str {
    let conditions = baseline.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.next().map_or("", |condition| &condition.reason)
}

/// Whether the teardown of a baseline began, as its status says: whoever goes on with it must not put the
/// baseline in force again.
pub(crate) fn has_begun(baseline: &HardeningBaseline) -> bool {
    baseline.metadata.deletion_timestamp.is_some() && ready_reason(baseline) == TEARING_DOWN
}

/// Whether the teardown of a baseline is paused, as its status says.
pub(crate) fn is_paused(baseline: &HardeningBaseline) -> bool {
    baseline.metadata.deletion_timestamp.is_some() && ready_reason(baseline) == "MassDeletion"
}

/// What the deletion of one baseline has to wait for, if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TeardownGate {
    /// It goes on.
    Proceed,
    /// Others may follow that belong to it.
    Settle(Duration),
    /// It looks like an accident; a person must confirm.
    Stop(Error),
}

/// Whether the teardown of `own` may begin. What was stopped once goes on only with its own confirmation: that
/// of another baseline says nothing about this one.
pub(crate) fn may_begin(
    own: &HardeningBaseline,
    crd_terminating: bool,
    all: &[Deletion],
    now: Timestamp,
) -> TeardownGate {
    if says(own, CONFIRM_TEARDOWN) {
        return TeardownGate::Proceed;
    }
    if let Some(error) = mass_deletion(crd_terminating, all)
        && (crd_terminating || !says(own, CONFIRM_DELETE))
    {
        return TeardownGate::Stop(error);
    }
    if says(own, CONFIRM_DELETE) {
        return TeardownGate::Proceed;
    }
    if is_paused(own) {
        return TeardownGate::Stop(Error::MassDeletion(
            "it was deleted together with others".into(),
        ));
    }
    let others = all.iter().filter(|deletion| deletion.selects).count() > 1;
    let since = own.metadata.deletion_timestamp.as_ref().map(|time| now.duration_since(time.0));
    let waited = since.and_then(|since| Duration::try_from(since).ok()).unwrap_or_default();
    match SETTLE.checked_sub(waited) {
        Some(left) if others && !left.is_zero() => TeardownGate::Settle(left),
        _ => TeardownGate::Proceed,
    }
}

/// Whether teardown must pause: the CRD itself goes, or more than half of at least two baselines that select a
/// namespace were deleted within a minute without confirmation. Deletions stay counted until they are
/// confirmed, so that waiting does not open the cluster.
pub(crate) fn mass_deletion(crd_terminating: bool, baselines: &[Deletion]) -> Option<Error> {
    if crd_terminating {
        return Some(Error::MassDeletion("the CustomResourceDefinition is being deleted".into()));
    }
    let selecting: Vec<_> = baselines.iter().filter(|b| b.selects).collect();
    let mut times: Vec<Timestamp> =
        selecting.iter().filter(|b| !b.confirmed).filter_map(|b| b.deleted_at).collect();
    times.sort();
    let window = i128::try_from(MASS_WINDOW.as_nanos()).unwrap_or(i128::MAX);
    let within = |from: &Timestamp| {
        times
            .iter()
            .filter(|t| *t >= from && t.as_nanosecond() - from.as_nanosecond() <= window)
            .count()
    };
    let most = times.iter().map(within).max().unwrap_or_default();
    (most >= 2 && most * 2 > selecting.len()).then(|| {
        Error::MassDeletion(format!(
            "{most} of {} baselines are being deleted at once",
            selecting.len()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletion(second: Option<i64>, confirmed: bool) -> Deletion {
        let deleted_at = second.map(|s| Timestamp::from_second(s).expect("a time"));
        Deletion { deleted_at, confirmed, selects: true }
    }

    #[test]
    fn only_many_unconfirmed_deletions_at_once_pause_a_teardown() {
        for (what, paused, baselines) in [
            ("a single one", false, vec![deletion(Some(0), false)]),
            ("one of two", false, vec![deletion(Some(0), false), deletion(None, false)]),
            ("both", true, vec![deletion(Some(0), false), deletion(Some(30), false)]),
            (
                "both, a long time apart",
                false,
                vec![deletion(Some(0), false), deletion(Some(90), false)],
            ),
            ("both, one confirmed", false, vec![deletion(Some(0), true), deletion(Some(1), false)]),
            (
                "two of four",
                false,
                vec![
                    deletion(Some(0), false),
                    deletion(Some(1), false),
                    deletion(None, false),
                    deletion(None, false),
                ],
            ),
            (
                "three of four",
                true,
                vec![
                    deletion(Some(0), false),
                    deletion(Some(1), false),
                    deletion(Some(2), false),
                    deletion(None, false),
                ],
            ),
        ] {
            assert_eq!(mass_deletion(false, &baselines).is_some(), paused, "{what}");
            assert!(mass_deletion(true, &baselines).is_some(), "the CRD goes");
        }
    }

    #[test]
    fn an_object_stays_only_if_all_its_owners_leave_and_retain() {
        let leaving = |uid: &str, policy| Leaving { uid: uid.into(), policy };
        let departure = Departure::of(&[
            leaving("a", DeletionPolicy::Retain),
            leaving("b", DeletionPolicy::Revert),
        ]);
        let owners = |list: &[&str]| list.iter().map(|o| Uid::from(*o)).collect::<Vec<_>>();
        assert!(departure.retains(&owners(&["a"])));
        for gone in [&["b"][..], &["a", "b"], &["a", "c"], &[]] {
            assert!(!departure.retains(&owners(gone)), "{gone:?}");
        }
        assert_eq!(departure.policy(), DeletionPolicy::Revert);
    }
}
