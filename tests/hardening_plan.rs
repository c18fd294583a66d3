//! The scenarios of the hardening contract, on a namespace in memory: order of writes, what stays reachable at
//! every point, what comes back at the end.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    clippy::large_stack_arrays,
    missing_docs,
    reason = "a test says so by failing, and tables of cases read better whole"
)]

#[path = "support/model_namespace.rs"]
mod model_namespace;
#[path = "support/network_judge.rs"]
mod network_judge;

use std::collections::BTreeMap;

use gabion::api::hardening_baseline::{DeletionPolicy, HardeningBaseline};
use gabion::api::namespace_hardening::NamespaceHardeningStatus;
use gabion::hardening::plan::baseline::{Compiled, compile};
use gabion::hardening::plan::dns::{DnsFacts, DnsService};
use gabion::hardening::plan::effective;
use gabion::hardening::plan::error::Error;
use gabion::hardening::plan::labels;
use gabion::hardening::plan::namespace::{Input, Plan, needs_usage, plan};
use gabion::hardening::plan::objects::{Generated, ObjectKey, ObjectKind};
use gabion::hardening::plan::quantity::Quantity;
use gabion::hardening::plan::steps::Step;
use gabion::hardening::plan::teardown::{Leaving, remaining};
use k8s_openapi::api::networking::v1::NetworkPolicyIngressRule;
use k8s_openapi::jiff::Timestamp;
use model_namespace::Model;
use network_judge::{End, Network};
use proptest::prelude::*;
use serde_json::{Value, json};

fn compiled(name: &str, spec: Value) -> Compiled {
    let object = json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
        "metadata": { "name": name, "uid": format!("uid-{name}"), "generation": 1 }, "spec": spec });
    let baseline: HardeningBaseline = serde_json::from_value(object).expect("a baseline");
    compile(&baseline, 36).expect("a valid baseline")
}

/// A baseline at Enforce that selects env=prod.
fn enforced(name: &str, priority: i32, sections: Value) -> Compiled {
    let mut spec = json!({ "priority": priority, "namespaceSelector": { "matchLabels": { "env": "prod" } },
        "rollout": { "target": "Enforce" } });
    spec.as_object_mut().expect("a spec").extend(sections.as_object().expect("sections").clone());
    compiled(name, spec)
}

/// The full example of the contract.
fn prod() -> Compiled {
    let text = include_str!("../examples/hardening/full.yaml");
    let mut baseline: HardeningBaseline = serde_saphyr::from_str(text).expect("a baseline");
    baseline.metadata.uid = Some("uid-prod".into());
    compile(&baseline, 36).expect("a valid baseline")
}

fn dns_facts() -> DnsFacts {
    let service = json!({ "metadata": { "namespace": "kube-system", "name": "kube-dns" },
        "spec": { "selector": { "k8s-app": "kube-dns" }, "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00::a"],
            "ports": [{ "port": 53, "protocol": "UDP", "targetPort": 53 }, { "port": 53, "protocol": "TCP", "targetPort": 53 },
                { "port": 9153, "protocol": "TCP", "targetPort": 9153 }] } });
    let service = serde_json::from_value(service).expect("a Service");
    DnsFacts { services: DnsService::of(&service).into_iter().collect(), node_local: None }
}

fn planned_with(
    model: &Model,
    baselines: &[Compiled],
    leaving: &[Leaving],
    contested: &BTreeMap<String, String>,
) -> Plan {
    let observed = model.observed();
    plan(Input { baselines, leaving, observed: &observed, dns: &dns_facts(), contested })
}

fn planned(model: &Model, baselines: &[Compiled]) -> Plan {
    planned_with(model, baselines, &[], &BTreeMap::new())
}

fn end(namespace: Option<&str>, app: &str, address: &str) -> End {
    let key = if namespace == Some("kube-system") { "k8s-app" } else { "app" };
    End {
        name: format!("{}/{app}", namespace.unwrap_or("outside")),
        namespace: namespace.map(str::to_owned),
        labels: json!({ key: app }),
        address: address.parse().expect("an address"),
        ports: vec![("web".into(), "TCP".into(), 80)],
    }
}

fn shop() -> Vec<End> {
    ["frontend", "backend", "other"]
        .iter()
        .enumerate()
        .map(|(i, app)| end(Some("shop"), app, &format!("10.1.0.{i}")))
        .collect()
}

