//! The ConfigMaps and Secrets that templates are read from: who uses which, and in which state it is.
//!
//! Only versions are kept, from metadata watches. The texts are read when a template is rendered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::plan::{hash, template::InputKind};
use crate::cluster::ObjectKey;
use crate::meta::{ResourceVersion, Uid};

type Input = (InputKind, ObjectKey);

/// The index. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct TemplateInputs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used_by: HashMap<Input, HashSet<ObjectKey>>,
    uses: HashMap<ObjectKey, BTreeSet<Input>>,
    versions: HashMap<Input, Version>,
    /// After the first lists only what is used is of interest: who uses more later reads it anyway.
    settled: bool,
}

/// The state that an object is in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Version {
    uid: Uid,
    resource_version: ResourceVersion,
}

impl Version {
    /// The state that this metadata is of.
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self { uid: Uid::of(meta), resource_version: ResourceVersion::of(meta) }
    }
}

/// A mark of the states that some objects are in, short enough for a status.
#[derive(Default)]
pub(crate) struct Mark(BTreeMap<String, String>);

impl Mark {
    /// One more object; without a version it does not exist.
    pub(crate) fn add(&mut self, kind: InputKind, key: &ObjectKey, version: Option<&Version>) {
        let text = version.map(|version| format!("{}@{}", version.uid, version.resource_version));
        self.0.insert(format!("{}/{}", kind.as_str(), key.name), text.unwrap_or_default());
    }

    /// The mark.
    pub(crate) fn finish(&self) -> String {
        hash::text_map(&self.0)
    }
}

impl TemplateInputs {
    /// Records what the template of an `ExternalSecret` is read from.
    pub(crate) fn used(&self, user: &ObjectKey, inputs: BTreeSet<(InputKind, String)>) {
        let mut state = self.lock();
        state.unlink(user);
        if inputs.is_empty() {
            return;
        }
        let inputs: BTreeSet<Input> = inputs
            .into_iter()
            .map(|(kind, name)| (kind, ObjectKey::new(&user.namespace, &name)))
            .collect();
        for input in &inputs {
            state.used_by.entry(input.clone()).or_default().insert(user.clone());
        }
        state.uses.insert(user.clone(), inputs);
    }

    /// Forgets an `ExternalSecret`.
    pub(crate) fn unused(&self, user: &ObjectKey) {
        self.lock().unlink(user);
    }

    /// Records an object in its present state; who has to be rendered again.
    pub(crate) fn seen(
        &self,
        kind: InputKind,
        key: &ObjectKey,
        meta: &ObjectMeta,
    ) -> Vec<ObjectKey> {
        let (input, seen) = ((kind, key.clone()), Version::of(meta));
        let mut state = self.lock();
        if state.settled && !state.used_by.contains_key(&input) {
            return Vec::new();
        }
        let known = state.versions.get(&input);
        let is_old = known.is_some_and(|known| {
            *known == seen
                || known.uid == seen.uid
                    && seen.resource_version.is_older_than(&known.resource_version)
        });
        if is_old {
            return Vec::new();
        }
        state.versions.insert(input.clone(), seen);
        state.users(&input)
    }

    /// Records that an object is gone; who has to be rendered again.
    pub(crate) fn gone(&self, kind: InputKind, key: &ObjectKey) -> Vec<ObjectKey> {
        let input = (kind, key.clone());
        let mut state = self.lock();
        state.versions.remove(&input).map_or_else(Vec::new, |_| state.users(&input))
    }

    /// Forgets every object of the kind that is not in `present`; who has to be rendered again.
    pub(crate) fn listed(&self, kind: InputKind, present: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let mut state = self.lock();
        let gone: Vec<Input> = state
            .versions
            .keys()
            .filter(|(of, key)| *of == kind && !present.contains(key))
            .cloned()
            .collect();
        for input in &gone {
            state.versions.remove(input);
        }
        gone.iter().flat_map(|input| state.users(input)).collect()
    }

