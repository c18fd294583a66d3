//! The objects that are generated in a namespace: their marks, and when two of them are the same.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::amounts;
use super::baseline::{Amounts, Owner};
use super::owned::owns_annotation;
use super::reach::Reach;
use crate::digest::{Digest, digest};
use crate::marks::{FIELD_MANAGER, MANAGED_BY, OWNER};
use crate::meta::{ResourceVersion, Uid};
use crate::quantity::Quantity;

/// Field manager of the one write with which an object is let go.
pub(crate) const RELEASE_MANAGER: &str = "gabion-release";
/// Annotation with which a user hands an object over to us.
pub(crate) const ADOPT: &str = "gabion.dev/adopt";
/// Annotation with the spec that an adopted object had before.
pub(crate) const PREVIOUS_SPEC: &str = "gabion.dev/previous-spec";
/// Name of the policy that denies by default.
pub(crate) const DEFAULT_DENY: &str = "gabion-default-deny";
/// Name of the policy that keeps DNS reachable.
pub(crate) const ALLOW_DNS: &str = "gabion-allow-dns";
/// Name of the quota.
pub(crate) const QUOTA: &str = "gabion-quota";
/// Name of the `LimitRange`.
pub(crate) const LIMITS: &str = "gabion-limits";

/// Longest spec that is noted when an object is adopted. A longer one is not adopted.
pub(crate) const LONGEST_SPEC: usize = 32 * 1024;
/// Most owners and finalizers of an object that are kept, and the longest text of one.
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 253;

/// The kinds that are generated in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// networking.k8s.io/v1 `NetworkPolicy`
    NetworkPolicy,
    /// v1 `LimitRange`
    LimitRange,
    /// v1 `ResourceQuota`
    ResourceQuota,
}

impl ObjectKind {
    /// The kind as it is written in a manifest.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "NetworkPolicy",
            Self::LimitRange => "LimitRange",
            Self::ResourceQuota => "ResourceQuota",
        }
    }
}

/// Kind and name of a generated object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GeneratedKey {
    /// Its kind.
    pub(crate) kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl GeneratedKey {
    /// Key of an object.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl GeneratedKey {
    /// Whether this is the policy without which a namespace is open.
    pub(crate) fn is_default_deny(&self) -> bool {
        self.kind == ObjectKind::NetworkPolicy && self.name == DEFAULT_DENY
    }

    /// Whether this is a name that we could have given. An object of any other name is a user's, whatever marks
    /// it carries: marks can be copied.
    pub(crate) fn could_be_ours(&self) -> bool {
        let prefixes = ["gabion-allow-", "gabion-egress-", "gabion-ingress-"];
        match self.kind {
            ObjectKind::NetworkPolicy => {
                self.name == DEFAULT_DENY
                    || prefixes.iter().any(|prefix| self.name.starts_with(prefix))
            }
            ObjectKind::LimitRange => self.name == LIMITS,
            ObjectKind::ResourceQuota => self.name == QUOTA,
        }
    }
}

impl std::fmt::Display for GeneratedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

/// A generated object, or a live one of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Generated {
    /// A network policy.
    NetworkPolicy(NetworkPolicy),
    /// A `LimitRange`.
    LimitRange(LimitRange),
    /// A quota.
    ResourceQuota(ResourceQuota),
}

impl Generated {
    /// Kind and name.
    pub fn key(&self) -> GeneratedKey {
        GeneratedKey::new(self.kind(), self.meta().name.clone().unwrap_or_default())
    }

    fn kind(&self) -> ObjectKind {
        match self {
            Self::NetworkPolicy(_) => ObjectKind::NetworkPolicy,
            Self::LimitRange(_) => ObjectKind::LimitRange,
            Self::ResourceQuota(_) => ObjectKind::ResourceQuota,
        }
    }

    /// Metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::NetworkPolicy(object) => &object.metadata,
            Self::LimitRange(object) => &object.metadata,
            Self::ResourceQuota(object) => &object.metadata,
        }
    }

    /// Metadata, to change.
    pub fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::NetworkPolicy(object) => &mut object.metadata,
            Self::LimitRange(object) => &mut object.metadata,
            Self::ResourceQuota(object) => &mut object.metadata,
        }
    }

    /// What it opens; nothing for anything but a network policy.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::NetworkPolicy(_) => Reach::of(&self.spec()),
            Self::LimitRange(_) | Self::ResourceQuota(_) => Reach::default(),
        }
    }

    /// The spec as JSON; null when there is none.
    pub fn spec(&self) -> Value {
        let spec = match self {
            Self::NetworkPolicy(object) => serde_json::to_value(&object.spec),
            Self::LimitRange(object) => serde_json::to_value(&object.spec),
            Self::ResourceQuota(object) => serde_json::to_value(&object.spec),
        };
        spec.unwrap_or_default()
    }

    /// Digest of the spec: the same for specs that mean the same to the API server.
    pub fn spec_digest(&self) -> Digest {
        digest(&normal(self.kind(), self.spec()))
    }

    /// Digest of all that we answer for: the spec and our marks, not what users add.
    pub fn digest(&self) -> Digest {
        let meta = self.meta();
        let label = meta.labels.as_ref().and_then(|l| l.get(MANAGED_BY));
        let annotation = meta.annotations.as_ref().and_then(|a| a.get(OWNER));
        // There is none of ours. With one that somebody adds, the garbage collector deletes the object.
        let owners: Vec<_> = meta.owner_references.iter().flatten().map(|o| &o.uid).collect();
        digest(&(label, annotation, owners, normal(self.kind(), self.spec())))
    }
}

