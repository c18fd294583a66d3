//! References between objects, resolved within what is checked: of external secrets and stores, and of selectors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    eso::{self, References},
    object::Object,
    report::{Located, Report},
    selectors::{Selectors, Unless},
};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// API group of the objects that refer and are referred to.
pub(crate) const GROUP: &str = "external-secrets.io";

/// API group of what makes values up.
const GENERATORS: &str = "generators.external-secrets.io";

/// Values within values that are searched for references; no provider goes deeper.
const DEEPEST: usize = 12;

/// An object that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    kind: String,
    name: String,
    /// Absent for what is of the whole cluster, and where the manifest leaves it to `kubectl -n`.
    namespace: Option<String>,
}

/// The objects that an object names, each with what to say if it is not there.
pub(crate) fn of(object: &Object<'_>) -> Vec<(Wanted, Finding)> {
    if object.group() != GROUP {
        return Vec::new();
    }
    let spec = &object.value["spec"];
    let at = FieldPath::default().key("spec");
    let mut asked = Asked { object, found: Vec::new() };
    match object.kind {
        "ExternalSecret" => asked.external_secret(spec, &at),
        "ClusterExternalSecret" => {
            asked.external_secret(&spec["externalSecretSpec"], &at.key("externalSecretSpec"));
        }
        "PushSecret" => asked.push_secret(spec, &at),
        "ClusterPushSecret" => {
            asked.push_secret(&spec["pushSecretSpec"], &at.key("pushSecretSpec"));
        }
        "SecretStore" | "ClusterSecretStore" => {
            asked.provider(&spec["provider"], &at.key("provider"), 0);
        }
        _ => {}
    }
    asked.found
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

/// What one object asks for.
struct Asked<'o> {
    object: &'o Object<'o>,
    found: Vec<(Wanted, Finding)>,
}

impl Asked<'_> {
    fn external_secret(&mut self, spec: &Value, at: &FieldPath) {
        self.store(&spec["secretStoreRef"], &at.key("secretStoreRef"));
        let nested = ["data", "dataFrom"].into_iter().flat_map(|field| listed(spec, at, field));
        for (entry, at) in nested {
            let (source, at) = (&entry["sourceRef"], at.key("sourceRef"));
            self.store(&source["storeRef"], &at.key("storeRef"));
            if let Some(kind) = source["generatorRef"]["kind"].as_str() {
                self.named(kind, &source["generatorRef"], &at.key("generatorRef"));
            }
        }
        let at = at.keys(&["target", "template"]);
        for (entry, at) in listed(&spec["target"]["template"], &at, "templateFrom") {
            self.named("ConfigMap", &entry["configMap"], &at.key("configMap"));
            self.named("Secret", &entry["secret"], &at.key("secret"));
        }
    }

    fn push_secret(&mut self, spec: &Value, at: &FieldPath) {
        for (reference, at) in listed(spec, at, "secretStoreRefs") {
            self.store(reference, &at);
        }
        self.named("Secret", &spec["selector"]["secret"], &at.keys(&["selector", "secret"]));
    }

    fn store(&mut self, reference: &Value, at: &FieldPath) {
        let kind = reference["kind"].as_str().unwrap_or("SecretStore");
        self.named(kind, reference, at);
    }

    /// ServiceAccounts and Secrets by which a store authenticates, in any provider: fields that are called so.
    fn provider(&mut self, value: &Value, at: &FieldPath, depth: usize) {
        let Some(fields) = value.as_object().filter(|_| depth < DEEPEST) else { return };
        for (key, value) in fields {
            let at = at.key(key);
            match key.as_str() {
                "serviceAccountRef" | "serviceAccount" => self.named("ServiceAccount", value, &at),
                _ if key.ends_with("SecretRef") || key == "secretRef" => {
                    self.named("Secret", value, &at);
                }
                _ => {}
            }
            self.provider(value, &at, depth + 1);
        }
    }

    fn named(&mut self, kind: &str, reference: &Value, at: &FieldPath) {
        let Some(name) = reference["name"].as_str().filter(|name| !name.is_empty()) else { return };
        let stated = reference["namespace"].as_str().map(ToOwned::to_owned);
        let own = stated.or_else(|| namespace(self.object.value));
        let wanted = Wanted {
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: own.filter(|_| !kind.starts_with("Cluster")),
        };
        let message = format!("{kind} {name} is not among what is checked");
        self.found.push((wanted, Finding::new(ControlId::HbEso, at.key("name"), message)));
    }
}

