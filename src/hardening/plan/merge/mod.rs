//! Several baselines on one namespace: one answer, whatever order they come in.
//!
//! The strictest value wins wherever values can be ordered; where only one can win, the highest priority does,
//! ties going to the first name. Each value carries where it came from. Whatever can be ordered, no baseline relaxes; allow
//! rules cannot: those of the highest priority count, and may open what another does not.

mod pull_secrets;
mod registries;

use std::collections::{BTreeMap, BTreeSet};

use super::baseline::{Amounts, Compiled, Owner, PodSecurityAsk};
use super::error::Error;
use super::pull_secrets::PullSecretAsk;
use crate::api::gabion::hardening_baseline::AllowRule;
use crate::api::gabion::hardening_baseline::ConflictPolicy;
use crate::api::gabion::hardening_baseline::Direction;
use crate::api::gabion::hardening_baseline::Dns;
use crate::api::gabion::hardening_baseline::LabelOwnership;
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::namespace_hardening::EffectiveValue;
use crate::policy::selection::Selection;
use crate::policy::version::PssVersion;
use crate::text::shortened;

/// Most bytes of a value in the report: status has a size, and the whole list is in the spec.
const MAX_VALUE: usize = 200;

/// What all baselines of a namespace come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// Level and version of each Pod Security label that is wanted.
    pub(crate) pod_security: BTreeMap<Mode, (Level, PssVersion)>,
    /// Whether somebody else writes those labels.
    pub(crate) labels_external: bool,
    /// Directions that are denied unless allowed.
    pub(crate) deny: BTreeSet<Direction>,
    /// Whether users' own policies that open everything are reported.
    pub(crate) reports_users: bool,
    /// How DNS stays reachable.
    pub(crate) dns: Option<Dns>,
    /// Traffic that stays open.
    pub(crate) rules: Vec<MergedRule>,
    /// Quota by resource name.
    pub(crate) quota: Amounts,
    /// Settings of the `LimitRange`.
    pub(crate) limits: Option<Limits>,
    /// Whether `ServiceAccounts` must not hand out their token.
    pub(crate) automount_disabled: bool,
    /// Registry credentials, one for each name of a copy.
    pub(crate) pull_secrets: Vec<PullSecretAsk>,
    /// Those of them that another baseline keeps from being copied.
    pub(crate) pull_secret_problems: Vec<Error>,
    /// Baselines whose registries exclude each other, at whatever stage they are.
    pub(crate) registry_conflict: Option<String>,
    /// What happens to labels and objects that somebody else made.
    pub(crate) conflict_policies: ConflictPolicies,
    /// Baselines behind the network policies.
    pub(crate) network_owners: Vec<Owner>,
    /// Baselines behind the quota.
    pub(crate) quota_owners: Vec<Owner>,
    /// Baselines behind the `LimitRange`.
    pub(crate) limits_owners: Vec<Owner>,
    /// Where each value came from.
    pub rows: Vec<EffectiveValue>,
}

impl Merged {
    /// Lowers the enforce label to what exceptions need.
    pub(crate) fn give_way(&mut self, floor: Level, exceptions: &[String]) {
        let Some((level, _)) = self.pod_security.get_mut(&Mode::Enforce) else { return };
        if *level <= floor {
            return;
        }
        let asked = std::mem::replace(level, floor);
        let item = format!("podSecurity.{}", Mode::Enforce.as_str());
        if let Some(row) = self.rows.iter_mut().find(|row| row.item == item) {
            let why = format!("{asked}, lowered for exception {}", exceptions.join(", "));
            row.value = floor.to_string();
            row.reason = shortened(&why, MAX_VALUE);
        }
    }
}

/// What happens to what somebody else made, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConflictPolicies {
    pub(crate) labels: ConflictPolicy,
    pub(crate) network: ConflictPolicy,
    pub(crate) limits: ConflictPolicy,
    pub(crate) quota: ConflictPolicy,
}

impl Default for ConflictPolicies {
    fn default() -> Self {
        let report = ConflictPolicy::Report;
        Self { labels: report, network: report, limits: report, quota: report }
    }
}

/// One of the three Pod Security labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// Violations are refused.
    Enforce,
    /// Violations are put into the audit log.
    Audit,
    /// Violations are warned about.
    Warn,
}

impl Mode {
    /// All three, in the order in which they are written.
    pub(crate) const ALL: [Self; 3] = [Self::Enforce, Self::Audit, Self::Warn];

