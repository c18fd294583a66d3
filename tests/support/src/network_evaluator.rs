//! Evaluates which connections a set of `NetworkPolicies` lets pass. Written from the documentation of Kubernetes
//! alone and over plain JSON: it shares no code with what generates the policies.

use std::net::IpAddr;

use serde_json::Value;

/// A pod, or an address outside the cluster's pods.
#[derive(Clone, Debug)]
pub struct End {
    /// What messages call it.
    pub name: String,
    /// Its namespace; `None` for an address that is no pod.
    pub namespace: Option<String>,
    /// Its labels.
    pub labels: Value,
    /// Its address.
    pub address: IpAddr,
    /// Its named ports: name, protocol, number.
    pub ports: Vec<(String, String, i64)>,
}

/// A cluster, as far as network policies see it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Namespaces: name and labels.
    pub namespaces: Vec<(String, Value)>,
    /// Policies, whole objects.
    pub policies: Vec<Value>,
}

impl Network {
    /// Whether a connection to that port of the target passes both ends.
    pub fn passes(&self, from: &End, to: &End, protocol: &str, port: i64) -> bool {
        self.side_passes("Egress", from, to, to, protocol, port)
            && self.side_passes("Ingress", to, from, to, protocol, port)
    }

    fn side_passes(
        &self,
        kind: &str,
        near: &End,
        far: &End,
        target: &End,
        protocol: &str,
        port: i64,
    ) -> bool {
        let Some(namespace) = &near.namespace else { return true };
        let mut isolated = false;
        for policy in &self.policies {
            let spec = &policy["spec"];
            if policy["metadata"]["namespace"] != namespace.as_str()
                || !applies(spec, kind)
                || !selects(&spec["podSelector"], &near.labels)
            {
                continue;
            }
            isolated = true;
            let (section, peers) =
                if kind == "Egress" { ("egress", "to") } else { ("ingress", "from") };
            for rule in items(&spec[section]) {
                let peer_fits = items(&rule[peers]).is_empty()
                    || items(&rule[peers]).iter().any(|peer| self.is_peer(peer, namespace, far));
                let port_fits = items(&rule["ports"]).is_empty()
                    || items(&rule["ports"])
                        .iter()
                        .any(|wanted| fits(wanted, target, protocol, port));
                if peer_fits && port_fits {
                    return true;
                }
            }
        }
        !isolated
    }

    fn is_peer(&self, peer: &Value, policy_namespace: &str, end: &End) -> bool {
        if let Some(block) = peer.get("ipBlock").filter(|b| !b.is_null()) {
            let inside = |cidr: &Value| within(cidr.as_str().expect("a CIDR"), end.address);
            return inside(&block["cidr"]) && !items(&block["except"]).iter().any(inside);
        }
        let Some(namespace) = &end.namespace else { return false };
        let selector = |key: &str| peer.get(key).filter(|s| !s.is_null());
        let namespace_fits = match selector("namespaceSelector") {
            None => namespace == policy_namespace,
            Some(wanted) => self
                .namespaces
                .iter()
                .any(|(name, labels)| name == namespace && selects(wanted, labels)),
        };
        namespace_fits && selector("podSelector").is_none_or(|wanted| selects(wanted, &end.labels))
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Without policyTypes a policy is about ingress, and about egress if it has such a section.
fn applies(spec: &Value, kind: &str) -> bool {
    match spec["policyTypes"].as_array() {
        Some(types) if !types.is_empty() => types.iter().any(|t| t == kind),
        _ => kind == "Ingress" || !items(&spec["egress"]).is_empty(),
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    let mut holds = exact.into_iter().all(|(key, value)| labels.get(key) == Some(value));
    for expression in items(&selector["matchExpressions"]) {
        let found = labels.get(expression["key"].as_str().expect("a key"));
        let listed = found.is_some_and(|found| items(&expression["values"]).contains(found));
        holds &= match expression["operator"].as_str().expect("an operator") {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            other => panic!("operator {other}"),
        };
    }
    holds
}

fn fits(wanted: &Value, target: &End, protocol: &str, port: i64) -> bool {
    if wanted["protocol"].as_str().unwrap_or("TCP") != protocol {
        return false;
    }
    match &wanted["port"] {
        Value::Null => true,
        Value::String(name) => {
            target.ports.iter().any(|(n, p, number)| n == name && p == protocol && *number == port)
        }
        first => {
            let first = first.as_i64().expect("a port");
            (first..=wanted["endPort"].as_i64().unwrap_or(first)).contains(&port)
        }
    }
}

fn within(cidr: &str, address: IpAddr) -> bool {
    let (base, bits) = cidr.split_once('/').expect("a CIDR");
    let bits: u32 = bits.parse().expect("a prefix length");
    match (base.parse().expect("an address"), address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let cut = |a: std::net::Ipv4Addr| u64::from(u32::from(a)) >> (32 - bits);
            cut(base) == cut(address)
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let cut =
                |a: std::net::Ipv6Addr| u128::from(a).checked_shr(128 - bits).unwrap_or_default();
            cut(base) == cut(address)
        }
        _ => false,
    }
}

/// The evaluator itself, on policies whose meaning the documentation spells out.
#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn end(namespace: Option<&str>, labels: Value, address: &str) -> End {
        End {
            name: address.into(),
            namespace: namespace.map(str::to_owned),
            labels,
            address: address.parse().expect("an address"),
            ports: vec![("web".into(), "TCP".into(), 8080)],
        }
    }