fn network(model: &Model) -> Network {
    let policies = model.objects.values().filter_map(|o| match o {
        Generated::NetworkPolicy(policy) => serde_json::to_value(policy).ok(),
        _ => None,
    });
    Network {
        namespaces: vec![
            ("shop".into(), json!({ "env": "prod", "kubernetes.io/metadata.name": "shop" })),
            ("till".into(), json!({ "env": "prod", "kubernetes.io/metadata.name": "till" })),
            ("lab".into(), json!({ "env": "dev", "kubernetes.io/metadata.name": "lab" })),
            ("kube-system".into(), json!({ "kubernetes.io/metadata.name": "kube-system" })),
        ],
        policies: policies.collect(),
    }
}

fn name_service() -> Vec<End> {
    vec![
        end(Some("kube-system"), "kube-dns", "10.1.9.1"),
        end(None, "service", "10.96.0.10"),
        end(None, "service-v6", "fd00::a"),
        end(None, "node-local", "169.254.20.10"),
    ]
}

fn assert_name_service(model: &Model, when: &str) {
    let network = network(model);
    for pod in shop() {
        for target in name_service() {
            for protocol in ["UDP", "TCP"] {
                assert!(
                    network.passes(&pod, &target, protocol, 53),
                    "{}: {} -> {} {protocol}",
                    when,
                    pod.name,
                    target.name
                );
            }
        }
    }
}

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
fn at_every_write_name_service_is_reachable_and_at_the_end_only_the_asked_edge_is_open() {
    let mut model = Model::new(&[("env", "prod")]);
    let everything = open_edges(&model);
    for step in planned(&model, &[prod()]).steps() {
        model.apply(step);
        assert_name_service(&model, &step.object());
    }
    let mut wanted = vec!["shop/frontend -> shop/backend TCP/8080".to_owned()];
    wanted.extend(shop().iter().map(|pod| format!("{} -> kube-system/kube-dns TCP/53", pod.name)));
    wanted.sort();
    let mut open = open_edges(&model);
    open.sort();
    assert_eq!(open, wanted);

    for step in planned(&model, &[]).steps() {
        model.apply(step);
        assert_name_service(&model, &step.object());
    }
    assert_eq!(open_edges(&model), everything);
}

#[test]
fn the_full_set_appears_in_order_and_goes_in_the_reverse_order() {
    let mut model = Model::new(&[("env", "prod")]);
    let before = model.content();
    model.apply_all(&planned(&model, &[prod()]));
    assert_eq!(
        model.events,
        [
            "LABELS",
            "ADDED NetworkPolicy/gabion-allow-dns",
            "ADDED NetworkPolicy/gabion-egress-frontend-to-backend",
            "ADDED NetworkPolicy/gabion-allow-frontend-to-backend",
            "ADDED NetworkPolicy/gabion-default-deny",
            "ADDED LimitRange/gabion-limits",
            "ADDED ResourceQuota/gabion-quota",
            "ACCOUNT builder",
            "ACCOUNT default",
        ]
    );
    assert_eq!(model.labels.len(), 1 + 6);
    assert_eq!(model.labels["pod-security.kubernetes.io/enforce"], "restricted");
    assert_eq!(model.labels["pod-security.kubernetes.io/enforce-version"], "v1.36");
    for object in model.objects.values() {
        let meta = object.meta();
        assert_eq!(meta.labels.as_ref().expect("labels")["app.kubernetes.io/managed-by"], "gabion");
        assert_eq!(meta.annotations.as_ref().expect("annotations")["gabion.dev/owner"], "uid-prod");
    }
    model.events.clear();
    model.apply_all(&planned(&model, &[]));
    assert_eq!(model.events[0], "DELETED NetworkPolicy/gabion-default-deny");
    assert_eq!(
        &model.events[4..6],
        ["DELETED ResourceQuota/gabion-quota", "DELETED LimitRange/gabion-limits"]
    );
    assert_eq!(model.events.last().map(String::as_str), Some("LABELS"));
    assert_eq!(model.content(), before);
}

