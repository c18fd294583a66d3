//! A namespace in memory that does what the API server does with the steps of a plan: it checks the
//! preconditions, fills in defaults, and remembers the order of events.

use std::collections::BTreeMap;

use gabion::hardening::plan::labels::{Memory, RECORD};
use gabion::hardening::plan::namespace::{NamespaceObserved, Plan};
use gabion::hardening::plan::objects::{Generated, GeneratedKey, ObservedObject, over, released};
use gabion::hardening::plan::owned::claim;
use gabion::hardening::plan::pods::Pods;
use gabion::hardening::plan::service_accounts::{ObservedServiceAccount, Previous};
use gabion::hardening::plan::steps::Step;
use gabion::meta::{ResourceVersion, Uid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// The namespace `shop`.
#[derive(Clone, Debug)]
pub struct Model {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub objects: BTreeMap<GeneratedKey, Generated>,
    pub accounts: BTreeMap<String, (Option<bool>, Option<Previous>)>,
    pub usage: Option<gabion::hardening::plan::baseline::Amounts>,
    pub events: Vec<String>,
    version: u64,
}

impl Model {
    pub fn new(labels: &[(&str, &str)]) -> Self {
        Self {
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            annotations: BTreeMap::new(),
            objects: BTreeMap::new(),
            accounts: [
                ("default".to_owned(), (None, None)),
                ("builder".to_owned(), (Some(true), None)),
            ]
            .into(),
            usage: None,
            events: Vec::new(),
            version: 0,
        }
    }

    /// Puts an object there as somebody else.
    pub fn put(&mut self, mut object: Generated) {
        self.version += 1;
        object.meta_mut().uid = Some(format!("uid-{}", self.version));
        object.meta_mut().resource_version = Some(self.version.to_string());
        self.objects.insert(object.key(), defaulted(object));
    }

    /// What a plan sees.
    pub fn observed(&self) -> NamespaceObserved {
        let mut meta = ObjectMeta {
            labels: Some(self.labels.clone()),
            annotations: Some(self.annotations.clone()),
            ..ObjectMeta::default()
        };
        claim(&mut meta);
        NamespaceObserved {
            name: "shop".into(),
            uid: "uid-shop".into(),
            resource_version: "1".into(),
            labels: self.labels.clone(),
            memory: Memory::of(&meta, None),
            reached: true,
            terminating: false,
            objects: self
                .objects
                .iter()
                .map(|(key, live)| (key.clone(), ObservedObject::of(live).into()))
                .collect(),
            service_accounts: self
                .accounts
                .iter()
                .map(|(name, (automount, previous))| ObservedServiceAccount {
                    name: name.clone(),
                    automount: *automount,
                    previous: *previous,
                    ..ObservedServiceAccount::default()
                })
                .collect(),
            permissive: Vec::new(),
            pods: self.usage.clone().map(Pods::using),
            ..NamespaceObserved::default()
        }
    }

    /// Everything but the history, to compare states.
    pub fn content(&self) -> Value {
        let objects: Vec<Value> = self
            .objects
            .values()
            .map(|o| {
                serde_json::json!([
                    o.key().to_string(),
                    o.spec(),
                    o.meta().labels,
                    o.meta().annotations
                ])
            })
            .collect();
        serde_json::json!([self.labels, self.annotations, objects, format!("{:?}", self.accounts)])
    }

    pub fn apply_all(&mut self, plan: &Plan) {
        plan.steps().for_each(|step| self.apply(step));
    }

    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Create(object) => {
                assert!(!self.objects.contains_key(&object.key()), "{} exists", object.key());
                self.events.push(format!("ADDED {}", object.key()));
                let mut object = (**object).clone();
                claim(object.meta_mut());
                self.put(object);
            }
            Step::Update { object, uid, resource_version, adopting } => {
                let live = self.checked(&object.key(), uid, resource_version);
                let mut written = over(&live, object, *adopting);
                claim(written.meta_mut());
                self.replace("MODIFIED", written);
            }
            Step::Delete { key, uid, resource_version } => {
                self.checked(key, uid, resource_version);
                self.events.push(format!("DELETED {key}"));
                self.objects.remove(key);
            }
            Step::Drop(key) => {
                assert!(self.objects.contains_key(key), "{key} was made before");
                self.events.push(format!("DELETED {key}"));
                self.objects.remove(key);
            }
            Step::Release { key, uid, resource_version, restores } => {
                let live = self.checked(key, uid, resource_version);
                let freed = released(&live, *restores);
                self.replace("RELEASED", freed);
            }
            Step::Labels(patch) => {
                self.labels.extend(patch.apply.clone());
                for (key, value) in &patch.restore {
                    match value {
                        Some(value) => self.labels.insert(key.clone(), value.clone()),
                        None => self.labels.remove(key),
                    };
                }
                match &patch.record {
                    Some(record) => self.annotations.insert(RECORD.to_owned(), record.clone()),
                    None => self.annotations.remove(RECORD),
                };
                self.events.push("LABELS".into());
            }
            Step::ServiceAccount(patch) => {
                self.accounts.insert(patch.name.clone(), (patch.automount, patch.previous));
                self.events.push(format!("ACCOUNT {}", patch.name));
            }
            // Copies have a model of their own.
            Step::PullSecret(step) => panic!("{} is not asked for here", step.object()),
        }
    }

    fn checked(&self, key: &GeneratedKey, uid: &Uid, version: &ResourceVersion) -> Generated {
        let live = self.objects.get(key).unwrap_or_else(|| panic!("{key} is gone"));
        assert_eq!(live.meta().uid.as_deref(), Some(&**uid), "{key}");
        assert_eq!(live.meta().resource_version.as_deref(), Some(&**version), "{key}");
        live.clone()
    }

    fn replace(&mut self, event: &str, mut object: Generated) {
        self.version += 1;
        object.meta_mut().resource_version = Some(self.version.to_string());
        self.events.push(format!("{event} {}", object.key()));
        self.objects.insert(object.key(), defaulted(object));
    }
}

/// Fills in what the API server would.
fn defaulted(object: Generated) -> Generated {
    let Generated::NetworkPolicy(mut policy) = object else { return object };
    if let Some(spec) = &mut policy.spec {
        let ports = spec.ingress.iter_mut().flatten().flat_map(|r| r.ports.iter_mut().flatten());
        let ports = ports
            .chain(spec.egress.iter_mut().flatten().flat_map(|r| r.ports.iter_mut().flatten()));
        ports.for_each(|port| {
            port.protocol.get_or_insert_with(|| "TCP".into());
        });
    }
    Generated::NetworkPolicy(policy)
}
