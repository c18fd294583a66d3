//! Containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Found, Volumes, fields, is_set, listed, names, profile, quoted, set, text};
use crate::policy::FieldPath;
use crate::quantity::Quantity;

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const OF_PROBES: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const OF_HOOKS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];
const SOURCES: [&str; 5] =
    ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

pub(super) fn evaluate(
    container: &Value,
    at: &FieldPath,
    (list, spec, volumes): (&str, &Value, &Volumes<'_>),
    found: &mut Found,
) {
    if container["image"].as_str().is_none_or(str::is_empty) {
        found.add(at.key("image"), "a container needs an image");
    }
    ports(container, at, found);
    environment(container, at, found);
    resources(container, at, found);
    mounts(container, at, volumes, found);
    probes(container, at, found);
    security(container, at, found);
    let ends = list == "initContainers" && container["restartPolicy"] != "Always";
    for field in PROBES.iter().chain(&["lifecycle"]).filter(|_| ends) {
        if !container[*field].is_null() {
            let message = format!("an init container that ends must have no {field}");
            found.add(at.key(field), message);
        }
    }
    let grace = spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    for hook in ["postStart", "preStop"] {
        let at = at.keys(&["lifecycle", hook]);
        let hook = &container["lifecycle"][hook];
        if !hook.is_null() {
            handler(hook, &at, OF_HOOKS, found);
        }
        let sleeps = hook["sleep"]["seconds"].as_i64();
        if let Some(sleeps) = sleeps.filter(|sleeps| *sleeps < 0 || *sleeps > grace.max(1)) {
            let message =
                format!("must be between 0 and terminationGracePeriodSeconds, and is {sleeps}");
            found.add(at.keys(&["sleep", "seconds"]), message);
        }
    }
}

fn ports(container: &Value, at: &FieldPath, found: &mut Found) {
    let mut known = BTreeSet::new();
    for (port, at) in listed(container, at, "ports") {
        found.port(port, &at, "containerPort");
        found.bounded(port, &at, "hostPort", (0, 65_535));
        let Some(name) = text(&port["name"]).filter(|name| !name.is_empty()) else { continue };
        if let Some(problem) = names::no_port_name(name) {
            found.add(at.key("name"), format!("the name {} of the port {problem}", quoted(name)));
        } else if !known.insert(name) {
            found.add(at.key("name"), format!("a second port is called {name:?}"));
        }
    }
}

fn environment(container: &Value, at: &FieldPath, found: &mut Found) {
    for (variable, at) in listed(container, at, "env") {
        let name = variable["name"].as_str().unwrap_or_default();
        if name.contains('=') || !name.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            let message = "the name of the variable must be of printable ASCII without '='";
            found.add(at.key("name"), message);
        }
        let (source, at) = (&variable["valueFrom"], at.key("valueFrom"));
        if source.is_null() {
            continue;
        }
        let sources = set(source, &SOURCES);
        if is_set(&variable["value"]) {
            found.add(at, format!("variable {} has a value and a valueFrom", quoted(name)));
        } else if sources.is_empty() {
            found.add(at, format!("variable {} has a valueFrom that names nothing", quoted(name)));
        } else if sources.len() > 1 {
            let sources = sources.join(" and ");
            found.add(at, format!("variable {} has several sources: {sources}", quoted(name)));
        }
    }
    for (source, at) in listed(container, at, "envFrom") {
        match set(source, &["configMapRef", "secretRef"]).as_slice() {
            [_] => {}
            [] => found.add(at, "names neither a configMapRef nor a secretRef"),
            _ => found.add(at, "names a configMapRef and a secretRef: write two entries"),
        }
    }
}

/// A quantity, written as text or as a number.
pub(super) fn amount(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text.trim()),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}

/// Whether a resource is one that Kubernetes itself hands out.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Requests and limits.
fn resources(container: &Value, at: &FieldPath, found: &mut Found) {
    let (resources, at) = (&container["resources"], at.key("resources"));
    for section in ["requests", "limits"] {
        for (name, value) in fields(&resources[section]) {
            let at = at.keys(&[section, name]);
            let standard = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage")
                || name.starts_with("hugepages-");
            if is_native(name) && !name.contains('/') && !standard {
                let message = format!("{} is no resource of a container", quoted(name));
                found.add(at, message);
                continue;
            }
            let Some(amount) = amount(value) else { continue };
            if amount.is_negative() {
                found.add(at, format!("the amount of {name} is below zero"));
            } else if !is_native(name) && !amount.is_whole() {
                found.add(at, format!("the amount of {name} must be whole"));
            }
        }
    }
    requests(resources, &at, found);
}

