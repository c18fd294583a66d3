//! The network policies of a namespace.
//!
//! A rule of a baseline opens an edge between pods, so both ends must let it pass where both directions are
//! denied: the policy on the named pods, and its mirror on those peers that live in the same namespace.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use std::collections::{BTreeMap, BTreeSet};

use super::baseline::Owner;
use super::dns::{self, DnsFacts};
use super::merge::{Merged, MergedRule};
use super::objects::{ALLOW_DNS, DEFAULT_DENY, marked};
use super::peers::{label_selector, peer};
use super::reach::conditions;
use crate::api::gabion::hardening_baseline::AllowPort;
use crate::api::gabion::hardening_baseline::Direction;
use crate::api::gabion::hardening_baseline::Dns;
use crate::api::gabion::hardening_baseline::Peer;
use crate::api::gabion::hardening_baseline::Protocol;
use crate::api::gabion::namespace_hardening::DnsFound;
use crate::policy::selection::NAME_LABEL;
use crate::policy::selection::Selection;
use crate::policy::selection::matches;

/// The policies of a namespace: those that open, in the order in which they are made, and the one that denies.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NetworkSet {
    /// Made before the deny, and removed after it; in the order in which they are made.
    pub(crate) allows: Vec<NetworkPolicy>,
    /// Denies everything that nothing allows.
    pub(crate) deny: Option<NetworkPolicy>,
    /// How DNS was found.
    pub(crate) dns: Option<DnsFound>,
}

/// The namespace that the policies are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetNamespace<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its labels.
    pub(crate) labels: &'a BTreeMap<String, String>,
}

/// Compiles the policies of a namespace. A direction that nobody denies gets no policy at all: in Kubernetes
/// the first policy on a pod closes everything else, so an allow rule alone would deny.
pub(crate) fn policies(
    merged: &Merged,
    target: TargetNamespace<'_>,
    facts: &DnsFacts,
) -> NetworkSet {
    let mut set = NetworkSet::default();
    if merged.deny.is_empty() {
        return set;
    }
    if merged.deny.contains(&Direction::Egress) && merged.dns == Some(Dns::Auto) {
        let (egress, found) = dns::reachable(facts);
        let spec = NetworkPolicySpec {
            egress: Some(egress),
            ..selecting(LabelSelector::default(), Direction::Egress)
        };
        set.allows.push(policy(target.name, ALLOW_DNS, &merged.network_owners, spec));
        set.dns = Some(found);
    }
    let opened = merged.rules.iter().flat_map(|rule| opened(rule, target));
    let denied = opened.filter(|(direction, _)| merged.deny.contains(direction));
    set.allows.extend(denied.map(|(_, policy)| policy));
    set.allows = in_order(set.allows);
    let types = merged.deny.iter().map(ToString::to_string).collect();
    let spec = NetworkPolicySpec { policy_types: Some(types), ..all_pods() };
    set.deny = Some(policy(target.name, DEFAULT_DENY, &merged.network_owners, spec));
    set
}

