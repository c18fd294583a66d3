//! Schema fragments shared by the hardening kinds: bounds, CEL rules, selectors, quantities.
//!
//! Every list, map and string that a rule walks is bounded, because the API server refuses a schema whose
//! worst case is too expensive to check.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Lower-case DNS label, the form of namespace and rule names.
const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Value of a label.
const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// Key of a label, with or without a prefix: what the API server takes, apart from the length of the prefix.
const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// Resources of a quota that are counted, so that only whole numbers are taken.
pub(crate) const COUNTED: [&str; 9] = [
    "pods",
    "services",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
    "services.nodeports",
    "services.loadbalancers",
];
/// Further resources of a quota that have no domain.
pub(crate) const MEASURED: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
/// Resources of a container that have no domain.
pub(crate) const STATED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// `host[:port][/path]`, lower case.
const REGISTRY: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$";
/// An image without tag and digest: `[host[:port]/]path`, lower case.
pub(crate) const IMAGE_REPOSITORY: &str = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$";
/// Go duration without a sign.
const GO_DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// The value of `x-kubernetes-validations` for pairs of rule and message.
pub(crate) fn rules(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(rule, message)| json!({ "rule": rule, "message": message })).collect()
}

/// A list of at most 256 namespace names.
pub(crate) fn dns_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 256, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 63, "pattern": DNS_LABEL },
    })
}

/// One DNS label.
pub(crate) fn dns_label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 63, "pattern": DNS_LABEL })
}

/// Ids of 1 to 16 controls. Which of them can be waived is no matter of the schema, and told in the status.
pub(crate) fn control_ids(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^(PSS|HB)-[A-Za-z0-9_-]+$" },
    })
}

/// Name of one object.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 253,
                   "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" })
}

/// An image without tag and digest. The host may have a port.
pub(crate) fn image_repository(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": IMAGE_REPOSITORY })
}

/// Name of a user, as the API server knows it.
pub(crate) fn user_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 256 })
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn spec_hash(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 64, "pattern": "^[0-9a-f]{64}$" })
}

/// A list of at most 16 names of cluster objects.
pub(crate) fn object_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 253,
                   "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" },
    })
}

/// A span of time between one minute and ninety days.
pub(crate) fn soak(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 24, "pattern": GO_DURATION,
        "x-kubernetes-validations": rules(&[(
            "duration(self) >= duration('1m') && duration(self) <= duration('2160h')",
            "must be a duration from 1m to 2160h (90 days)",
        )]),
    })
}

/// A positive span of time.
pub(crate) fn span(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 24, "pattern": GO_DURATION })
}

/// Namespaces promoted at once: a count or a percentage.
pub(crate) fn wave_size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "minimum": 1, "maximum": 1000, "maxLength": 4, "pattern": "^(100|[1-9][0-9]?)%$",
    })
}

/// A port number or the name of a container port.
pub(crate) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "minimum": 1, "maximum": 65535, "maxLength": 15, "pattern": DNS_LABEL,
    })
}

/// Quantities by name: one of `names`, huge pages, or any name with a domain.
fn quantity_map(max: u32, names: &[&str], message: &str) -> Schema {
    let listed = listed(names);
    json_schema!({
        "type": "object", "maxProperties": max,
        "x-kubernetes-validations": rules(&[(
            &format!("self.all(k, k.contains('/') || k.startsWith('hugepages-') || k.startsWith('requests.hugepages-') || k in {listed})"),
            message,
        )]),
        "additionalProperties": {
            "x-kubernetes-int-or-string": true, "maxLength": 32,
            "x-kubernetes-validations": rules(&[(
                "isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0'))",
                "must be a quantity of zero or more, such as 500m, 64Gi or 20",
            )]),
        },
    })
}

