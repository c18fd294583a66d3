//! Fields that the schema accepts and this version does not act on yet. Nothing is ignored in silence: a
//! baseline that sets one says so in its condition `FullyImplemented`.

use crate::api::gabion::hardening_baseline::Dns;
use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;
use crate::api::gabion::hardening_baseline::Mesh;
use crate::api::gabion::hardening_baseline::NewNamespaces;
use crate::api::gabion::hardening_baseline::Promotion;
use crate::api::gabion::hardening_baseline::Rollout;

/// Paths, below `spec`, of the fields that are set and not acted on yet, in the order of the schema.
pub(crate) fn unimplemented_fields(spec: &HardeningBaselineSpec) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let mut say = |set: bool, field| {
        if set {
            fields.push(field);
        }
    };
    say(!spec.include_protected.is_empty(), "includeProtected");
    if let Some(rollout) = &spec.rollout {
        rollout_fields(rollout, &mut say);
    }
    if let Some(images) = &spec.images {
        say(!images.trust_policies.is_empty(), "images.trustPolicies");
        say(images.vulnerabilities.is_some(), "images.vulnerabilities");
    }
    if let Some(network) = &spec.network {
        say(network.mesh.is_some_and(|mesh| mesh != Mesh::None), "network.mesh");
        say(network.respect_existing == Some(true), "network.respectExisting");
        say(network.dns == Some(Dns::Unknown), "network.dns");
    }
    say(spec.istio.is_some(), "istio");
    say(spec.falco.is_some(), "falco");
    if let Some(mutate) = &spec.mutate {
        let asked = [mutate.pod_defaults, mutate.namespace_labels, mutate.service_accounts];
        say(asked.contains(&Some(true)), "mutate");
    }
    say(spec.reports.is_some(), "reports");
    fields
}

fn rollout_fields(rollout: &Rollout, say: &mut impl FnMut(bool, &'static str)) {
    say(rollout.promotion == Some(Promotion::Auto), "rollout.promotion");
    say(rollout.min_soak.is_some(), "rollout.minSoak");
    say(rollout.max_violations.is_some(), "rollout.maxViolations");
    say(rollout.wave_size.is_some(), "rollout.waveSize");
    say(rollout.new_namespaces == Some(NewNamespaces::Staged), "rollout.newNamespaces");
    say(rollout.paused == Some(true), "rollout.paused");
    say(!rollout.acknowledge.is_empty(), "rollout.acknowledge");
    say(rollout.approved_wave.is_some(), "rollout.approvedWave");
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::gabion::hardening_baseline::HardeningBaseline;

    /// A spec that asks for all that this version does not act on.
    fn asking() -> HardeningBaselineSpec {
        serde_json::from_value(json!({
            "allNamespaces": true,
            "includeProtected": ["kube-system"],
            "rollout": {"target": "Enforce", "promotion": "Auto", "minSoak": "24h", "maxViolations": 0,
                "waveSize": "20%", "newNamespaces": "Staged", "paused": true,
                "acknowledge": ["a"], "approvedWave": 1},
            "images": {"trustPolicies": ["a"], "vulnerabilities": {}},
            "network": {"mesh": "IstioSidecar", "respectExisting": true},
            "istio": {}, "falco": {}, "reports": {},
            "mutate": {"podDefaults": true, "namespaceLabels": true, "serviceAccounts": true},
        }))
        .unwrap()
    }

    fn schema() -> Value {
        let crd = serde_json::to_value(HardeningBaseline::crd()).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    }

    fn described<'a>(schema: &'a Value, path: &str) -> &'a str {
        let at = path.split('.').fold(schema, |at, field| &at["properties"][field]);
        at["description"].as_str().unwrap_or_else(|| panic!("{path} is not described"))
    }

    /// Every field whose description says so, as its path.
    fn not_acted_on(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
            let text = inner["description"].as_str().unwrap_or_default();
            if text.contains("Not acted on yet") {
                assert!(!text.contains("Default"), "{path} promises a default: {text}");
                found.push(path.clone());
            }
            not_acted_on(inner, &path, found);
        }
    }

    #[test]
    fn hardening_5_nothing_is_promised_of_fields_that_are_not_acted_on() {
        let (schema, named) = (schema(), unimplemented_fields(&asking()));
        for path in &named {
            let text = described(&schema, path);
            assert!(text.contains("ot acted on yet"), "{path}: {text}");
        }
        let mut said = Vec::new();
        not_acted_on(&schema, "", &mut said);
        assert!(said.len() > 20, "{said:?}");
        for path in said {
            let is_named =
                named.iter().any(|name| path == *name || path.starts_with(&format!("{name}.")));
            assert!(is_named, "FullyImplemented does not name {path}");
        }
        // What is switched on by default in the contract is off until somebody sets it, and then it is named.
        assert_eq!(unimplemented_fields(&HardeningBaselineSpec::default()), [""; 0]);
    }
}
