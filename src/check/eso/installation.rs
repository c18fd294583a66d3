//! What differs of ESO's own installation: flags, webhooks, definitions, and what it leaves on namespaces.

use serde_json::Value;

use super::kinds::Found;
use super::{GENERATORS, GROUP, PAGE, Switch, differs, idle, lacks, text};
use crate::check::object::short;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// Values of `app.kubernetes.io/name` in ESO's chart.
pub(super) const NAMES: [&str; 3] =
    ["external-secrets", "external-secrets-webhook", "external-secrets-cert-controller"];
/// Finalizers of ClusterExternalSecrets on namespaces.
const ON_NAMESPACES: &str = "externalsecrets.external-secrets.io/ces-";

/// Flags and parts of a Deployment of ESO.
pub(super) fn deployment(switch: &Switch, object: &Value) -> Option<Vec<Finding>> {
    let labels = &object["metadata"]["labels"];
    let of_template = &object["spec"]["template"]["metadata"]["labels"];
    let name = |labels: &Value| labels["app.kubernetes.io/name"].as_str().map(ToOwned::to_owned);
    let named = name(labels).or_else(|| name(of_template))?;
    if !NAMES.contains(&named.as_str()) || labels["app.kubernetes.io/part-of"] == "gabion" {
        return None;
    }
    let mut found = Vec::new();
    if named != "external-secrets" {
        let message = "Gabion has neither a webhook nor a controller of certificates";
        let at = FieldPath::default().key("metadata");
        found.push(idle(at, message, "remove it with ESO: nothing takes its place").noted());
        return Some(found);
    }
    let at = FieldPath::default().keys(&["spec", "template", "spec", "containers"]);
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    for (nth, container) in containers.into_iter().flatten().enumerate() {
        for list in ["args", "command"] {
            let words = container[list].as_array().map(Vec::as_slice).unwrap_or_default();
            let at = at.index(nth).key(list);
            for (word, at) in words.iter().enumerate().map(|(nth, word)| (word, at.index(nth))) {
                found.extend(word.as_str().and_then(|word| flag(switch, word, at)));
            }
        }
    }
    Some(found)
}

fn flag(switch: &Switch, word: &str, at: FieldPath) -> Option<Finding> {
    let name = word.trim_start_matches('-');
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    if !word.starts_with('-') || name.is_empty() {
        return None;
    }
    if switch.without_effect.contains(name) {
        let message = format!("--{name} has no effect");
        return Some(idle(at, message, "remove it: docs/flags.md says what there is instead"));
    }
    (!switch.flags.contains(name)).then(|| {
        let message = format!("`gabion run` does not know --{} and would not start", short(name));
        lacks(at, message, "remove it: docs/flags.md lists the flags")
    })
}

/// A webhook of ESO, which nothing answers once it is gone.
pub(super) fn webhook(object: &Value) -> Option<Vec<Finding>> {
    let hooks = object["webhooks"].as_array()?;
    let groups = |hook: &Value| -> bool {
        let rules = hook["rules"].as_array().into_iter().flatten();
        let mut groups = rules.flat_map(|rule| rule["apiGroups"].as_array().into_iter().flatten());
        groups.any(|group| group == GROUP || group == GENERATORS)
    };
    if !hooks.iter().any(groups) {
        return None;
    }
    let service = hooks.iter().find_map(|hook| text(hook, "/clientConfig/service/name"));
    let name = text(object, "/metadata/name").unwrap_or_default();
    let of_eso = service.is_some_and(|service| service.contains("webhook"))
        || matches!(name, "externalsecret-validate" | "secretstore-validate");
    if !of_eso {
        return Some(Vec::new());
    }
    let message = "nothing answers this webhook once ESO is gone, and objects can then be neither changed nor deleted";
    let remedy = format!(
        "delete it right after ESO is stopped; Gabion's definitions have the same rules ({PAGE})"
    );
    Some(vec![differs(FieldPath::default().key("webhooks"), message, &remedy)])
}

/// A definition of ESO.
pub(super) fn definition(switch: &Switch, object: &Value) -> Option<Vec<Finding>> {
    let group = text(object, "/spec/group")?;
    if group != GROUP && group != GENERATORS {
        return None;
    }
    let mut found = Vec::new();
    if text(object, "/spec/conversion/strategy") == Some("Webhook") {
        let at = FieldPath::default().keys(&["spec", "conversion", "strategy"]);
        let message = "nothing answers the conversion webhook once ESO is gone, and objects can then not even be read";
        let remedy =
            "set the strategy to None when ESO is stopped: both versions have the same fields";
        found.push(differs(at, message, remedy));
    }
    let kind = text(object, "/spec/names/kind").unwrap_or_default();
    let stored = object["status"]["storedVersions"].as_array().into_iter().flatten();
    let at = FieldPath::default().keys(&["status", "storedVersions"]);
    for (nth, version) in stored.enumerate() {
        let version = version.as_str().unwrap_or_default();
        let known = switch.kinds.find(&format!("{group}/{version}"), kind);
        if matches!(known, Found::OtherVersion(_)) {
            let message = format!(
                "objects may be stored as {}: the API server refuses a definition without that version",
                short(version)
            );
            let remedy = format!(
                "write each object of the kind once, then take the version out of status.storedVersions ({PAGE})"
            );
            found.push(lacks(at.index(nth), message, &remedy));
        }
    }
    Some(found)
}

/// What a ClusterExternalSecret left on a namespace.
pub(super) fn namespace(object: &Value) -> Option<Vec<Finding>> {
    let finalizers = object["metadata"]["finalizers"].as_array()?;
    let at = FieldPath::default().keys(&["metadata", "finalizers"]);
    let ours = finalizers.iter().enumerate().filter(|(_, finalizer)| {
        finalizer.as_str().is_some_and(|text| text.starts_with(ON_NAMESPACES))
    });
    let found: Vec<_> = ours
        .map(|(nth, _)| {
            let message =
                "only ESO removes this finalizer: without ESO the namespace cannot be deleted";
            let remedy = format!("remove it once ESO is stopped ({PAGE})");
            differs(at.index(nth), message, &remedy)
        })
        .collect();
    (!found.is_empty()).then_some(found)
}
