//! The network policies of a namespace, evaluated at every write: DNS stays reachable, and in the end
//! exactly the asked edges are open.

use gabion::hardening::plan::baseline::Compiled;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::network_evaluator::End;

use crate::model_namespace::Model;
use crate::shop::{assert_dns, end, enforced, network, planned, prod, shop};

/// The connections that pass, among the pods of the namespace and a few strangers.
fn open_edges(model: &Model) -> Vec<String> {
    let network = network(model);
    let mut ends = shop();
    ends.extend([
        end(Some("lab"), "frontend", "10.1.7.1"),
        end(None, "internet", "203.0.113.9"),
        end(Some("kube-system"), "kube-dns", "10.1.9.1"),
    ]);
    let mut open = Vec::new();
    for from in &ends {
        for to in ends.iter().filter(|to| to.name != from.name) {
            let concerned = [from, to].iter().any(|e| e.namespace.as_deref() == Some("shop"));
            for (protocol, port) in
                [("TCP", 8080), ("UDP", 8080), ("TCP", 80), ("TCP", 53), ("TCP", 9153)]
            {
                if concerned && network.passes(from, to, protocol, port) {
                    open.push(format!("{} -> {} {protocol}/{port}", from.name, to.name));
                }
            }
        }
    }
    open
}

#[test]
fn at_every_write_dns_is_reachable_and_at_the_end_only_the_asked_edge_is_open() {
    let mut model = Model::new(&[("env", "prod")]);
    let everything = open_edges(&model);
    for step in planned(&model, &[prod()]).steps() {
        model.apply(step);
        assert_dns(&model, &step.object());
    }
    let mut wanted = vec!["shop/frontend -> shop/backend TCP/8080".to_owned()];
    wanted.extend(shop().iter().map(|pod| format!("{} -> kube-system/kube-dns TCP/53", pod.name)));
    wanted.sort();
    let mut open = open_edges(&model);
    open.sort();
    assert_eq!(open, wanted);

    for step in planned(&model, &[]).steps() {
        model.apply(step);
        assert_dns(&model, &step.object());
    }
    assert_eq!(open_edges(&model), everything);
}

const APPS: [&str; 3] = ["frontend", "backend", "other"];

#[derive(Clone, Debug)]
struct Ask {
    outward: bool,
    near: usize,
    far: usize,
    named: bool,
    from_lab: bool,
}

fn any_ask() -> impl Strategy<Value = Ask> {
    (any::<bool>(), 0..3_usize, 0..3_usize, any::<bool>(), any::<bool>()).prop_map(
        |(outward, near, far, named, from_lab)| Ask { outward, near, far, named, from_lab },
    )
}

fn selector(app: usize) -> Value {
    json!({ "matchLabels": { "app": APPS[app] } })
}

impl Ask {
    fn rule(&self, name: &str) -> Value {
        let mut peer = json!({ "podSelector": selector(self.far) });
        if self.from_lab {
            peer["namespaceSelector"] = json!({ "matchLabels": { "env": "dev" } });
        }
        let ports = json!([{ "port": if self.named { json!("web") } else { json!(8080) } }]);
        if self.outward {
            json!({ "name": name, "fromPods": selector(self.near), "toPeers": [peer], "ports": ports })
        } else {
            json!({ "name": name, "to": selector(self.near), "from": [peer], "ports": ports })
        }
    }

    /// Whether this rule asks for the connection.
    fn asks(&self, from: &End, to: &End, port: i64) -> bool {
        let (near, far) = if self.outward { (from, to) } else { (to, from) };
        let far_namespace = if self.from_lab { "lab" } else { "shop" };
        near.namespace.as_deref() == Some("shop")
            && near.labels["app"] == APPS[self.near]
            && far.namespace.as_deref() == Some(far_namespace)
            && far.labels["app"] == APPS[self.far]
            && port == if self.named { 80 } else { 8080 }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The evaluator against a statement of what the baselines ask for, for any set of rules and directions.
    #[test]
    fn exactly_the_asked_edges_are_open(
        top in prop::collection::vec(any_ask(), 0..4), low in prop::collection::vec(any_ask(), 0..3),
        additive: bool, deny in prop::sample::subsequence(vec!["Ingress", "Egress"], 0..=2),
        low_deny in prop::sample::subsequence(vec!["Ingress", "Egress"], 0..=2),
    ) {
        let rules = |asks: &[Ask]| asks.iter().enumerate().map(|(i, a)| a.rule(&format!("r{i}"))).collect::<Vec<_>>();
        let baselines = [
            enforced("top", 9, json!({ "network": { "defaultDeny": deny, "allow": rules(&top) } })),
            enforced("low", 1, json!({ "network": { "defaultDeny": low_deny, "allow": rules(&low), "additive": additive } })),
        ];
        let mut model = Model::new(&[("env", "prod")]);
        for step in planned(&model, &baselines).steps() {
            model.apply(step);
            assert_dns(&model, &step.object());
        }
        prop_assert!(planned(&model, &baselines).is_settled());

        let asks: Vec<&Ask> = top.iter().chain(low.iter().filter(|_| additive)).collect();
        let denied = |direction| deny.contains(&direction) || low_deny.contains(&direction);
        let network = network(&model);
        let mut ends = shop();
        ends.push(end(Some("lab"), "frontend", "10.1.7.1"));
        for from in &ends {
            for to in &ends {
                let here = |e: &End| e.namespace.as_deref() == Some("shop");
                let concerned = (here(from) && denied("Egress")) || (here(to) && denied("Ingress"));
                for port in [80, 8080, 9999] {
                    let wanted = !concerned || asks.iter().any(|ask| ask.asks(from, to, port));
                    prop_assert_eq!(network.passes(from, to, "TCP", port), wanted, "{} -> {} {}", from.name, to.name, port);
                }
            }
        }

        // From here to one of the two alone, and to none: DNS stays, whatever goes.
        for rest in [&baselines[..1], &baselines[1..], &[]] {
            let mut changed = model.clone();
            for step in planned(&changed, rest).steps() {
                changed.apply(step);
                assert_dns(&changed, &step.object());
            }
            prop_assert!(planned(&changed, rest).is_settled());
        }
    }
}

/// Connections that pass before and after, and not in between. Every state that a watch delivers is evaluated.
fn cut_in_between(from: &Model, baselines: &[Compiled]) -> Vec<String> {
    let mut model = from.clone();
    let before = open_edges(&model);
    let mut states = Vec::new();
    for _ in 0..2 {
        let plan = planned(&model, baselines);
        for step in plan.steps() {
            model.apply(step);
            states.push((step.object(), open_edges(&model)));
        }
    }
    let left: Vec<_> = planned(&model, baselines).steps().map(|s| format!("{s:?}")).collect();
    assert_eq!(left, Vec::<String>::new());
    let after = open_edges(&model);
    let meant: Vec<_> = before.into_iter().filter(|edge| after.contains(edge)).collect();
    let cut = states.iter().flat_map(|(object, open)| {
        let lost = meant.iter().filter(|edge| !open.contains(edge));
        lost.map(move |edge| format!("{edge} after {object}"))
    });
    cut.collect()
}

fn hardened(baselines: &[Compiled]) -> Model {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, baselines));
    model
}

