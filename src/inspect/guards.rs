//! Whether the policies that hold people to their own names are in the cluster as they were shipped.

use serde_json::{Value, json};

use super::leftovers::Finding;
use crate::cluster::{ReadError, Reader};

/// What is installed, and what happens without it. A chart gives it other names.
const SHIPPED: [(&str, &str); 2] = [
    (include_str!("../../config/rbac/exceptions.yaml"), "approvals can be forged"),
    (include_str!("../../config/rbac/protection.yaml"), "deletionProtection protects nothing"),
];

/// The guards that are missing, changed or bound to nothing that denies.
pub(super) async fn missing(reader: &Reader) -> Result<Vec<Finding>, ReadError> {
    let list = async |plural: &str| {
        let path = format!(
            "/apis/admissionregistration.k8s.io/v1/{plural}?labelSelector=app.kubernetes.io%2Fpart-of%3Dgabion&limit=50"
        );
        reader.get(&path).await
    };
    let policies = list("validatingadmissionpolicies").await?;
    let bindings = list("validatingadmissionpolicybindings").await?;
    Ok(judge(&policies, &bindings))
}

fn judge(policies: &Value, bindings: &Value) -> Vec<Finding> {
    let shipped = SHIPPED.iter().flat_map(|(file, without)| {
        let objects: Vec<Value> = serde_saphyr::from_multiple(file).unwrap_or_default();
        objects.into_iter().map(move |object| (object, without))
    });
    let wanted = shipped.filter(|(object, _)| object["kind"] == "ValidatingAdmissionPolicy");
    let stands = |wanted: &Value| {
        let same = |live: &&Value| without_defaults(&live["spec"]) == wanted["spec"];
        items(policies).filter(same).any(|live| denies(bindings, &live["metadata"]["name"]))
    };
    wanted
        .filter(|(wanted, _)| !stands(wanted))
        .map(|(wanted, without)| {
            let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
            let what = format!("the policy {name} is missing, changed, or no binding lets it deny");
            Finding(
                what,
                format!(
                    "install the chart again, or kubectl apply -k config/rbac: without it {without}"
                ),
            )
        })
        .collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

/// A spec without what the API server adds to ours; an added selector that selects less than all stays.
fn without_defaults(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(matching) = spec["matchConstraints"].as_object_mut() {
        let defaults = [
            ("matchPolicy", json!("Equivalent")),
            ("namespaceSelector", json!({})),
            ("objectSelector", json!({})),
        ];
        for (field, default) in defaults {
            if matching.get(field) == Some(&default) {
                matching.remove(field);
            }
        }
        let rules = matching.get_mut("resourceRules").and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            if rule.get("scope").is_some_and(|scope| scope == "*") {
                rule.remove("scope");
            }
        }
    }
    spec
}

/// A binding of this policy denies, everywhere.
fn denies(bindings: &Value, policy: &Value) -> bool {
    items(bindings).map(|binding| &binding["spec"]).any(|spec| {
        let mut actions = spec["validationActions"].as_array().into_iter().flatten();
        spec["policyName"] == *policy
            && actions.any(|action| action == "Deny")
            && spec["matchResources"].is_null()
            && spec["paramRef"].is_null()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the API server gives them back, under the names of a release.
    fn live() -> (Value, Value) {
        let files =
            SHIPPED.iter().map(|(file, _)| serde_saphyr::from_multiple::<Value>(file).unwrap());
        let all: Vec<Value> = files.flatten().collect();
        let of = |kind: &str| {
            let mut those: Vec<_> =
                all.iter().filter(|object| object["kind"] == kind).cloned().collect();
            for object in &mut those {
                object["metadata"]["name"] =
                    format!("a-{}", object["metadata"]["name"].as_str().unwrap()).into();
                if let Some(name) = object["spec"]["policyName"].as_str() {
                    object["spec"]["policyName"] = format!("a-{name}").into();
                } else {
                    let matching = &mut object["spec"]["matchConstraints"];
                    matching["matchPolicy"] = "Equivalent".into();
                    matching["objectSelector"] = json!({});
                    matching["namespaceSelector"] = json!({});
                    matching["resourceRules"][0]["scope"] = "*".into();
                }
            }
            json!({ "items": those })
        };
        (of("ValidatingAdmissionPolicy"), of("ValidatingAdmissionPolicyBinding"))
    }

    #[test]
    fn what_was_shipped_is_found_and_each_weaker_form_is_named() {
        let (policies, bindings) = live();
        assert!(judge(&policies, &bindings).is_empty());
        assert_eq!(judge(&json!({}), &bindings).len(), 3);
        assert_eq!(judge(&policies, &json!({})).len(), 3);
        for (pointer, weaker) in [
            ("/items/0/spec/failurePolicy", json!("Ignore")),
            ("/items/0/spec/validations/0/expression", json!("true")),
            ("/items/0/spec/matchConditions/0/expression", json!("false")),
            ("/items/1/spec/matchConstraints/objectSelector", json!({"matchLabels": {"a": "b"}})),
            ("/items/1/spec/matchConstraints/resourceRules/0/operations", json!(["UPDATE"])),
            ("/items/1/spec/matchConstraints/resourceRules/0/scope", json!("Namespaced")),
        ] {
            let mut changed = policies.clone();
            *changed.pointer_mut(pointer).unwrap() = weaker;
            let found = judge(&changed, &bindings);
            assert_eq!(found.len(), 1, "{pointer}");
            assert!(found[0].0.contains("gabion-guard-"), "{}", found[0].0);
        }
        for (field, weaker) in [
            ("validationActions", json!(["Audit"])),
            ("matchResources", json!({"namespaceSelector": {"matchLabels": {"a": "b"}}})),
            ("policyName", json!("else")),
        ] {
            let mut changed = bindings.clone();
            changed["items"][0]["spec"][field] = weaker;
            assert_eq!(judge(&policies, &changed).len(), 1, "{field}");
        }
    }
}
