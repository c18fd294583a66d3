//! What an object depends on: its stores, and generators of the whole cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::external_secret::items;
use super::{GENERATORS, GROUP, differs, lacks, spec, store, text};
use crate::check::object::{Object, short};
use crate::check::report::{Located, Report};
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Severity;
use crate::secrets::plan::push::claims::Claim;

/// An object that others depend on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    name: String,
}

/// Entries of one remote secret that are compared with each other.
const MOST_AT_ONE_PLACE: usize = 100;

/// What is known of one.
#[derive(Clone, Debug)]
struct Known {
    namespace: Option<String>,
    /// Why it does not work.
    problem: Option<String>,
    /// It has a prefix, so that `find` works differently.
    has_prefix: bool,
}

/// What has to hold of another object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// It works.
    Works,
    /// It has no prefix.
    HasNoPrefix,
}

/// A remote secret that a PushSecret writes to, or a field of it.
#[derive(Debug)]
struct Push {
    claim: Claim,
    /// The store, with its namespace where it has one.
    store: (Key, Option<String>),
    /// The PushSecret: its namespace and its name.
    by: (Option<String>, String),
}

/// A place that is written to, with what to say if another PushSecret writes there.
#[derive(Debug)]
pub(crate) struct Pushed {
    push: Push,
    /// What to say; the message is written when the other one is known.
    pub(crate) finding: Finding,
}

/// A dependency, with what to say if it does not hold.
#[derive(Debug)]
pub(crate) struct Asked {
    key: Key,
    namespace: Option<String>,
    question: Question,
    /// What to say.
    pub(crate) finding: Finding,
}

/// Dependencies of all objects, and what they are on.
#[derive(Debug, Default)]
pub(crate) struct References {
    known: BTreeMap<Key, Vec<Known>>,
    asked: Vec<(Asked, usize, Located)>,
    pushes: Vec<(Push, usize, Located)>,
    /// Objects that have to do with ESO.
    pub(crate) objects: usize,
}

fn namespace(object: &Value) -> Option<&str> {
    text(object, "/metadata/namespace")
}

/// What an object depends on.
pub(crate) fn asked(object: &Object<'_>) -> Vec<Asked> {
    let mut all = Vec::new();
    let inner = &object.value["spec"];
    match (object.group(), object.kind) {
        (GROUP, "ExternalSecret") => of_spec(inner, &spec(), namespace(object.value), &mut all),
        (GROUP, "ClusterExternalSecret") => {
            // Its namespaces are not known, so a store of that name in any of them counts.
            let at = spec().key("externalSecretSpec");
            of_spec(&inner["externalSecretSpec"], &at, None, &mut all);
        }
        (GROUP, "PushSecret") => pushed(inner, &spec(), namespace(object.value), &mut all),
        (GROUP, "ClusterPushSecret") => {
            pushed(&inner["pushSecretSpec"], &spec().key("pushSecretSpec"), None, &mut all);
        }
        _ => {}
    }
    all
}

/// The stores that something is pushed to.
fn pushed(inner: &Value, at: &FieldPath, namespace: Option<&str>, all: &mut Vec<Asked>) {
    for (store, at) in items(inner, "secretStoreRefs", at) {
        let kind = text(store, "/kind").unwrap_or("SecretStore");
        // One that is chosen by labels is refused as such.
        let Some(name) = text(store, "/name") else { continue };
        all.push(ask(kind, name, namespace, at.key("name"), Question::Works));
    }
}

/// The places that a PushSecret writes to, each with what to say if another one writes there.
pub(crate) fn pushes(object: &Object<'_>) -> Vec<Pushed> {
    if (object.group(), object.kind) != (GROUP, "PushSecret") {
        return Vec::new();
    }
    let inner = &object.value["spec"];
    let own = namespace(object.value).map(ToOwned::to_owned);
    let by = (own.clone(), text(object.value, "/metadata/name").unwrap_or_default().to_owned());
    let mut all = Vec::new();
    for (store, _) in items(inner, "secretStoreRefs", &spec()) {
        let kind = text(store, "/kind").unwrap_or("SecretStore").to_owned();
        let Some(name) = text(store, "/name").map(ToOwned::to_owned) else { continue };
        let place = own.clone().filter(|_| !kind.starts_with("Cluster"));
        for (entry, at) in items(inner, "data", &spec()) {
            let remote = &entry["match"]["remoteRef"];
            let Some(remote_key) = text(remote, "/remoteKey") else { continue };
            let claim = Claim::at(remote_key, text(remote, "/property").unwrap_or_default());
            let at = at.keys(&["match", "remoteRef", "remoteKey"]);
            let remedy = "let one PushSecret write it, or give each a property of its own";
            let finding = differs(at, "", remedy);
            let store = (Key { kind: kind.clone(), name: name.clone() }, place.clone());
            all.push(Pushed { push: Push { claim, store, by: by.clone() }, finding });
        }
    }
    all
}

fn ask(
    kind: &str,
    name: &str,
    namespace: Option<&str>,
    at: FieldPath,
    question: Question,
) -> Asked {
    let message = format!("its {} {}", short(kind), short(name));
    let finding = match question {
        Question::Works => lacks(at, message, "keep ESO for this object, in a class of its own"),
        Question::HasNoPrefix => {
            let remedy = "compare the keys of the Secret before and after";
            differs(at, format!("{message} has a prefix: only what is below it is found"), remedy)
        }
    };
    let key = Key { kind: kind.to_owned(), name: name.to_owned() };
    let namespace = namespace.filter(|_| !kind.starts_with("Cluster")).map(ToOwned::to_owned);
    Asked { key, namespace, question, finding }
}