    /// The word in the label's key.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
            Self::Warn => "warn",
        }
    }

    /// The first stage at which the label is set.
    fn first_stage(self) -> Stage {
        match self {
            Self::Enforce => Stage::Enforce,
            Self::Audit => Stage::Audit,
            Self::Warn => Stage::Warn,
        }
    }

    fn level(self, ask: PodSecurityAsk) -> Level {
        match self {
            Self::Enforce => ask.enforce,
            Self::Audit => ask.audit,
            Self::Warn => ask.warn,
        }
    }
}

/// A rule that stays, and the name of the policy made from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MergedRule {
    /// Part of the policy's name after `gabion-allow-`.
    pub(crate) suffix: String,
    /// The rule.
    pub(crate) rule: AllowRule,
    /// The baseline that it came from.
    pub(crate) owner: Owner,
    /// Namespaces of that baseline: the other ends of a rule that crosses namespaces.
    pub(crate) selection: Selection,
}

/// Settings of the `LimitRange`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Requests of containers that state none.
    pub(crate) request_defaults: Amounts,
    /// Limits of containers that state none.
    pub(crate) defaults: Amounts,
    /// Largest limits.
    pub(crate) max: Amounts,
}

/// The baselines in the order of their priority, each once.
pub(crate) fn ranked<'a>(baselines: impl IntoIterator<Item = &'a Compiled>) -> Vec<&'a Compiled> {
    let mut ranked: Vec<_> = baselines.into_iter().collect();
    ranked.sort_by(|a, b| (b.priority, &a.name, &a.uid).cmp(&(a.priority, &b.name, &b.uid)));
    ranked.dedup_by(|a, b| a.name == b.name && a.uid == b.uid);
    ranked
}

/// Merges the baselines that select a namespace, each at its own stage.
pub(crate) fn merge(baselines: &[Compiled]) -> Merged {
    let all = ranked(baselines);
    let mut merged = Merged { registry_conflict: registries::conflict(&all), ..Merged::default() };
    pod_security(&all, &mut merged);
    let at = |stage| {
        all.iter()
            .copied()
            .filter(|b| b.stage >= stage && b.stage != Stage::Unknown)
            .collect::<Vec<_>>()
    };
    network(&at(Stage::Enforce), &mut merged);
    quota(&at(Stage::Enforce), &mut merged);
    limits(&at(Stage::Warn), &mut merged);
    automount(&at(Stage::Enforce), &mut merged);
    pull_secrets::pull_secrets(&at(Stage::Enforce), &mut merged);
    checks(&at(Stage::Audit), &mut merged);
    conflict_policies(&at(Stage::Audit), &mut merged);
    merged
}

/// Of the baselines that bring an item, the most careful one says what happens to what somebody else made of it.
fn conflict_policies(active: &[&Compiled], merged: &mut Merged) {
    let warned = |b: &&&Compiled| b.stage >= Stage::Warn;
    let enforced = |b: &&&Compiled| b.stage >= Stage::Enforce;
    let labels = least(active.iter().filter(|b| b.pod_security.is_some()));
    let network = least(active.iter().filter(enforced).filter(|b| b.network.is_some()));
    let limits = active.iter().filter(warned);
    let limits = least(limits.filter(|b| b.defaults.is_some() || !b.max.is_empty()));
    let quota = least(active.iter().filter(enforced).filter(|b| !b.quota.is_empty()));
    for (section, decided) in [
        ("podSecurity", &labels),
        ("network", &network),
        ("resources.containerDefaults", &limits),
        ("resources.quota", &quota),
    ] {
        if let Some((policy, by, count)) = decided
            && *policy != ConflictPolicy::Report
        {
            let (item, reason) =
                (format!("conflictPolicy of {section}"), why("most careful", *count));
            row(merged, item, policy.to_string(), by, reason);
        }
    }
    let policy = |decided: Option<(ConflictPolicy, String, usize)>| {
        decided.map_or(ConflictPolicy::Report, |(policy, _, _)| policy)
    };
    merged.conflict_policies = ConflictPolicies {
        labels: policy(labels),
        network: policy(network),
        limits: policy(limits),
        quota: policy(quota),
    };
}

fn least<'a>(
    asking: impl Iterator<Item = &'a &'a Compiled>,
) -> Option<(ConflictPolicy, String, usize)> {
    let all: Vec<_> = asking.collect();
    let by = all.iter().min_by_key(|b| b.conflict_policy)?;
    Some((by.conflict_policy, by.name.clone(), all.len()))
}

/// Merges the baselines as if each were at Enforce: what a namespace would come to.
pub(crate) fn preview(baselines: &[Compiled]) -> Merged {
    let enforced: Vec<_> =
        baselines.iter().map(|b| Compiled { stage: Stage::Enforce, ..b.clone() }).collect();
    merge(&enforced)
}

