//! The plan of one namespace: from the baselines that select it and what is observed there to ordered writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;

use super::baseline::Compiled;
use super::copies;
use super::copy::Copies;
use super::dns::DnsFacts;
use super::error::Error;
use super::labels::{self, LabelPatch, Memory};
use super::merge::{self, Merged};
use super::network::{self, TargetNamespace};
use super::objects::{Generated, GeneratedKey, ObjectKind, ObservedObject, QUOTA};
use super::pods::{self, Pods};
use super::resources::{self, UserLimits};
use super::service_accounts::{self, ObservedServiceAccount};
use super::steps::{self, Chain, Step, Terms};
use super::teardown::{Departure, Leaving};
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::hardening_baseline::Direction;
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::namespace_hardening::DnsFound;
use crate::api::gabion::namespace_hardening::PreviousValue;
use crate::digest::{Digest, digest};
use crate::hardening::plan::permissive_policies;
use crate::meta::{ResourceVersion, Uid};
use crate::policy::waivers::Waiver;

/// What is seen of a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceObserved {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Uid,
    /// Its resource version.
    pub resource_version: ResourceVersion,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it says of its labels before we set them.
    pub memory: Memory,
    /// Whether a baseline reached it at any time: in any other namespace nothing is undone.
    pub reached: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Objects of ours in it, and objects of others under names of ours.
    pub objects: BTreeMap<GeneratedKey, Arc<ObservedObject>>,
    /// Its `ServiceAccounts`.
    pub service_accounts: Vec<ObservedServiceAccount>,
    /// Copies of registry credentials.
    pub copies: Copies,
    /// Policies that open a direction to everyone, whoever made them, and whether they carry a mark of ours.
    pub permissive: Vec<(String, BTreeSet<Direction>, bool)>,
    /// Users' own `LimitRanges`.
    pub limit_ranges: Vec<(String, UserLimits)>,
    /// Whether the default deny was in force, and nobody but a user took it away.
    pub denied: bool,
    /// Its pods, when they were read; see [`needs_pods`].
    pub pods: Option<Pods>,
    /// What was found of them when they were read last.
    pub refused_pods: Option<String>,
    /// How far the enforce label gives way to exceptions, if it may.
    pub floor: Option<Floor>,
}

/// The level at which the Pod Security plugin lets everything in that is excused: admission policies then judge the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The level.
    pub level: Level,
    /// The exceptions that need it.
    pub exceptions: Vec<String>,
}

impl Floor {
    /// What these waivers need in a namespace; `None` if they waive no check of the Pod Security Standards.
    pub(crate) fn of(waivers: &[Waiver], namespace: &str) -> Option<Self> {
        let needed = |waiver: &Waiver| {
            let levels = waiver.controls.iter().filter_map(|id| id.control().level);
            levels.map(below).min()
        };
        let here = waivers.iter().filter(|waiver| waiver.namespace == namespace);
        let needed: Vec<_> = here.filter_map(|waiver| Some((needed(waiver)?, waiver))).collect();
        let level = needed.iter().map(|(level, _)| *level).min()?;
        let exceptions = needed.iter().map(|(_, w)| format!("{} until {}", w.exception, w.until));
        Some(Self { level, exceptions: exceptions.collect() })
    }
}

/// The level at which a check of this one is not made.
fn below(level: Level) -> Level {
    if level == Level::Restricted { Level::Baseline } else { Level::Privileged }
}

impl NamespaceObserved {
    /// Reads a namespace; all that is not in its own metadata is added by the caller.
    pub(crate) fn of(namespace: &Namespace) -> Self {
        let meta = &namespace.metadata;
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            labels: meta.labels.clone().unwrap_or_default(),
            terminating: meta.deletion_timestamp.is_some(),
            ..Self::default()
        }
    }

    /// What matters of it for copies.
    pub(crate) fn of_copies(&self) -> copies::Seen<'_> {
        copies::Seen {
            namespace: &self.name,
            copies: &self.copies,
            accounts: &self.service_accounts,
        }
    }

    fn as_target(&self) -> TargetNamespace<'_> {
        TargetNamespace { name: &self.name, labels: &self.labels }
    }
}

/// All that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Baselines that select the namespace and stay.
    pub baselines: &'a [Compiled],
    /// Baselines that are being deleted.
    pub leaving: &'a [Leaving],
    /// What is seen of the namespace.
    pub observed: &'a NamespaceObserved,
    /// What the cluster says about DNS.
    pub dns: &'a DnsFacts,
    /// Label keys, and objects as `Kind/name`, that somebody else keeps writing, each with that manager.
    pub contested: &'a BTreeMap<String, String>,
}

