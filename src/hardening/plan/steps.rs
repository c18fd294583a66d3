//! From what should be and what is to ordered writes.
//!
//! A chain is done in order and stops at its first failure; chains do not wait for each other. So a verb that
//! is forbidden for one kind keeps no other kind from being applied, and nothing is ever denied before what it
//! must leave open is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Error;
use super::labels::LabelPatch;
use super::objects::{
    ALLOW_DNS, DEFAULT_DENY, Generated, GeneratedKey, ObjectKind, ObservedObject, PREVIOUS_SPEC,
};
use super::service_accounts::ServiceAccountPatch;
use super::teardown::Departure;
use crate::api::gabion::hardening_baseline::ConflictPolicy;

/// One write, with what must still hold when it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The object must not exist yet.
    Create(Box<Generated>),
    /// Replace the live object, seen as `uid` and `resource_version`, by `objects::over(live, object)`.
    Update {
        /// What it must become.
        object: Box<Generated>,
        /// Uid that it must have.
        uid: String,
        /// Resource version that it must have.
        resource_version: String,
        /// Whether the object was somebody else's until now.
        adopting: bool,
    },
    /// Delete the object with both preconditions.
    Delete {
        /// Which object.
        key: GeneratedKey,
        /// Uid that it must have.
        uid: String,
        /// Resource version that it must have.
        resource_version: String,
    },
    /// Replace the live object by `objects::released(live, previous_spec)`.
    Release {
        /// Which object.
        key: GeneratedKey,
        /// Uid that it must have.
        uid: String,
        /// Resource version that it must have.
        resource_version: String,
        /// The spec that it had before we adopted it.
        previous_spec: Option<String>,
    },
    /// Write the labels of the namespace.
    Labels(LabelPatch),
    /// Write one `ServiceAccount`.
    ServiceAccount(ServiceAccountPatch),
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
            Self::Delete { key, .. } | Self::Release { key, .. } => key.to_string(),
            Self::Labels(_) => "Namespace labels".to_owned(),
            Self::ServiceAccount(patch) => format!("ServiceAccount/{}", patch.name),
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
    pub(crate) policy: ConflictPolicy,
    pub(crate) departure: &'a Departure,
    pub(crate) contested: &'a BTreeMap<String, String>,
}

pub(super) type Observed = BTreeMap<GeneratedKey, Arc<ObservedObject>>;

/// The step that brings one object to what it should be, if any, or why it is left alone.
fn compare(
    mut desired: Generated,
    observed: &Observed,
    terms: Terms<'_>,
) -> Result<Option<Step>, Error> {
    let key = desired.key();
    if let Some(manager) = terms.contested.get(&key.to_string()) {
        return Err(Error::FieldOwnedBy { field: key.to_string(), manager: manager.clone() });
    }
    let Some(live) = observed.get(&key) else { return Ok(Some(Step::Create(Box::new(desired)))) };
    let adopting = !live.ours;
    if live.ours {
        if live.digest == desired.digest() {
            return Ok(None);
        }
    } else {
        let same = live.spec_digest == Some(desired.spec_digest());
        if !live.adopt && (terms.policy == ConflictPolicy::Report || !same) {
            return Err(Error::NameTaken {
                object: key.to_string(),
                manager: live.manager.clone(),
            });
        }
    }
    if let Some(spec) = if adopting { &live.foreign_spec } else { &live.previous_spec } {
        let annotations = desired.meta_mut().annotations.get_or_insert_default();
        annotations.insert(PREVIOUS_SPEC.to_owned(), spec.clone());
    }
    Ok(Some(Step::Update {
        object: Box::new(desired),
        uid: live.uid.clone(),
        resource_version: live.resource_version.clone(),
        adopting,
    }))
}

/// The step that takes away an object that nothing asks for any more.
fn undo(key: &GeneratedKey, live: &ObservedObject, departure: &Departure) -> Step {
    let (uid, resource_version) = (live.uid.clone(), live.resource_version.clone());
    let retained = departure.retains(&live.owners);
    if !retained && live.previous_spec.is_none() {
        return Step::Delete { key: key.clone(), uid, resource_version };
    }
    let previous_spec = if retained { None } else { live.previous_spec.clone() };
    Step::Release { key: key.clone(), uid, resource_version, previous_spec }
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
            key.kind == kind
                && live.ours
                && key.name.starts_with("gabion-")
                && !desired.contains(key)
        })
        .collect()
}

/// Network policies: allow rules, then the deny; then the deny that goes, then the allow rules that go.
pub(super) fn network(
    allows: Vec<Generated>,
    deny: Option<Generated>,
    observed: &Observed,
    terms: Terms<'_>,
    problems: &mut Vec<Error>,
) -> Chain {
    let wanted: Vec<GeneratedKey> = allows.iter().chain(&deny).map(Generated::key).collect();
    let mut steps = Vec::new();
    let mut missing = Vec::new();
    for allow in allows {
        let key = allow.key();
        match compare(allow, observed, terms) {
            Ok(step) => steps.extend(step),
            Err(problem) => {
                missing.push(key.to_string());
                problems.push(problem);
            }
        }
    }
    match deny.map(|deny| compare(deny, observed, terms)) {
        Some(Ok(Some(_))) if !missing.is_empty() => {
            problems.push(Error::AllowMissing(missing.join(", ")));
        }
        Some(Ok(step)) => steps.extend(step),
        Some(Err(problem)) => problems.push(problem),
        None => {}
    }
    let mut gone = leftovers(ObjectKind::NetworkPolicy, &wanted, observed);
    // An egress rule closes everything else for its pods, so DNS goes last, as it came first.
    gone.sort_by_key(|(key, _)| match key.name.as_str() {
        DEFAULT_DENY => 0,
        ALLOW_DNS => 2,
        _ => 1,
    });
    steps.extend(gone.into_iter().map(|(key, live)| undo(key, live, terms.departure)));
    Chain { name: "network", steps }
}

/// `LimitRange` before quota; the reverse on the way out. A quota that is held stays as it is.
pub(super) fn resources(
    limits: Option<Generated>,
    quota: Option<Generated>,
    held: Option<&Error>,
    observed: &Observed,
    terms: Terms<'_>,
    problems: &mut Vec<Error>,
) -> Chain {
    let wanted: Vec<GeneratedKey> = limits.iter().chain(&quota).map(Generated::key).collect();
    let mut steps = Vec::new();
    for desired in limits.into_iter().chain(quota) {
        let is_quota = desired.key().kind == ObjectKind::ResourceQuota;
        match compare(desired, observed, terms) {
            Ok(Some(_)) if is_quota && held.is_some() => problems.extend(held.cloned()),
            Ok(step) => steps.extend(step),
            Err(problem) => problems.push(problem),
        }
    }
    for kind in [ObjectKind::ResourceQuota, ObjectKind::LimitRange] {
        let gone = leftovers(kind, &wanted, observed);
        steps.extend(gone.into_iter().map(|(key, live)| undo(key, live, terms.departure)));
    }
    Chain { name: "resources", steps }
}
