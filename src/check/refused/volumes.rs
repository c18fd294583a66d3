//! Volumes and claims.

use std::collections::BTreeSet;

use serde_json::Value;

use super::container::amount;
use super::{Found, Volumes, items, listed, names, quoted, set, text};
use crate::policy::FieldPath;
use crate::policy::Subject;
use crate::policy::WorkloadKind;
use crate::quantity::Quantity;

/// Types of volumes.
const TYPES: [&str; 30] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];
/// Sources of projected volumes.
const PROJECTED: [&str; 6] = [
    "clusterTrustBundle",
    "configMap",
    "downwardAPI",
    "podCertificate",
    "secret",
    "serviceAccountToken",
];
/// Volumes that hold files by name.
const FILES: [&str; 3] = ["configMap", "secret", "downwardAPI"];

/// The volumes of a pod; a StatefulSet makes some itself.
pub(super) fn evaluate<'v>(
    subject: &Subject<'v>,
    object: &'v Value,
    found: &mut Found,
) -> Volumes<'v> {
    let mut volumes = Volumes::new();
    let spec = subject.spec;
    for (volume, at) in listed(spec, &subject.at.key("spec"), "volumes") {
        if let Some(name) = text(&volume["name"]) {
            if let Some(problem) = names::no_label(name) {
                found.add(
                    at.key("name"),
                    format!("the name {} of the volume {problem}", quoted(name)),
                );
            } else if !volumes.insert(name) {
                found.add(at.key("name"), format!("a second volume is called {name:?}"));
            }
        }
        let sources = set(volume, &TYPES);
        if sources.len() > 1 {
            found.add(at.clone(), format!("has several types: {}", sources.join(" and ")));
        }
        details(volume, &at, found);
    }
    if subject.kind == WorkloadKind::StatefulSet {
        let at = FieldPath::default().key("spec");
        for (template, at) in listed(&object["spec"], &at, "volumeClaimTemplates") {
            claim(&template["spec"], &at.key("spec"), found);
        }
        let claims = items(&object["spec"]["volumeClaimTemplates"]).iter();
        volumes.extend(claims.filter_map(|claim| claim["metadata"]["name"].as_str()));
    }
    volumes
}

fn details(volume: &Value, at: &FieldPath, found: &mut Found) {
    let directory = &volume["emptyDir"];
    if amount(&directory["sizeLimit"]).is_some_and(Quantity::is_negative) {
        found.add(at.keys(&["emptyDir", "sizeLimit"]), "is below zero");
    }
    for kind in FILES {
        let (source, at) = (&volume[kind], at.key(kind));
        found.bounded(source, &at, "defaultMode", (0, 0o777));
        paths(source, &at, found);
    }
    let (projected, at) = (&volume["projected"], at.key("projected"));
    found.bounded(projected, &at, "defaultMode", (0, 0o777));
    for (source, at) in listed(projected, &at, "sources") {
        let kinds = set(source, &PROJECTED);
        if kinds.len() > 1 {
            found.add(at.clone(), format!("has several sources: {}", kinds.join(" and ")));
        }
        for kind in FILES {
            paths(&source[kind], &at.key(kind), found);
        }
        let token = &source["serviceAccountToken"];
        let at = at.key("serviceAccountToken");
        found.bounded(token, &at, "expirationSeconds", (600, 1 << 32));
    }
}

/// Files of a volume lie within it.
fn paths(source: &Value, at: &FieldPath, found: &mut Found) {
    for (item, at) in listed(source, at, "items") {
        let path = text(&item["path"]).unwrap_or_default();
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            found.add(at.key("path"), "must be relative, and without '..'");
        }
        found.bounded(item, &at, "mode", (0, 0o777));
    }
}

/// A claim of a volume.
pub(super) fn claim(spec: &Value, at: &FieldPath, found: &mut Found) {
    if !spec.is_object() {
        return;
    }
    let modes = items(&spec["accessModes"]);
    if modes.is_empty() {
        found.add(at.key("accessModes"), "at least one access mode is needed");
    }
    let known: BTreeSet<_> = modes.iter().filter_map(Value::as_str).collect();
    if known.len() > 1 && known.contains("ReadWriteOncePod") {
        found.add(at.key("accessModes"), "ReadWriteOncePod must be the only access mode");
    }
    let storage = &spec["resources"]["requests"]["storage"];
    let path = at.keys(&["resources", "requests", "storage"]);
    if storage.is_null() {
        return found.add(path, "a request of storage is needed");
    }
    if amount(storage).is_some_and(|amount| amount <= Quantity::ZERO) {
        found.add(path, "must be above zero");
    }
}