/// What to do in a namespace, and how to explain it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Writes; chains do not wait for each other.
    pub(crate) chains: Vec<Chain>,
    /// Objects that are just as they should be.
    pub(crate) right: Vec<(GeneratedKey, Digest)>,
    /// Copies of registry credentials that are just as they should be, each with its revision.
    pub(crate) right_copies: Vec<(String, String)>,
    /// Whether the default deny is wanted, and was in force before the plan.
    pub(crate) denied: bool,
    /// What is left alone or held, and why.
    pub problems: Vec<Error>,
    /// What is out of our hands and worth knowing; it keeps nothing from being Ready.
    pub(crate) warnings: Vec<Error>,
    /// What the baselines come to.
    pub merged: Merged,
    /// What they would come to if each were at Enforce.
    pub(crate) preview: Merged,
    /// Resources that a pod must state because of the quota, and that nothing fills in.
    pub(crate) unstated: Vec<String>,
    /// Which pods that run could not be made again, if all baselines were at Enforce.
    pub(crate) refused_pods: Option<String>,
    /// How DNS was found.
    pub(crate) dns: Option<DnsFound>,
    /// Values from before we took over.
    pub(crate) previous: Vec<PreviousValue>,
}

impl Plan {
    /// All writes in an order that is safe for one worker.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.chains.iter().flat_map(|chain| &chain.steps)
    }

    /// Whether the namespace is as it should be, as far as it can be.
    pub fn is_settled(&self) -> bool {
        self.steps().next().is_none()
    }
}

/// Whether a plan needs to know the pods: only when a quota or a `LimitRange` is about to be written.
pub fn needs_pods(baselines: &[Compiled], observed: &NamespaceObserved) -> bool {
    let merged = merge::merge(baselines);
    let quota = resources::quota(&merged, &merged.quota, &observed.name);
    let limits = resources::limit_range(&merged, &observed.name);
    let wanted = quota.map(Generated::ResourceQuota).into_iter();
    wanted.chain(limits.map(Generated::LimitRange)).any(|object| {
        let live = observed.objects.get(&object.key());
        live.is_none_or(|live| live.digest != object.digest())
    })
}

/// What decides which pods could be made again: quota and limits as they would be at Enforce. `None` if there are
/// none, and so nothing to ask.
pub(crate) fn question_of_pods(baselines: &[Compiled]) -> Option<Digest> {
    let asked = merge::preview(baselines);
    let nothing = asked.quota.is_empty() && asked.limits.is_none();
    (!nothing).then(|| digest(&format!("{:?} {:?}", asked.quota, asked.limits)))
}

/// Plans a namespace. The same input always gives the same plan, and doing it leaves nothing to do.
pub fn plan(input: Input<'_>) -> Plan {
    let observed = input.observed;
    let mut merged = merge::merge(input.baselines);
    if let Some(floor) = &observed.floor {
        merged.give_way(floor.level, &floor.exceptions);
    }
    let enforced = input.baselines.iter().all(|baseline| baseline.stage == Stage::Enforce);
    let mut plan = Plan {
        preview: if enforced { merged.clone() } else { merge::preview(input.baselines) },
        previous: labels::previous(&observed.memory.record),
        ..Plan::default()
    };
    plan.previous.extend(service_accounts::previous(&observed.service_accounts));
    if !observed.terminating && (observed.reached || !input.baselines.is_empty()) {
        fill(&mut plan, &merged, input);
    }
    plan.merged = merged;
    plan
}

fn fill(plan: &mut Plan, merged: &Merged, input: Input<'_>) {
    let observed = input.observed;
    let (departure, policies) = (Departure::of(input.leaving), merged.conflict_policies);
    let (contested, denied) = (input.contested, observed.denied);
    let terms = Terms { policies, departure: &departure, contested, denied };
    let problems = &mut plan.problems;
    problems.extend(merged.registry_conflict.clone().map(Error::EmptyIntersection));
    let label_patch = label_patch(merged, input, departure.policy(), problems);
    let loosening = label_patch.as_ref().is_some_and(|patch| !patch.restore.is_empty());
    let label_chain =
        Chain { name: "labels", steps: label_patch.map(Step::Labels).into_iter().collect() };

    let set = network::policies(merged, observed.as_target(), input.dns);
    let allows: Vec<_> = set.allows.into_iter().map(Generated::NetworkPolicy).collect();
    let deny = set.deny.map(Generated::NetworkPolicy);
    let planned: Vec<_> = allows.iter().chain(&deny).map(|o| (o.key(), o.digest())).collect();
    plan.denied = deny.as_ref().is_some_and(|deny| terms.is_in_force(deny, &observed.objects));
    let network = steps::network(allows, deny, &observed.objects, terms, problems);

    let limits = resources::limit_range(merged, &observed.name).map(Generated::LimitRange);
    let nothing = Pods::default();
    let found = observed.pods.as_ref().unwrap_or(&nothing);
    let key = GeneratedKey::new(ObjectKind::ResourceQuota, QUOTA);
    let in_force = observed.objects.get(&key).filter(|live| live.ours).map(|live| &live.hard);
    let (hard, held) = pods::allowed(&merged.quota, found, in_force);
    let quota = resources::quota(merged, &hard, &observed.name).map(Generated::ResourceQuota);
    let amounts = limits.iter().chain(&quota).map(|object| (object.key(), object.digest()));
    let planned: Vec<_> = planned.into_iter().chain(amounts).collect();
    problems.extend(resources::excluding(merged, &observed.limit_ranges));
    problems.extend(held);
    let resources = steps::resources(limits, quota, &observed.objects, terms, problems);

    let accounts = service_account_steps(merged, input, departure.policy(), problems);
    let accounts = Chain { name: "serviceAccounts", steps: accounts };

    let (right, copies) = pull_secrets(merged, input, departure.policy(), problems);
    plan.right_copies = right;
    let mut chains = vec![network, resources, accounts, copies];
    // Labels that tighten come first, labels that give way come last.
    chains.insert(if loosening { chains.len() } else { 0 }, label_chain);
    chains.retain(|chain| !chain.steps.is_empty());
    plan.chains = chains;
    plan.dns = set.dns;
    plan.unstated = resources::unstated(merged);
    plan.refused_pods = match &observed.pods {
        Some(pods) => pods.refused(&plan.preview, &observed.limit_ranges),
        None => observed.refused_pods.clone(),
    };
    let right = planned.into_iter().filter(|(key, digest)| {
        observed.objects.get(key).is_some_and(|live| live.ours && live.digest == *digest)
    });
    plan.right = right.collect();
    let right = &plan.right;
    let is_as_planned = |name: &str| {
        right.iter().any(|(key, _)| key.kind == ObjectKind::NetworkPolicy && key.name == name)
    };
    plan.warnings = permissive_policies::reported(merged, &observed.permissive, is_as_planned);
}