/// Metadata of a generated object. There is no owner reference: the garbage collector would take the set apart
/// in any order, without asking.
pub(crate) fn marked(namespace: &str, name: &str, owners: &[Owner]) -> ObjectMeta {
    let mut owners = owners.to_vec();
    owners.sort_by(|a, b| a.uid.cmp(&b.uid));
    owners.dedup();
    let uids: Vec<_> = owners.iter().map(|o| &*o.uid).collect();
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some(namespace.into()),
        labels: Some([(MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned())].into()),
        annotations: Some([(OWNER.to_owned(), uids.join(","))].into()),
        ..ObjectMeta::default()
    }
}

/// What is kept of a live object: enough to decide, and no more.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedObject {
    /// Its uid.
    pub uid: Uid,
    /// Its resource version.
    pub(crate) resource_version: ResourceVersion,
    /// [`Generated::digest`] of it.
    pub(crate) digest: Digest,
    /// [`Generated::spec_digest`] of it, when it is not ours.
    pub(crate) spec_digest: Option<Digest>,
    /// Whether it carries our mark.
    pub ours: bool,
    /// Uids of the baselines behind it.
    pub(crate) owners: Vec<Uid>,
    /// Whether a user hands it over to us.
    pub(crate) adopt: bool,
    /// Whether it is ours and carries the spec from before we adopted it, noted by us.
    pub(crate) has_previous: bool,
    /// Whether it carries such a note that is not from us.
    pub(crate) stray_previous: bool,
    /// Whether the API server says that we wrote it.
    pub(crate) written_by_us: bool,
    /// Its finalizers.
    pub(crate) finalizers: Vec<String>,
    /// Whether it was deleted, and is still there.
    pub(crate) deleted: bool,
    /// What it opens, and for how many pods.
    pub(crate) reach: Reach,
    /// What it allows, if it is a quota of ours.
    pub(crate) hard: Amounts,
    /// The field manager that made it, when it is not ours; else the one that wrote last, apart from us.
    pub(crate) manager: String,
}

impl ObservedObject {
    /// Boils a live object down. Give it the object with its `managedFields` where there is a choice: without
    /// them the manager in a conflict reads "unknown".
    pub fn of(live: &Generated) -> Self {
        let meta = live.meta();
        let annotation = |key| meta.annotations.as_ref().and_then(|a| a.get(key));
        let labelled = meta
            .labels
            .as_ref()
            .and_then(|l| l.get(MANAGED_BY))
            .is_some_and(|v| v == FIELD_MANAGER);
        let owner = annotation(OWNER).map(String::as_str).unwrap_or_default();
        let managers = || meta.managed_fields.iter().flatten();
        let written_by_us = managers().any(|m| m.manager.as_deref() == Some(FIELD_MANAGER));
        // A user may strip a mark by hand; the object stays ours while any of the marks is left.
        let ours = labelled || !owner.is_empty() || written_by_us;
        let manager = managers().find_map(|m| m.manager.as_deref()).unwrap_or("unknown");
        let has_previous = previous_spec(live).is_some();
        let owners = owner.split(',').filter(|uid| !uid.is_empty());
        Self {
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            digest: live.digest(),
            spec_digest: (!ours).then(|| live.spec_digest()),
            ours,
            owners: bounded(owners).map(Uid::from).collect(),
            adopt: annotation(ADOPT).is_some_and(|v| v == "true"),
            has_previous,
            stray_previous: !has_previous && annotation(PREVIOUS_SPEC).is_some(),
            written_by_us,
            finalizers: bounded(meta.finalizers.iter().flatten().map(String::as_str)).collect(),
            deleted: meta.deletion_timestamp.is_some(),
            reach: live.reach(),
            hard: if ours { hard(live) } else { Amounts::new() },
            manager: shortened(manager),
        }
    }
}

fn hard(live: &Generated) -> Amounts {
    let Generated::ResourceQuota(quota) = live else { return Amounts::new() };
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    amounts::read(hard).into_iter().take(MOST_NAMES).collect()
}

