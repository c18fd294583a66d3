//! A stored baseline, checked and with every default filled in.
//!
//! The schema refuses malformed objects when they are written. One that was stored under older rules is found
//! here, before anything in a namespace changes.

mod network;

use std::collections::BTreeMap;

use super::error::Error;
use super::pull_secrets::{self, PullSecretAsk};
use crate::api::gabion::hardening_baseline::Automount;
use crate::api::gabion::hardening_baseline::ConflictPolicy;
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::hardening_baseline::LabelOwnership;
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::PodSecurity;
use crate::api::gabion::hardening_baseline::Quantities;
use crate::api::gabion::hardening_baseline::Resources;
use crate::api::gabion::hardening_baseline::Selector;
use crate::api::gabion::hardening_baseline::SelectorOperator;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::schema::{COUNTED, MEASURED, STATED};
use crate::meta::Uid;
use crate::policy::Settings;
use crate::policy::image::canonical_prefix;
use crate::policy::selection::Selection;
use crate::policy::version::PssVersion;
use crate::quantity::Quantity;
use crate::text::shortened;
pub(crate) use network::NetworkAsk;
use network::network;

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// A baseline that can be merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// Name of the baseline.
    pub(crate) name: String,
    /// Uid of the baseline, its owner mark on generated objects.
    pub(crate) uid: Uid,
    /// Generation of the spec that was compiled.
    pub(crate) generation: Option<i64>,
    /// Priority where only one baseline can win; ties go to the first name.
    pub(crate) priority: i32,
    /// How far it goes.
    pub stage: Stage,
    /// The namespaces that it wants.
    pub(crate) selection: Selection,
    /// Pod Security labels, when managed.
    pub(crate) pod_security: Option<PodSecurityAsk>,
    /// Network isolation, when managed.
    pub(crate) network: Option<NetworkAsk>,
    /// Quota by resource name; empty when not managed.
    pub(crate) quota: Amounts,
    /// Defaults of containers: requests and limits.
    pub(crate) defaults: Option<(Amounts, Amounts)>,
    /// Largest limits of one container.
    pub(crate) max: Amounts,
    /// Registries that images must come from; empty when not checked.
    pub(crate) registries: Vec<String>,
    /// What is checked in pods and templates.
    pub(crate) checks: Settings,
    /// Whether `ServiceAccounts` must not hand out their token.
    pub(crate) automount_disabled: bool,
    /// Registry credentials that its namespaces get.
    pub(crate) pull_secrets: Vec<PullSecretAsk>,
    /// What happens to objects that somebody else made.
    pub conflict_policy: ConflictPolicy,
    /// What happens on deletion.
    pub(crate) deletion_policy: DeletionPolicy,
}

/// What a baseline asks of the Pod Security labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodSecurityAsk {
    /// Level of the enforce label.
    pub(crate) enforce: Level,
    /// Level of the audit label.
    pub(crate) audit: Level,
    /// Level of the warn label.
    pub(crate) warn: Level,
    /// Version of all three.
    pub(crate) version: PssVersion,
    /// Who writes them.
    pub(crate) ownership: LabelOwnership,
}

/// Checks a stored baseline and fills in its defaults. `server_minor` is the minor version of the API server,
/// which a baseline without a version is pinned to.
pub fn compile(baseline: &HardeningBaseline, server_minor: u16) -> Result<Compiled, Error> {
    let spec = &baseline.spec;
    let pinned = baseline.status.as_ref().and_then(|s| s.pinned_version.as_deref());
    let resources = spec.resources.clone().unwrap_or_default();
    let automount = spec.service_accounts.as_ref().and_then(|s| s.automount_token);
    let checks = Settings::of(spec, PssVersion::pin(pinned, server_minor))?;
    Ok(Compiled {
        name: baseline.metadata.name.clone().unwrap_or_default(),
        uid: Uid::of(&baseline.metadata),
        generation: baseline.metadata.generation,
        priority: spec.priority.unwrap_or_default(),
        stage: known(
            "rollout.target",
            spec.rollout.as_ref().and_then(|r| r.target),
            Stage::Audit,
            &Stage::Unknown,
        )?,
        selection: selection(baseline)?,
        pod_security: spec
            .pod_security
            .as_ref()
            .map(|p| pod_security(p, pinned, server_minor))
            .transpose()?,
        network: spec.network.as_ref().map(network).transpose()?,
        quota: quota(&resources)?,
        defaults: defaults(&resources)?,
        max: stated("resources.containerMax", &resources.container_max)?,
        registries: checks.allowed_registries.iter().map(|r| canonical_prefix(r)).collect(),
        checks,
        automount_disabled: known(
            "serviceAccounts.automountToken",
            automount,
            Automount::Unmanaged,
            &Automount::Unknown,
        )? == Automount::Disabled,
        pull_secrets: pull_secrets::compile(
            spec.service_accounts.as_ref().map_or(&[], |accounts| &accounts.pull_secrets),
        )?,
        conflict_policy: known(
            "conflictPolicy",
            spec.conflict_policy,
            ConflictPolicy::Report,
            &ConflictPolicy::Unknown,
        )?,
        deletion_policy: known(
            "deletionPolicy",
            spec.deletion_policy,
            DeletionPolicy::Revert,
            &DeletionPolicy::Unknown,
        )?,
    })
}