/// A list of words in CEL.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Quota limits by resource name.
pub(crate) fn quota_quantities(_: &mut SchemaGenerator) -> Schema {
    let names = [&COUNTED[..], &MEASURED[..]].concat();
    let mut schema = quantity_map(
        32,
        &names,
        "keys must be resources that a ResourceQuota can hold, such as pods, limits.memory, requests.cpu, count/deployments.apps or requests.nvidia.com/gpu",
    );
    schema.insert("minProperties".into(), json!(1));
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut) {
        let counted = listed(&COUNTED);
        rules.push(json!({
            "rule": format!(
                "self.all(k, !(k in {counted} || k.startsWith('count/')) || !isQuantity(string(self[k])) || quantity(string(self[k])).isInteger())"
            ),
            "message": "what is counted, such as pods, must be a whole number",
        }));
    }
    schema
}

/// Container resources by resource name.
pub(crate) fn container_quantities(_: &mut SchemaGenerator) -> Schema {
    quantity_map(
        16,
        &STATED,
        "keys must be resources that a container can state, such as cpu, memory or nvidia.com/gpu",
    )
}

/// Registries and repositories: a host with an optional port and path.
pub(crate) fn registries(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 255,
            "x-kubernetes-validations": rules(&[(
                &format!("self.matches('{REGISTRY}')"),
                "must be host[:port][/path] in lower case, without scheme, wildcard or tag, \
                 such as registry.example.com/team",
            )]),
        },
    })
}

/// Paths of seccomp profiles on the node.
pub(crate) fn seccomp_profiles(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 255,
            "x-kubernetes-validations": rules(&[(
                "!self.startsWith('/') && !self.contains('..')",
                "must be a path relative to the kubelet's seccomp folder, without '..'",
            )]),
        },
    })
}

/// Names of environment variables.
pub(crate) fn env_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 253, "pattern": "^[-._a-zA-Z][-._a-zA-Z0-9]*$" },
    })
}

/// Audiences of tokens.
pub(crate) fn token_audiences(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 253 },
    })
}

/// Principals of a mesh.
pub(crate) fn principals(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 320 },
    })
}

/// A block of addresses.
pub(crate) fn cidr(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 49,
        "x-kubernetes-validations": rules(&[(
            "isCIDR(self) && cidr(self).masked() == cidr(self)",
            "must be a CIDR without bits beyond its prefix, such as 10.0.0.0/8 or 2001:db8::/32",
        )]),
    })
}

/// Blocks of addresses taken out of another block.
pub(crate) fn excepted_cidrs(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set", "items": cidr(generator),
    })
}

fn selector(ours_refused: bool) -> Schema {
    let (keys, key) = if ours_refused {
        (
            rules(&[
                (
                    "self.all(k, !k.startsWith('gabion.dev/'))",
                    "keys under gabion.dev/ are written by the operator; select by a label of your own",
                ),
                (
                    &format!("self.all(k, size(k) <= 317 && k.matches('{LABEL_KEY}'))"),
                    "keys must be label keys",
                ),
            ]),
            rules(&[(
                "!self.startsWith('gabion.dev/')",
                "keys under gabion.dev/ are written by the operator; select by a label of your own",
            )]),
        )
    } else {
        (json!([]), json!([]))
    };
    json_schema!({
        "type": "object",
        "description": "Selects by labels; all matchLabels and matchExpressions must hold.",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 16, "x-kubernetes-validations": keys,
                "additionalProperties": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
            },
            "matchExpressions": {
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": { "type": "string", "minLength": 1, "maxLength": 317,
                                 "pattern": LABEL_KEY, "x-kubernetes-validations": key },
                        "operator": { "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"] },
                        "values": {
                            "type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
                        },
                    },
                    "x-kubernetes-validations": rules(&[(
                        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "In and NotIn need values; Exists and DoesNotExist must have none",
                    )]),
                },
            },
        },
    })
}

/// A selector of namespaces: keys that the operator writes itself are refused.
pub(crate) fn namespace_selector(_: &mut SchemaGenerator) -> Schema {
    selector(true)
}

/// A selector of pods, or of the namespaces of a peer.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    selector(false)
}