    /// The first lists are in: forgets what no template is read from.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        let State { used_by, versions, settled, .. } = &mut *state;
        *settled = true;
        versions.retain(|input, _| used_by.contains_key(input));
        versions.shrink_to_fit();
    }

    /// A mark of the state that all inputs of an `ExternalSecret` are in; `None` if it has none.
    ///
    /// Its own Secret as an input is no reason to render again: that would never end.
    pub(crate) fn mark(&self, user: &ObjectKey, target: &ObjectKey) -> Option<String> {
        let state = self.lock();
        let inputs = state.uses.get(user)?;
        let mut mark = Mark::default();
        for input in inputs {
            let (kind, key) = input;
            if *kind != InputKind::Secret || key != target {
                mark.add(*kind, key, state.versions.get(input));
            }
        }
        Some(mark.finish())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unlink(&mut self, user: &ObjectKey) {
        for input in self.uses.remove(user).into_iter().flatten() {
            if let Some(users) = self.used_by.get_mut(&input) {
                users.remove(user);
                if users.is_empty() {
                    self.used_by.remove(&input);
                    self.versions.remove(&input);
                }
            }
        }
    }

    fn users(&self, input: &Input) -> Vec<ObjectKey> {
        self.used_by.get(input).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: &str, version: &str) -> ObjectMeta {
        ObjectMeta {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("ns", name)
    }

    fn one_user() -> TemplateInputs {
        let inputs = TemplateInputs::default();
        inputs.used(&key("es"), BTreeSet::from([(InputKind::ConfigMap, "map".to_owned())]));
        inputs
    }

    #[test]
    fn a_change_wakes_those_that_use_it_and_nobody_else() {
        let inputs = one_user();
        inputs.used(&key("other"), BTreeSet::from([(InputKind::Secret, "map".to_owned())]));
        assert_eq!(inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "1")), [key("es")]);
        assert!(inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "1")).is_empty());
        assert_eq!(inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "2")), [key("es")]);
        assert!(
            inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "1")).is_empty(),
            "older"
        );
        assert_eq!(inputs.seen(InputKind::ConfigMap, &key("map"), &meta("b", "1")), [key("es")]);
        assert_eq!(inputs.gone(InputKind::ConfigMap, &key("map")), [key("es")]);
        assert!(inputs.gone(InputKind::ConfigMap, &key("map")).is_empty());
        inputs.unused(&key("es"));
        assert!(inputs.seen(InputKind::ConfigMap, &key("map"), &meta("c", "9")).is_empty());
    }

    #[test]
    fn what_was_listed_before_its_user_was_is_known() {
        let inputs = TemplateInputs::default();
        inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "1"));
        inputs.seen(InputKind::ConfigMap, &key("unused"), &meta("a", "1"));
        inputs.used(&key("es"), BTreeSet::from([(InputKind::ConfigMap, "map".to_owned())]));
        inputs.settle();
        let before = inputs.mark(&key("es"), &key("es"));
        inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "2"));
        assert_ne!(inputs.mark(&key("es"), &key("es")), before);
        assert_eq!(inputs.lock().versions.len(), 1);
    }

    #[test]
    fn a_list_without_it_says_that_it_is_gone() {
        let inputs = one_user();
        inputs.seen(InputKind::ConfigMap, &key("map"), &meta("a", "1"));
        assert!(inputs.listed(InputKind::Secret, &HashSet::new()).is_empty());
        assert_eq!(inputs.listed(InputKind::ConfigMap, &HashSet::new()), [key("es")]);
    }

    #[test]
    fn its_own_secret_as_a_source_does_not_change_the_mark() {
        let inputs = TemplateInputs::default();
        inputs.used(&key("es"), BTreeSet::from([(InputKind::Secret, "es".to_owned())]));
        let before = inputs.mark(&key("es"), &key("es"));
        inputs.seen(InputKind::Secret, &key("es"), &meta("a", "1"));
        assert_eq!(inputs.mark(&key("es"), &key("es")), before);
        assert_eq!(inputs.mark(&key("nobody"), &key("nobody")), None);
    }
}