/// Copies of registry credentials: those that are right, and the writes.
fn pull_secrets(
    merged: &Merged,
    input: Input<'_>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
) -> (Vec<(String, String)>, Chain) {
    problems.extend(merged.pull_secret_problems.iter().cloned());
    let seen = input.observed.of_copies();
    let decided = copies::decide(merged, seen, input.contested, leaving, problems);
    let steps = decided.steps.into_iter().map(Step::from).collect();
    (decided.right, Chain { name: "pullSecrets", steps })
}

/// A ServiceAccount that somebody else keeps switching on is left alone.
fn service_account_steps(
    merged: &Merged,
    input: Input<'_>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for account in &input.observed.service_accounts {
        let patch = service_accounts::patch(account, merged.automount_disabled, leaving);
        let Some(step) = patch.map(Step::ServiceAccount) else { continue };
        match input.contested.get(&step.object()).filter(|_| merged.automount_disabled) {
            Some(manager) => {
                let field = format!("{} automountServiceAccountToken", step.object());
                problems.push(Error::FieldOwnedBy { field, manager: manager.clone() });
            }
            None => steps.push(step),
        }
    }
    steps
}

fn label_patch(
    merged: &Merged,
    input: Input<'_>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
) -> Option<LabelPatch> {
    let observed = input.observed;
    let wanted = labels::wanted(merged);
    if merged.labels_external {
        problems.extend(labels::differences(&wanted, &observed.labels));
        return None;
    }
    let is_label = |key: &str| key.starts_with(labels::PREFIX) || key == labels::RECORD;
    let contested = input.contested.iter().filter(|(key, _)| is_label(key));
    for (key, manager) in contested.clone().filter(|(key, _)| wanted.contains_key(*key)) {
        problems
            .push(Error::FieldOwnedBy { field: format!("label {key}"), manager: manager.clone() });
    }
    let contested: BTreeSet<String> = contested.map(|(key, _)| key.clone()).collect();
    let patch = labels::patch(&wanted, &observed.labels, &observed.memory, &contested, leaving)?;
    Some(LabelPatch {
        uid: observed.uid.clone(),
        resource_version: observed.resource_version.clone(),
        ..patch
    })
}

/// What a namespace still holds of a baseline that leaves: names of objects, for status. Empty means that the
/// finalizer does not wait for this namespace any more. A namespace that is being deleted never holds anything.
/// Writes that are about other baselines alone hold nothing either: these may wait for a correction for ever.
pub fn remaining(uid: &Uid, observed: &NamespaceObserved, plan: &Plan) -> Vec<String> {
    if observed.terminating || !observed.reached {
        return Vec::new();
    }
    let owned = observed
        .objects
        .iter()
        .filter(|(key, live)| key.could_be_ours() && live.owners.contains(uid));
    let mut left: Vec<String> = owned.map(|(key, _)| format!("{}: {key}", observed.name)).collect();
    // Labels and accounts name no baseline.
    let shared = plan.steps().filter(|step| match step {
        Step::Labels(_) | Step::ServiceAccount(_) => true,
        Step::PullSecret(step) => step.takes_back(),
        _ => false,
    });
    left.extend(shared.map(|step| format!("{}: {}", observed.name, step.object())));
    left.sort();
    left.dedup();
    left
}