    fn network(specs: &[Value]) -> Network {
        let policies =
            specs.iter().map(|spec| json!({ "metadata": { "namespace": "a" }, "spec": spec }));
        let namespaces =
            vec![("a".into(), json!({ "team": "x" })), ("b".into(), json!({ "team": "y" }))];
        Network { namespaces, policies: policies.collect() }
    }

    #[test]
    fn the_evaluator_knows_the_rules_of_kubernetes() {
        let (web, db) = (
            end(Some("a"), json!({ "app": "web" }), "10.1.0.1"),
            end(Some("a"), json!({ "app": "db" }), "10.1.0.2"),
        );
        let (far, outside) = (
            end(Some("b"), json!({ "app": "web" }), "10.1.0.3"),
            end(None, json!({}), "192.168.1.5"),
        );
        let open = network(&[]);
        assert!(open.passes(&far, &db, "TCP", 1) && open.passes(&db, &outside, "UDP", 1));

        let deny = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
        let closed = network(std::slice::from_ref(&deny));
        assert!(
            !closed.passes(&web, &db, "TCP", 80)
                && !closed.passes(&far, &db, "TCP", 80)
                && !closed.passes(&db, &outside, "TCP", 80)
        );
        assert!(closed.passes(&far, &outside, "TCP", 80), "other namespaces are not concerned");

        let into_db = json!({ "podSelector": { "matchLabels": { "app": "db" } },
            "ingress": [{ "from": [{ "podSelector": { "matchLabels": { "app": "web" } } }], "ports": [{ "port": "web" }] }] });
        let one_side = network(&[deny.clone(), into_db.clone()]);
        assert!(!one_side.passes(&web, &db, "TCP", 8080), "egress is still denied");
        let ingress_only = network(&[json!({ "podSelector": {} }), into_db]);
        assert!(ingress_only.passes(&web, &db, "TCP", 8080));
        for (from, protocol, port) in
            [(&web, "UDP", 8080), (&web, "TCP", 8081), (&far, "TCP", 8080), (&outside, "TCP", 8080)]
        {
            assert!(!ingress_only.passes(from, &db, protocol, port));
        }

        let team = json!({ "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{ "from": [
            { "namespaceSelector": { "matchExpressions": [{ "key": "team", "operator": "NotIn", "values": ["x"] }] } },
            { "ipBlock": { "cidr": "192.168.0.0/16", "except": ["192.168.2.0/24"] } }] }] });
        let team = network(&[team]);
        assert!(team.passes(&far, &db, "TCP", 5) && team.passes(&outside, &db, "TCP", 5));
        assert!(!team.passes(&web, &db, "TCP", 5));
        assert!(!team.passes(&end(None, json!({}), "192.168.2.9"), &db, "TCP", 5));

        let range = network(&[
            json!({ "podSelector": {}, "egress": [{ "ports": [{ "port": 10, "endPort": 20 }] }], "policyTypes": ["Egress"] }),
        ]);
        assert!(range.passes(&db, &outside, "TCP", 20) && !range.passes(&db, &outside, "TCP", 21));
    }
}