fn namespace(object: &Value) -> Option<String> {
    object["metadata"]["namespace"].as_str().map(ToOwned::to_owned)
}

/// What is known of all files together: what is there, and who refers to what.
#[derive(Debug, Default)]
pub(crate) struct CrossReferences {
    /// Namespaces of what others may refer to, by kind and name.
    there: BTreeMap<String, BTreeMap<String, BTreeSet<Option<String>>>>,
    asked: Vec<(Wanted, usize, Located)>,
    selectors: Selectors,
    unevaluated: BTreeMap<String, usize>,
    /// Number of the file that is being read.
    file: usize,
    scans: usize,
    /// What objects of External Secrets Operator depend on.
    eso: References,
}

impl CrossReferences {
    /// Goes on to the next file.
    pub(crate) fn next_file(&mut self) {
        self.file += 1;
    }

    /// Remembers an object of External Secrets Operator.
    pub(crate) fn note_eso(&mut self, object: &Object<'_>) {
        self.eso.note(object);
    }

    /// Remembers what an object of External Secrets Operator depends on, and where it says so.
    pub(crate) fn ask_eso(&mut self, asked: eso::Asked, located: Vec<Located>) {
        self.eso.ask(asked, self.file, located);
    }

    /// Remembers where a PushSecret writes.
    pub(crate) fn push_eso(&mut self, pushed: eso::Pushed, located: Vec<Located>) {
        self.eso.push(pushed, self.file, located);
    }

    /// How many objects have to do with External Secrets Operator.
    pub(crate) fn of_eso(&self) -> usize {
        self.eso.objects
    }

    /// Counts a report of a scanner.
    pub(crate) fn scanned(&mut self) {
        self.scans += 1;
    }

    /// How many reports of scanners there were.
    pub(crate) fn scans(&self) -> usize {
        self.scans
    }

