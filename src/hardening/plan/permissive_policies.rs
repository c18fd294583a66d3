//! Policies of users that open to everyone what the baselines deny.
//!
//! Network policies only add, so a tenant can undo a default deny with one of their own. That is reported; to
//! refuse it takes an admission policy.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::error::Error;
use super::merge::Merged;
use crate::api::gabion::hardening_baseline::{Direction, Requirement, Selector, SelectorOperator};
use crate::marks::{FIELD_MANAGER, MANAGED_BY, OWNER};
use crate::network_peers::{everyone, few_ports, namespace_selectors};
use crate::policy::selection::matches;

/// Selectors of namespaces that are kept of one policy, and their conditions. A policy with more counts as open:
/// what is not known is not taken for closed.
const MOST_SELECTORS: usize = 16;
const MOST_CONDITIONS: usize = 32;

/// What a policy opens to everyone, or would if its selectors hold for every namespace that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Whether it carries a mark of ours, which anybody can copy.
    marked: bool,
    to_everyone: BTreeSet<Direction>,
    to_namespaces: BTreeMap<Direction, Vec<Selector>>,
}

impl Opened {
    /// Reads a policy. Of its rules for one direction all peers count together: two halves are a whole.
    pub(crate) fn by(policy: &NetworkPolicy) -> Self {
        let mut opened = Self { marked: is_marked(&policy.metadata), ..Self::default() };
        let Some(spec) = &policy.spec else { return opened };
        let stated = |kind: &str| spec.policy_types.iter().flatten().any(|t| t == kind);
        let unstated = spec.policy_types.as_ref().is_none_or(Vec::is_empty);
        if unstated || stated("Ingress") {
            let rules = spec.ingress.iter().flatten();
            opened.read(Direction::Ingress, rules.map(|rule| rule.from.as_deref()));
        }
        if unstated || stated("Egress") {
            let rules = spec.egress.iter().flatten();
            let rules = rules.filter(|rule| !few_ports(rule.ports.as_deref().unwrap_or_default()));
            opened.read(Direction::Egress, rules.map(|rule| rule.to.as_deref()));
        }
        opened
    }

    fn read<'a>(
        &mut self,
        direction: Direction,
        rules: impl Iterator<Item = Option<&'a [NetworkPolicyPeer]>>,
    ) {
        let rules: Vec<_> = rules.map(Option::unwrap_or_default).collect();
        if rules.is_empty() {
            return;
        }
        let peers = rules.concat();
        if rules.iter().any(|peers| peers.is_empty()) || everyone(&peers).is_some() {
            self.to_everyone.insert(direction);
            return;
        }
        let selectors: Vec<_> = namespace_selectors(&peers).map(read_selector).collect();
        let conditions = |s: &Selector| {
            let values = s.match_expressions.iter().map(|e| 1 + e.values.len());
            s.match_labels.len() + values.sum::<usize>()
        };
        let too_many = selectors.len() > MOST_SELECTORS
            || selectors.iter().map(conditions).sum::<usize>() > MOST_CONDITIONS;
        if too_many {
            self.to_everyone.insert(direction);
        } else if !selectors.is_empty() {
            self.to_namespaces.insert(direction, selectors);
        }
    }

    /// Whether it depends on the namespaces that there are.
    pub(crate) fn has_selectors(&self) -> bool {
        !self.to_namespaces.is_empty()
    }

    /// Every direction that it may open: what is not evaluated is not taken for closed.
    pub(crate) fn at_most(&self) -> BTreeSet<Direction> {
        self.to_namespaces.keys().chain(&self.to_everyone).copied().collect()
    }

    /// Whether the policy carries a mark of ours.
    pub(crate) fn is_marked(&self) -> bool {
        self.marked
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_nothing(&self) -> bool {
        self.to_everyone.is_empty() && self.to_namespaces.is_empty()
    }

    /// The directions that are open to everyone, among the namespaces that there are: name and labels.
    pub(crate) fn among<'a, N>(&self, namespaces: impl Fn() -> N) -> BTreeSet<Direction>
    where
        N: Iterator<Item = (&'a str, &'a BTreeMap<String, String>)>,
    {
        let holds_for_all = |selectors: &[Selector]| {
            let one_of = |(name, labels)| selectors.iter().any(|s| matches(s, labels, name));
            namespaces().all(one_of)
        };
        let wide = self.to_namespaces.iter().filter(|(_, selectors)| holds_for_all(selectors));
        wide.map(|(direction, _)| *direction).chain(self.to_everyone.iter().copied()).collect()
    }
}

fn is_marked(meta: &ObjectMeta) -> bool {
    let label = meta.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY));
    let owner = meta.annotations.as_ref().and_then(|notes| notes.get(OWNER));
    label.is_some_and(|by| by == FIELD_MANAGER) || owner.is_some()
}

