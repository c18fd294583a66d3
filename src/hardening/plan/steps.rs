//! From what should be and what is to ordered writes.
//!
//! A chain is done in order and stops at its first failure; chains do not wait for each other. So a verb that
//! is forbidden for one kind keeps no other kind from being applied, and nothing is ever denied before what it
//! must leave open is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::copy::CopyStep;
use super::error::Error;
use super::labels::LabelPatch;
use super::merge::ConflictPolicies;
use super::objects::{DEFAULT_DENY, Generated, GeneratedKey, ObjectKind, ObservedObject};
use super::service_accounts::ServiceAccountPatch;
use super::teardown::Departure;
use crate::api::gabion::hardening_baseline::ConflictPolicy;
use crate::meta::{ResourceVersion, Uid};

/// One write, with what must still hold when it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The object must not exist yet.
    Create(Box<Generated>),
    /// Replace the live object, seen as `uid` and `resource_version`, by `objects::over(live, object, adopting)`.
    Update {
        /// What it must become.
        object: Box<Generated>,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
        /// Whether the object was somebody else's until now.
        adopting: bool,
    },
    /// Delete the object with both preconditions.
    Delete {
        /// Which object.
        key: GeneratedKey,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
    },
    /// Delete the object that an earlier step of the chain made.
    Drop(GeneratedKey),
    /// Replace the live object by `objects::released(live, restores)`.
    Release {
        /// Which object.
        key: GeneratedKey,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
        /// Whether it gets back the spec that it had before we adopted it.
        restores: bool,
    },
    /// Write the labels of the namespace.
    Labels(LabelPatch),
    /// Write one `ServiceAccount`.
    ServiceAccount(ServiceAccountPatch),
    /// Write a copy of registry credentials, or the `ServiceAccount` that uses it.
    PullSecret(Box<CopyStep>),
}

impl From<CopyStep> for Step {
    fn from(step: CopyStep) -> Self {
        Self::PullSecret(Box::new(step))
    }
}

impl Step {
    /// Whether it sets a quota, which must not be done without reading what is in use.
    pub(crate) fn writes_quota(&self) -> bool {
        matches!(self, Self::Create(object) | Self::Update { object, .. }
            if object.key().kind == ObjectKind::ResourceQuota)
    }

    /// The object concerned, for messages.
    pub fn object(&self) -> String {
        match self {
            Self::Create(object) | Self::Update { object, .. } => object.key().to_string(),
            Self::Delete { key, .. } | Self::Release { key, .. } | Self::Drop(key) => {
                key.to_string()
            }
            Self::Labels(_) => "Namespace labels".to_owned(),
            Self::ServiceAccount(patch) => format!("ServiceAccount/{}", patch.name),
            Self::PullSecret(step) => step.object(),
        }
    }
}

/// Writes that depend on each other, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chain {
    /// What it is about.
    pub(crate) name: &'static str,
    /// The writes.
    pub(crate) steps: Vec<Step>,
}

/// How two sides are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(crate) policies: ConflictPolicies,
    pub(crate) departure: &'a Departure,
    pub(crate) contested: &'a BTreeMap<String, String>,
    /// Whether the default deny was in force.
    pub(crate) denied: bool,
}

impl Terms<'_> {
    /// Whether the default deny is in force: then it stays so. Whoever takes the name of an allow policy must not get
    /// rid of it.
    pub(super) fn is_in_force(&self, deny: &Generated, observed: &Observed) -> bool {
        self.denied || observed.get(&deny.key()).is_some_and(|live| live.ours)
    }

    fn policy_of(&self, kind: ObjectKind) -> ConflictPolicy {
        match kind {
            ObjectKind::NetworkPolicy => self.policies.network,
            ObjectKind::LimitRange => self.policies.limits,
            ObjectKind::ResourceQuota => self.policies.quota,
        }
    }
}

pub(super) type Observed = BTreeMap<GeneratedKey, Arc<ObservedObject>>;

/// The step that brings one object to what it should be, if any, or why it is left alone.
fn compare(
    desired: Generated,
    observed: &Observed,
    terms: Terms<'_>,
) -> Result<Option<Step>, Error> {
    let key = desired.key();
    if let Some(manager) = terms.contested.get(&key.to_string()) {
        return Err(Error::FieldOwnedBy { field: key.to_string(), manager: manager.clone() });
    }
    let Some(live) = observed.get(&key) else { return Ok(Some(Step::Create(Box::new(desired)))) };
    if live.ours {
        if live.digest == desired.digest() && !live.stray_previous {
            return Ok(None);
        }
    } else {
        let same = live.spec_digest == Some(desired.spec_digest());
        if !live.adopt && (terms.policy_of(key.kind) == ConflictPolicy::Report || !same) {
            let (object, manager) = (key.to_string(), live.manager.clone());
            return Err(Error::NameTaken { object, manager });
        }
    }
    Ok(Some(Step::Update {
        object: Box::new(desired),
        uid: live.uid.clone(),
        resource_version: live.resource_version.clone(),
        adopting: !live.ours,
    }))
}

