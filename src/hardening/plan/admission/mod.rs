//! Admission policies of one baseline: from what should be and what is to the next move.
//!
//! A revision proves itself before it refuses anything. Its policies come first; when their types are checked, a
//! binding that reaches the probe namespace and nothing else lets two pods be tried there by dry run. Only then
//! do the bindings of the stage follow, and only when those are seen to be in force does the revision before
//! them go. So there is no moment without one, and a policy that cannot be evaluated never meets a user's pod.

mod desired;
mod digest;
mod probe;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::Error;
use crate::api::gabion::hardening_baseline::Stage;
use crate::meta::{ResourceVersion, Uid};
use crate::policy::WorkloadKind;

pub(crate) use desired::{Site, desired, guarded};
pub(crate) use digest::{Mark, released, written};
pub(crate) use probe::{PROBE_LABEL, ProbeOutcome, Tried, label, outcome};
pub(crate) use progress::{Admission, Progress};

/// The two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AdmissionKind {
    /// `ValidatingAdmissionPolicy`
    Policy,
    /// `ValidatingAdmissionPolicyBinding`
    Binding,
}

impl AdmissionKind {
    /// The kind as it is written in a manifest.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "ValidatingAdmissionPolicy",
            Self::Binding => "ValidatingAdmissionPolicyBinding",
        }
    }
}

/// Kind and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AdmissionKey {
    /// Its kind.
    pub(crate) kind: AdmissionKind,
    /// Its name.
    pub(crate) name: String,
}

impl std::fmt::Display for AdmissionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

/// An object that should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// Kind and name.
    pub(crate) key: AdmissionKey,
    /// The whole object.
    pub(crate) body: Value,
    /// [`Mark::digest`] of it.
    pub(crate) digest: String,
}

/// How far the API server has checked the types of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Types {
    /// Not the present generation.
    #[default]
    Pending,
    /// No warning.
    Clean,
    /// Its first warning.
    Warned(String),
}

/// An object that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Its uid.
    pub(crate) uid: Uid,
    /// Its resource version.
    pub(crate) resource_version: ResourceVersion,
    /// Its generation.
    pub(crate) generation: i64,
    /// [`Mark::digest`] of it.
    pub(crate) digest: String,
    /// Uid of the baseline behind it; empty if the mark is gone.
    pub(crate) owner: Uid,
    /// Whether it is ours by any mark that is left.
    pub(crate) ours: bool,
    /// Who wrote it last, apart from us.
    pub(crate) manager: String,
    /// For policies.
    pub(crate) types: Types,
}

/// What is, by kind and name.
pub(crate) type Live = BTreeMap<AdmissionKey, Seen>;

/// What proves one policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trial {
    /// Its binding for the probe namespace, without the label of the objects that it reaches.
    pub(crate) binding: Value,
    /// Kind of the objects that are tried.
    pub(crate) kind: WorkloadKind,
    /// An object that the policy must let pass.
    pub(crate) passes: Value,
    /// An object that the policy must refuse, for what it is.
    pub(crate) denied: Value,
    /// What only this revision of this policy says.
    pub(crate) sentinel: String,
}

/// Everything that one baseline wants in the API server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Desired {
    /// Revision of the policies.
    pub(crate) revision: String,
    /// How far the baseline goes.
    pub(crate) stage: Stage,
    /// The policies.
    pub(crate) policies: Vec<Wanted>,
    /// Bindings at the stage; none at Observe.
    pub(crate) bindings: Vec<Wanted>,
    /// What proves each policy, in the order of the policies.
    pub(crate) trials: Vec<Trial>,
}

/// What was proved by probes, by the stamp of what was in place then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The policies can be evaluated and refuse.
    pub(crate) compiled: Option<String>,
    /// The bindings of the stage are in force too.
    pub(crate) enforced: Option<String>,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Move {
    /// Create an object.
    Create(Wanted),
    /// Write an object over a live one.
    Replace(Wanted, Seen),
    /// Delete an object.
    Delete(AdmissionKey, Seen),
    /// Wait until the types of this policy are checked.
    AwaitTypes(String),
    /// Try both objects of each trial, labelled for the stamp.
    TryCompiled(String),
    /// Try the objects that must be denied, labelled for the stamp.
    TryEnforced(String),
    /// Nothing is left to do.
    Rest,
}