fn read_selector(selector: &LabelSelector) -> Selector {
    let expressions = selector.match_expressions.iter().flatten().map(|e| Requirement {
        key: e.key.clone(),
        operator: match e.operator.as_str() {
            "In" => SelectorOperator::In,
            "NotIn" => SelectorOperator::NotIn,
            "Exists" => SelectorOperator::Exists,
            "DoesNotExist" => SelectorOperator::DoesNotExist,
            _ => SelectorOperator::Unknown,
        },
        values: e.values.clone().unwrap_or_default(),
    });
    Selector {
        match_labels: selector.match_labels.clone().unwrap_or_default(),
        match_expressions: expressions.collect(),
    }
}

/// What to say about policies that open what is denied. Those that are just as the plan wants them are no
/// users' policies; all others are, whatever marks they carry.
pub(super) fn reported(
    merged: &Merged,
    permissive: &[(String, BTreeSet<Direction>, bool)],
    is_as_planned: impl Fn(&str) -> bool,
) -> Vec<Error> {
    let concerned = permissive
        .iter()
        .filter(|(name, ..)| merged.reports_users && !is_as_planned(name))
        .filter_map(|(name, opened, marked)| {
            let opened: Vec<&str> = opened.intersection(&merged.deny).map(|d| d.as_str()).collect();
            (!opened.is_empty()).then(|| Error::NetworkWidened {
                object: format!("NetworkPolicy/{name}"),
                directions: opened.join(" and "),
                marked: *marked,
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
        let opened = Opened::by(&policy.expect("a policy"));
        let (shop, labels) = ("shop", BTreeMap::from([("env".to_owned(), "prod".to_owned())]));
        let none = BTreeMap::new();
        let namespaces = || [(shop, &labels), ("lab", &none)].into_iter();
        opened.among(namespaces).into_iter().map(Direction::as_str).collect()
    }

    #[test]
    fn a6_open_to_everyone_in_other_words() {
        let ingress = |from: Value| json!({ "podSelector": {}, "ingress": [{ "from": from }] });
        let expression = |key: &str, operator: &str| json!([{ "namespaceSelector": { "matchExpressions": [{ "key": key, "operator": operator }] } }]);
        let halves = json!([{ "ipBlock": { "cidr": "0.0.0.0/1" } }, { "ipBlock": { "cidr": "128.0.0.0/1" } }]);
        let mut two_rules = ingress(json!([{ "ipBlock": { "cidr": "0.0.0.0/2" } }]));
        let more = json!({ "from": [{ "ipBlock": { "cidr": "64.0.0.0/2" } }] });
        two_rules["ingress"].as_array_mut().expect("rules").push(more);
        let split = json!([
            { "namespaceSelector": { "matchLabels": { "env": "prod" } } },
            { "namespaceSelector": { "matchExpressions": [{ "key": "env", "operator": "DoesNotExist" }] } },
        ]);
        for (spec, open) in [
            (ingress(halves), true),
            (two_rules, true),
            (ingress(expression("kubernetes.io/metadata.name", "Exists")), true),
            (ingress(expression("nope", "DoesNotExist")), true),
            (ingress(split), true),
            (ingress(expression("env", "DoesNotExist")), false),
            (ingress(expression("env", "Exists")), false),
        ] {
            assert_eq!(opened(&spec) == ["Ingress"], open, "{spec}");
        }
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
        let mine = [("mine".to_owned(), [Direction::Ingress, Direction::Egress].into(), false)];
        let expected = Error::NetworkWidened {
            object: "NetworkPolicy/mine".into(),
            directions: "Ingress".into(),
            marked: false,
        };
        assert_eq!(reported(&merged, &mine, |_| false), [expected]);
        assert_eq!(reported(&merged, &mine, |name| name == "mine"), []);
        merged.reports_users = false;
        assert_eq!(reported(&merged, &mine, |_| false), []);
    }

    #[test]
    fn a5_a_mark_of_ours_on_a_policy_of_a_user_hides_nothing_and_is_said() {
        let merged =
            Merged { deny: [Direction::Ingress].into(), reports_users: true, ..Merged::default() };
        for (metadata, marked) in [
            (json!({ "labels": { "app.kubernetes.io/managed-by": "gabion" } }), true),
            (json!({ "annotations": { "gabion.dev/owner": "x" } }), true),
            (json!({ "labels": { "app.kubernetes.io/managed-by": "helm" } }), false),
        ] {
            let policy =
                json!({ "metadata": metadata, "spec": { "podSelector": {}, "ingress": [{}] } });
            let opened = Opened::by(&serde_json::from_value(policy).expect("a policy"));
            let mine = [("mine".to_owned(), opened.at_most(), opened.is_marked())];
            let said = reported(&merged, &mine, |_| false);
            assert_eq!(said[0].to_string().contains("marks of Gabion"), marked, "{said:?}");
        }
    }
}
