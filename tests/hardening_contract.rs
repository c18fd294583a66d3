//! The hardening kinds keep their contract: the schema takes what it should and refuses the rest with a
//! reason.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    clippy::large_stack_arrays,
    missing_docs,
    reason = "a test says so by failing, and tables of cases read better whole"
)]

#[path = "support/schema_check.rs"]
mod schema_check;

use gabion::api::hardening_baseline::HardeningBaseline;
use gabion::api::hardening_crds::crds;
use serde_json::{Value, json};

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

fn baseline(spec: Value) -> Value {
    json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
            "metadata": { "name": "prod" }, "spec": spec })
}

/// A small valid spec with one more section.
fn with(section: &str, value: Value) -> Value {
    let mut spec = json!({ "namespaceSelector": { "matchLabels": { "env": "prod" } } });
    spec[section] = value;
    baseline(spec)
}

fn refused(object: &Value) -> Vec<String> {
    let faults = schema_check::faults(&crds()[0], object);
    assert!(!faults.is_empty(), "accepted: {object}");
    faults
}

fn accepted(object: &Value) {
    let faults = schema_check::faults(&crds()[0], object);
    assert!(faults.is_empty(), "{object}: {faults:?}");
    let typed: HardeningBaseline =
        serde_json::from_value(object.clone()).expect("the type reads it");
    let back = serde_json::to_value(&typed).expect("JSON");
    assert_eq!(back["spec"], object["spec"], "what is read back equals what was applied");
}

#[test]
fn every_definition_is_small_enough_for_a_plain_apply() {
    for crd in crds() {
        let text = serde_saphyr::to_string(&crd).expect("YAML");
        assert!(text.len() < 262_144, "{:?}: {} bytes", crd.metadata.name, text.len());
        assert!(!text.contains("nullable"));
    }
}

#[test]
fn the_full_example_is_accepted_and_read_back_as_it_stands() {
    accepted(&yaml(include_str!("../examples/hardening/full.yaml")));
}

#[test]
fn a_minimal_baseline_is_accepted() {
    accepted(&with("podSecurity", json!({})));
    accepted(&baseline(json!({ "allNamespaces": true, "network": {} })));
    accepted(&baseline(json!({ "namespaceSelector":
        { "matchExpressions": [{ "key": "env", "operator": "In", "values": ["prod"] }] } })));
}