#[test]
fn a_steady_namespace_gets_no_write_and_every_drift_gets_one() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    assert!(planned(&model, &[prod()]).is_settled());
    let steady = model.content();

    for key in model.objects.keys().cloned().collect::<Vec<_>>() {
        let mut deleted = model.clone();
        deleted.objects.remove(&key);
        let repair = planned(&deleted, &[prod()]);
        assert_eq!(repair.steps().count(), 1, "{key}");
        deleted.apply_all(&repair);
        assert_eq!(deleted.content(), steady);

        let mut edited = model.clone();
        let mut object = edited.objects[&key].clone();
        object.meta_mut().labels.get_or_insert_default().insert("team".into(), "web".into());
        match &mut object {
            Generated::NetworkPolicy(policy) => {
                policy.spec.as_mut().expect("spec").ingress =
                    Some(vec![NetworkPolicyIngressRule::default()]);
            }
            Generated::LimitRange(range) => range.spec.as_mut().expect("spec").limits.clear(),
            Generated::ResourceQuota(quota) => quota.spec = None,
        }
        edited.put(object);
        let repair = planned(&edited, &[prod()]);
        assert_eq!(repair.steps().count(), 1, "{key}");
        edited.apply_all(&repair);
        assert_eq!(edited.objects[&key].spec_digest(), model.objects[&key].spec_digest());
        assert_eq!(
            edited.objects[&key].meta().labels.as_ref().expect("labels")["team"],
            "web",
            "a user's label stays"
        );
    }
}

#[test]
fn a_teardown_that_is_killed_between_any_two_writes_ends_the_same() {
    let mut hardened =
        Model::new(&[("env", "prod"), ("pod-security.kubernetes.io/enforce", "baseline")]);
    let before = hardened.content();
    hardened.apply_all(&planned(&hardened, &[prod()]));
    assert_eq!(hardened.labels["pod-security.kubernetes.io/enforce"], "restricted");
    let leaving = [Leaving { uid: "uid-prod".into(), policy: DeletionPolicy::Revert }];
    let whole = planned_with(&hardened, &[], &leaving, &BTreeMap::new());
    for killed_after in 0..=whole.steps().count() {
        let mut model = hardened.clone();
        whole.steps().take(killed_after).for_each(|step| model.apply(step));
        let rest = planned_with(&model, &[], &leaving, &BTreeMap::new());
        model.apply_all(&rest);
        assert_eq!(model.content(), before, "killed after {killed_after}");
        let end = planned_with(&model, &[], &leaving, &BTreeMap::new());
        assert!(remaining("uid-prod", &model.observed(), &end).is_empty());
        assert!(end.is_settled());
    }
}

#[test]
fn hardening_that_is_killed_between_any_two_writes_ends_the_same() {
    let fresh = Model::new(&[("env", "prod")]);
    let whole = planned(&fresh, &[prod()]);
    let mut done = fresh.clone();
    done.apply_all(&whole);
    for killed_after in 0..=whole.steps().count() {
        let mut model = fresh.clone();
        whole.steps().take(killed_after).for_each(|step| model.apply(step));
        assert_name_service(&model, "killed");
        model.apply_all(&planned(&model, &[prod()]));
        assert_eq!(model.content(), done.content(), "killed after {killed_after}");
    }
}

#[test]
fn deleting_one_of_two_baselines_never_leaves_the_namespace_open() {
    let section = |rule: &str, pods: &str, level: &str| {
        json!({ "podSecurity": { "level": level }, "resources": { "quota": { "hard": { "pods": pods } } },
            "network": { "allow": [{ "name": rule, "from": [{ "podSelector": { "matchLabels": { "app": "frontend" } } }] }] } })
    };
    let org = enforced("org", 10, section("x", "100", "baseline"));
    let pci = enforced("pci", 50, section("y", "20", "restricted"));
    let mut both = Model::new(&[("env", "prod")]);
    both.apply_all(&planned(&both, &[org.clone(), pci.clone()]));
    let mut swapped = Model::new(&[("env", "prod")]);
    swapped.apply_all(&planned(&swapped, &[pci, org.clone()]));
    assert_eq!(both.content(), swapped.content());
    let has = |model: &Model, name: &str| {
        model.objects.contains_key(&ObjectKey::new(ObjectKind::NetworkPolicy, name))
    };
    assert!(has(&both, "gabion-allow-y") && !has(&both, "gabion-allow-x"));

    let leaving = [Leaving { uid: "uid-pci".into(), policy: DeletionPolicy::Revert }];
    for step in planned_with(&both, std::slice::from_ref(&org), &leaving, &BTreeMap::new()).steps()
    {
        both.apply(step);
        assert!(has(&both, "gabion-default-deny"), "{}", step.object());
        assert!(
            both.objects.contains_key(&ObjectKey::new(ObjectKind::ResourceQuota, "gabion-quota"))
        );
        assert!(both.labels.contains_key("pod-security.kubernetes.io/enforce"));
        assert_name_service(&both, &step.object());
    }
    let mut only_org = Model::new(&[("env", "prod")]);
    only_org.apply_all(&planned(&only_org, &[org]));
    assert_eq!(both.content(), only_org.content());
}