fn known<T: PartialEq + Copy>(
    field: &str,
    value: Option<T>,
    default: T,
    unknown: &T,
) -> Result<T, Error> {
    match value {
        Some(value) if value == *unknown => Err(Error::invalid(
            field,
            "holds a word that this version does not know; use one from the schema",
        )),
        Some(value) => Ok(value),
        None => Ok(default),
    }
}

fn selection(baseline: &HardeningBaseline) -> Result<Selection, Error> {
    let spec = &baseline.spec;
    let selector = spec.namespace_selector.clone().unwrap_or_default();
    let all = spec.all_namespaces.unwrap_or_default();
    if selector == Selector::default() && !all {
        return Err(Error::invalid(
            "namespaceSelector",
            "is empty; to select every namespace, set allNamespaces: true",
        ));
    }
    check_selector("namespaceSelector", &selector)?;
    let keys =
        selector.match_labels.keys().chain(selector.match_expressions.iter().map(|e| &e.key));
    if let Some(key) = keys.into_iter().find(|key| key.starts_with("gabion.dev/")) {
        return Err(Error::invalid(
            "namespaceSelector",
            format!("selects by {key}, which the operator writes itself"),
        ));
    }
    let selector = if all { Selector::default() } else { selector };
    Ok(Selection { selector, exclude: spec.exclude_names.iter().cloned().collect() })
}

/// What the API server takes as a key or value of a label: nothing else can be selected by.
fn check_labels(field: &str, selector: &Selector) -> Result<(), Error> {
    let keys = selector.match_labels.keys();
    let mut keys = keys.chain(selector.match_expressions.iter().map(|e| &e.key));
    if let Some(key) = keys.find(|key| !is_qualified(key)) {
        let field = format!("{field}.matchLabels[{}]", shortened(key, 80));
        return Err(Error::invalid(field, "is no key that a label can have; write [domain/]name"));
    }
    let values = selector.match_labels.values();
    let mut values = values.chain(selector.match_expressions.iter().flat_map(|e| &e.values));
    if let Some(value) = values.find(|value| !value.is_empty() && !is_label_name(value)) {
        let value = shortened(value, 80);
        return Err(Error::invalid(field, format!("{value:?} is no value that a label can have")));
    }
    Ok(())
}

/// `[domain/]name`, as in keys of labels and names of resources.
fn is_qualified(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(d, n)| (Some(d), n));
    let is_domain = |domain: &str| {
        domain.len() <= 253
            && domain.split('.').all(|part| {
                let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
                !part.is_empty()
                    && part.bytes().all(inner)
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            })
    };
    domain.is_none_or(is_domain) && is_label_name(name)
}

