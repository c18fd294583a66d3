//! From a baseline to the objects that it wants: what the compiler makes, with our marks, under names that hold
//! the revision, so that two revisions can be in force beside each other.

use serde_json::{Value, json};

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};

use super::{AdmissionKey, AdmissionKind, Desired, Mark, Trial, Wanted};
use crate::api::gabion::hardening_baseline::Stage;
use crate::hardening::plan::baseline::Compiled;
use crate::hardening::plan::error::Error;
use crate::marks::FIELD_MANAGER;
use crate::marks::MANAGED_BY;
use crate::marks::OWNER;
use crate::policy::Scope;
use crate::policy::compile;
use crate::policy::guards::{Guarded, guards};
use crate::policy::selection::NAME_LABEL;
use crate::policy::selection::Protected;
use crate::policy::waivers::Waiver;

/// Namespaces with a meaning of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// Where pods are tried.
    pub(crate) probe: String,
    /// Where Gabion runs.
    pub(crate) operator: String,
    /// Those that no baseline reaches, both of the above among them.
    pub(crate) protected: Protected,
}

/// What a baseline wants.
pub(crate) fn desired(
    compiled: &Compiled,
    site: &Site,
    waivers: &[Waiver],
) -> Result<Desired, Error> {
    let Site { probe, protected, .. } = site;
    let scope = Scope {
        name: compiled.name.clone(),
        uid: compiled.uid.clone(),
        selection: compiled.selection.clone(),
        protected: protected.clone(),
        behind: std::collections::BTreeSet::new(),
        waivers: waivers.to_vec(),
    };
    let set = compile(&compiled.checks, &scope, compiled.stage)?;
    let maker = Maker { compiled, revision: &set.revision, probe, protected };
    let guards = match compiled.stage {
        Stage::Enforce => guards(&scope, &guarded(compiled), &site.operator),
        Stage::Observe | Stage::Audit | Stage::Warn | Stage::Unknown => Vec::new(),
    };
    let policies = set.policies.iter().chain(guards.iter().map(|guard| &guard.policy));
    let policies = policies.map(|policy| maker.policy(policy)).collect::<Result<_, _>>()?;
    let bindings = set.bindings.iter().chain(guards.iter().map(|guard| &guard.binding));
    let bindings = bindings.map(|binding| maker.binding(binding)).collect::<Result<_, _>>()?;
    let trials = set.probes.iter().map(|probe| Trial {
        binding: maker.probe(&probe.policy),
        kind: probe.kind,
        passes: probe.passes.clone(),
        denied: probe.denied.clone(),
        sentinel: probe.sentinel.clone(),
    });
    let trials = trials.collect();
    Ok(Desired {
        revision: set.revision.clone(),
        stage: compiled.stage,
        policies,
        bindings,
        trials,
    })
}

/// What people are held to.
pub(crate) fn guarded(compiled: &Compiled) -> Guarded {
    let refusing = compiled.network.iter().filter(|network| network.refuses_users);
    Guarded {
        pod_security: compiled.pod_security.is_some(),
        network: refusing.flat_map(|network| network.deny.clone()).collect(),
    }
}

struct Maker<'a> {
    compiled: &'a Compiled,
    revision: &'a str,
    probe: &'a str,
    protected: &'a Protected,
}

impl Maker<'_> {
    /// A policy reaches the probe namespace and all that are not protected: the bindings say which of those.
    fn policy(&self, policy: &Value) -> Result<Wanted, Error> {
        let mut body = policy.clone();
        body["metadata"] = self.metadata(&self.name(policy));
        let names: Vec<_> = self.protected.names().filter(|name| *name != self.probe).collect();
        body["spec"]["matchConstraints"]["namespaceSelector"] = not_in(&names);
        Self::wanted(AdmissionKind::Policy, body)
    }

    /// A binding of the stage, which reaches no protected namespace.
    fn binding(&self, binding: &Value) -> Result<Wanted, Error> {
        let mut body = binding.clone();
        body["metadata"] = self.metadata(&self.name(binding));
        let policy = binding["spec"]["policyName"].as_str().unwrap_or_default();
        body["spec"]["policyName"] = self.revised(policy).into();
        Self::wanted(AdmissionKind::Binding, body)
    }

    fn probe(&self, policy: &str) -> Value {
        let name = self.revised(policy);
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": AdmissionKind::Binding.as_str(),
            "metadata": self.metadata(&format!("{name}-probe")),
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchExpressions": [
                    {"key": NAME_LABEL, "operator": "In", "values": [self.probe]}]}},
            },
        })
    }

    fn name(&self, object: &Value) -> String {
        self.revised(object["metadata"]["name"].as_str().unwrap_or_default())
    }

    fn revised(&self, name: &str) -> String {
        if name.ends_with(self.revision) {
            name.to_owned()
        } else {
            format!("{name}-{}", self.revision)
        }
    }

    /// No owner reference: see [`crate::hardening::plan::objects::marked`].
    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "labels": {MANAGED_BY: FIELD_MANAGER},
            "annotations": {OWNER: self.compiled.uid},
        })
    }

    /// In the form in which the API server gives it back.
    fn wanted(kind: AdmissionKind, body: Value) -> Result<Wanted, Error> {
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = AdmissionKey { kind, name };
        let refused =
            |error: serde_json::Error| Error::rejected(&key.to_string(), &error.to_string());
        let mut body = match kind {
            AdmissionKind::Policy => serde_json::from_value::<ValidatingAdmissionPolicy>(body)
                .and_then(|policy| serde_json::to_value(&policy)),
            AdmissionKind::Binding => {
                serde_json::from_value::<ValidatingAdmissionPolicyBinding>(body)
                    .and_then(|binding| serde_json::to_value(&binding))
            }
        }
        .map_err(refused)?;
        if let Some(fields) = body.as_object_mut() {
            fields.remove("status");
        }
        let digest = Mark(&body).digest();
        Ok(Wanted { key, body, digest })
    }
}

fn not_in(names: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": names}]})
}
