//! NetworkPolicies that open pods to everyone.

use serde_json::Value;

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
            let bounded = kind == "Egress" && has_items(&rule["ports"]);
            if !bounded {
                let at = FieldPath::default().keys(&["spec", field]).index(number);
                findings.extend(open(rule, kind, peers, &at));
            }
        }
    }
    findings
}

fn has_items(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
}

fn open(open: &Value, kind: &str, peers: &'static str, at: &FieldPath) -> Vec<Finding> {
    let control = ControlId::HbNpOpen;
    let Some(listed) = open[peers].as_array().filter(|listed| !listed.is_empty()) else {
        let direction =
            if kind == "Ingress" { "lets everyone in" } else { "lets pods reach everything" };
        let message = format!("a rule without {peers:?} {direction}");
        return vec![Finding::new(control, at.clone(), message)];
    };
    let everyone = listed.iter().enumerate().filter_map(|(number, peer)| {
        let why = everyone(peer)?;
        Some(Finding::new(
            control,
            at.key(peers).index(number),
            format!("a peer of {kind} means {why}"),
        ))
    });
    everyone.collect()
}

/// What a peer means, if it means everyone.
fn everyone(peer: &Value) -> Option<&'static str> {
    let empty = |selector: &Value| {
        selector.as_object().is_some_and(|selector| {
            ["matchLabels", "matchExpressions"].iter().all(|key| match selector.get(*key) {
                None | Some(Value::Null) => true,
                Some(Value::Object(labels)) => labels.is_empty(),
                Some(Value::Array(expressions)) => expressions.is_empty(),
                Some(_) => false,
            })
        })
    };
    let (pods, namespaces, block) =
        (&peer["podSelector"], &peer["namespaceSelector"], &peer["ipBlock"]);
    if !block.is_null() {
        return block["cidr"]
            .as_str()
            .is_some_and(|cidr| cidr.ends_with("/0"))
            .then_some("every address");
    }
    if pods.is_null() && namespaces.is_null() {
        return Some("everyone, as it is empty");
    }
    (empty(namespaces) && (pods.is_null() || empty(pods))).then_some("every pod of every namespace")
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