fn is_label_name(text: &str) -> bool {
    let outer = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && outer(text.bytes().next())
        && outer(text.bytes().last())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

/// Names that Kubernetes takes: those without a domain are known, all others have one.
fn check_resource(field: &str, name: &str, known: &[&str]) -> Result<(), Error> {
    let bare = name.strip_prefix("requests.").unwrap_or(name);
    let known = known.contains(&name)
        || bare.starts_with("hugepages-")
        || (name.contains('/') && is_qualified(name));
    if known {
        return Ok(());
    }
    let field = format!("{field}[{}]", shortened(name, 80));
    Err(Error::invalid(field, "is no resource that Kubernetes knows; correct the name"))
}

fn check_selector(field: &str, selector: &Selector) -> Result<(), Error> {
    check_labels(field, selector)?;
    for requirement in &selector.match_expressions {
        let listed = matches!(requirement.operator, SelectorOperator::In | SelectorOperator::NotIn);
        if requirement.operator == SelectorOperator::Unknown
            || listed == requirement.values.is_empty()
        {
            return Err(Error::invalid(
                format!("{field}.matchExpressions[{}]", requirement.key),
                "In and NotIn need values; Exists and DoesNotExist must have none",
            ));
        }
    }
    Ok(())
}

fn pod_security(
    ask: &PodSecurity,
    pinned: Option<&str>,
    server_minor: u16,
) -> Result<PodSecurityAsk, Error> {
    let level = |field: &str, value, default| {
        known(&format!("podSecurity.{field}"), value, default, &Level::Unknown)
    };
    let enforce = level("level", ask.level, Level::Restricted)?;
    let audit = level("auditLevel", ask.audit_level, enforce)?;
    let warn = level("warnLevel", ask.warn_level, enforce)?;
    if audit < enforce || warn < enforce {
        return Err(Error::invalid(
            "podSecurity",
            "auditLevel and warnLevel must not be below level",
        ));
    }
    let version = match ask.version.as_deref() {
        None => PssVersion::pin(pinned, server_minor),
        Some(text) => PssVersion::parse(text).ok_or_else(|| {
            Error::invalid("podSecurity.version", "must be latest or a version from v1.0 to v1.37")
        })?,
    };
    let ownership = known(
        "podSecurity.labelOwnership",
        ask.label_ownership,
        LabelOwnership::Operator,
        &LabelOwnership::Unknown,
    )?;
    Ok(PodSecurityAsk { enforce, audit, warn, version, ownership })
}

fn quota(resources: &Resources) -> Result<Amounts, Error> {
    let field = "resources.quota.hard";
    let hard = resources.quota.clone().unwrap_or_default().hard;
    let names = [&COUNTED[..], &MEASURED[..]].concat();
    for name in hard.keys() {
        check_resource(field, name, &names)?;
    }
    let amounts = amounts(field, &hard)?;
    let counted = |name: &String| COUNTED.contains(&name.as_str()) || name.starts_with("count/");
    match amounts.iter().find(|(name, amount)| counted(name) && !amount.is_whole()) {
        Some((name, _)) => Err(Error::invalid(
            format!("{field}[{name}]"),
            "is counted, and must be a whole number",
        )),
        None => Ok(amounts),
    }
}

fn amounts(field: &str, texts: &Quantities) -> Result<Amounts, Error> {
    let read = |(name, text): (&String, &String)| match Quantity::parse(text) {
        Some(amount) if !amount.is_negative() => Ok((name.clone(), amount)),
        _ => Err(Error::invalid(
            format!("{field}[{name}]"),
            "must be a quantity of zero or more, such as 500m or 64Gi",
        )),
    };
    texts.iter().map(read).collect()
}

/// Amounts of a container.
fn stated(field: &str, texts: &Quantities) -> Result<Amounts, Error> {
    for name in texts.keys() {
        check_resource(field, name, &STATED)?;
    }
    amounts(field, texts)
}

fn defaults(resources: &Resources) -> Result<Option<(Amounts, Amounts)>, Error> {
    let Some(defaults) = &resources.container_defaults else { return Ok(None) };
    let requests = stated("resources.containerDefaults.requests", &defaults.requests)?;
    let limits = stated("resources.containerDefaults.limits", &defaults.limits)?;
    match requests
        .iter()
        .find(|(name, request)| limits.get(*name).is_some_and(|limit| limit < request))
    {
        Some((name, _)) => Err(Error::invalid(
            format!("resources.containerDefaults.requests[{name}]"),
            "must not be above the limit of the same resource",
        )),
        None => Ok(Some((requests, limits))),
    }
}

/// The mark of a baseline on what it causes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// Name of the baseline.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: Uid,
}

impl From<&Compiled> for Owner {
    fn from(baseline: &Compiled) -> Self {
        Self { name: baseline.name.clone(), uid: baseline.uid.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gabion::hardening_baseline::{Direction, Dns, Network};
    use serde_json::{Value, json};

    fn stored(spec: &Value) -> HardeningBaseline {
        let object = json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
            "metadata": { "name": "b", "uid": "u" }, "spec": spec });
        serde_json::from_value(object).expect("a baseline")
    }

