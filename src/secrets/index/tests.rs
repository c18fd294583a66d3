//! The index against a naive model that keeps every object decoded, and searches all of them for each answer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::external_secrets::external_secret::CreationPolicy;

const POLICIES: [&str; 3] = ["Owner", "Merge", "Orphan"];

#[derive(Clone, Debug)]
enum Happening {
    /// The watch shows a state of an object.
    Shown(ExternalSecret),
    /// Our own write came back.
    Written(ExternalSecret),
    Deleted(ObjectKey),
    /// This process learnt something about an object of this uid.
    Learnt(ObjectKey, String, u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => object().prop_map(Happening::Shown),
        2 => object().prop_map(Happening::Written),
        1 => key().prop_map(Happening::Deleted),
        1 => (key(), uid(), 0..9_u32).prop_map(|(key, uid, losses)| Happening::Learnt(key, uid, losses)),
    ]
}

fn key() -> impl Strategy<Value = ObjectKey> {
    ("[ab]", "[pq]").prop_map(|(namespace, name)| ObjectKey::new(&namespace, &name))
}

fn uid() -> impl Strategy<Value = String> {
    "[12]"
}

fn object() -> impl Strategy<Value = ExternalSecret> {
    let spec = (any::<bool>(), "[st]", prop::option::of("[xyz]"), 0..3_usize);
    (key(), uid(), 0..30_u64, spec, any::<bool>(), any::<bool>(), prop::option::of("[pqxyz]"))
        .prop_map(|(key, uid, version, spec, going, finalizer, bound)| {
            let (cluster, store, target, policy) = spec;
            let kind = if cluster { "ClusterSecretStore" } else { "SecretStore" };
            let other = json!({"storeRef": {"name": "other"}});
            let mut object = json!({
                "apiVersion": "external-secrets.io/v1",
                "kind": "ExternalSecret",
                "metadata": {
                    "namespace": &*key.namespace, "name": &*key.name, "uid": uid, "generation": version / 5,
                    "resourceVersion": version.to_string(), "managedFields": [{"manager": "somebody"}],
                    "labels": {"app": "x"}, "finalizers": if finalizer { vec!["a/b"] } else { vec![] },
                },
                "spec": {
                    "secretStoreRef": {"name": store, "kind": kind},
                    "target": {"creationPolicy": POLICIES[policy], "name": target},
                    "data": [{"secretKey": "k", "remoteRef": {"key": "r"}, "sourceRef": finalizer.then_some(other)}],
                },
                "status": {"binding": bound.map(|name| json!({"name": name}))},
            });
            if going {
                object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            serde_json::from_value(object).unwrap()
        })
}

/// What the index is to answer, by the book.
#[derive(Default)]
struct Model(BTreeMap<ObjectKey, (ExternalSecret, String, Memory)>);

impl Model {
    fn happens(&mut self, happening: Happening) -> Option<News> {
        match happening {
            Happening::Shown(object) => Some(self.shown(object)),
            Happening::Written(object) => {
                let known = self.0.get_mut(&ObjectKey::of(&object))?;
                if known.0.metadata.uid == object.metadata.uid
                    && number(&object) >= number(&known.0)
                {
                    known.0 = object;
                }
                None
            }
            Happening::Deleted(key) => {
                self.0.remove(&key);
                None
            }
            Happening::Learnt(key, uid, losses) => {
                let known = self.0.get_mut(&key)?;
                if known.0.metadata.uid == Some(uid) {
                    known.2.losses = losses;
                }
                None
            }
        }
    }

    /// Our own writes are of the status, and no spec changes without its generation.
    fn as_it_can_be(&self, mut happening: Happening) -> Happening {
        let (object, is_write) = match &mut happening {
            Happening::Shown(object) => (object, false),
            Happening::Written(object) => (object, true),
            _ => return happening,
        };
        if let Some((known, ..)) = self.0.get(&ObjectKey::of(object))
            && known.metadata.uid == object.metadata.uid
            && (is_write || object.metadata.generation <= known.metadata.generation)
        {
            object.spec = known.spec.clone();
        }
        happening
    }

    fn shown(&mut self, object: ExternalSecret) -> News {
        let (key, version) = (ObjectKey::of(&object), due::version(&object));
        let Some(known) = self.0.get_mut(&key) else {
            self.0.insert(key, (object, version, Memory::default()));
            return News::New;
        };
        if known.0.metadata.uid != object.metadata.uid {
            *known = (object, version, Memory::default());
            return News::New;
        }
        if number(&object) <= number(&known.0) {
            return News::Nothing;
        }
        let wants = |object: &ExternalSecret| {
            (object.metadata.deletion_timestamp.clone(), object.metadata.finalizers.clone())
        };
        let same = known.1 == version && wants(&known.0) == wants(&object);
        (known.0, known.1) = (object, version);
        if same { News::Nothing } else { News::Edited }
    }

    fn those(&self, is: impl Fn(&ObjectKey, &ExternalSecret) -> bool) -> Vec<ObjectKey> {
        let found = self.0.iter().filter(|(key, known)| is(key, &known.0));
        found.map(|(key, _)| key.clone()).collect()
    }
}

fn number(object: &ExternalSecret) -> u64 {
    object.metadata.resource_version.as_deref().unwrap().parse().unwrap()
}

fn sorted(mut keys: Vec<ObjectKey>) -> Vec<ObjectKey> {
    keys.sort();
    keys
}

fn as_kept(object: &ExternalSecret) -> ExternalSecret {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    object
}

fn compare(index: &Index, model: &Model) {
    assert_eq!(index.externals(), model.0.len());
    for namespace in ["a", "b"] {
        for name in ["p", "q", "x", "y", "z"] {
            let key = ObjectKey::new(namespace, name);
            let known = model.0.get(&key);
            let tracked = index.external(&key);
            assert_eq!(
                tracked.map(|it| ((*it.object).clone(), it.version.to_string(), it.memory)),
                known.map(|(object, version, memory)| (
                    as_kept(object),
                    version.clone(),
                    memory.clone()
                )),
            );
            assert_eq!(index.knows(&key), known.is_some());
            assert_eq!(
                index.group(&key),
                known.map(|it| stores_of(&it.0.spec, namespace).into_iter().next().unwrap()),
            );
            let same_target = |of: &ObjectKey, target: &ObjectKey| {
                let target = target.clone();
                let of = of.clone();
                model.those(|other, object| {
                    *other != of && target_key(other, &object.spec) == target
                })
            };
            let rivals = known
                .map(|it| same_target(&key, &target_key(&key, &it.0.spec)))
                .unwrap_or_default();
            assert_eq!(sorted(index.rivals(&key)), rivals);
            let holders: Vec<_> = model.those(|other, object| {
                let bound = object.status.as_ref().and_then(|it| it.binding.as_ref());
                let target = target_key(other, &object.spec);
                target == key
                    && bound.is_some_and(|bound| *bound.name == *key.name)
                    && object.metadata.deletion_timestamp.is_none()
                    && object.spec.target.creation_policy != CreationPolicy::Merge
            });
            let nobody = ObjectKey::new("", "");
            let holder = index.holder(&key, &nobody);
            assert_eq!(holder.is_some(), !holders.is_empty());
            assert!(holder.is_none_or(|name| holders.iter().any(|holder| holder.name == name)));
        }
        for store in ["s", "t", "other"] {
            for place in [namespace, ""] {
                let store = StoreKey(ObjectKey::new(place, store));
                let users = model
                    .those(|key, object| stores_of(&object.spec, &key.namespace).contains(&store));
                assert_eq!(sorted(index.users_of_store(&store)), users);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_index_answers_as_the_model_does(happenings in prop::collection::vec(happening(), 1..40)) {
        let (index, mut model) = (Index::default(), Model::default());
        for happening in happenings {
            let happening = model.as_it_can_be(happening);
            let news = match happening.clone() {
                Happening::Shown(object) => Some(index.external_applied(object)),
                Happening::Written(object) => {
                    index.own_write(&ObjectKey::of(&object), object);
                    None
                }
                Happening::Deleted(key) => {
                    index.external_deleted(&key);
                    None
                }
                Happening::Learnt(key, uid, losses) => {
                    index.remember(&key, Some(&uid), |memory| memory.losses = losses);
                    None
                }
            };
            prop_assert_eq!(news, model.happens(happening));
            compare(&index, &model);
        }
    }
}

/// An object that took the long way would cost four times the memory, without a word.
#[test]
fn every_example_is_kept_as_text() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/secrets");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for document in serde_saphyr::from_multiple::<serde_json::Value>(&text).unwrap() {
            if document["kind"] != "ExternalSecret" {
                continue;
            }
            let object: ExternalSecret = serde_json::from_value(document).unwrap();
            let key = ObjectKey::of(&object);
            let packed = Packed::new(&key, object.clone(), "1-x".into(), Memory::default());
            assert!(packed.is_text(), "{key}");
            assert_eq!(*packed.tracked().unwrap().object, object, "{key}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} examples");
}