fn bounded<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    names.take(MOST_NAMES).map(shortened)
}

/// No more of a name than any real one has.
pub(crate) fn shortened(name: &str) -> String {
    name[..name.floor_char_boundary(LONGEST_NAME)].to_owned()
}

/// The spec that an object of ours had before we adopted it, if we noted it and it can be one.
fn previous_spec(live: &Generated) -> Option<Generated> {
    let meta = live.meta();
    let text = meta.annotations.as_ref()?.get(PREVIOUS_SPEC)?;
    if text.len() > LONGEST_SPEC || !owns_annotation(meta, PREVIOUS_SPEC) {
        return None;
    }
    let mut before = live.clone();
    match &mut before {
        Generated::NetworkPolicy(object) => object.spec = Some(serde_json::from_str(text).ok()?),
        Generated::LimitRange(object) => object.spec = Some(serde_json::from_str(text).ok()?),
        Generated::ResourceQuota(object) => object.spec = Some(serde_json::from_str(text).ok()?),
    }
    Some(before)
}

/// What an object becomes when we write it over a live one: our spec and marks, the user's own labels and
/// annotations kept. One that we adopt notes the spec that it had.
#[must_use]
pub fn over(live: &Generated, desired: &Generated, adopting: bool) -> Generated {
    let mut written = desired.clone();
    let kept = live.meta();
    let meta = written.meta_mut();
    meta.labels = joined(kept.labels.as_ref(), meta.labels.as_ref());
    meta.annotations = joined(kept.annotations.as_ref(), meta.annotations.as_ref());
    if previous_spec(live).is_none()
        && let Some(annotations) = &mut meta.annotations
    {
        annotations.remove(PREVIOUS_SPEC);
    }
    if adopting {
        let spec = live.spec().to_string();
        meta.annotations.get_or_insert_default().insert(PREVIOUS_SPEC.to_owned(), spec);
    }
    meta.owner_references = Some(Vec::new());
    meta.finalizers.clone_from(&kept.finalizers);
    meta.uid.clone_from(&kept.uid);
    meta.resource_version.clone_from(&kept.resource_version);
    written
}

/// Whether the spec of a live object is short enough to be noted.
pub(crate) fn can_be_adopted(live: &Generated) -> bool {
    live.spec().to_string().len() <= LONGEST_SPEC
}

/// What an object becomes when we let go of it: our marks off, and its former spec back if it was adopted.
#[must_use]
pub fn released(live: &Generated, restores: bool) -> Generated {
    let before = if restores { previous_spec(live) } else { None };
    let mut freed = before.unwrap_or_else(|| live.clone());
    let meta = freed.meta_mut();
    if let Some(labels) = &mut meta.labels
        && labels.get(MANAGED_BY).is_some_and(|v| v == FIELD_MANAGER)
    {
        labels.remove(MANAGED_BY);
    }
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| key != OWNER && key != PREVIOUS_SPEC);
    }
    if let Some(references) = &mut meta.owner_references {
        references.retain(|o| o.kind != "HardeningBaseline");
    }
    // One empty entry resets them: an object that names us as a writer would still count as ours.
    meta.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
    freed
}

fn joined(
    kept: Option<&BTreeMap<String, String>>,
    ours: Option<&BTreeMap<String, String>>,
) -> Option<BTreeMap<String, String>> {
    let mut all = kept.cloned().unwrap_or_default();
    all.extend(ours.cloned().unwrap_or_default());
    (!all.is_empty()).then_some(all)
}

/// The spec without what means nothing: empty lists, absent defaults, the notation of quantities.
fn normal(kind: ObjectKind, mut spec: Value) -> Value {
    match kind {
        ObjectKind::NetworkPolicy => {
            with_protocols(&mut spec);
            if let Some(types) = spec.get_mut("policyTypes").and_then(Value::as_array_mut) {
                types.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            }
        }
        ObjectKind::LimitRange | ObjectKind::ResourceQuota => quantities(&mut spec),
    }
    without_empties(&mut spec);
    spec
}

fn with_protocols(spec: &mut Value) {
    for direction in ["ingress", "egress"] {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            let ports = rule.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
                port.entry("protocol").or_insert_with(|| json!("TCP"));
            }
        }
    }
}

fn quantities(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(amount) = Quantity::parse(text) {
                *text = amount.exact();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities),
        Value::Object(fields) => fields.values_mut().for_each(quantities),
        _ => {}
    }
}

