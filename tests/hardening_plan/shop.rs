//! The namespace `shop` and its neighbours: baselines for it, its pods, and what the plan makes of both.

use std::collections::BTreeMap;

use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use gabion::hardening::plan::baseline::{Compiled, compile};
use gabion::hardening::plan::dns::{DnsFacts, DnsService};
use gabion::hardening::plan::namespace::{Input, Plan, plan};
use gabion::hardening::plan::objects::Generated;
use gabion::hardening::plan::teardown::Leaving;
use serde_json::{Value, json};

use crate::model_namespace::Model;
use support::network_evaluator::{End, Network};

pub fn compiled(name: &str, spec: Value) -> Compiled {
    let object = json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
        "metadata": { "name": name, "uid": format!("uid-{name}"), "generation": 1 }, "spec": spec });
    let baseline: HardeningBaseline = serde_json::from_value(object).expect("a baseline");
    compile(&baseline, 36).expect("a valid baseline")
}

/// A baseline at Enforce that selects env=prod.
pub fn enforced(name: &str, priority: i32, sections: Value) -> Compiled {
    let mut spec = json!({ "priority": priority, "namespaceSelector": { "matchLabels": { "env": "prod" } },
        "rollout": { "target": "Enforce" } });
    spec.as_object_mut().expect("a spec").extend(sections.as_object().expect("sections").clone());
    compiled(name, spec)
}

/// The full example of the contract, but for registry credentials: nothing here has a source of them.
pub fn prod() -> Compiled {
    let text = include_str!("../../examples/hardening/full.yaml");
    let mut baseline: HardeningBaseline = serde_saphyr::from_str(text).expect("a baseline");
    baseline.metadata.uid = Some("uid-prod".into());
    baseline.spec.service_accounts.as_mut().expect("asked for").pull_secrets.clear();
    compile(&baseline, 36).expect("a valid baseline")
}

pub fn dns_facts() -> DnsFacts {
    let service = json!({ "metadata": { "namespace": "kube-system", "name": "kube-dns" },
        "spec": { "selector": { "k8s-app": "kube-dns" }, "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00::a"],
            "ports": [{ "port": 53, "protocol": "UDP", "targetPort": 53 }, { "port": 53, "protocol": "TCP", "targetPort": 53 },
                { "port": 9153, "protocol": "TCP", "targetPort": 9153 }] } });
    let service = serde_json::from_value(service).expect("a Service");
    DnsFacts { services: DnsService::of(&service).into_iter().collect(), node_local: None }
}

pub fn planned_with(
    model: &Model,
    baselines: &[Compiled],
    leaving: &[Leaving],
    contested: &BTreeMap<String, String>,
) -> Plan {
    let observed = model.observed();
    plan(Input { baselines, leaving, observed: &observed, dns: &dns_facts(), contested })
}

pub fn planned(model: &Model, baselines: &[Compiled]) -> Plan {
    planned_with(model, baselines, &[], &BTreeMap::new())
}

pub fn end(namespace: Option<&str>, app: &str, address: &str) -> End {
    let key = if namespace == Some("kube-system") { "k8s-app" } else { "app" };
    End {
        name: format!("{}/{app}", namespace.unwrap_or("outside")),
        namespace: namespace.map(str::to_owned),
        labels: json!({ key: app }),
        address: address.parse().expect("an address"),
        ports: vec![("web".into(), "TCP".into(), 80)],
    }
}

pub fn shop() -> Vec<End> {
    ["frontend", "backend", "other"]
        .iter()
        .enumerate()
        .map(|(i, app)| end(Some("shop"), app, &format!("10.1.0.{i}")))
        .collect()
}

pub fn network(model: &Model) -> Network {
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

pub fn dns() -> Vec<End> {
    vec![
        end(Some("kube-system"), "kube-dns", "10.1.9.1"),
        end(None, "service", "10.96.0.10"),
        end(None, "service-v6", "fd00::a"),
        end(None, "node-local", "169.254.20.10"),
    ]
}

pub fn assert_dns(model: &Model, when: &str) {
    let network = network(model);
    for pod in shop() {
        for target in dns() {
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
