//! Policies that hold people to what a baseline enforces.
//!
//! Whoever may edit a namespace could else leave its baseline by another label, or lower the Pod Security labels; and
//! whoever may write network policies could open what it denies. The API server refuses that by itself, with Gabion
//! up or down. Nothing here concerns the creation or the deletion of a namespace, an update that leaves the watched
//! labels as they are, or what system controllers do: a namespace can always be finalized.
//!
//! Whoever has to pass is given one of two verbs by RBAC. They are no verbs of the API server, only these policies ask
//! for them: `set-pss-labels` on namespaces, `protect-override` on hardeningbaselines.gabion.dev.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::compile::selector;
use super::literal::{all_of, any_of, text as literal, texts};
use super::scope::Scope;
use crate::api::gabion::hardening_baseline::{Direction, Requirement, SelectorOperator};
use crate::marks::{FIELD_MANAGER, MANAGED_BY, OWNER};
use crate::network_peers::half_of_public_v4;
use crate::policy::selection::NAME_LABEL;

/// Labels of the Pod Security Standards, as the API server's plugin reads them.
const PSS_LABELS: [&str; 6] = [
    "pod-security.kubernetes.io/enforce",
    "pod-security.kubernetes.io/enforce-version",
    "pod-security.kubernetes.io/audit",
    "pod-security.kubernetes.io/audit-version",
    "pod-security.kubernetes.io/warn",
    "pod-security.kubernetes.io/warn-version",
];
/// Prefixes of IPv6 up to this length hold half of all public addresses.
const SHORT_V6: u32 = 4;
/// Blocks of IPv6 are counted in networks of this length; smaller ones do not fill an object.
const UNIT_V6: u32 = 64;
/// A quarter of the public addresses of IPv6, 2000::/3, in such networks.
const QUARTER_OF_PUBLIC_V6: u64 = 1 << (UNIT_V6 - SHORT_V6 - 1);
/// As many ports make a rule for outgoing traffic as good as one without ports; see [`crate::network_peers::few_ports`].
const MANY_PORTS: u64 = 1 << 15;

/// A policy and its binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The `ValidatingAdmissionPolicy`.
    pub policy: Value,
    /// Its `ValidatingAdmissionPolicyBinding`, which denies.
    pub binding: Value,
}

/// What the guards of a baseline need to know besides its scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Whether it manages the Pod Security labels, itself or by another tool.
    pub pod_security: bool,
    /// Directions that users' own network policies may not open to everyone; none if they are not refused.
    pub network: BTreeSet<Direction>,
}

/// The guards of a baseline at stage Enforce. Gabion itself runs in the namespace `operator`.
pub fn guards(scope: &Scope, guarded: &Guarded, operator: &str) -> Vec<Guard> {
    let labels = label_guard(scope, guarded, operator);
    let network = (!guarded.network.is_empty()).then(|| network_guard(scope, guarded, operator));
    labels.into_iter().chain(network).collect()
}

/// Nobody leaves the selector by another label, or changes the Pod Security labels. `None` if there is no such label.
fn label_guard(scope: &Scope, guarded: &Guarded, operator: &str) -> Option<Guard> {
    let selecting = selecting_keys(scope);
    let standards: Vec<&str> = if guarded.pod_security { PSS_LABELS.to_vec() } else { Vec::new() };
    let name = literal(&scope.name);
    let may = "authorizer.group('').resource('namespaces').name(object.metadata.name)\
               .check('set-pss-labels').allowed()";
    let validation = |keys: &[&str], what: &str| {
        let same = all_of(keys.iter().map(|key| same(key)));
        let keys = keys.join(", ");
        json!({
            "expression": format!("{same} || {may}"),
            "reason": "Forbidden",
            "message": format!("the labels {keys} of this namespace {what}"),
            "messageExpression": format!(
                "'hardening baseline ' + {name} + ' is enforced in namespace ' + object.metadata.name + ': the labels ' + {} \
                 + ' {what}; changing them needs the verb set-pss-labels on namespaces'", literal(&keys)),
        })
    };
    let mut validations = Vec::new();
    if !selecting.is_empty() {
        validations.push(validation(&selecting, "decide which baselines reach it"));
    }
    if !standards.is_empty() {
        validations.push(validation(&standards, "are those of the Pod Security Standards"));
    }
    if validations.is_empty() {
        return None;
    }
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "scope": "Cluster",
        // Labels can be written by each of them.
        "resources": ["namespaces", "namespaces/status", "namespaces/finalize"],
    });
    let conditions = json!([
        {"name": "was-selected", "expression": was_selected(scope)},
        {"name": "is-not-gabion", "expression": not_gabion(operator)},
    ]);
    // By name only: labels of the new object must not lead out.
    let excluded: Vec<_> =
        scope.protected.names().chain(scope.selection.exclude.iter().map(String::as_str)).collect();
    let reach =
        json!({"matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": excluded}]});
    let spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": [rule]},
        "matchConditions": conditions,
        "validations": validations,
    });
    Some(guard(scope, "labels", spec, &reach))
}

