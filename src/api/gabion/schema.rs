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
/// Key of a label, with or without a prefix.
const LABEL_KEY: &str =
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// `host[:port][/path]`, lower case.
const REGISTRY: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$";
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

fn quantity_map(max: u32) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": max,
        "additionalProperties": {
            "type": "string", "minLength": 1, "maxLength": 32,
            "x-kubernetes-validations": rules(&[(
                "isQuantity(self) && !quantity(self).isLessThan(quantity('0'))",
                "must be a quantity of zero or more, such as 500m, 64Gi or 20",
            )]),
        },
    })
}

/// Quota limits by resource name.
pub(crate) fn quota_quantities(_: &mut SchemaGenerator) -> Schema {
    let mut schema = quantity_map(32);
    schema.insert("minProperties".into(), json!(1));
    schema
}

/// Container resources by resource name.
pub(crate) fn container_quantities(_: &mut SchemaGenerator) -> Schema {
    quantity_map(16)
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
            "isCIDR(self)", "must be a CIDR such as 10.0.0.0/8 or 2001:db8::/32",
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