#[test]
fn malformed_baselines_are_refused_with_the_path_and_the_remedy() {
    let many: Vec<String> = (0..65).map(|i| format!("r{i}.example")).collect();
    let any = |more: Value| {
        let mut rule = json!({ "name": "any", "from": [{ "ipBlock": { "cidr": "0.0.0.0/0" } }] });
        rule.as_object_mut().expect("a rule").extend(more.as_object().expect("fields").clone());
        with("network", json!({ "allow": [rule] }))
    };
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        (
            "level",
            with("podSecurity", json!({ "level": "Restricted" })),
            "spec.podSecurity.level",
            "unsupported",
        ),
        (
            "version",
            with("podSecurity", json!({ "version": "v1.999" })),
            "spec.podSecurity.version",
            "v1.37",
        ),
        (
            "version",
            with("podSecurity", json!({ "version": "v1.38" })),
            "spec.podSecurity.version",
            "v1.37",
        ),
        (
            "audit below level",
            with("podSecurity", json!({ "auditLevel": "baseline" })),
            "spec.podSecurity",
            "auditLevel",
        ),
        (
            "warn below level",
            with("podSecurity", json!({ "level": "baseline", "warnLevel": "privileged" })),
            "spec.podSecurity",
            "warnLevel",
        ),
        (
            "65 registries",
            with("images", json!({ "allowedRegistries": many })),
            "spec.images.allowedRegistries",
            "too many",
        ),
        (
            "scheme",
            with("images", json!({ "allowedRegistries": ["https://x"] })),
            "spec.images.allowedRegistries[0]",
            "without scheme",
        ),
        (
            "wildcard",
            with("images", json!({ "allowedRegistries": ["*.io"] })),
            "spec.images.allowedRegistries[0]",
            "wildcard",
        ),
        (
            "upper case",
            with("images", json!({ "deniedRepositories": ["REG/x"] })),
            "spec.images.deniedRepositories[0]",
            "lower case",
        ),
        (
            "empty",
            with("images", json!({ "allowedRegistries": [""] })),
            "spec.images.allowedRegistries[0]",
            "short",
        ),
        (
            "empty selector",
            baseline(json!({ "namespaceSelector": {} })),
            "spec",
            "allNamespaces: true",
        ),
        ("no selector", baseline(json!({ "podSecurity": {} })), "spec", "allNamespaces: true"),
        (
            "both",
            baseline(
                json!({ "allNamespaces": true, "namespaceSelector": { "matchLabels": { "a": "b" } } }),
            ),
            "spec",
            "contradict",
        ),
        (
            "our label",
            baseline(json!({ "namespaceSelector": { "matchLabels": { "gabion.dev/x": "y" } } })),
            "spec.namespaceSelector.matchLabels",
            "label of your own",
        ),
        (
            "our key",
            baseline(
                json!({ "namespaceSelector": { "matchExpressions": [{ "key": "gabion.dev/x", "operator": "Exists" }] } }),
            ),
            "spec.namespaceSelector.matchExpressions[0].key",
            "label of your own",
        ),
        (
            "no values",
            baseline(
                json!({ "namespaceSelector": { "matchExpressions": [{ "key": "env", "operator": "In" }] } }),
            ),
            "spec.namespaceSelector.matchExpressions[0]",
            "need values",
        ),
        (
            "min above max",
            with("pods", json!({ "runAsUser": { "min": 2000, "max": 1000 } })),
            "spec.pods.runAsUser",
            "min",
        ),
        (
            "id zero",
            with("pods", json!({ "fsGroup": { "min": 0 } })),
            "spec.pods.fsGroup.min",
            "small",
        ),
        (
            "absolute profile",
            with("pods", json!({ "localhostSeccompProfiles": ["/etc/passwd"] })),
            "spec.pods.localhostSeccompProfiles[0]",
            "relative",
        ),
        (
            "parent profile",
            with("pods", json!({ "localhostSeccompProfiles": ["a/../b"] })),
            "spec.pods.localhostSeccompProfiles[0]",
            "'..'",
        ),
        (
            "quantity",
            with("resources", json!({ "quota": { "hard": { "memory": "12potatoes" } } })),
            "spec.resources.quota.hard.memory",
            "quantity",
        ),
        (
            "negative",
            with("resources", json!({ "quota": { "hard": { "pods": "-1" } } })),
            "spec.resources.quota.hard.pods",
            "zero or more",
        ),
        (
            "request above limit",
            with(
                "resources",
                json!({ "containerDefaults": { "requests": { "memory": "1Gi" }, "limits": { "memory": "512Mi" } } }),
            ),
            "spec.resources.containerDefaults",
            "above the limit",
        ),
        (
            "no peers",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "to": { "matchLabels": { "app": "b" } } }] }),
            ),
            "spec.network.allow[0]",
            "needs peers",
        ),
        (
            "no peers in the list",
            with("network", json!({ "allow": [{ "name": "x", "from": [] }] })),
            "spec.network.allow[0].from",
            "too few",
        ),
        (
            "empty peer",
            with("network", json!({ "allow": [{ "name": "x", "from": [{}] }] })),
            "spec.network.allow[0].from[0]",
            "everyone",
        ),
        (
            "both ways",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "from": [{ "podSelector": {} }], "toPeers": [{ "podSelector": {} }] }] }),
            ),
            "spec.network.allow[0]",
            "either",
        ),
        (
            "reserved name",
            with(
                "network",
                json!({ "allow": [{ "name": "dns", "from": [{ "podSelector": {} }] }] }),
            ),
            "spec.network.allow[0]",
            "dns",
        ),
        ("any address", any(json!({})), "spec.network", "acknowledgeAnyCIDR"),
        (
            "any v6 address",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "toPeers": [{ "ipBlock": { "cidr": "::/0" } }] }] }),
            ),
            "spec.network",
            "acknowledgeAnyCIDR",
        ),
        (
            "no CIDR",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "from": [{ "ipBlock": { "cidr": "10.0.0.300/8" } }] }] }),
            ),
            "spec.network.allow[0].from[0].ipBlock.cidr",
            "CIDR",
        ),
        (
            "except outside",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "from": [{ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"] } }] }] }),
            ),
            "spec.network.allow[0].from[0].ipBlock",
            "inside",
        ),
        (
            "unknown field",
            with("podSecurty", json!({ "level": "baseline" })),
            "spec.podSecurty",
            "unknown field",
        ),
        (
            "raw rule text",
            with("falco", json!({ "rules": ["spawned_process and shell"] })),
            "spec.falco.rules[0]",
            "unsupported",
        ),
        ("priority", with("priority", json!(1001)), "spec.priority", "large"),
        ("soak", with("rollout", json!({ "minSoak": "10s" })), "spec.rollout.minSoak", "1m"),
        ("soak", with("rollout", json!({ "minSoak": "2161h" })), "spec.rollout.minSoak", "90 days"),
        ("wave", with("rollout", json!({ "waveSize": "101%" })), "spec.rollout.waveSize", "match"),
        ("wave", with("rollout", json!({ "waveSize": 0 })), "spec.rollout.waveSize", "small"),
        (
            "disable",
            with("istio", json!({ "peerAuthentication": "DISABLE" })),
            "spec.istio.peerAuthentication",
            "unsupported",
        ),
        (
            "results",
            with("reports", json!({ "maxResultsPerNamespace": 5 })),
            "spec.reports.maxResultsPerNamespace",
            "small",
        ),
        ("boolean word", with("conflictPolicy", json!("On")), "spec.conflictPolicy", "unsupported"),
    ];
    for (what, object, path, remedy) in &cases {
        let faults = refused(object);
        assert!(
            faults.iter().any(|f| f.starts_with(&format!("{path}:")) && f.contains(remedy)),
            "{what}: {path} / {remedy} not in {faults:?}"
        );
    }
    accepted(&any(json!({ "acknowledgeAnyCIDR": true })));
}