/// The next move, or why there is none. `None` wants nothing: all that `uid` owns goes, bindings first.
pub(crate) fn next(
    desired: Option<&Desired>,
    uid: &Uid,
    live: &Live,
    proof: &Proof,
) -> Result<Move, Error> {
    let Some(desired) = desired.filter(|desired| !desired.policies.is_empty()) else {
        return Ok(leftover(uid, live, |_| false).unwrap_or(Move::Rest));
    };
    for policy in &desired.policies {
        if let Some(step) = compare(policy, live)? {
            return Ok(step);
        }
    }
    for policy in &desired.policies {
        match live.get(&policy.key).map(|seen| &seen.types) {
            Some(Types::Clean) => {}
            Some(Types::Warned(warning)) => {
                let policy = policy.key.name.clone();
                return Err(Error::TypeCheckWarning { policy, warning: warning.clone() });
            }
            _ => return Ok(Move::AwaitTypes(policy.key.name.clone())),
        }
    }
    let compiled = probe::stamp(&desired.policies, live);
    let mut in_place = desired.policies.clone();
    in_place.extend(desired.bindings.iter().cloned());
    let enforced = probe::stamp(&in_place, live);
    let unbound = missing(&desired.bindings, live)?;
    let is_proved = proof.compiled.as_ref() == Some(&compiled);
    if is_proved && let Some(step) = unbound {
        return Ok(step);
    }
    // What is bound keeps its binding while it is proved again: nothing is ever taken away for a proof.
    let is_bound = is_proved || unbound.is_none();
    let label = if is_bound && desired.stage == Stage::Enforce { &enforced } else { &compiled };
    let probes = probe::bindings(&desired.trials, label);
    if let Some(step) = missing(&probes, live)? {
        return Ok(step);
    }
    if !is_proved {
        return Ok(Move::TryCompiled(label.clone()));
    }
    if desired.stage == Stage::Enforce && proof.enforced.as_ref() != Some(&enforced) {
        return Ok(Move::TryEnforced(enforced));
    }
    let wanted =
        |key: &AdmissionKey| in_place.iter().chain(&probes).any(|wanted| wanted.key == *key);
    Ok(leftover(uid, live, wanted).unwrap_or(Move::Rest))
}

/// The stamp that a successful probe proves.
pub(crate) fn compiled_stamp(desired: &Desired, live: &Live) -> String {
    probe::stamp(&desired.policies, live)
}

fn missing(wanted: &[Wanted], live: &Live) -> Result<Option<Move>, Error> {
    for wanted in wanted {
        if let Some(step) = compare(wanted, live)? {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

fn compare(wanted: &Wanted, live: &Live) -> Result<Option<Move>, Error> {
    let Some(seen) = live.get(&wanted.key) else { return Ok(Some(Move::Create(wanted.clone()))) };
    if !seen.ours {
        let (object, manager) = (wanted.key.to_string(), seen.manager.clone());
        return Err(Error::NameTaken { object, manager });
    }
    if seen.digest == wanted.digest {
        return Ok(None);
    }
    Ok(Some(Move::Replace(wanted.clone(), seen.clone())))
}

/// Something of ours that nothing wants: bindings before policies, so that no binding is left without its policy.
fn leftover(uid: &Uid, live: &Live, wanted: impl Fn(&AdmissionKey) -> bool) -> Option<Move> {
    let mut ours: Vec<_> =
        live.iter().filter(|(key, seen)| seen.owner == *uid && !wanted(key)).collect();
    ours.sort_by_key(|(key, _)| key.kind == AdmissionKind::Policy);
    ours.first().map(|(key, seen)| Move::Delete((*key).clone(), (*seen).clone()))
}
