//! NetworkPolicies that open pods to everyone.

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use serde_json::Value;

use crate::network_peers::{Everyone, everyone, few_ports};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// What is wrong with a policy.
///
/// A rule for incoming traffic must name its peers. One for outgoing traffic may leave them out where it names
/// ports: DNS and the internet are meant to be reachable so.
pub(crate) fn evaluate(policy: &Value) -> Vec<Finding> {
    let spec = &policy["spec"];
    let types = spec["policyTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut findings = Vec::new();
    for (kind, field, peers) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        let in_force = types.is_empty() || types.iter().any(|stated| stated == kind);
        let rules = spec[field].as_array().map(Vec::as_slice).unwrap_or_default();
        for (number, rule) in rules.iter().enumerate().filter(|_| in_force) {
            let ports: Vec<NetworkPolicyPort> =
                serde_json::from_value(rule["ports"].clone()).unwrap_or_default();
            let bounded = kind == "Egress" && few_ports(&ports);
            if !bounded {
                let at = FieldPath::default().keys(&["spec", field]).index(number);
                findings.extend(open(rule, kind, peers, &at));
            }
        }
    }
    findings
}

fn open(open: &Value, kind: &str, peers: &'static str, at: &FieldPath) -> Vec<Finding> {
    let control = ControlId::HbNpOpen;
    let Some(listed) = open[peers].as_array().filter(|listed| !listed.is_empty()) else {
        let direction =
            if kind == "Ingress" { "lets everyone in" } else { "lets pods reach everything" };
        let message = format!("a rule without {peers:?} {direction}");
        return vec![Finding::new(control, at.clone(), message)];
    };
    // What is no peer at all is refused by the schema.
    let read: Vec<Option<NetworkPolicyPeer>> =
        listed.iter().map(|peer| serde_json::from_value(peer.clone()).ok()).collect();
    let found = |path, why: Everyone, who| {
        Finding::new(control, path, format!("{who} of {kind} means {}", why.as_str()))
    };
    let each = read.iter().enumerate().filter_map(|(number, peer)| {
        let why = everyone(std::slice::from_ref(peer.as_ref()?))?;
        Some(found(at.key(peers).index(number), why, "a peer"))
    });
    let mut findings: Vec<_> = each.collect();
    let known: Vec<_> = read.into_iter().flatten().collect();
    if findings.is_empty()
        && !known.is_empty()
        && let Some(why) = everyone(&known)
    {
        findings.push(found(at.key(peers), why, "a list of peers"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(spec: &Value) -> Vec<String> {
        evaluate(&json!({ "spec": spec })).iter().map(|finding| finding.path.to_string()).collect()
    }

    #[test]
    fn only_what_is_open_to_everyone_is_named() {
        let nothing: [&str; 0] = [];
        let labels = json!({"matchLabels": {"app": "web"}});
        let cases = [
            (json!({"ingress": [{}]}), vec!["spec.ingress[0]"]),
            (json!({"ingress": [{"ports": [{"port": 80}]}]}), vec!["spec.ingress[0]"]),
            (json!({"ingress": [{"from": [{}]}]}), vec!["spec.ingress[0].from[0]"]),
            (
                json!({"ingress": [{"from": [{"podSelector": labels}, {"namespaceSelector": {}}]}]}),
                vec!["spec.ingress[0].from[1]"],
            ),
            (
                json!({"ingress": [{"from": [{"ipBlock": {"cidr": "::/0"}}]}]}),
                vec!["spec.ingress[0].from[0]"],
            ),
            (json!({"egress": [{}]}), vec!["spec.egress[0]"]),
            (json!({"egress": [{"ports": [{"port": 53}]}]}), nothing.to_vec()),
            (
                json!({"egress": [{"ports": [{"port": 1, "endPort": 65_535}]}]}),
                vec!["spec.egress[0]"],
            ),
            (
                json!({"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/1"}},
                    {"ipBlock": {"cidr": "128.0.0.0/1"}}]}]}),
                vec!["spec.ingress[0].from[0]", "spec.ingress[0].from[1]"],
            ),
            (
                json!({"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/2"}},
                    {"ipBlock": {"cidr": "64.0.0.0/2"}}]}]}),
                vec!["spec.ingress[0].from"],
            ),
            (json!({"policyTypes": ["Egress"], "ingress": [{}]}), nothing.to_vec()),
            (json!({"policyTypes": ["Ingress"], "podSelector": {}}), nothing.to_vec()),
            (json!({"ingress": [{"from": [{"podSelector": {}}]}]}), nothing.to_vec()),
            (
                json!({"ingress": [{"from": [{"podSelector": labels, "namespaceSelector": {}}]}]}),
                nothing.to_vec(),
            ),
            (json!({"ingress": "x"}), nothing.to_vec()),
        ];
        for (spec, wanted) in cases {
            assert_eq!(paths(&spec), wanted, "{spec}");
        }
    }
}