/// Keys of the selector. The API server lets nobody change the name label.
fn selecting_keys(scope: &Scope) -> Vec<&str> {
    let selector = &scope.selection.selector;
    let expressions = selector.match_expressions.iter().map(|e| e.key.as_str());
    let keys: BTreeSet<_> =
        selector.match_labels.keys().map(String::as_str).chain(expressions).collect();
    keys.into_iter().filter(|key| *key != NAME_LABEL).collect()
}

/// A label of an object, as an optional value.
fn label(of: &str, key: &str) -> String {
    format!("{of}.metadata.?labels[?{}]", literal(key))
}

fn same(key: &str) -> String {
    let (old, new) = (label("oldObject", key), label("object", key));
    format!("({old}.hasValue() == {new}.hasValue() && {old}.orValue('') == {new}.orValue(''))")
}

/// Whether the baseline reached the namespace before the update.
fn was_selected(scope: &Scope) -> String {
    let selector = &scope.selection.selector;
    let equal =
        selector.match_labels.iter().map(|(key, value)| holds_in(key, std::slice::from_ref(value)));
    let holds = selector.match_expressions.iter().map(requirement);
    all_of(equal.chain(holds))
}

fn holds_in(key: &str, values: &[String]) -> String {
    let found = label("oldObject", key);
    let values = texts(values.iter().map(String::as_str));
    format!("({found}.hasValue() && {found}.orValue('') in {values})")
}

fn requirement(requirement: &Requirement) -> String {
    let (key, values) = (&requirement.key, &requirement.values);
    let found = label("oldObject", key);
    match requirement.operator {
        SelectorOperator::In => holds_in(key, values),
        SelectorOperator::NotIn => format!("!{}", holds_in(key, values)),
        SelectorOperator::Exists => format!("{found}.hasValue()"),
        SelectorOperator::DoesNotExist => format!("!{found}.hasValue()"),
        // A compiled baseline has no such operator, and the selection reaches nothing by it either.
        SelectorOperator::Unknown => "false".to_owned(),
    }
}

fn not_gabion(operator: &str) -> String {
    let group = literal(&format!("system:serviceaccounts:{operator}"));
    format!("!({group} in request.userInfo.?groups.orValue([]))")
}

/// Nobody opens to everyone what the baseline denies. This refuses at least all that a report would name as open by
/// its own words; what is open only because of the namespaces that there are is still reported.
fn network_guard(scope: &Scope, guarded: &Guarded, operator: &str) -> Guard {
    let rule = json!({
        "apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "scope": "Namespaced", "resources": ["networkpolicies"],
    });
    let conditions = json!([
        // Finalizers and labels of a policy from before are nobody's business here.
        {"name": "is-written", "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec"},
        {"name": "is-not-gabion", "expression": not_gabion(operator)},
    ]);
    let may = format!(
        "authorizer.group('gabion.dev').resource('hardeningbaselines').name({}).check('protect-override').allowed()",
        literal(&scope.name)
    );
    let validations: Vec<_> = guarded.network.iter().map(|direction| {
        let word = direction.as_str();
        json!({
            "expression": format!("!({}) || {may}", opens(*direction)),
            "reason": "Forbidden",
            "message": format!(
                "hardening baseline {} denies {word} unless it allows it, and this policy opens it to everyone: name the peers by \
                 pods, by labels that namespaces must have, or by smaller blocks of addresses; or have an allow rule added to the baseline",
                scope.name),
        })
    }).collect();
    let spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": [rule]},
        "matchConditions": conditions,
        "variables": [
            {"name": "v4", "expression": numbers((0..=32_u32).map(|prefix| 1_u64 << (32 - prefix)))},
            {"name": "v6", "expression": numbers((0..=128_u32).map(|prefix| match prefix {
                // Refused whatever else there is.
                0..=SHORT_V6 => 0,
                _ => UNIT_V6.checked_sub(prefix).map_or(0, |bits| 1 << bits),
            }))},
        ],
        "validations": validations,
    });
    guard(scope, "network", spec, &selector(scope, true))
}