fn of_spec(inner: &Value, at: &FieldPath, namespace: Option<&str>, all: &mut Vec<Asked>) {
    let mut ask = |kind: &str, name: &str, at: FieldPath, question: Question| {
        all.push(self::ask(kind, name, namespace, at, question));
    };
    let default = &inner["secretStoreRef"];
    if let Some(name) = text(default, "/name") {
        let kind = text(default, "/kind").unwrap_or("SecretStore");
        ask(kind, name, at.keys(&["secretStoreRef", "name"]), Question::Works);
    }
    for field in ["data", "dataFrom"] {
        for (entry, at) in items(inner, field, at) {
            let own = &entry["sourceRef"]["storeRef"];
            let of_own = at.keys(&["sourceRef", "storeRef", "name"]);
            if let Some(name) = text(own, "/name") {
                ask(text(own, "/kind").unwrap_or("SecretStore"), name, of_own, Question::Works);
            }
            let store = if text(own, "/name").is_some() { own } else { default };
            if let (true, Some(name)) = (entry["find"].is_object(), text(store, "/name")) {
                let kind = text(store, "/kind").unwrap_or("SecretStore");
                ask(kind, name, at.key("find"), Question::HasNoPrefix);
            }
            let generator = &entry["sourceRef"]["generatorRef"];
            if let (Some(kind @ "ClusterGenerator"), Some(name)) =
                (text(generator, "/kind"), text(generator, "/name"))
            {
                ask(kind, name, at.keys(&["sourceRef", "generatorRef", "name"]), Question::Works);
            }
        }
    }
}

impl References {
    /// Remembers an object of which others may ask.
    pub(crate) fn note(&mut self, object: &Object<'_>) {
        self.objects += 1;
        let problem = match (object.group(), object.kind) {
            (GROUP, "SecretStore" | "ClusterSecretStore") => {
                store::foreign(object.value).map(|(_, problem)| problem)
            }
            (GENERATORS, "ClusterGenerator") => {
                super::cluster_generator(&object.value["spec"]).map(|finding| finding.message)
            }
            _ => return,
        };
        let name = text(object.value, "/metadata/name").unwrap_or_default();
        let key = Key { kind: object.kind.to_owned(), name: name.to_owned() };
        let has_prefix = text(object.value, "/spec/provider/aws/prefix").is_some();
        let namespace = namespace(object.value).map(ToOwned::to_owned);
        let known = Known { namespace, problem, has_prefix };
        self.known.entry(key).or_default().push(known);
    }

    /// Remembers a dependency and where it is.
    pub(crate) fn ask(&mut self, asked: Asked, file: usize, located: Vec<Located>) {
        self.asked.extend(located.into_iter().next().map(|located| (asked, file, located)));
    }

    /// Remembers a place that is written to.
    pub(crate) fn push(&mut self, pushed: Pushed, file: usize, located: Vec<Located>) {
        self.pushes.extend(located.into_iter().next().map(|located| (pushed.push, file, located)));
    }

    /// Names each place that several PushSecrets write to, at all but the first of them.
    fn shared(&mut self, report: &mut Report) {
        let mut places = BTreeMap::<(Key, Option<String>, String), Vec<Push>>::new();
        let mut said = BTreeSet::new();
        for (push, file, mut located) in std::mem::take(&mut self.pushes) {
            let (store, namespace) = push.store.clone();
            let place = (store, namespace, push.claim.remote_key.clone());
            let earlier = places.entry(place).or_default();
            let other =
                earlier.iter().find(|one| one.by != push.by && one.claim.overlaps(&push.claim));
            if let Some(other) = other {
                let name = short(&other.by.1);
                located.finding.message = format!(
                    "PushSecret {name} writes the same remote secret {}: the one that pushed first keeps it, and the other gets RemoteTaken",
                    short(&push.claim.remote_key)
                );
                let key = (push.by.clone(), located.finding.message.clone());
                if let Some(file) = report.files.get_mut(file).filter(|_| said.insert(key)) {
                    file.findings.push(located);
                }
            }
            // Beyond this many, one of them is named already.
            if earlier.len() < MOST_AT_ONE_PLACE {
                earlier.push(push);
            }
        }
    }

    /// Adds to a report what could only be known at the end.
    pub(crate) fn finish(mut self, report: &mut Report) {
        self.shared(report);
        for (asked, file, mut located) in self.asked {
            let all = self.known.get(&asked.key).map(Vec::as_slice).unwrap_or_default();
            let mut there = all.iter().filter(|known| {
                asked.namespace.is_none()
                    || known.namespace.is_none()
                    || asked.namespace == known.namespace
            });
            match asked.question {
                Question::HasNoPrefix if !there.any(|known| known.has_prefix) => continue,
                Question::HasNoPrefix => {}
                Question::Works => {
                    let mut there = there.peekable();
                    if there.peek().is_none() {
                        located.finding.severity = Severity::Low;
                        located.finding.message +=
                            " is not among what is checked, so nobody can tell whether it works";
                        "check it too: with the files of the store, or with --cluster"
                            .clone_into(&mut located.finding.remedy);
                    } else if let Some(problem) = there.find_map(|known| known.problem.clone()) {
                        located.finding.message += " does not work: ";
                        located.finding.message += &problem;
                    } else {
                        continue;
                    }
                }
            }
            if let Some(file) = report.files.get_mut(file) {
                file.findings.push(located);
            }
        }
    }
}