fn with_rules(name: &str, deny: &[&str], rules: Vec<Value>) -> Compiled {
    enforced(name, 1, json!({ "network": { "defaultDeny": deny, "allow": rules } }))
}

fn into(name: &str, to: Value, from: &[&str]) -> Value {
    let peers: Vec<_> = from
        .iter()
        .map(|app| json!({ "podSelector": { "matchLabels": { "app": app } } }))
        .collect();
    json!({ "name": name, "to": to, "from": peers })
}

#[test]
fn q10_nothing_is_closed_in_between_that_is_open_before_and_after() {
    let both = &["Ingress", "Egress"][..];
    let backend = || json!({ "matchLabels": { "app": "backend" } });
    let fresh = Model::new(&[("env", "prod")]);
    let one = [with_rules("one", both, vec![into("a", backend(), &["frontend", "other"])])];
    let all = [with_rules(
        "all",
        both,
        vec![
            into("everywhere", json!({}), &["other"]),
            into("a", backend(), &["frontend"]),
            into("b", backend(), &["other"]),
        ],
    )];
    // The two parts of a rule; two rules that swap their names; a peer that moves from one rule to another.
    let split = [with_rules(
        "one",
        both,
        vec![into("a", backend(), &["frontend"]), into("b", backend(), &["other"])],
    )];
    let swapped = [with_rules(
        "one",
        both,
        vec![into("b", backend(), &["frontend"]), into("a", backend(), &["other"])],
    )];
    let renamed = [with_rules("one", both, vec![into("z", backend(), &["frontend", "other"])])];
    let ingress = [with_rules("one", &["Ingress"], vec![into("a", backend(), &["frontend"])])];
    // A rule of the same name that goes the other way from now on, while DNS comes with the other direction.
    let lab =
        json!({ "podSelector": {}, "namespaceSelector": { "matchLabels": { "env": "dev" } } });
    let outward = json!({ "name": "a", "fromPods": backend(), "toPeers": [lab] });
    let turned = [with_rules("one", &["Egress"], vec![outward])];
    let everything: [&[Compiled]; 9] =
        [&[], &one, &all, &split, &swapped, &renamed, &ingress, &turned, &[prod()]];
    for from in everything {
        let model = if from.is_empty() { fresh.clone() } else { hardened(from) };
        for to in everything {
            let cut = cut_in_between(&model, to);
            assert_eq!(cut, Vec::<String>::new());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// From any set of rules to any other: first appearance, edits, relabelling, teardown.
    #[test]
    fn q10_whatever_changes_nothing_is_closed_in_between(
        before in prop::collection::vec(any_ask(), 0..4), after in prop::collection::vec(any_ask(), 0..4),
        names in prop::sample::subsequence(vec!["r0", "r1", "r2", "r3", "r4", "r5"], 4..=4),
        deny in prop::sample::subsequence(vec!["Ingress", "Egress"], 0..=2),
        then_deny in prop::sample::subsequence(vec!["Ingress", "Egress"], 0..=2),
    ) {
        let rules = |asks: &[Ask]| asks.iter().enumerate().map(|(i, a)| a.rule(&format!("r{i}"))).collect::<Vec<_>>();
        let renamed: Vec<_> = after.iter().zip(&names).map(|(ask, name)| ask.rule(name)).collect();
        let first = [with_rules("one", &deny, rules(&before))];
        let then = [with_rules("one", &then_deny, renamed)];
        let fresh = Model::new(&[("env", "prod")]);
        prop_assert_eq!(cut_in_between(&fresh, &first), Vec::<String>::new());
        let model = hardened(&first);
        prop_assert_eq!(cut_in_between(&model, &then), Vec::<String>::new());
        prop_assert_eq!(cut_in_between(&model, &[]), Vec::<String>::new());
    }
}