fn row(merged: &mut Merged, item: String, value: String, baseline: &str, reason: String) {
    merged.rows.push(EffectiveValue { item, value, baseline: baseline.to_owned(), reason });
}

fn why(rule: &str, count: usize) -> String {
    if count == 1 {
        "the only baseline that says so".to_owned()
    } else {
        format!("{rule} of {count} baselines")
    }
}

fn pod_security(all: &[&Compiled], merged: &mut Merged) {
    let asking: Vec<(&Compiled, PodSecurityAsk)> =
        all.iter().filter_map(|b| b.pod_security.map(|ask| (*b, ask))).collect();
    for mode in Mode::ALL {
        let at: Vec<_> = asking
            .iter()
            .filter(|(b, _)| b.stage >= mode.first_stage() && b.stage != Stage::Unknown)
            .collect();
        // max_by takes the last of equals; reversed, that is the one with the highest priority.
        let Some((by, ask)) = at.iter().rev().max_by_key(|(_, ask)| mode.level(*ask)) else {
            continue;
        };
        let level = mode.level(*ask);
        let pinned = at.iter().filter(|(_, ask)| ask.version != PssVersion::Latest);
        let Some((version_by, versioned)) =
            pinned.rev().max_by_key(|(_, ask)| ask.version).or_else(|| at.first())
        else {
            continue;
        };
        let version = versioned.version;
        merged.pod_security.insert(mode, (level, version));
        let key = mode.as_str();
        row(
            merged,
            format!("podSecurity.{key}"),
            level.to_string(),
            &by.name,
            why("strictest", at.len()),
        );
        row(
            merged,
            format!("podSecurity.{key}-version"),
            version.to_string(),
            &version_by.name,
            why("highest pinned version", at.len()),
        );
    }
    let deciding =
        asking.iter().find(|(b, _)| b.stage != Stage::Observe && b.stage != Stage::Unknown);
    if let Some((by, ask)) = deciding
        && ask.ownership == LabelOwnership::External
    {
        merged.labels_external = true;
        row(
            merged,
            "podSecurity.labelOwnership".into(),
            "External".into(),
            &by.name,
            why("highest priority", asking.len()),
        );
    }
}

fn network(enforced: &[&Compiled], merged: &mut Merged) {
    let asking: Vec<_> =
        enforced.iter().filter_map(|b| b.network.as_ref().map(|ask| (*b, ask))).collect();
    let Some((top, top_ask)) = asking.first() else { return };
    for direction in [Direction::Ingress, Direction::Egress] {
        let mut denying = asking.iter().filter(|(_, ask)| ask.deny.contains(&direction));
        if let Some((by, _)) = denying.next() {
            let count = 1 + denying.count();
            merged.deny.insert(direction);
            row(
                merged,
                format!("network.defaultDeny[{direction}]"),
                "denied".into(),
                &by.name,
                why("first", count),
            );
        }
    }
    merged.reports_users = asking.iter().any(|(_, ask)| ask.reports_users);
    merged.dns = Some(top_ask.dns);
    row(
        merged,
        "network.dns".into(),
        top_ask.dns.to_string(),
        &top.name,
        why("highest priority", asking.len()),
    );
    for rule in &top_ask.allow {
        rule_kept(merged, top, rule, rule.name.clone(), why("highest priority", asking.len()));
    }
    for (baseline, ask) in &asking[1..] {
        for rule in ask.allow.iter().filter(|_| !ask.additive) {
            let item = format!("network.allow[{} of {}]", rule.name, baseline.name);
            let reason = "another baseline has a higher priority, and additive is not true";
            row(merged, item, "not used".into(), &baseline.name, reason.into());
        }
        for rule in ask.allow.iter().filter(|_| ask.additive) {
            let suffix = format!("{}-{}", rule.name, baseline.name);
            rule_kept(merged, baseline, rule, suffix, "joins because additive is true".into());
        }
    }
    merged.network_owners = asking.iter().map(|(b, _)| Owner::from(*b)).collect();
}

fn rule_kept(merged: &mut Merged, by: &Compiled, rule: &AllowRule, suffix: String, reason: String) {
    // `a-b` of one baseline and `a` of the baseline `b` would share a name; the later one says whose it is.
    let taken = |merged: &Merged, suffix: &str| merged.rules.iter().any(|r| r.suffix == suffix);
    let mut suffix = suffix;
    while taken(merged, &suffix) {
        suffix = format!("{suffix}-{}", by.name);
    }
    row(merged, format!("network.allow[{suffix}]"), "open".into(), &by.name, reason);
    let selection = by.selection.clone();
    merged.rules.push(MergedRule { suffix, rule: rule.clone(), owner: by.into(), selection });
}