    /// Remembers an object that others may refer to, and the one that it makes.
    pub(crate) fn note(&mut self, object: &Object<'_>) {
        let metadata = &object.value["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let namespace = namespace(object.value);
        match (object.group(), object.kind) {
            (GROUP, "ExternalSecret") => {
                let target = object.value["spec"]["target"]["name"].as_str().unwrap_or(name);
                self.add("Secret", target, namespace);
            }
            (GROUP, kind @ "ClusterSecretStore") => self.add(kind, name, None),
            (GROUP, kind @ "SecretStore")
            | (GENERATORS, kind)
            | ("", kind @ ("Secret" | "ServiceAccount" | "ConfigMap")) => {
                self.add(kind, name, namespace);
            }
            _ => {}
        }
        self.selectors.note(object, self.file);
    }

    fn add(&mut self, kind: &str, name: &str, namespace: Option<String>) {
        let names = self.there.entry(kind.to_owned()).or_default();
        names.entry(name.to_owned()).or_default().insert(namespace);
    }

    /// Remembers a reference with what to say if nothing is there.
    pub(crate) fn ask(&mut self, wanted: &Wanted, located: Vec<Located>) {
        self.asked.extend(located.into_iter().map(|located| (wanted.clone(), self.file, located)));
    }

    /// Records findings of an object that other objects can cancel.
    pub(crate) fn ask_at_the_end(
        &mut self,
        object: &Object<'_>,
        unless: Unless,
        found: Vec<Located>,
    ) {
        self.selectors.ask(object, self.file, unless, found);
    }

    /// Counts an object for which there are no checks.
    pub(crate) fn unevaluated(&mut self, kind: &str) {
        *self.unevaluated.entry(kind.to_owned()).or_default() += 1;
    }

    /// Adds to a report what could only be known at the end.
    ///
    /// Where none of the kind is among the files, it is probably in the cluster: that is a note. Where there are
    /// some and not the one that is named, it is a finding. ConfigMaps and Secrets come from everywhere.
    pub(crate) fn finish(self, report: &mut Report) {
        for (wanted, file, mut located) in self.asked {
            let kin = self.there.get(&wanted.kind);
            if kin
                .and_then(|names| names.get(&wanted.name))
                .is_some_and(|there| wanted.is_in(there))
            {
                continue;
            }
            let elsewhere = matches!(wanted.kind.as_str(), "Secret" | "ConfigMap");
            located.finding.note = kin.is_none() || elsewhere;
            if let Some(file) = report.files.get_mut(file) {
                file.findings.push(located);
            }
        }
        self.eso.finish(report);
        self.selectors.finish(report);
        report.unevaluated = self.unevaluated;
    }
}

impl Wanted {
    fn is_in(&self, namespaces: &BTreeSet<Option<String>>) -> bool {
        self.namespace.is_none()
            || namespaces.contains(&None)
            || namespaces.contains(&self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::object::objects;

    /// Kind, name and namespace of what an object asks for, with the field that does.
    fn asked(object: &Value) -> Vec<String> {
        let found: Vec<_> = objects(object).iter().flat_map(of).collect();
        let shown = found.iter().map(|(wanted, finding)| {
            let namespace = wanted.namespace.as_deref().unwrap_or("-");
            format!("{} {namespace}/{} {}", wanted.kind, wanted.name, finding.path)
        });
        shown.collect()
    }

    #[test]
    fn every_reference_of_external_secrets_and_stores_is_known() {
        let secret = json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "a", "namespace": "shop"},
            "spec": {
                "secretStoreRef": {"name": "aws"},
                "data": [{"sourceRef": {"storeRef": {"name": "all", "kind": "ClusterSecretStore"}}}],
                "dataFrom": [{"sourceRef": {"generatorRef": {"kind": "Password", "name": "p"}}}, {"extract": {"key": "k"}}],
                "target": {"template": {"templateFrom": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}, {"literal": "x"}]}},
            },
        });
        assert_eq!(
            asked(&secret),
            [
                "SecretStore shop/aws spec.secretStoreRef.name",
                "ClusterSecretStore -/all spec.data[0].sourceRef.storeRef.name",
                "Password shop/p spec.dataFrom[0].sourceRef.generatorRef.name",
                "ConfigMap shop/c spec.target.template.templateFrom[0].configMap.name",
                "Secret shop/s spec.target.template.templateFrom[1].secret.name",
            ]
        );
        let store = json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore", "metadata": {"name": "aws"},
            "spec": {"provider": {"aws": {"auth": {
                "jwt": {"serviceAccountRef": {"name": "sa", "namespace": "x"}},
                "secretRef": {"accessKeyIDSecretRef": {"name": "keys", "key": "id"}},
            }}}},
        });
        assert_eq!(
            asked(&store),
            [
                "ServiceAccount x/sa spec.provider.aws.auth.jwt.serviceAccountRef.name",
                "Secret -/keys spec.provider.aws.auth.secretRef.accessKeyIDSecretRef.name",
            ]
        );
        for nothing in [
            json!({"apiVersion": "v1", "kind": "ExternalSecret", "spec": {"secretStoreRef": {"name": "a"}}}),
            json!({"apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "spec": "x"}),
            json!({"apiVersion": "external-secrets.io/v1", "kind": "PushSecret", "spec": {"secretStoreRefs": {"name": "a"}}}),
        ] {
            assert_eq!(asked(&nothing), [""; 0], "{nothing}");
        }
    }
}