fn foreign(name: &str, annotations: Value) -> Generated {
    let policy = json!({ "metadata": { "name": name, "namespace": "shop", "annotations": annotations,
            "managedFields": [{ "manager": "kubectl-create", "operation": "Update" }] },
        "spec": { "podSelector": { "matchLabels": { "app": "own" } }, "policyTypes": ["Ingress"] } });
    Generated::NetworkPolicy(serde_json::from_value(policy).expect("a policy"))
}

#[test]
fn a_name_taken_by_somebody_else_is_left_alone_and_the_rest_is_applied() {
    let mut model = Model::new(&[("env", "prod")]);
    model.put(foreign("gabion-default-deny", json!({})));
    let key = ObjectKey::new(ObjectKind::NetworkPolicy, "gabion-default-deny");
    let theirs = model.objects[&key].clone();
    let plan = planned(&model, &[prod()]);
    assert_eq!(
        plan.problems,
        [Error::NameTaken { object: key.to_string(), manager: "kubectl-create".into() }]
    );
    model.apply_all(&plan);
    assert_eq!(model.objects[&key], theirs);
    assert!(
        model.objects.contains_key(&ObjectKey::new(ObjectKind::NetworkPolicy, "gabion-allow-dns"))
    );
    assert_eq!(
        model.objects.keys().filter(|k| k.name.contains("deny")).count(),
        1,
        "no second deny"
    );

    model.objects.insert(key.clone(), theirs);
    model.put(foreign("gabion-default-deny", json!({ "gabion.dev/adopt": "true" })));
    let before = model.objects[&key].spec();
    model.apply_all(&planned(&model, &[prod()]));
    assert_ne!(model.objects[&key].spec(), before);
    let plan = planned(&model, &[prod()]);
    assert!(plan.problems.is_empty() && plan.is_settled());
    model.apply_all(&planned(&model, &[]));
    let left = &model.objects[&key];
    assert_eq!(left.spec(), before, "the content from before adoption is back");
    assert_eq!(left.meta().labels.clone().unwrap_or_default(), BTreeMap::new());
    assert_eq!(model.objects.len(), 1);
}

#[test]
fn nothing_is_denied_while_the_policy_that_keeps_name_service_open_is_not_ours() {
    let mut model = Model::new(&[("env", "prod")]);
    model.put(foreign("gabion-allow-dns", json!({})));
    let plan = planned(&model, &[prod()]);
    assert!(plan.problems.contains(&Error::AllowMissing("NetworkPolicy/gabion-allow-dns".into())));
    assert!(plan.steps().all(|step| step.object() != "NetworkPolicy/gabion-default-deny"));
}

#[test]
fn a_quota_below_usage_is_held_and_comes_after_the_limits_when_usage_falls() {
    let mut model = Model::new(&[("env", "prod")]);
    assert!(needs_usage(&[prod()], &model.observed()));
    let used = |text| {
        Some([("limits.memory".to_owned(), Quantity::parse(text).expect("quantity"))].into())
    };
    model.usage = used("80Gi");
    let plan = planned(&model, &[prod()]);
    let status = effective::next_status(
        &NamespaceHardeningStatus::default(),
        &[prod()],
        &plan,
        None,
        Some(1),
        now(),
    );
    let status = status.expect("a status");
    assert_eq!(status.held, ["Held: QuotaBelowUsage limits.memory used=80Gi hard=64Gi"]);
    let condition = status.conditions.iter().find(|c| c.type_ == "Held").expect("Held");
    assert!(condition.message.contains("Held: QuotaBelowUsage limits.memory used=80Gi hard=64Gi"));
    model.apply_all(&plan);
    let quota = ObjectKey::new(ObjectKind::ResourceQuota, "gabion-quota");
    assert!(!model.objects.contains_key(&quota));
    assert!(model.objects.contains_key(&ObjectKey::new(ObjectKind::LimitRange, "gabion-limits")));
    model.usage = used("50Gi");
    model.apply_all(&planned(&model, &[prod()]));
    assert!(model.objects.contains_key(&quota));
    assert!(!needs_usage(&[prod()], &model.observed()));
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

#[test]
fn observing_writes_nothing_and_says_what_enforcing_would_do() {
    let model = Model::new(&[("env", "prod")]);
    let mut baseline = prod();
    baseline.stage = gabion::api::hardening_baseline::Stage::Observe;
    let plan = planned(&model, std::slice::from_ref(&baseline));
    assert!(plan.is_settled() && plan.merged.rows.is_empty());
    let status = effective::next_status(
        &NamespaceHardeningStatus::default(),
        &[baseline],
        &plan,
        None,
        None,
        now(),
    );
    let preview = status.expect("a status").preview;
    assert!(
        preview.iter().any(|row| row.item == "podSecurity.enforce" && row.value == "restricted")
    );
    assert!(
        preview.iter().any(|row| row.item == "resources.quota.hard[pods]" && row.value == "200")
    );
}

#[test]
fn a_retained_namespace_keeps_everything_but_our_marks() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let labels = model.labels.clone();
    let specs: Vec<_> = model.objects.values().map(Generated::spec).collect();
    let leaving = [Leaving { uid: "uid-prod".into(), policy: DeletionPolicy::Retain }];
    let departure = planned_with(&model, &[], &leaving, &BTreeMap::new());
    assert!(departure.steps().all(|step| !matches!(step, Step::Delete { .. })));
    model.apply_all(&departure);
    assert_eq!(model.objects.values().map(Generated::spec).collect::<Vec<_>>(), specs);
    assert_eq!((model.labels.clone(), model.annotations.len()), (labels, 0));
    assert_eq!(model.accounts["default"], (Some(false), None));
    assert!(
        model.objects.values().all(|o| o
            .meta()
            .owner_references
            .as_ref()
            .is_none_or(Vec::is_empty))
    );
    assert!(planned(&model, &[]).is_settled());
}

