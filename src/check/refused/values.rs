//! ConfigMaps and Secrets, autoscalers and budgets, rights.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Found, fields, items, listed, names, quoted, root, scheduling, text, workload};
use crate::check::object::Object;
use crate::policy::FieldPath;

/// The keys that a Secret of a type must have.
const NEEDED: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

/// Bytes that an object may hold.
const LARGEST: usize = 1024 * 1024;

pub(super) fn data(object: &Object<'_>, found: &mut Found) {
    let value = object.value;
    let (mut known, mut sum) = (BTreeSet::new(), 0);
    let parts =
        if object.kind == "Secret" { ["data", "stringData"] } else { ["data", "binaryData"] };
    for part in parts {
        for (key, entry) in fields(&value[part]) {
            let at = root().key(part).key(key);
            if let Some(problem) = names::no_key(key) {
                found.add(at, format!("the key {} {problem}", quoted(key)));
            } else if !known.insert(key.as_str()) && part == "binaryData" {
                found.add(at, format!("the key {} is in data, too", quoted(key)));
            }
            let encoded = part == "binaryData" || (part == "data" && object.kind == "Secret");
            let size = entry.as_str().map_or(0, str::len);
            sum += if encoded { size / 4 * 3 } else { size };
        }
    }
    if sum > LARGEST + 4 {
        found.add(root().key("data"), "the object holds more than 1 MiB");
    }
    if value["type"] == "kubernetes.io/basic-auth"
        && !["username", "password"].iter().any(|key| known.contains(key))
    {
        let message = "a Secret of this type needs the key username or password";
        found.add(root().key("data"), message);
    }
    if object.kind == "Secret" && text(&value["type"]).is_some() {
        let kind = value["type"].as_str().unwrap_or_default();
        let needed = NEEDED.iter().filter(|(of, _)| *of == kind).flat_map(|(_, keys)| *keys);
        for key in needed.filter(|key| !known.contains(**key)) {
            found.add(
                root().key("data").key(key),
                format!("a Secret of type {kind} needs the key {key}"),
            );
        }
    }
}

pub(super) fn autoscaler(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], root().key("spec"));
    let (least, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64());
    if most.is_some_and(|most| most < 1) {
        found.add(at.key("maxReplicas"), "must be 1 or more");
    } else if most.zip(least).is_some_and(|(most, least)| most < least) {
        found.add(at.key("maxReplicas"), "is below minReplicas");
    }
    if least.is_some_and(|least| least < 0) {
        found.add(at.key("minReplicas"), "is below zero");
    }
    for (metric, at) in listed(spec, &at, "metrics") {
        self::metric(metric, &at, found);
    }
}

/// What an autoscaler measures: one source, the one that its type names, with a target.
fn metric(metric: &Value, at: &FieldPath, found: &mut Found) {
    const SOURCES: [(&str, &str); 5] = [
        ("Resource", "resource"),
        ("ContainerResource", "containerResource"),
        ("Pods", "pods"),
        ("Object", "object"),
        ("External", "external"),
    ];
    let Some(kind) = text(&metric["type"]) else { return };
    let Some((_, own)) = SOURCES.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<_> = SOURCES.iter().map(|(known, _)| *known).collect();
        return scheduling::one_of(Some(kind), &known, &at.key("type"), found);
    };
    for (_, source) in &SOURCES {
        if source != own && !metric[*source].is_null() {
            found.add(at.key(source), format!("must be left out, as the type is {kind}"));
        }
    }
    if metric[*own].is_null() {
        return found.add(at.key(own), format!("must be given, as the type is {kind}"));
    }
    let (target, at) = (&metric[*own]["target"], at.keys(&[own, "target"]));
    let given = ["value", "averageValue", "averageUtilization"];
    if target.is_object() && given.iter().all(|field| target[*field].is_null()) {
        found.add(at, "a value is needed, such as averageUtilization");
    }
}

pub(super) fn budget(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], root().key("spec"));
    let both = ["minAvailable", "maxUnavailable"];
    if both.iter().all(|field| !spec[*field].is_null()) {
        found.add(at.key("maxUnavailable"), "minAvailable is given, too: keep one");
    }
    for field in both {
        let of_all = text(&spec[field]);
        if let Some(text) = of_all.filter(|text| !workload::is_percent(text)) {
            let message = format!("{} is neither a number nor a percentage", quoted(text));
            found.add(at.key(field), message);
        }
        if spec[field].as_i64().is_some_and(|number| number < 0) {
            found.add(at.key(field), "is below zero");
        }
    }
    workload::selector(&spec["selector"], &at.key("selector"), found);
}

/// Roles and bindings.
pub(super) fn roles(object: &Object<'_>, found: &mut Found) {
    let value = object.value;
    for (rule, at) in listed(value, &root(), "rules") {
        let given = |field: &str| !items(&rule[field]).is_empty();
        if given("nonResourceURLs") {
            if object.kind == "Role" {
                let message = "a Role cannot name addresses: write a ClusterRole";
                found.add(at.key("nonResourceURLs"), message);
            } else if given("resources") || given("apiGroups") || given("resourceNames") {
                found.add(
                    at.key("nonResourceURLs"),
                    "a rule names resources or addresses, not both",
                );
            }
        } else {
            for (field, what) in [("apiGroups", "an API group"), ("resources", "a resource")] {
                if !given(field) {
                    found.add(at.key(field), format!("{what} is needed"));
                }
            }
        }
        if rule["verbs"].as_array().is_some_and(Vec::is_empty) {
            found.add(at.key("verbs"), "a verb is needed");
        }
    }
    binding(object, found);
}

fn binding(object: &Object<'_>, found: &mut Found) {
    let value = object.value;
    let kinds: &[&str] = match object.kind {
        "RoleBinding" => &["Role", "ClusterRole"],
        "ClusterRoleBinding" => &["ClusterRole"],
        _ => return,
    };
    if let Some(kind) = text(&value["roleRef"]["kind"]).filter(|kind| !kinds.contains(kind)) {
        let message = format!("{} is not one of {}", quoted(kind), kinds.join(", "));
        found.add(root().keys(&["roleRef", "kind"]), message);
    }
    if text(&value["roleRef"]["apiGroup"])
        .is_some_and(|group| !matches!(group, "" | super::super::rbac::GROUP))
    {
        let message = format!("must be {}", super::super::rbac::GROUP);
        found.add(root().keys(&["roleRef", "apiGroup"]), message);
    }
    for (subject, at) in listed(value, &root(), "subjects") {
        match text(&subject["kind"]) {
            Some("ServiceAccount") => {
                let lacks = subject["namespace"].as_str().is_none_or(str::is_empty);
                if lacks && object.kind == "ClusterRoleBinding" {
                    found.add(at.key("namespace"), "the namespace of a ServiceAccount is needed");
                }
            }
            Some("User" | "Group") | None => {}
            Some(kind) => {
                let message = format!("{} is not one of ServiceAccount, User, Group", quoted(kind));
                found.add(at.key("kind"), message);
            }
        }
    }
}
