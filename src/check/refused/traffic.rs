//! Services, Ingresses and NetworkPolicies.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use serde_json::Value;

use super::{
    Found, is_filled_in_later, is_set, items, listed, names, quoted, root, scheduling, set, text,
    workload,
};
use crate::policy::FieldPath;

pub(super) fn service(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], root().key("spec"));
    let kind = spec["type"].as_str().filter(|kind| !kind.is_empty()).unwrap_or("ClusterIP");
    let headless = spec["clusterIP"] == "None";
    names::labels(&spec["selector"], &at.key("selector"), found);
    match kind {
        "ExternalName" if !is_set(&spec["externalName"]) => {
            found.add(at.key("externalName"), "must be given, as the type is ExternalName");
        }
        "NodePort" | "LoadBalancer" if headless => {
            found.add(at.key("clusterIP"), format!("must not be None, as the type is {kind}"));
        }
        _ => {}
    }
    let ports = items(&spec["ports"]);
    if ports.is_empty() && !headless && kind != "ExternalName" && spec.is_object() {
        found.add(at.key("ports"), "a port is needed");
    }
    let (mut known, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for (port, at) in listed(spec, &at, "ports") {
        found.port(port, &at, "port");
        found.bounded(port, &at, "targetPort", (0, 65_535));
        target(port, &at, found);
        let name = text(&port["name"]).unwrap_or_default();
        if name.is_empty() && ports.len() > 1 && port["name"].as_str().is_none_or(str::is_empty) {
            found.add(at.key("name"), "must be given, as there are several ports");
        } else if let Some(problem) = Some(name).filter(|n| !n.is_empty()).and_then(names::no_label)
        {
            found.add(at.key("name"), format!("the name {} of the port {problem}", quoted(name)));
        } else if !name.is_empty() && !known.insert(name) {
            found.add(at.key("name"), format!("a second port is called {name:?}"));
        }
        let protocol = port["protocol"].as_str().filter(|p| !p.is_empty()).unwrap_or("TCP");
        if let Some(number) = port["port"].as_i64().filter(|n| !taken.insert((*n, protocol))) {
            found
                .add(at.key("port"), format!("a second entry has the port {number} of {protocol}"));
        }
        if kind == "ClusterIP" && port["nodePort"].as_i64().is_some_and(|number| number != 0) {
            found.add(at.key("nodePort"), "must be left out, as the type is ClusterIP");
        }
    }
    outside(spec, &at, kind, found);
}

fn target(port: &Value, at: &FieldPath, found: &mut Found) {
    let name = text(&port["targetPort"]).filter(|name| !name.is_empty());
    if let Some(problem) = name.and_then(names::no_port_name) {
        found.add(at.key("targetPort"), format!("the name of the port {problem}"));
    }
}

fn outside(spec: &Value, at: &FieldPath, kind: &str, found: &mut Found) {
    let external = matches!(kind, "NodePort" | "LoadBalancer") || is_set(&spec["externalIPs"]);
    if is_set(&spec["externalTrafficPolicy"]) && !external {
        let message = format!("must be left out, as the type is {kind}");
        found.add(at.key("externalTrafficPolicy"), message);
    }
    let seconds = &spec["sessionAffinityConfig"]["clientIP"];
    let path = at.keys(&["sessionAffinityConfig", "clientIP"]);
    found.bounded(seconds, &path, "timeoutSeconds", (1, 86_400));
    let affinity = text(&spec["sessionAffinity"]).filter(|word| !word.is_empty());
    scheduling::one_of(affinity, &["None", "ClientIP"], &at.key("sessionAffinity"), found);
    addresses(spec, at, kind, found);
}

/// Addresses and ranges of addresses of a Service.
fn addresses(spec: &Value, at: &FieldPath, kind: &str, found: &mut Found) {
    let no_address = |text: &str| text.parse::<IpAddr>().is_err();
    let own = text(&spec["clusterIP"]).filter(|ip| !matches!(*ip, "" | "None"));
    if own.is_some_and(no_address) {
        found.add(at.key("clusterIP"), "is no IP address, and not None");
    } else if own.is_some() && kind == "ExternalName" {
        found.add(at.key("clusterIP"), "must be left out, as the type is ExternalName");
    }
    for (ip, at) in listed(spec, at, "externalIPs") {
        if text(ip).is_some_and(no_address) {
            found.add(at, "is no IP address");
        }
    }
    let ranges = items(&spec["loadBalancerSourceRanges"]);
    if !ranges.is_empty() && kind != "LoadBalancer" {
        let message = format!("must be left out, as the type is {kind}");
        found.add(at.key("loadBalancerSourceRanges"), message);
    }
    for (range, at) in listed(spec, at, "loadBalancerSourceRanges") {
        if text(range).is_some_and(|range| range.trim().parse::<IpNet>().is_err()) {
            found.add(at, "is no range of addresses, such as 10.0.0.0/8");
        }
    }
    let name = text(&spec["externalName"]).filter(|_| kind == "ExternalName");
    let name = name.map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty());
    if let Some(problem) = name.and_then(names::no_subdomain) {
        found.add(at.key("externalName"), format!("the host {problem}"));
    }
}