fn numbers(all: impl Iterator<Item = u64>) -> String {
    let all: Vec<_> = all.map(|number| number.to_string()).collect();
    format!("[{}]", all.join(", "))
}

/// Whether a policy opens a direction to everyone: peers of all its rules count together, as two halves are a whole.
fn opens(direction: Direction) -> String {
    let (list, peers, which) = match direction {
        Direction::Egress => ("egress", "to", format!(".filter(r, !({}))", few_ports("r"))),
        Direction::Ingress | Direction::Unknown => ("ingress", "from", String::new()),
    };
    let word = literal(direction.as_str());
    let rules = format!("object.spec.?{list}.orValue([]){which}");
    let of_rule = format!("r.?{peers}.orValue([])");
    let sum = |amount: &str| format!("{rules}.map(r, {of_rule}.map(p, {amount}).sum()).sum()");
    let prefix = "int(p.ipBlock.cidr.split('/')[1])";
    let is_v6 = "p.ipBlock.cidr.contains(':')";
    let kinds = "object.spec.?policyTypes.orValue([])";
    let open = any_of([
        format!("{of_rule}.size() == 0"),
        format!(
            "{of_rule}.exists(p, {} || has(p.ipBlock) && {is_v6} && {prefix} <= {SHORT_V6})",
            every_pod("p")
        ),
    ]);
    let wide = any_of([
        format!("{rules}.exists(r, {open})"),
        format!(
            "{} >= {}",
            sum(&format!("has(p.ipBlock) && !{is_v6} ? variables.v4[{prefix}] : 0")),
            half_of_public_v4()
        ),
        format!(
            "{} >= {QUARTER_OF_PUBLIC_V6}",
            sum(&format!("has(p.ipBlock) && {is_v6} ? variables.v6[{prefix}] : 0"))
        ),
    ]);
    format!("({kinds}.size() == 0 || {word} in {kinds}) && {wide}")
}

/// See [`crate::network_peers::few_ports`].
fn few_ports(rule: &str) -> String {
    let count = format!(
        "!has(p.port) ? {MANY_PORTS} : (has(p.endPort) && type(p.port) == int ? int(p.endPort) - int(p.port) + 1 : 1)"
    );
    format!(
        "{rule}.?ports.orValue([]).size() > 0 && {rule}.ports.map(p, {count}).sum() < {MANY_PORTS}"
    )
}

/// A peer that means pods of namespaces that need no label at all: those of namespaces to come, too.
fn every_pod(peer: &str) -> String {
    let open = |selector: &str| {
        format!(
            "{selector}.?matchLabels.orValue({{}}).size() == 0 && {selector}.?matchExpressions.orValue([])\
             .all(e, e.operator in ['NotIn', 'DoesNotExist'] || e.operator == 'Exists' && e.key == {})",
            literal(NAME_LABEL)
        )
    };
    let (namespaces, pods) =
        (open(&format!("{peer}.namespaceSelector")), open(&format!("{peer}.podSelector")));
    format!(
        "!has({peer}.ipBlock) && (has({peer}.namespaceSelector) ? ({namespaces}) && (!has({peer}.podSelector) || ({pods})) \
         : !has({peer}.podSelector))"
    )
}

fn guard(scope: &Scope, suffix: &str, spec: Value, reach: &Value) -> Guard {
    let name = format!("gabion-{}-{suffix}", scope.name);
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {
                "name": name,
                "labels": {MANAGED_BY: FIELD_MANAGER},
                "annotations": {OWNER: scope.uid},
            },
            "spec": spec,
        })
    };
    let binding = json!({
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": reach},
    });
    Guard {
        policy: object("ValidatingAdmissionPolicy", spec),
        binding: object("ValidatingAdmissionPolicyBinding", binding),
    }
}
