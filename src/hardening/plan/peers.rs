//! Peers of a baseline's rules, as a NetworkPolicy has them.

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::api::gabion::hardening_baseline::{Peer, Selector};

pub(super) fn peer(peer: &Peer) -> NetworkPolicyPeer {
    let block = peer.ip_block.as_ref().map(|block| IPBlock {
        cidr: block.cidr.clone(),
        except: (!block.except.is_empty()).then(|| block.except.clone()),
    });
    NetworkPolicyPeer {
        pod_selector: peer.pod_selector.as_ref().map(label_selector),
        namespace_selector: peer.namespace_selector.as_ref().map(label_selector),
        ip_block: block,
    }
}

pub(super) fn label_selector(selector: &Selector) -> LabelSelector {
    let expressions: Vec<_> = selector
        .match_expressions
        .iter()
        .map(|e| LabelSelectorRequirement {
            key: e.key.clone(),
            operator: e.operator.to_string(),
            values: (!e.values.is_empty()).then(|| e.values.clone()),
        })
        .collect();
    LabelSelector {
        match_labels: (!selector.match_labels.is_empty()).then(|| selector.match_labels.clone()),
        match_expressions: (!expressions.is_empty()).then_some(expressions),
    }
}