    fn with(section: &str, value: Value) -> HardeningBaseline {
        let mut spec = json!({ "namespaceSelector": { "matchLabels": { "env": "prod" } } });
        spec[section] = value;
        stored(&spec)
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let mut baseline = with("podSecurity", json!({}));
        baseline.spec.network = Some(Network::default());
        let compiled = compile(&baseline, 36).expect("valid");
        assert_eq!((compiled.priority, compiled.stage), (0, Stage::Audit));
        let labels = compiled.pod_security.expect("managed");
        assert_eq!(
            (labels.enforce, labels.audit, labels.warn),
            (Level::Restricted, Level::Restricted, Level::Restricted)
        );
        assert_eq!(
            (labels.version, labels.ownership),
            (PssVersion::Pinned(36), LabelOwnership::Operator)
        );
        let network = compiled.network.expect("managed");
        assert_eq!(network.deny, [Direction::Ingress, Direction::Egress].into());
        assert_eq!((network.dns, network.additive), (Dns::Auto, false));
        assert!(
            !compiled.automount_disabled
                && compiled.quota.is_empty()
                && compiled.defaults.is_none()
        );
        assert_eq!(compiled.conflict_policy, ConflictPolicy::Report);
        assert_eq!(compiled.deletion_policy, DeletionPolicy::Revert);
    }

    #[test]
    fn a_baseline_stored_under_older_rules_is_refused_with_its_field() {
        let peer = |peer: Value| json!({ "allow": [{ "name": "r", "from": [peer] }] });
        for (baseline, field) in vec![
            (stored(&json!({})), "spec.namespaceSelector"),
            (
                stored(&json!({ "namespaceSelector": { "matchLabels": { "gabion.dev/x": "y" } } })),
                "spec.namespaceSelector",
            ),
            (with("podSecurity", json!({ "level": "hermetic" })), "spec.podSecurity.level"),
            (with("podSecurity", json!({ "version": "v1.99" })), "spec.podSecurity.version"),
            (with("podSecurity", json!({ "auditLevel": "baseline" })), "spec.podSecurity"),
            (with("rollout", json!({ "target": "Everything" })), "spec.rollout.target"),
            (with("network", json!({ "allow": [{ "name": "r" }] })), "spec.network.allow[r]"),
            (with("network", peer(json!({}))), "spec.network.allow[r]"),
            (
                with("network", peer(json!({ "ipBlock": { "cidr": "ten" } }))),
                "spec.network.allow[r]",
            ),
            (
                with("network", peer(json!({ "ipBlock": { "cidr": "10.0.0.5/8" } }))),
                "spec.network.allow[r]",
            ),
            (
                with("network", peer(json!({ "ipBlock": { "cidr": "0.0.0.0/0" } }))),
                "spec.network.allow[r]",
            ),
            (
                with(
                    "network",
                    json!({ "allow": [{ "name": "r", "from": [
                        { "ipBlock": { "cidr": "0.0.0.0/1" } }, { "ipBlock": { "cidr": "128.0.0.0/1" } }] }] }),
                ),
                "spec.network.allow[r]",
            ),
            (
                with("resources", json!({ "quota": { "hard": { "pods": "12potatoes" } } })),
                "spec.resources.quota.hard[pods]",
            ),
            (
                with("resources", json!({ "quota": { "hard": { "pod": "20" } } })),
                "spec.resources.quota.hard[pod]",
            ),
            (
                with("resources", json!({ "quota": { "hard": { "count/configmaps": "1500m" } } })),
                "spec.resources.quota.hard[count/configmaps]",
            ),
            (
                with("resources", json!({ "containerMax": { "limits.memory": "1Gi" } })),
                "spec.resources.containerMax[limits.memory]",
            ),
            (
                with("network", peer(json!({ "podSelector": { "matchLabels": { "a b": "c" } } }))),
                "spec.network.allow[r].matchLabels[a b]",
            ),
            (
                with(
                    "resources",
                    json!({ "containerDefaults": { "requests": { "cpu": "2" }, "limits": { "cpu": "1" } } }),
                ),
                "spec.resources.containerDefaults.requests[cpu]",
            ),
            (
                with("serviceAccounts", json!({ "automountToken": "Maybe" })),
                "spec.serviceAccounts.automountToken",
            ),
            (with("conflictPolicy", json!("Fight")), "spec.conflictPolicy"),
            (with("deletionPolicy", json!("Explode")), "spec.deletionPolicy"),
        ] {
            let error = compile(&baseline, 36).expect_err(field);
            assert!(error.to_string().starts_with(&format!("{field}:")), "{field}: {error}");
        }
    }
}