/// The policies in the order in which they are made: those that select few pods first.
///
/// The first policy on a pod closes for it what all others open. So each policy that is the first of its
/// selector brings along what policies open for a selector that holds for all its pods: then nothing is closed
/// in between that all together open. They open no more together than each on its own.
fn in_order(policies: Vec<NetworkPolicy>) -> Vec<NetworkPolicy> {
    let mut keyed: Vec<(BTreeSet<String>, NetworkPolicy)> = policies
        .into_iter()
        .map(|policy| {
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
            (conditions(&serde_json::to_value(selector).unwrap_or_default()), policy)
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let alone = keyed.clone();
    for (nth, (selector, policy)) in keyed.iter_mut().enumerate() {
        let Some(spec) = &mut policy.spec else { continue };
        let types = spec.policy_types.clone();
        let same_way = |other: &NetworkPolicy| {
            other.spec.as_ref().is_some_and(|other| other.policy_types == types)
        };
        let is_first = !alone[..nth].iter().any(|(s, p)| s == selector && same_way(p));
        let wider = alone.iter().enumerate().filter(|(other, (wider, policy))| {
            is_first && *other != nth && wider.is_subset(selector) && same_way(policy)
        });
        for (_, (_, other)) in wider {
            let Some(other) = &other.spec else { continue };
            if let (Some(rules), Some(more)) = (&mut spec.ingress, &other.ingress) {
                rules.extend(
                    more.iter().filter(|rule| !rules.contains(rule)).cloned().collect::<Vec<_>>(),
                );
            }
            if let (Some(rules), Some(more)) = (&mut spec.egress, &other.egress) {
                rules.extend(
                    more.iter().filter(|rule| !rules.contains(rule)).cloned().collect::<Vec<_>>(),
                );
            }
        }
    }
    keyed.into_iter().map(|(_, policy)| policy).collect()
}

/// The policies that open one rule, with the direction that each is for.
fn opened(merged: &MergedRule, target: TargetNamespace<'_>) -> Vec<(Direction, NetworkPolicy)> {
    let rule = &merged.rule;
    let owners = std::slice::from_ref(&merged.owner);
    let (near, local, peers) = if rule.to_peers.is_empty() {
        (Direction::Ingress, rule.to.as_ref(), &rule.from)
    } else {
        (Direction::Egress, rule.from_pods.as_ref(), &rule.to_peers)
    };
    let (far, prefix) = match near {
        Direction::Ingress => (Direction::Egress, "gabion-egress-"),
        _ => (Direction::Ingress, "gabion-ingress-"),
    };
    let local = local.map(label_selector).unwrap_or_default();
    let near_spec = opening(near, local.clone(), peers.iter().map(peer).collect(), &rule.ports);
    let name = format!("gabion-allow-{}", merged.suffix);
    let mut made = vec![(near, policy(target.name, &name, owners, near_spec))];
    let mirrored: Vec<_> = peers.iter().filter(|p| lives_here(p, target)).collect();
    for (index, mirrored) in mirrored.into_iter().enumerate() {
        let pods = mirrored.pod_selector.as_ref().map(label_selector).unwrap_or_default();
        let mut ends = vec![NetworkPolicyPeer {
            pod_selector: Some(local.clone()),
            ..NetworkPolicyPeer::default()
        }];
        if mirrored.namespace_selector.is_some() {
            ends.push(NetworkPolicyPeer {
                pod_selector: Some(local.clone()),
                namespace_selector: Some(namespaces(&merged.selection)),
                ip_block: None,
            });
        }
        // A dot cannot be in a rule's name, so the number cannot meet the name of another rule.
        let number = if index == 0 { String::new() } else { format!(".{}", index + 1) };
        let name = format!("{prefix}{}{number}", merged.suffix);
        made.push((far, policy(target.name, &name, owners, opening(far, pods, ends, &rule.ports))));
    }
    made
}

/// Whether the peer may be pods of this namespace.
fn lives_here(peer: &Peer, target: TargetNamespace<'_>) -> bool {
    match &peer.namespace_selector {
        Some(selector) => matches(selector, target.labels, target.name),
        None => peer.pod_selector.is_some(),
    }
}

fn policy(namespace: &str, name: &str, owners: &[Owner], spec: NetworkPolicySpec) -> NetworkPolicy {
    NetworkPolicy { metadata: marked(namespace, name, owners), spec: Some(spec) }
}

fn all_pods() -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(LabelSelector::default()),
        ..NetworkPolicySpec::default()
    }
}

fn selecting(pods: LabelSelector, direction: Direction) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(pods),
        policy_types: Some(vec![direction.to_string()]),
        ..NetworkPolicySpec::default()
    }
}

fn opening(
    direction: Direction,
    pods: LabelSelector,
    peers: Vec<NetworkPolicyPeer>,
    ports: &[AllowPort],
) -> NetworkPolicySpec {
    let ports = (!ports.is_empty()).then(|| ports.iter().map(port).collect());
    let mut spec = selecting(pods, direction);
    if direction == Direction::Ingress {
        spec.ingress = Some(vec![NetworkPolicyIngressRule { from: Some(peers), ports }]);
    } else {
        spec.egress = Some(vec![NetworkPolicyEgressRule { to: Some(peers), ports }]);
    }
    spec
}

fn port(port: &AllowPort) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(port.protocol.unwrap_or(Protocol::Tcp).to_string()),
        port: port.port.clone(),
        end_port: port.end_port,
    }
}

/// The namespaces that a baseline selects, as a selector.
fn namespaces(selection: &Selection) -> LabelSelector {
    let mut selector = label_selector(&selection.selector);
    if !selection.exclude.is_empty() {
        selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
            key: NAME_LABEL.into(),
            operator: "NotIn".into(),
            values: Some(selection.exclude.iter().cloned().collect()),
        });
    }
    selector
}
