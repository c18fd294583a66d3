//! What differs of ExternalSecrets, and of what a ClusterExternalSecret makes.

use std::collections::BTreeSet;

use gotemplate::regexp::Regexp;
use serde_json::Value;

use super::{GENERATORS_HERE, differs, idle, lacks, text};
use crate::check::object::short;
use crate::duration;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// Bytes of a compiled expression, as the operator bounds it.
const LARGEST_EXPRESSION: usize = 1 << 20;

/// Items of a list with their paths.
pub(super) fn items<'v>(
    value: &'v Value,
    field: &str,
    at: &FieldPath,
) -> Vec<(&'v Value, FieldPath)> {
    let at = at.key(field);
    let all = value[field].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().enumerate().map(|(nth, item)| (item, at.index(nth))).collect()
}

fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|inner| !inner.is_null())
}

/// What differs of a spec.
pub(super) fn evaluate(inner: &Value, at: &FieldPath, found: &mut Vec<Finding>) {
    let (data, from) = (items(inner, "data", at), items(inner, "dataFrom", at));
    if data.is_empty() && from.is_empty() {
        found.push(refused(at.key("data"), "data or dataFrom needs at least one entry"));
    }
    let mut keys = BTreeSet::new();
    let retains = matches!(text(inner, "/target/deletionPolicy"), None | Some("Retain"));
    for (entry, at) in data {
        if has(&entry["sourceRef"], "generatorRef") {
            let remedy = "use dataFrom[].sourceRef.generatorRef, with a rewrite for the key";
            let at = at.keys(&["sourceRef", "generatorRef"]);
            found.push(lacks(at, "a generator in an entry of data is not supported", remedy));
        }
        if retains && text(entry, "/secretKey").is_some_and(|key| !keys.insert(key)) {
            let message = "another entry of data has the same secretKey";
            found.push(refused(at.key("secretKey"), message));
        }
    }
    for (entry, at) in from {
        data_from(entry, &at, found);
    }
    target(&inner["target"], &at.key("target"), found);
    refresh(inner, at, found);
}

/// What the rules of Gabion's definition, or its conditions, refuse.
fn refused(at: FieldPath, message: &str) -> Finding {
    lacks(
        at,
        message,
        "correct it: Gabion refuses what ESO's webhook refuses, and works on nothing else",
    )
}

fn data_from(entry: &Value, at: &FieldPath, found: &mut Vec<Finding>) {
    let generator = &entry["sourceRef"]["generatorRef"];
    let sources = [has(entry, "extract"), has(entry, "find"), !generator.is_null()];
    match sources.iter().filter(|there| **there).count() {
        0 => {
            found.push(refused(at.clone(), "the entry has none of extract, find and generatorRef"));
        }
        1 => {}
        _ => found.push(refused(
            at.clone(),
            "the entry has more than one of extract, find and generatorRef",
        )),
    }
    if let Some(kind) = text(generator, "/kind")
        && !GENERATORS_HERE.contains(&kind)
    {
        let message = format!("Gabion has no generator {}", short(kind));
        let remedy = "keep ESO for this object, in a class of its own";
        found.push(lacks(at.keys(&["sourceRef", "generatorRef", "kind"]), message, remedy));
    }
    let at = at.key("find");
    if let Some(expression) = text(&entry["find"], "/name/regexp")
        && Regexp::compile(expression, LARGEST_EXPRESSION).is_err()
    {
        let message = "Gabion does not understand this regular expression";
        found.push(lacks(at.keys(&["name", "regexp"]), message, "write it in the syntax of RE2"));
    }
    if entry["find"]["tags"].as_object().is_some_and(|tags| !tags.is_empty()) {
        let message = "tags are compared exactly, ESO also finds values that begin like this";
        let remedy = "write whole values, and compare the keys of the Secret before and after";
        found.push(differs(at.key("tags"), message, remedy));
    }
}

fn target(target: &Value, at: &FieldPath, found: &mut Vec<Finding>) {
    let is_secret = !has(target, "manifest");
    if !is_secret {
        let message = "Gabion writes Secrets only, and no other object";
        let remedy = "keep ESO for this object, in a class of its own";
        found.push(lacks(at.key("manifest"), message, remedy));
    }
    let creation = text(target, "/creationPolicy").unwrap_or("Owner");
    match (text(target, "/deletionPolicy").unwrap_or("Retain"), creation) {
        ("Delete", "Merge" | "CreateOrMerge" | "None") => {
            let message =
                format!("deletionPolicy Delete does not go with creationPolicy {creation}");
            found.push(refused(at.key("deletionPolicy"), &message));
        }
        ("Merge", "None") => {
            let message = "deletionPolicy Merge does not go with creationPolicy None";
            found.push(refused(at.key("deletionPolicy"), message));
        }
        ("Delete", _) => {
            let message = "the Secret is deleted after two answers in a row that nothing is there, and not after one";
            let remedy = "nothing to do";
            found.push(differs(at.key("deletionPolicy"), message, remedy).noted());
        }
        _ => {}
    }
    let template = at.key("template");
    if let Some(kind @ ("kubernetes.io/service-account-token" | "bootstrap.kubernetes.io/token")) =
        text(target, "/template/type")
    {
        let message = format!("Gabion writes no Secret of type {kind}");
        found.push(lacks(template.key("type"), message, "use type Opaque"));
    }
    for (source, at) in items(&target["template"], "templateFrom", &template) {
        let known = ["data", "annotations", "labels"];
        let wrong = |word: &str| !known.contains(&word.to_ascii_lowercase().as_str());
        if is_secret && text(source, "/target").is_some_and(wrong) {
            found.push(refused(at.key("target"), "must be Data, Annotations or Labels"));
        }
    }
}

fn refresh(inner: &Value, at: &FieldPath, found: &mut Vec<Finding>) {
    let Some(interval) = text(inner, "/refreshInterval") else { return };
    let at = at.key("refreshInterval");
    match duration::parse(interval) {
        None => {
            let message = format!("{:?} is not a duration", short(interval));
            found.push(lacks(at, message, "write it like 30s, 15m or 24h"));
        }
        Some(parsed) if !parsed.is_positive() => {
            let periodic = matches!(text(inner, "/refreshPolicy"), None | Some("Periodic"));
            if periodic {
                let message = "it is read again after an edit or a forced refresh, where ESO never reads again";
                found.push(
                    differs(at, message, "set refreshPolicy: CreatedOnce to read once").noted(),
                );
            }
        }
        Some(_) => {}
    }
}

/// What differs of labels, annotations and the state that ESO left.
pub(super) fn marks(object: &Value, found: &mut Vec<Finding>) {
    let at = FieldPath::default().keys(&["metadata", "annotations"]);
    let annotations = object["metadata"]["annotations"].as_object();
    let has_template = has(&object["spec"]["target"], "template");
    let of_argo = |key: &&String| key.starts_with("argocd.argoproj.io/");
    for key in annotations.into_iter().flat_map(|all| all.keys()).filter(of_argo) {
        if !has_template {
            let message = format!("{} is not copied to the Secret", short(key));
            let remedy =
                "if the Secret is to have it, write it in target.template.metadata.annotations";
            found.push(idle(at.key(key), message, remedy).noted());
        }
    }
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    if ready.is_some_and(|ready| ready["status"] != "True") {
        let message = "it is not in sync under ESO, so nobody can tell whether it would be";
        let remedy = "repair it first, or compare its condition before and after the switch";
        let at = FieldPath::default().keys(&["status", "conditions"]);
        found.push(idle(at, message, remedy));
    }
}