/// Requests beside their limits.
fn requests(resources: &Value, at: &FieldPath, found: &mut Found) {
    let limits = &resources["limits"];
    for (name, value) in fields(&resources["requests"]) {
        let Some(request) = amount(value) else { continue };
        let at = at.keys(&["requests", name]);
        // What cannot be shared is given as it is asked for.
        let is_exact = !is_native(name) || name.starts_with("hugepages-");
        if is_exact && !limits.is_string() && limits[name].is_null() {
            found.add(at, format!("the request of {name} needs a limit that is the same"));
            continue;
        }
        let Some(limit) = amount(&limits[name]) else { continue };
        if request > limit {
            let limit = shown(&limits[name]);
            let message =
                format!("requests {} of {name}, above its limit of {limit}", shown(value));
            found.add(at, message);
        } else if is_exact && request != limit {
            found.add(at, format!("the request of {name} must be its limit"));
        }
    }
}

fn shown(amount: &Value) -> String {
    amount.as_str().map_or_else(|| amount.to_string(), ToOwned::to_owned)
}

fn mounts(container: &Value, at: &FieldPath, volumes: &Volumes<'_>, found: &mut Found) {
    let mut paths = BTreeSet::new();
    for (field, place) in [("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")] {
        for (mount, at) in listed(container, at, field) {
            let name = text(&mount["name"]).filter(|name| !name.is_empty());
            if let Some(name) = name.filter(|name| !volumes.contains(name)) {
                found.add(at.key("name"), format!("there is no volume {}", quoted(name)));
            }
            let path = text(&mount[place]).filter(|path| !path.is_empty());
            if let Some(path) = path.filter(|path| !paths.insert(*path)) {
                found.add(
                    at.key(place),
                    format!("something is mounted at {} already", quoted(path)),
                );
            }
            let sub = text(&mount["subPath"]).unwrap_or_default();
            if sub.starts_with('/') || sub.split('/').any(|part| part == "..") {
                found.add(at.key("subPath"), "must be relative, and without '..'");
            }
            if !sub.is_empty() && is_set(&mount["subPathExpr"]) {
                found.add(at.key("subPathExpr"), "there is a subPath already");
            }
            let shares = mount["mountPropagation"] == "Bidirectional";
            if shares && container["securityContext"]["privileged"] != true {
                found.add(at.key("mountPropagation"), "Bidirectional needs a privileged container");
            }
        }
    }
}

fn probes(container: &Value, at: &FieldPath, found: &mut Found) {
    for name in PROBES {
        let (probe, at) = (&container[name], at.key(name));
        if probe.is_null() {
            continue;
        }
        handler(probe, &at, OF_PROBES, found);
        for field in ["initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"]
        {
            found.bounded(probe, &at, field, (0, i64::MAX));
        }
        let grace = &probe["terminationGracePeriodSeconds"];
        match (name, probe["successThreshold"].as_i64().unwrap_or_default()) {
            ("readinessProbe", _) if !grace.is_null() => {
                let message = "must not be set for a readinessProbe, which ends nothing";
                found.add(at.key("terminationGracePeriodSeconds"), message);
            }
            ("readinessProbe", 0..) | (_, 0 | 1) => {}
            (_, 2..) => found.add(at.key("successThreshold"), format!("must be 1 for a {name}")),
            (_, number) => found.add(at.key("successThreshold"), format!("{number} is below 1")),
        }
        if grace.as_i64().is_some_and(|grace| grace < 1) {
            found.add(at.key("terminationGracePeriodSeconds"), "must be 1 or more");
        }
    }
}

/// What a probe or a hook does: one thing.
fn handler(holder: &Value, at: &FieldPath, offered: [&str; 4], found: &mut Found) {
    match set(holder, &offered).as_slice() {
        [one] => {
            let (handler, at) = (&holder[*one], at.key(one));
            found.port(handler, &at, "port");
            let name = text(&handler["port"]).filter(|_| matches!(*one, "httpGet" | "tcpSocket"));
            if let Some(problem) = name.and_then(names::no_port_name) {
                found.add(at.key("port"), format!("the name of the port {problem}"));
            }
            if *one == "exec" && handler["command"].as_array().is_none_or(Vec::is_empty) {
                found.add(at.key("command"), "a command is needed");
            }
        }
        [] => {
            let offered = offered.join(", ");
            found.add(at.clone(), format!("has no handler: give one of {offered}"));
        }
        several => {
            found.add(at.clone(), format!("has several handlers: {}", several.join(" and ")));
        }
    }
}

fn security(container: &Value, at: &FieldPath, found: &mut Found) {
    let (context, at) = (&container["securityContext"], at.key("securityContext"));
    for field in ["runAsUser", "runAsGroup"] {
        found.bounded(context, &at, field, (0, i64::from(i32::MAX)));
    }
    profile(context, &at, "seccompProfile", found);
    if context["allowPrivilegeEscalation"] == false {
        let field = at.key("allowPrivilegeEscalation");
        let added = context["capabilities"]["add"].as_array();
        let admin = |added: &Vec<Value>| added.iter().any(|cap| cap == "CAP_SYS_ADMIN");
        if context["privileged"] == true {
            found.add(field, "cannot be false for a container that is privileged");
        } else if added.is_some_and(admin) {
            found.add(field, "cannot be false for a container with CAP_SYS_ADMIN");
        }
    }
}