fn quota(enforced: &[&Compiled], merged: &mut Merged) {
    let (amounts, rows) = smallest(enforced, |b| &b.quota);
    merged.quota = amounts;
    for (name, by, count) in rows {
        let value = merged.quota.get(&name).map(ToString::to_string).unwrap_or_default();
        row(merged, format!("resources.quota.hard[{name}]"), value, &by, why("minimum", count));
    }
    merged.quota_owners =
        enforced.iter().filter(|b| !b.quota.is_empty()).map(|b| Owner::from(*b)).collect();
}

/// The smallest amount of each resource, who says it, and how many baselines name the resource.
fn smallest<'a>(
    baselines: &[&'a Compiled],
    of: impl Fn(&'a Compiled) -> &'a Amounts,
) -> (Amounts, Vec<(String, String, usize)>) {
    let mut amounts = Amounts::new();
    let mut by: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for baseline in baselines {
        for (name, amount) in of(baseline) {
            let entry = by.entry(name.clone()).or_insert_with(|| (baseline.name.clone(), 0));
            entry.1 += 1;
            match amounts.get(name) {
                Some(least) if least <= amount => {}
                _ => {
                    entry.0.clone_from(&baseline.name);
                    amounts.insert(name.clone(), *amount);
                }
            }
        }
    }
    (amounts, by.into_iter().map(|(name, (by, count))| (name, by, count)).collect())
}

fn limits(warned: &[&Compiled], merged: &mut Merged) {
    let (max, max_rows) = smallest(warned, |b| &b.max);
    let defaulting: Vec<_> = warned.iter().filter(|b| b.defaults.is_some()).collect();
    if max.is_empty() && defaulting.is_empty() {
        return;
    }
    let mut limits = Limits { max, ..Limits::default() };
    for (name, by, count) in max_rows {
        let value = limits.max.get(&name).map(ToString::to_string).unwrap_or_default();
        row(merged, format!("resources.containerMax[{name}]"), value, &by, why("minimum", count));
    }
    if let Some(top) = defaulting.first()
        && let Some((requests, defaults)) = &top.defaults
    {
        limits.defaults = clipped(defaults, &limits.max);
        let ceiling =
            limits.max.iter().chain(&limits.defaults).fold(Amounts::new(), |mut least, (k, v)| {
                least.entry(k.clone()).and_modify(|l| *l = (*l).min(*v)).or_insert(*v);
                least
            });
        limits.request_defaults = clipped(requests, &ceiling);
        let reason = why("highest priority", defaulting.len());
        for (section, asked, given) in [
            ("limits", defaults, &limits.defaults),
            ("requests", requests, &limits.request_defaults),
        ] {
            for (name, amount) in given {
                let clip =
                    if asked.get(name) == Some(amount) { "" } else { ", clipped to the maximum" };
                let item = format!("resources.containerDefaults.{section}[{name}]");
                row(merged, item, amount.to_string(), &top.name, format!("{reason}{clip}"));
            }
        }
    }
    merged.limits_owners = warned
        .iter()
        .filter(|b| b.defaults.is_some() || !b.max.is_empty())
        .map(|b| Owner::from(*b))
        .collect();
    merged.limits = Some(limits);
}

fn clipped(amounts: &Amounts, ceiling: &Amounts) -> Amounts {
    let clip = |(name, amount): (&String, &crate::quantity::Quantity)| {
        (name.clone(), ceiling.get(name).map_or(*amount, |most| (*amount).min(*most)))
    };
    amounts.iter().map(clip).collect()
}

fn automount(enforced: &[&Compiled], merged: &mut Merged) {
    let mut disabling = enforced.iter().filter(|b| b.automount_disabled);
    if let Some(by) = disabling.next() {
        let count = 1 + disabling.count();
        merged.automount_disabled = true;
        row(
            merged,
            "serviceAccounts.automountToken".into(),
            "Disabled".into(),
            &by.name,
            why("first", count),
        );
    }
}

/// Each baseline keeps its own admission policies, and the API server asks all of them: nothing is merged.
fn checks(checking: &[&Compiled], merged: &mut Merged) {
    for baseline in checking {
        for (item, value) in baseline.checks.rows() {
            let value = format!("{} at {}", shortened(&value, MAX_VALUE), baseline.stage);
            let reason = "has its own admission policy; all baselines must be held".to_owned();
            row(merged, item.to_owned(), value, &baseline.name, reason);
        }
    }
}

#[cfg(test)]
mod tests;