/// The step that takes away an object that nothing asks for any more. One that was deleted already and is
/// still there is a problem: it is in force, and we cannot end that.
fn undo(key: &GeneratedKey, live: &ObservedObject, departure: &Departure) -> Result<Step, Error> {
    let (uid, resource_version) = (live.uid.clone(), live.resource_version.clone());
    if live.deleted {
        let finalizers = live.finalizers.join(", ");
        return Err(Error::Leftover { object: key.to_string(), finalizers });
    }
    let retained = departure.retains(&live.owners);
    if !retained && !live.has_previous {
        return Ok(Step::Delete { key: key.clone(), uid, resource_version });
    }
    Ok(Step::Release { key: key.clone(), uid, resource_version, restores: !retained })
}

/// Objects of ours, of one kind, that nothing asks for any more. Only names that we could have given count: a
/// user may copy a manifest, label and all.
fn leftovers<'a>(
    kind: ObjectKind,
    desired: &[GeneratedKey],
    observed: &'a Observed,
) -> Vec<(&'a GeneratedKey, &'a ObservedObject)> {
    observed
        .iter()
        .map(|(key, live)| (key, &**live))
        .filter(|(key, live)| {
            key.kind == kind && live.ours && key.could_be_ours() && !desired.contains(key)
        })
        .collect()
}

/// Network policies: what opens, then the deny; then the deny that goes, then what opened and goes.
pub(super) fn network(
    allows: Vec<Generated>,
    deny: Option<Generated>,
    observed: &Observed,
    terms: Terms<'_>,
    problems: &mut Vec<Error>,
) -> Chain {
    let wanted: Vec<GeneratedKey> = allows.iter().chain(&deny).map(Generated::key).collect();
    let (mut steps, mut turned, mut updated) = (Vec::new(), Vec::new(), Vec::new());
    let mut missing = Vec::new();
    for allow in allows {
        let key = allow.key();
        match compare(allow, observed, terms) {
            // One that isolates in another direction from now on is two: it comes with the others, in its place
            // among them, and goes with them.
            Ok(Some(step)) if turns(&step, observed) => {
                steps.extend(beside(&step, observed));
                turned.push(step);
            }
            Ok(Some(step @ Step::Update { .. })) => updated.push(step),
            Ok(step) => steps.extend(step),
            Err(problem) => {
                missing.push(key.to_string());
                problems.push(problem);
            }
        }
    }
    steps.extend(in_safe_order(updated, observed));
    let is_first = deny.as_ref().is_some_and(|deny| !terms.is_in_force(deny, observed));
    match deny.map(|deny| compare(deny, observed, terms)) {
        Some(Ok(Some(_))) if is_first && !missing.is_empty() => {
            problems.push(Error::AllowMissing(missing.join(", ")));
        }
        Some(Ok(step)) => steps.extend(step),
        Some(Err(problem)) => problems.push(problem),
        None => {}
    }
    steps.extend(in_reverse(turned, &wanted, observed, terms, problems));
    let is_beside = |step: &Step| match step {
        Step::Create(object) => Some(object.key()).filter(|key| key.name.ends_with(BESIDE)),
        _ => None,
    };
    let made: Vec<_> = steps.iter().filter_map(is_beside).collect();
    steps.extend(made.into_iter().map(Step::Drop));
    Chain { name: "network", steps }
}

/// Whether a policy of ours isolates in another direction from now on.
fn turns(step: &Step, observed: &Observed) -> bool {
    let Some(object) = written(step) else { return false };
    let live = observed.get(&object.key());
    live.is_some_and(|live| live.ours && live.reach.ways != object.reach().ways)
}

