//! References of external secrets to stores, resolved within what is checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    manifest::{Draft, Object},
    report::{Hit, Report},
    table::rule,
};
use crate::hardening::plan::policy::FieldPath;

/// API group of the objects that refer and are referred to.
pub const GROUP: &str = "external-secrets.io";

/// A store that an object names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    kind: String,
    /// Absent for stores of the whole cluster, and where the manifest leaves it to `kubectl -n`.
    namespace: Option<String>,
    name: String,
}

/// The stores that an object names, each with what to say if it is not there.
pub fn of(object: &Object<'_>) -> Vec<(Wanted, Draft)> {
    if object.group() != GROUP {
        return Vec::new();
    }
    let spec = &object.value["spec"];
    let at = FieldPath::default().key("spec");
    match object.kind {
        "ExternalSecret" => external_secret(object, spec, &at),
        "ClusterExternalSecret" => {
            external_secret(object, &spec["externalSecretSpec"], &at.key("externalSecretSpec"))
        }
        "PushSecret" => listed(spec, &at, "secretStoreRefs")
            .filter_map(|(reference, at)| wanted(object, reference, &at))
            .collect(),
        _ => Vec::new(),
    }
}

fn external_secret(object: &Object<'_>, spec: &Value, at: &FieldPath) -> Vec<(Wanted, Draft)> {
    let main = wanted(object, &spec["secretStoreRef"], &at.key("secretStoreRef"));
    let nested = ["data", "dataFrom"].into_iter().flat_map(|field| listed(spec, at, field));
    let nested = nested.filter_map(|(entry, at)| {
        let keys = ["sourceRef", "storeRef"];
        wanted(object, &entry["sourceRef"]["storeRef"], &at.keys(&keys))
    });
    main.into_iter().chain(nested).collect()
}

fn listed<'v>(
    spec: &'v Value,
    at: &FieldPath,
    field: &str,
) -> impl Iterator<Item = (&'v Value, FieldPath)> {
    let at = at.key(field);
    let items = spec[field].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().enumerate().map(move |(number, item)| (item, at.index(number)))
}

fn wanted(object: &Object<'_>, reference: &Value, at: &FieldPath) -> Option<(Wanted, Draft)> {
    let name = reference["name"].as_str()?.to_owned();
    let kind = reference["kind"].as_str().unwrap_or("SecretStore").to_owned();
    let namespace = (kind == "SecretStore").then(|| namespace(object.value)).flatten();
    let message = format!("{kind} {name} is not among what is checked");
    let draft = Draft::new(rule("HB-ESO"), at.key("name"), message);
    Some((Wanted { kind, namespace, name }, draft))
}

fn namespace(object: &Value) -> Option<String> {
    object["metadata"]["namespace"].as_str().map(ToOwned::to_owned)
}

/// What is known of all files together.
#[derive(Debug, Default)]
pub struct Ledger {
    stores: BTreeSet<Wanted>,
    asked: Vec<(Wanted, usize, Hit)>,
    unjudged: BTreeMap<String, usize>,
    /// Number of the file that is being read.
    file: usize,
}

impl Ledger {
    /// Goes on to the next file.
    pub fn next_file(&mut self) {
        self.file += 1;
    }

    /// Remembers an object that others may refer to.
    pub fn note(&mut self, object: &Object<'_>) {
        if object.group() == GROUP && matches!(object.kind, "SecretStore" | "ClusterSecretStore") {
            let metadata = &object.value["metadata"];
            let name = metadata["name"].as_str().unwrap_or_default().to_owned();
            let namespace =
                (object.kind == "SecretStore").then(|| namespace(object.value)).flatten();
            self.stores.insert(Wanted { kind: object.kind.to_owned(), namespace, name });
        }
    }

    /// Remembers a reference with what to say if nothing is there.
    pub fn ask(&mut self, wanted: &Wanted, hits: Vec<Hit>) {
        self.asked.extend(hits.into_iter().map(|hit| (wanted.clone(), self.file, hit)));
    }

    /// Counts an object for which there are no checks.
    pub fn unjudged(&mut self, kind: &str) {
        *self.unjudged.entry(kind.to_owned()).or_default() += 1;
    }

    /// Adds to a report what could only be known at the end.
    ///
    /// Where no store of the kind is among the files, it is probably in the cluster: that is a note. Where
    /// there are some and not the one that is named, it is a finding.
    pub fn finish(self, report: &mut Report) {
        for (wanted, file, mut hit) in self.asked {
            let there = |store: &Wanted| {
                let places = store.namespace.as_ref().zip(wanted.namespace.as_ref());
                store.kind == wanted.kind
                    && store.name == wanted.name
                    && places.is_none_or(|(theirs, ours)| theirs == ours)
            };
            if self.stores.iter().any(there) {
                continue;
            }
            hit.note = !self.stores.iter().any(|store| store.kind == wanted.kind);
            if let Some(file) = report.files.get_mut(file) {
                file.hits.push(hit);
            }
        }
        report.unjudged = self.unjudged;
    }
}