#[test]
fn a_name_that_does_not_fit_into_generated_names_is_refused() {
    for name in ["a".repeat(80), "a".repeat(41), "with.dots".to_owned()] {
        let mut object = with("podSecurity", json!({}));
        object["metadata"]["name"] = json!(name);
        assert!(refused(&object)[0].contains("DNS label of at most 40"), "{name}");
    }
    let mut object = with("podSecurity", json!({}));
    object["metadata"]["name"] = json!("a".repeat(40));
    accepted(&object);
}

#[test]
fn bounds_of_lists_are_kept() {
    let rule = |i: usize| json!({ "name": format!("r{i}"), "from": [{ "podSelector": {} }] });
    let rules = |n: usize| (0..n).map(rule).collect::<Vec<_>>();
    accepted(&with("network", json!({ "allow": rules(64) })));
    refused(&with("network", json!({ "allow": rules(65) })));
    let names = |n: usize| (0..n).map(|i| format!("ns{i}")).collect::<Vec<_>>();
    accepted(&with("excludeNames", json!(names(256))));
    refused(&with("excludeNames", json!(names(257))));
}

#[test]
fn no_choice_is_a_word_that_yaml_reads_as_a_boolean() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(
                    fields
                        .get("enum")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .map(ToString::to_string),
                );
                fields.values().for_each(|v| walk(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    for crd in crds() {
        walk(&serde_json::to_value(crd).expect("JSON"), &mut words);
    }
    assert!(words.len() > 60);
    for word in words {
        assert!(
            !["on", "off", "yes", "no", "y", "n", "null"]
                .contains(&word.trim_matches('"').to_lowercase().as_str())
        );
    }
}

#[test]
fn an_object_of_another_schema_version_is_still_read() {
    let object = with("podSecurity", json!({ "level": "hermetic", "futureField": [1] }));
    let typed: HardeningBaseline = serde_json::from_value(object).expect("the reader is tolerant");
    let level = typed.spec.pod_security.and_then(|p| p.level);
    assert_eq!(level, Some(gabion::api::hardening_baseline::Level::Unknown));
}