/// What gives way, in the reverse of how it came: policies that isolate most pods go first, and one that carries
/// the rules of others for the same pods goes after them.
fn in_reverse(
    turned: Vec<Step>,
    wanted: &[GeneratedKey],
    observed: &Observed,
    terms: Terms<'_>,
    problems: &mut Vec<Error>,
) -> Vec<Step> {
    let place = |key: &GeneratedKey, live: &ObservedObject| {
        (key.name != DEFAULT_DENY, live.reach.conditions, live.reach.rules)
    };
    let mut last = Vec::new();
    for step in turned {
        let Some(key) = written(&step).map(Generated::key) else { continue };
        let Some(live) = observed.get(&key) else { continue };
        last.push((place(&key, live), step));
    }
    for (key, live) in leftovers(ObjectKind::NetworkPolicy, wanted, observed) {
        match undo(key, live, terms.departure) {
            Ok(step) => last.push((place(key, live), step)),
            Err(problem) => problems.push(problem),
        }
    }
    last.sort_by_key(|(place, _)| *place);
    last.into_iter().map(|(_, step)| step).collect()
}

/// Updates in an order in which nothing is closed in between that is open before and after: whoever takes a peer
/// over is written before whoever gives it away. Where two swap, one is written under a second name as well, which
/// goes at the end; if nobody comes that far, the next plan finds that nothing asks for it.
fn in_safe_order(mut updates: Vec<Step>, observed: &Observed) -> Vec<Step> {
    let mut now: BTreeMap<GeneratedKey, Vec<u64>> = observed
        .iter()
        .filter(|(_, live)| live.ours)
        .map(|(key, live)| (key.clone(), live.reach.edges.clone()))
        .collect();
    let mut ordered = Vec::new();
    while !updates.is_empty() {
        let later = |of: usize| -> Vec<u64> {
            let others = updates.iter().enumerate().filter(|(nth, _)| *nth != of);
            others.flat_map(|(_, step)| opened(step)).collect()
        };
        let is_safe = |nth: usize, step: &Step| {
            let Some(key) = written(step).map(Generated::key) else { return true };
            let (kept, later) = (opened(step), later(nth));
            let elsewhere =
                |edge: &u64| now.iter().any(|(k, edges)| *k != key && edges.contains(edge));
            let lost = now.get(&key).into_iter().flatten().filter(|edge| !kept.contains(edge));
            lost.into_iter().all(|edge| !later.contains(edge) || elsewhere(edge))
        };
        let safe = updates.iter().enumerate().position(|(nth, step)| is_safe(nth, step));
        let nth = safe.unwrap_or_default();
        if safe.is_none() {
            for step in &updates[1..] {
                let Some(object) = written(step) else { continue };
                now.insert(key_beside(object), opened(step));
                ordered.extend(beside(step, observed));
            }
        }
        let step = updates.remove(nth);
        if let Some(object) = written(&step) {
            now.insert(object.key(), opened(&step));
        }
        ordered.push(step);
    }
    ordered
}

/// What a policy is called while its own name still holds what it opened before. No rule has a dot in its name.
const BESIDE: &str = ".new";

fn key_beside(object: &Generated) -> GeneratedKey {
    let key = object.key();
    GeneratedKey::new(key.kind, format!("{}{BESIDE}", key.name))
}

/// Writes what a step writes under that second name, if it is not there yet.
fn beside(step: &Step, observed: &Observed) -> Option<Step> {
    let object = written(step)?;
    let key = key_beside(object);
    let mut copy = object.clone();
    copy.meta_mut().name = Some(key.name.clone());
    (!observed.contains_key(&key)).then(|| Step::Create(Box::new(copy)))
}

fn written(step: &Step) -> Option<&Generated> {
    match step {
        Step::Create(object) | Step::Update { object, .. } => Some(object),
        _ => None,
    }
}

fn opened(step: &Step) -> Vec<u64> {
    written(step).map(|object| object.reach().edges).unwrap_or_default()
}

/// `LimitRange` before quota; the reverse on the way out.
pub(super) fn resources(
    limits: Option<Generated>,
    quota: Option<Generated>,
    observed: &Observed,
    terms: Terms<'_>,
    problems: &mut Vec<Error>,
) -> Chain {
    let wanted: Vec<GeneratedKey> = limits.iter().chain(&quota).map(Generated::key).collect();
    let mut steps = Vec::new();
    for desired in limits.into_iter().chain(quota) {
        match compare(desired, observed, terms) {
            Ok(step) => steps.extend(step),
            Err(problem) => problems.push(problem),
        }
    }
    for kind in [ObjectKind::ResourceQuota, ObjectKind::LimitRange] {
        for (key, live) in leftovers(kind, &wanted, observed) {
            match undo(key, live, terms.departure) {
                Ok(step) => steps.push(step),
                Err(problem) => problems.push(problem),
            }
        }
    }
    Chain { name: "resources", steps }
}
