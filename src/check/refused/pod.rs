//! Pods and templates of pods.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Found, container, items, listed, names, profile, quoted, scheduling, text, volumes};
use crate::policy::FieldPath;
use crate::policy::Subject;

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

pub(super) fn evaluate(subject: &Subject<'_>, object: &Value, found: &mut Found) {
    let spec = subject.spec;
    let at = subject.at.key("spec");
    if spec.is_null() {
        return found.add(at, "the spec of the pod is missing");
    }
    let volumes = volumes::evaluate(subject, object, found);
    let mut known = BTreeSet::new();
    for list in LISTS {
        for (container, at) in listed(spec, &at, list) {
            if let Some(name) = text(&container["name"]) {
                named(name, &at.key("name"), &mut known, found);
            }
            container::evaluate(container, &at, (list, spec, &volumes), found);
        }
    }
    if spec["containers"].as_array().is_some_and(Vec::is_empty) {
        found.add(at.key("containers"), "a pod needs a container");
    }
    host_ports(subject, found);
    scheduling::evaluate(spec, &at, found);
    network(spec, &at, found);
    security(spec, &at, found);
    found.bounded(spec, &at, "activeDeadlineSeconds", (1, i64::from(i32::MAX)));
    if !subject.at.0.is_empty() {
        let at = subject.at.key("metadata");
        names::labels(&subject.metadata["labels"], &at.key("labels"), found);
        names::annotations(&subject.metadata["annotations"], &at.key("annotations"), found);
    }
}

fn named<'v>(name: &'v str, at: &FieldPath, known: &mut BTreeSet<&'v str>, found: &mut Found) {
    if let Some(problem) = names::no_label(name) {
        found.add(at.clone(), format!("the name {} of the container {problem}", quoted(name)));
    } else if !known.insert(name) {
        found.add(at.clone(), format!("a second container is called {name:?}"));
    }
}

/// A port of the node is taken once.
fn host_ports(subject: &Subject<'_>, found: &mut Found) {
    let spec = subject.spec;
    let mut taken = BTreeSet::new();
    let shares = spec["hostNetwork"] == true;
    for (container, at) in listed(spec, &subject.at.key("spec"), "containers") {
        for (port, at) in listed(container, &at, "ports") {
            let (own, host) = (port["containerPort"].as_i64(), port["hostPort"].as_i64());
            if shares && host.is_some_and(|host| host != 0) && own != host {
                let message = "must be the containerPort, as the pod is in the network of the node";
                found.add(at.key("hostPort"), message);
            }
            // Among the pods of a template, the API server fills these in.
            let Some(host) = host.filter(|host| *host > 0) else { continue };
            let key = (
                host,
                port["protocol"].as_str().filter(|p| !p.is_empty()).unwrap_or("TCP"),
                port["hostIP"].as_str().unwrap_or_default(),
            );
            if !taken.insert(key) {
                found.add(at.key("hostPort"), format!("a second port takes {host} of the node"));
            }
        }
    }
}

/// What the pod is called in the network, and whom it asks for names.
fn network(spec: &Value, at: &FieldPath, found: &mut Found) {
    for field in ["hostname", "subdomain"] {
        let name = text(&spec[field]).filter(|name| !name.is_empty());
        if let Some(problem) = name.and_then(names::no_label) {
            found.add(at.key(field), format!("{} {problem}", quoted(name.unwrap_or_default())));
        }
    }
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = text(&spec[field]).filter(|name| !name.is_empty());
        if let Some(problem) = name.and_then(names::no_subdomain) {
            found.add(at.key(field), format!("{} {problem}", quoted(name.unwrap_or_default())));
        }
    }
    let nameservers = items(&spec["dnsConfig"]["nameservers"]);
    if spec["dnsPolicy"] == "None" && nameservers.is_empty() {
        let message = "a nameserver is needed, as the dnsPolicy is None";
        found.add(at.keys(&["dnsConfig", "nameservers"]), message);
    }
}

fn security(spec: &Value, at: &FieldPath, found: &mut Found) {
    const IDS: (i64, i64) = (0, i32::MAX as i64);
    let (context, at) = (&spec["securityContext"], at.key("securityContext"));
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        found.bounded(context, &at, field, IDS);
    }
    profile(context, &at, "seccompProfile", found);
    let mut known = BTreeSet::new();
    for (sysctl, at) in listed(context, &at, "sysctls") {
        if let Some(name) = text(&sysctl["name"]).filter(|name| !known.insert(*name)) {
            found.add(at.key("name"), format!("the sysctl {} is set twice", quoted(name)));
        }
    }
}