#[test]
fn labels_that_somebody_else_owns_or_fights_for_are_not_written() {
    let model = Model::new(&[("env", "prod")]);
    let external = enforced("ext", 1, json!({ "podSecurity": { "labelOwnership": "External" } }));
    let plan = planned(&model, &[external]);
    assert!(plan.is_settled());
    assert!(
        matches!(&plan.problems[..], [Error::LabelsDiffer(text)] if text.contains("enforce is absent"))
    );

    let key = format!("{}enforce", labels::PREFIX);
    let contested = [(key.clone(), "argocd-controller".to_owned())].into();
    let plan = planned_with(&model, &[prod()], &[], &contested);
    assert!(
        matches!(&plan.problems[..], [Error::FieldOwnedBy { manager, .. }] if manager == "argocd-controller")
    );
    let patch = plan
        .steps()
        .find_map(|step| if let Step::Labels(patch) = step { Some(patch) } else { None });
    let patch = patch.expect("the other labels");
    assert!(patch.apply.len() == 5 && !patch.apply.contains_key(&key));
}

#[test]
fn a_namespace_that_is_being_deleted_gets_no_write_and_blocks_nothing() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let mut observed = model.observed();
    observed.terminating = true;
    let contested = BTreeMap::new();
    let plan = plan(Input {
        baselines: &[],
        leaving: &[],
        observed: &observed,
        dns: &dns_facts(),
        contested: &contested,
    });
    assert!(plan.is_settled());
    assert!(remaining("uid-prod", &observed, &plan).is_empty());
}

#[test]
fn status_says_where_each_value_comes_from_and_is_written_once() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let plan = planned(&model, &[prod()]);
    let baselines = [prod()];
    let first = effective::next_status(
        &NamespaceHardeningStatus::default(),
        &baselines,
        &plan,
        None,
        Some(1),
        now(),
    );
    let first = first.expect("a status");
    let quota = first
        .values
        .iter()
        .find(|row| row.item == "resources.quota.hard[limits.memory]")
        .expect("a row");
    assert_eq!((quota.value.as_str(), quota.baseline.as_str()), ("64Gi", "prod-restricted"));
    assert_eq!(first.dns.as_ref().expect("dns").source, "Service kube-system/kube-dns");
    assert!(first.values.len() <= 64);
    let later = Timestamp::from_second(1_900_000_000).expect("a time");
    assert_eq!(effective::next_status(&first, &baselines, &plan, None, Some(1), later), None);
    assert!(first.previous.iter().any(|p| p.item.ends_with("/enforce") && p.value.is_none()));
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

    /// The judge against a statement of what the baselines ask for, for any set of rules and directions.
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
            assert_name_service(&model, &step.object());
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

        // From here to one of the two alone, and to none: name service stays, whatever goes.
        for rest in [&baselines[..1], &baselines[1..], &[]] {
            let mut changed = model.clone();
            for step in planned(&changed, rest).steps() {
                changed.apply(step);
                assert_name_service(&changed, &step.object());
            }
            prop_assert!(planned(&changed, rest).is_settled());
        }
    }
}
