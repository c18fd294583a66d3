//! How far a network policy reaches: which of two policies must be there first, so that nothing that both together
//! open is closed for a moment.
//!
//! A policy isolates the pods that it selects. What other policies open for these pods is closed until those are
//! there too. So a policy for few pods comes before one for many, and brings along what those for more pods
//! open; and it goes after them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::digest::digest;

/// Edges that are kept of one policy: more than any of ours has. A user may write tens of thousands into one that has
/// a name of ours.
const MOST_EDGES: usize = 4096;

/// What is kept of a policy to put it in its place among others.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    /// Conditions on the labels of a pod: none selects all.
    pub(crate) conditions: usize,
    /// Its rules.
    pub(crate) rules: usize,
    /// The directions in which it isolates.
    pub(crate) ways: u8,
    /// Digests of what it opens, one for each peer of each rule.
    pub(crate) edges: Vec<u64>,
}

impl Reach {
    /// Reads the spec of a network policy.
    pub(crate) fn of(spec: &Value) -> Self {
        let selector = conditions(&spec["podSelector"]);
        // Once, and not for each peer: a user may write a selector of megabytes.
        let of = edge(&json!(selector));
        let ways = [("Ingress", 1), ("Egress", 2)].iter().filter(|(way, _)| {
            let stated = items(&spec["policyTypes"]);
            stated.iter().any(|stated| stated == way) || (stated.is_empty() && *way == "Ingress")
        });
        let ways = ways.map(|(_, bit)| bit).sum();
        let mut reach = Self { conditions: selector.len(), ways, ..Self::default() };
        for (section, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in items(&spec[section]) {
                reach.rules += 1;
                let ports = edge(&json!(ports(&rule["ports"])));
                let everyone = [Value::Null];
                let listed = items(&rule[peers]);
                let listed = if listed.is_empty() { &everyone[..] } else { listed };
                let edges = listed
                    .iter()
                    .take(MOST_EDGES)
                    .map(|peer| edge(&json!([section, of, peer, ports])));
                reach.edges.extend(edges);
            }
        }
        reach.edges.truncate(MOST_EDGES);
        reach.edges.sort_unstable();
        reach.edges.dedup();
        reach
    }
}

/// The conditions of a selector, each as text. One selector holds for no more pods than another if it has all
/// conditions of the other.
pub(crate) fn conditions(selector: &Value) -> BTreeSet<String> {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| json!([key, "In", [value]]).to_string());
    let expressions = items(&selector["matchExpressions"]).iter().map(|expression| {
        let mut values: Vec<_> = items(&expression["values"]).to_vec();
        values.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        json!([expression["key"], expression["operator"], values]).to_string()
    });
    labels.chain(expressions).collect()
}

/// Ports in the form in which the API server stores them.
fn ports(ports: &Value) -> Vec<Value> {
    let stored = |port: &Value| {
        let protocol =
            if port["protocol"].is_null() { json!("TCP") } else { port["protocol"].clone() };
        json!([protocol, port["port"], port["endPort"]])
    };
    items(ports).iter().map(stored).collect()
}

fn edge(parts: &Value) -> u64 {
    let digest = digest(parts);
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
