//! Policies of users that open to everyone what the baselines deny.
//!
//! Network policies only add, so a tenant can undo a default deny with one of their own. That is reported; to
//! refuse it takes an admission policy.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::error::Error;
use super::merge::Merged;
use crate::api::gabion::hardening_baseline::Direction;

/// The directions that a policy opens to everyone: by a rule without peers, by every namespace, or by every
/// address.
pub(crate) fn opens(policy: &NetworkPolicy) -> BTreeSet<Direction> {
    let Some(spec) = &policy.spec else { return BTreeSet::new() };
    let stated = |kind: &str| spec.policy_types.iter().flatten().any(|t| t == kind);
    let unstated = spec.policy_types.as_ref().is_none_or(Vec::is_empty);
    let ingress = spec.ingress.iter().flatten().any(|rule| everyone(rule.from.as_deref()));
    let egress = spec.egress.iter().flatten().any(|rule| everyone(rule.to.as_deref()));
    let mut opened = BTreeSet::new();
    if ingress && (unstated || stated("Ingress")) {
        opened.insert(Direction::Ingress);
    }
    if egress && (unstated || stated("Egress")) {
        opened.insert(Direction::Egress);
    }
    opened
}

fn everyone(peers: Option<&[NetworkPolicyPeer]>) -> bool {
    let peers = peers.unwrap_or_default();
    peers.is_empty() || peers.iter().any(is_everyone)
}

fn is_everyone(peer: &NetworkPolicyPeer) -> bool {
    if let Some(block) = &peer.ip_block {
        return block.cidr.ends_with("/0");
    }
    let all = |selector: &Option<LabelSelector>| {
        selector.as_ref().is_some_and(|s| {
            s.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
                && s.match_expressions.as_ref().is_none_or(Vec::is_empty)
        })
    };
    all(&peer.namespace_selector) && (peer.pod_selector.is_none() || all(&peer.pod_selector))
}

/// What to say about policies that open what is denied.
pub(super) fn reported(
    merged: &Merged,
    permissive: &[(String, BTreeSet<Direction>)],
) -> Vec<Error> {
    let concerned =
        permissive.iter().filter(|_| merged.reports_users).filter_map(|(name, opened)| {
            let opened: Vec<&str> = opened.intersection(&merged.deny).map(|d| d.as_str()).collect();
            (!opened.is_empty()).then(|| Error::NetworkWidened {
                object: format!("NetworkPolicy/{name}"),
                directions: opened.join(" and "),
            })
        });
    concerned.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn opened(spec: &Value) -> Vec<&'static str> {
        let policy =
            serde_json::from_value(json!({ "metadata": { "name": "mine" }, "spec": spec }));
        opens(&policy.expect("a policy")).into_iter().map(Direction::as_str).collect()
    }

    #[test]
    fn only_what_is_open_to_everyone_is_reported() {
        for (spec, wanted) in [
            (json!({ "podSelector": {}, "ingress": [{}] }), vec!["Ingress"]),
            (
                json!({ "podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"] }),
                vec!["Ingress", "Egress"],
            ),
            (
                json!({ "podSelector": {}, "ingress": [{ "from": [{ "namespaceSelector": {} }] }] }),
                vec!["Ingress"],
            ),
            (
                json!({ "podSelector": {}, "egress": [{ "to": [{ "ipBlock": { "cidr": "0.0.0.0/0" } }] }], "policyTypes": ["Egress"] }),
                vec!["Egress"],
            ),
            (
                json!({ "podSelector": {}, "ingress": [{ "from": [{ "podSelector": {} }] }] }),
                vec![],
            ),
            (
                json!({ "podSelector": {}, "ingress": [{ "from": [{ "namespaceSelector": {}, "podSelector": { "matchLabels": { "app": "x" } } }] }] }),
                vec![],
            ),
            (json!({ "podSelector": {}, "policyTypes": ["Ingress"] }), vec![]),
            (json!({ "podSelector": {}, "egress": [{}], "policyTypes": ["Ingress"] }), vec![]),
        ] {
            assert_eq!(opened(&spec), wanted, "{spec}");
        }
    }

    #[test]
    fn a_direction_that_nobody_denies_cannot_be_widened() {
        let mut merged =
            Merged { deny: [Direction::Ingress].into(), reports_users: true, ..Merged::default() };
        let mine = [("mine".to_owned(), [Direction::Ingress, Direction::Egress].into())];
        let said = Error::NetworkWidened {
            object: "NetworkPolicy/mine".into(),
            directions: "Ingress".into(),
        };
        assert_eq!(reported(&merged, &mine), [said]);
        merged.reports_users = false;
        assert_eq!(reported(&merged, &mine), []);
    }
}
