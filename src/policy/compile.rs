//! Policies and bindings for the API server.
//!
//! A baseline has up to three policies: what is refused in pods, what is only warned about in pods, and the
//! templates of the kinds that make pods. Constants are inlined, for a policy that waits for a parameter object
//! can keep a cluster from starting; protected namespaces are left out in the selectors themselves.

use serde_json::{Value, json};

use super::error::PolicyError;
use super::expressions::{Family, policy_spec};
use super::limits;
use super::probe::{Probe, probe};
use super::rules::{Rule, asked};
use super::scope::Scope;
use super::settings::Settings;
use super::subject::WorkloadKind;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::hardening_baseline::Verdict;
use crate::digest::digest_text;
use crate::marks::{FIELD_MANAGER, MANAGED_BY, OWNER};
use crate::policy::selection::NAME_LABEL;

/// Stands for the revision while it is computed.
const UNKNOWN_REVISION: &str = "000000000000";

/// What a baseline puts into the API server.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySet {
    /// Hash of everything that decides a verdict; also in every message.
    pub revision: String,
    /// `ValidatingAdmissionPolicy` objects, ready to be applied; none at Observe, or when nothing is checked.
    pub policies: Vec<Value>,
    /// `ValidatingAdmissionPolicyBinding` objects for the stage.
    pub bindings: Vec<Value>,
    /// The objects that prove each policy.
    pub probes: Vec<Probe>,
}

/// Compiles settings into policies. Fails when no pod could hold the settings, or the API server could not use them.
pub fn compile(settings: &Settings, scope: &Scope, stage: Stage) -> Result<PolicySet, PolicyError> {
    let families = match stage {
        Stage::Observe | Stage::Unknown => Vec::new(),
        Stage::Audit | Stage::Warn | Stage::Enforce => families(settings, stage),
    };
    let written = |revision: &str| -> Vec<Value> {
        families.iter().map(|family| policy(family, settings, scope, revision)).collect()
    };
    let unrevised = json!(written(UNKNOWN_REVISION));
    let revision: String = digest_text(&unrevised).chars().take(UNKNOWN_REVISION.len()).collect();
    let mut set = PolicySet {
        revision: revision.clone(),
        // Written anew, not replaced in the text: a user may write the same zeros.
        policies: written(&revision),
        bindings: Vec::new(),
        probes: Vec::new(),
    };
    if !families.is_empty() {
        limits::check(settings, &revision, &set.policies)?;
    }
    for family in &families {
        let name = name_of(scope, family.suffix);
        set.bindings.push(binding(&name, family, scope, stage));
        let mark = family.mark(&revision);
        set.probes.push(probe(settings, family.probe, (&name, &mark))?);
    }
    Ok(set)
}

/// The policies that there are, each with its rules.
fn families(settings: &Settings, stage: Stage) -> Vec<Family> {
    let with = |wanted: &dyn Fn(Verdict) -> bool| -> Vec<&'static Rule> {
        asked(settings).filter(|(_, verdict)| wanted(*verdict)).map(|(rule, _)| rule).collect()
    };
    let enforced = stage == Stage::Enforce;
    let family = |suffix, rules, denies, probe| Family { suffix, rules, denies, probe };
    let mut families = vec![
        family("pods", with(&|v| v == Verdict::Deny), enforced, WorkloadKind::Pod),
        family("advice", with(&|v| v == Verdict::Warn), false, WorkloadKind::Pod),
    ];
    let refuses_templates = enforced && settings.templates == Verdict::Deny;
    match settings.templates {
        Verdict::Warn => {
            families.push(family("templates", with(&|_| true), false, WorkloadKind::Deployment));
        }
        Verdict::Deny => families.push(family(
            "templates",
            with(&|v| v == Verdict::Deny),
            refuses_templates,
            WorkloadKind::Deployment,
        )),
        Verdict::Ignore | Verdict::Unknown => {}
    }
    families.retain(|family| !family.rules.is_empty());
    families
}

fn name_of(scope: &Scope, suffix: &str) -> String {
    format!("gabion-{}-{suffix}", scope.name)
}

fn metadata(name: &str, scope: &Scope) -> Value {
    json!({
        "name": name,
        "labels": { MANAGED_BY: FIELD_MANAGER },
        "annotations": { OWNER: scope.uid },
    })
}

fn policy(family: &Family, settings: &Settings, scope: &Scope, revision: &str) -> Value {
    let mut spec = policy_spec(family, settings, (&scope.name, revision), &scope.waivers);
    spec["matchConstraints"]["namespaceSelector"] = selector(scope, false);
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata(&name_of(scope, family.suffix), scope),
        "spec": spec,
    })
}

fn binding(name: &str, family: &Family, scope: &Scope, stage: Stage) -> Value {
    let actions = match stage {
        Stage::Enforce if family.denies => json!(["Deny", "Audit"]),
        Stage::Enforce | Stage::Warn => json!(["Warn", "Audit"]),
        Stage::Audit | Stage::Observe | Stage::Unknown => json!(["Audit"]),
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata(name, scope),
        "spec": {
            "policyName": name,
            "validationActions": actions,
            "matchResources": { "namespaceSelector": selector(scope, true) },
        },
    })
}

/// The user's selector and, by name, what is never or not yet reached.
pub(super) fn selector(scope: &Scope, ahead_only: bool) -> Value {
    let mut selector = json!({ "matchLabels": scope.selection.selector.match_labels });
    let mut out: std::collections::BTreeSet<&str> = scope.protected.names().collect();
    out.extend(scope.selection.exclude.iter().map(String::as_str));
    if ahead_only {
        out.extend(scope.behind.iter().map(String::as_str));
    }
    let requirement = |key: &str, operator: &str, values: &[String]| match values {
        [] => json!({ "key": key, "operator": operator }),
        values => json!({ "key": key, "operator": operator, "values": values }),
    };
    let expressions = scope.selection.selector.match_expressions.iter();
    let mut expressions: Vec<_> =
        expressions.map(|e| requirement(&e.key, e.operator.as_str(), &e.values)).collect();
    let out: Vec<_> = out.into_iter().map(str::to_owned).collect();
    expressions.push(requirement(NAME_LABEL, "NotIn", &out));
    selector["matchExpressions"] = json!(expressions);
    selector
}