fn without_empties(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_empties);
            let nothing = |key: &str, v: &Value| {
                v.is_null()
                    || v.as_array().is_some_and(Vec::is_empty)
                    || (key == "matchLabels" && v.as_object().is_some_and(Map::is_empty))
            };
            fields.retain(|key, v| !nothing(key, v));
        }
        Value::Array(items) => items.iter_mut().for_each(without_empties),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardening::plan::owned::claim;

    fn policy(spec: Value) -> Generated {
        let metadata =
            marked("shop", "gabion-allow-x", &[Owner { name: "b".into(), uid: "u".into() }]);
        Generated::NetworkPolicy(NetworkPolicy {
            metadata,
            spec: serde_json::from_value(spec).expect("a spec"),
        })
    }

    #[test]
    fn what_the_server_fills_in_makes_no_difference() {
        let sent = policy(json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "ports": [{ "port": 80 }], "from": [{ "podSelector": { "matchLabels": {} } }] }] }));
        let stored = policy(
            json!({ "podSelector": {}, "policyTypes": ["Egress", "Ingress"], "egress": [],
            "ingress": [{ "ports": [{ "port": 80, "protocol": "TCP" }], "from": [{ "podSelector": {} }] }] }),
        );
        assert_eq!(sent.digest(), stored.digest());
    }

    #[test]
    fn what_changes_the_meaning_changes_the_digest() {
        let deny = policy(json!({ "podSelector": {}, "policyTypes": ["Ingress"] }));
        for other in [
            json!({ "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}] }),
            json!({ "podSelector": { "matchLabels": { "a": "b" } }, "policyTypes": ["Ingress"] }),
            json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }),
        ] {
            assert_ne!(deny.digest(), policy(other).digest());
        }
        let mut stripped = deny.clone();
        stripped.meta_mut().labels = None;
        assert_ne!(deny.digest(), stripped.digest());
        let mut labelled = deny.clone();
        labelled.meta_mut().labels.get_or_insert_default().insert("team".into(), "x".into());
        assert_eq!(deny.digest(), labelled.digest(), "a user's own label is not drift");
    }

    #[test]
    fn quantities_are_compared_by_amount() {
        let quota = |text: &str| {
            let spec = json!({ "hard": { "limits.memory": text } });
            let spec = serde_json::from_value(spec).expect("a spec");
            Generated::ResourceQuota(ResourceQuota { spec, ..ResourceQuota::default() })
        };
        assert_eq!(quota("1024Mi").digest(), quota("1Gi").digest());
        assert_eq!(quota("1Gi").digest(), quota("1073741824").digest());
        assert_ne!(quota("1Gi").digest(), quota("1G").digest());
    }

    #[test]
    fn a8_an_earlier_spec_is_believed_only_if_we_noted_it_and_it_can_be_one() {
        let open = r#"{"podSelector":{},"ingress":[{}],"policyTypes":["Ingress"]}"#;
        for (text, manager, believed) in [
            (open, "gabion", true),
            (open, "kubectl-annotate", false),
            ("no JSON", "gabion", false),
            (r#"{"podSelector":7}"#, "gabion", false),
        ] {
            let mut live = policy(json!({ "podSelector": {}, "policyTypes": ["Ingress"] }));
            let annotations = live.meta_mut().annotations.get_or_insert_default();
            annotations.insert(PREVIOUS_SPEC.to_owned(), text.to_owned());
            claim(live.meta_mut());
            live.meta_mut().managed_fields.as_mut().unwrap()[0].manager = Some(manager.to_owned());
            let seen = ObservedObject::of(&live);
            assert_eq!((seen.has_previous, seen.stray_previous), (believed, !believed), "{text}");
            let freed = released(&live, true);
            assert_eq!(freed.spec() == live.spec(), !believed, "{text} by {manager}");
            let again = over(&live, &live, false);
            let kept = again.meta().annotations.as_ref().unwrap().contains_key(PREVIOUS_SPEC);
            assert_eq!(kept, believed);
        }
    }

    #[test]
    fn a5_a9_only_names_that_we_could_have_given_can_be_ours() {
        let policy =
            |name: &str| GeneratedKey::new(ObjectKind::NetworkPolicy, name).could_be_ours();
        assert!(policy(DEFAULT_DENY) && policy(ALLOW_DNS) && policy("gabion-egress-x.2"));
        assert!(!policy("mine") && !policy("gabion-x") && !policy(QUOTA));
        assert!(GeneratedKey::new(ObjectKind::ResourceQuota, QUOTA).could_be_ours());
    }

    #[test]
    fn an_object_stays_ours_while_any_mark_is_left() {
        let whole = policy(json!({ "podSelector": {} }));
        assert!(ObservedObject::of(&whole).ours);
        let mut unlabelled = whole.clone();
        unlabelled.meta_mut().labels = None;
        assert!(ObservedObject::of(&unlabelled).ours);
        let mut bare = unlabelled;
        bare.meta_mut().annotations = None;
        assert!(!ObservedObject::of(&bare).ours);
    }
}
