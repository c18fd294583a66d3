//! Baselines that must be refused, each with the field and a word of the remedy, and a few that must not.

use serde_json::{Value, json};

/// A baseline with this spec.
pub fn baseline(spec: Value) -> Value {
    json!({ "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
            "metadata": { "name": "prod" }, "spec": spec })
}

/// A small valid spec with one more section.
pub fn with(section: &str, value: Value) -> Value {
    let mut spec = json!({ "namespaceSelector": { "matchLabels": { "env": "prod" } } });
    spec[section] = value;
    baseline(spec)
}

/// What is wrong with a baseline.
pub struct Malformed {
    /// The baseline.
    pub object: Value,
    /// Path of the field.
    pub path: &'static str,
    /// A word that the message must hold.
    pub remedy: &'static str,
    /// Whether only a real API server can tell: the evaluator of the tests has no `type()`.
    pub server_only: bool,
}

fn any_address(more: Value) -> Value {
    let mut rule = json!({ "name": "any", "from": [{ "ipBlock": { "cidr": "0.0.0.0/0" } }] });
    rule.as_object_mut().expect("a rule").extend(more.as_object().expect("fields").clone());
    with("network", json!({ "allow": [rule] }))
}

/// A rule that opens to every address, and says so.
pub fn acknowledged() -> Value {
    any_address(json!({ "acknowledgeAnyCIDR": true }))
}

/// Everything that must be refused.
pub fn malformed() -> Vec<Malformed> {
    let many: Vec<String> = (0..65).map(|i| format!("r{i}.example")).collect();
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
            "quota name",
            with("resources", json!({ "quota": { "hard": { "pod": "20" } } })),
            "spec.resources.quota.hard",
            "ResourceQuota",
        ),
        (
            "count",
            with("resources", json!({ "quota": { "hard": { "pods": "1500m" } } })),
            "spec.resources.quota.hard",
            "whole number",
        ),
        (
            "resource name",
            with("resources", json!({ "containerMax": { "memoryy": "1Gi" } })),
            "spec.resources.containerMax",
            "container",
        ),
        (
            "host bits",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "from": [{ "ipBlock": { "cidr": "10.0.0.5/8" } }] }] }),
            ),
            "spec.network.allow[0].from[0].ipBlock.cidr",
            "beyond its prefix",
        ),
        (
            "host bits",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "from": [{ "ipBlock": { "cidr": "2001:db8::1/32" } }] }] }),
            ),
            "spec.network.allow[0].from[0].ipBlock.cidr",
            "beyond its prefix",
        ),
        (
            "except",
            with(
                "network",
                json!({ "allow": [{ "name": "x", "from": [{ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"] } }] }] }),
            ),
            "spec.network.allow[0].from[0].ipBlock",
            "smaller",
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
        ("any address", any_address(json!({})), "spec.network", "acknowledgeAnyCIDR"),
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
    let port = |port: Value| {
        with(
            "network",
            json!({ "allow": [{ "name": "x", "from": [{ "podSelector": {} }], "ports": [port] }] }),
        )
    };
    let ranges = [
        json!({ "port": 90, "endPort": 80 }),
        json!({ "port": "http", "endPort": 80 }),
        json!({ "endPort": 80 }),
    ];
    let ranges = ranges.into_iter().map(|range| Malformed {
        object: port(range),
        path: "spec.network.allow[0].ports[0]",
        remedy: "endPort",
        server_only: true,
    });
    let cases = cases.into_iter().map(|(_, object, path, remedy)| Malformed {
        object,
        path,
        remedy,
        server_only: false,
    });
    cases.chain(ranges).collect()
}
