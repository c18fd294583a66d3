//! The section `network` of a baseline.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{check_selector, known};
use crate::api::gabion::hardening_baseline::{
    AllowRule, Direction, Dns, Network, Peer, Protocol, UserPolicies,
};
use crate::hardening::plan::error::Error;
use crate::network_peers::most_addresses;

/// What a baseline asks of the network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NetworkAsk {
    /// Directions denied unless allowed.
    pub(crate) deny: BTreeSet<Direction>,
    /// How DNS stays reachable.
    pub(crate) dns: Dns,
    /// Traffic that stays open.
    pub(crate) allow: Vec<AllowRule>,
    /// Whether the rules join those of a baseline with a higher priority.
    pub(crate) additive: bool,
    /// Whether users' own policies that open everything are reported.
    pub(crate) reports_users: bool,
    /// Whether the API server refuses them.
    pub(crate) refuses_users: bool,
}

/// Checks the section, and fills in its defaults.
pub(super) fn network(ask: &Network) -> Result<NetworkAsk, Error> {
    let deny: BTreeSet<Direction> = match &ask.default_deny {
        None => [Direction::Ingress, Direction::Egress].into(),
        Some(list) => list.iter().copied().collect(),
    };
    if deny.contains(&Direction::Unknown) {
        return Err(Error::invalid(
            "network.defaultDeny",
            "must hold Ingress, Egress, both or nothing",
        ));
    }
    let any_address = ask.acknowledge_any_cidr.unwrap_or_default();
    for rule in &ask.allow {
        check_rule(rule, any_address || rule.acknowledge_any_cidr.unwrap_or_default())?;
    }
    let users = known(
        "network.guardUserPolicies",
        ask.guard_user_policies,
        UserPolicies::Report,
        &UserPolicies::Unknown,
    )?;
    Ok(NetworkAsk {
        deny,
        dns: known("network.dns", ask.dns, Dns::Auto, &Dns::Unknown)?,
        allow: ask.allow.clone(),
        additive: ask.additive.unwrap_or_default(),
        reports_users: users != UserPolicies::Ignore,
        refuses_users: users == UserPolicies::Deny,
    })
}

fn check_rule(rule: &AllowRule, any_address: bool) -> Result<(), Error> {
    let field = format!("network.allow[{}]", rule.name);
    if rule.from.is_empty() == rule.to_peers.is_empty() {
        return Err(Error::invalid(field, "needs peers: either from or toPeers"));
    }
    for selector in rule.to.iter().chain(&rule.from_pods) {
        check_selector(&field, selector)?;
    }
    for peer in rule.from.iter().chain(&rule.to_peers) {
        check_peer(&field, peer)?;
    }
    let peers: Vec<_> =
        rule.from.iter().chain(&rule.to_peers).map(crate::hardening::plan::peers::peer).collect();
    if most_addresses(&peers) && !any_address {
        return Err(Error::invalid(
            field,
            "opens to every address without acknowledgeAnyCIDR: true",
        ));
    }
    for port in &rule.ports {
        let known_port = match &port.port {
            Some(IntOrString::Int(number)) => {
                (1..=65_535).contains(number) && port.end_port.is_none_or(|end| end >= *number)
            }
            Some(IntOrString::String(name)) => !name.is_empty() && port.end_port.is_none(),
            None => port.end_port.is_none(),
        };
        if !known_port || port.protocol == Some(Protocol::Unknown) {
            return Err(Error::invalid(field, "has a port or protocol that cannot be"));
        }
    }
    Ok(())
}

fn check_peer(field: &str, peer: &Peer) -> Result<(), Error> {
    let selectors = [&peer.pod_selector, &peer.namespace_selector];
    for selector in selectors.into_iter().flatten() {
        check_selector(field, selector)?;
    }
    let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    let Some(block) = &peer.ip_block else {
        return if selects {
            Ok(())
        } else {
            Err(Error::invalid(field, "has an empty peer, which would mean everyone"))
        };
    };
    let Ok(net) = block.cidr.parse::<ipnet::IpNet>() else {
        return Err(Error::invalid(field, "has an ipBlock that is no CIDR"));
    };
    if net.addr() != net.network() {
        return Err(Error::invalid(
            field,
            format!(
                "has the ipBlock {}, with bits beyond its prefix; write {}",
                block.cidr,
                net.trunc()
            ),
        ));
    }
    let inside = |e: &String| {
        let e = e.parse::<ipnet::IpNet>();
        e.is_ok_and(|e| net.contains(&e) && e != net && e.addr() == e.network())
    };
    if selects || !block.except.iter().all(inside) {
        return Err(Error::invalid(
            field,
            "has an ipBlock beside a selector, or an except outside its cidr",
        ));
    }
    Ok(())
}