pub(super) fn ingress(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], root().key("spec"));
    let backend_of_all = &spec["defaultBackend"];
    if items(&spec["rules"]).is_empty() && backend_of_all.is_null() {
        found.add(at.clone(), "rules or a defaultBackend are needed");
    }
    if !backend_of_all.is_null() {
        backend(backend_of_all, &at.key("defaultBackend"), found);
    }
    for (rule, at) in listed(spec, &at, "rules") {
        host(&rule["host"], &at.key("host"), found);
        let http = at.key("http");
        if rule["http"]["paths"].as_array().is_some_and(Vec::is_empty) {
            found.add(http.key("paths"), "a path is needed");
        }
        for (path, at) in listed(&rule["http"], &http, "paths") {
            self::path(path, &at, found);
            if path["backend"].is_object() {
                backend(&path["backend"], &at.key("backend"), found);
            }
        }
    }
    for (tls, at) in listed(spec, &at, "tls") {
        for (name, at) in listed(tls, &at, "hosts") {
            host(name, &at, found);
        }
    }
}

fn path(path: &Value, at: &FieldPath, found: &mut Found) {
    const KINDS: [&str; 3] = ["Exact", "Prefix", "ImplementationSpecific"];
    const PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
    let kind = text(&path["pathType"]);
    scheduling::one_of(kind, &KINDS, &at.key("pathType"), found);
    let given = path["path"].as_str().unwrap_or_default();
    if is_filled_in_later(given) {
        return;
    }
    if !matches!(kind, Some("Exact" | "Prefix")) {
        if kind == Some("ImplementationSpecific") && !given.is_empty() && !given.starts_with('/') {
            found.add(at.key("path"), "must begin with '/'");
        }
        return;
    }
    if !given.starts_with('/') {
        return found.add(at.key("path"), "must begin with '/'");
    }
    if let Some(part) = PARTS.iter().find(|part| given.contains(*part)) {
        found.add(at.key("path"), format!("must not hold {part:?}"));
    } else if let Some(end) = ["/..", "/."].iter().find(|end| given.ends_with(*end)) {
        found.add(at.key("path"), format!("must not end in {end:?}"));
    }
}

fn host(given: &Value, at: &FieldPath, found: &mut Found) {
    let Some(host) = text(given).filter(|host| !host.is_empty()) else { return };
    if host.parse::<IpAddr>().is_ok() {
        return found.add(at.clone(), "must be a host name, and not an address");
    }
    let bare = host.strip_prefix("*.").unwrap_or(host);
    if let Some(problem) = names::no_subdomain(bare) {
        found.add(at.clone(), format!("the host {} {problem}", quoted(host)));
    }
}

fn backend(backend: &Value, at: &FieldPath, found: &mut Found) {
    match set(backend, &["service", "resource"]).as_slice() {
        [_] => {}
        [] => return found.add(at.clone(), "names neither a service nor a resource"),
        _ => return found.add(at.clone(), "names a service and a resource: keep one"),
    }
    let (service, at) = (&backend["service"], at.key("service"));
    if service.is_null() {
        return;
    }
    let (port, at) = (&service["port"], at.key("port"));
    match (is_set(&port["name"]), port["number"].as_i64().is_some_and(|number| number != 0)) {
        (true, true) => found.add(at, "has a name and a number: keep one"),
        (false, false) if !port["number"].is_string() => {
            found.add(at, "a name or a number of the port is needed");
        }
        (_, true) => found.port(port, &at, "number"),
        _ => {}
    }
}

pub(super) fn network_policy(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], root().key("spec"));
    workload::selector(&spec["podSelector"], &at.key("podSelector"), found);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (rule, at) in listed(spec, &at, rules) {
            for (peer, at) in listed(rule, &at, peers) {
                self::peer(peer, &at, found);
            }
            for (port, at) in listed(rule, &at, "ports") {
                found.port(port, &at, "port");
                found.port(port, &at, "endPort");
                let (first, last) = (port["port"].as_i64(), port["endPort"].as_i64());
                if last.is_some()
                    && first.is_none()
                    && text(&port["port"]).is_none_or(|p| p.parse::<u16>().is_err())
                {
                    found.add(at.key("endPort"), "needs a port that is a number");
                } else if first.zip(last).is_some_and(|(first, last)| last < first) {
                    found.add(at.key("endPort"), "is below the port");
                }
                let name = text(&port["port"]);
                if let Some(problem) = name.and_then(names::no_port_name) {
                    found.add(at.key("port"), format!("the name of the port {problem}"));
                }
            }
        }
    }
}

fn peer(peer: &Value, at: &FieldPath, found: &mut Found) {
    let block = &peer["ipBlock"];
    let selectors = set(peer, &["podSelector", "namespaceSelector"]);
    if block.is_null() && selectors.is_empty() {
        return found
            .add(at.clone(), "a peer is needed: podSelector, namespaceSelector or ipBlock");
    }
    for name in &selectors {
        workload::selector(&peer[*name], &at.key(name), found);
    }
    if block.is_null() {
        return;
    }
    let at = at.key("ipBlock");
    if !selectors.is_empty() {
        found.add(at.clone(), "must stand alone, without selectors");
    }
    let whole = text(&block["cidr"]).map(str::parse::<IpNet>);
    if matches!(whole, Some(Err(_))) {
        found.add(at.key("cidr"), "is no range of addresses, such as 10.0.0.0/8");
    }
    for (part, at) in listed(block, &at, "except") {
        let net = text(part).map(str::parse::<IpNet>);
        let (Some(Ok(whole)), Some(net)) = (&whole, net) else { continue };
        let within =
            net.is_ok_and(|net| whole.contains(&net) && net.prefix_len() > whole.prefix_len());
        if !within {
            found.add(at, format!("is not a range within {whole}"));
        }
    }
}
