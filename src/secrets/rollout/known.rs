//! Which ExternalSecrets ask for rollouts, and what this process remembers of their waves.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use kube::ResourceExt;

use super::limits::{Answer, Limits, Place};
use crate::api::external_secrets::external_secret::{ExternalSecret, RolloutStatus};
use crate::cluster::ObjectKey;
use crate::secrets::index::target_key;
use crate::secrets::plan::rollout::{
    ask::{Ask, InvalidAsk},
    report::ROLLOUT_COMPLETE,
    revision,
    wave::Wave,
};
use crate::telemetry::Wait;

/// An ExternalSecret that asks for rollouts, or did.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) uid: Option<String>,
    pub(crate) ask: Result<Option<Ask>, InvalidAsk>,
    /// Its Secret.
    pub(crate) secret: ObjectKey,
    /// How far it is. In memory too, for clusters whose definition of the status prunes it.
    pub(crate) status: Option<RolloutStatus>,
    pub(crate) wave: Wave,
    /// When this process first saw the revision of the wave.
    pub(crate) since: Instant,
    /// The workloads were looked at since the annotations last changed.
    pub(crate) is_checked: bool,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Rollouts {
    known: Mutex<BTreeMap<ObjectKey, Known>>,
    limits: Mutex<Limits>,
    /// Whose wave waits, and for what.
    waiting: Mutex<HashMap<ObjectKey, Wait>>,
}

impl Rollouts {
    /// Records an ExternalSecret. True if it has to be looked at.
    pub(super) fn seen(&self, key: &ObjectKey, object: &ExternalSecret) -> bool {
        let ask = Ask::read(object.annotations());
        let stored = revision::stored(object).cloned();
        let said = object.status.iter().flat_map(|status| &status.conditions);
        let mut said = said.filter(|condition| condition.type_ == ROLLOUT_COMPLETE);
        let mut known = self.lock();
        if ask == Ok(None) && stored.is_none() && said.next().is_none() {
            known.remove(key);
            return false;
        }
        let before = known.remove(key).filter(|before| before.uid == object.metadata.uid);
        let is_new = before.as_ref().is_none_or(|before| before.ask != ask);
        let secret = target_key(key, &object.spec);
        let mut next = before.unwrap_or_else(|| Known {
            uid: object.metadata.uid.clone(),
            ask: Ok(None),
            secret: secret.clone(),
            status: None,
            wave: Wave::default(),
            since: Instant::now(),
            is_checked: false,
        });
        if next.status.is_none() {
            next.status = stored;
        }
        // Another Secret: nothing is known of it.
        if next.secret != secret {
            (next.status, next.wave) = (None, Wave::default());
        }
        next.is_checked &= !is_new;
        (next.ask, next.secret) = (ask, secret);
        known.insert(key.clone(), next);
        is_new
    }

    /// Forgets an ExternalSecret. The context lets go of what it holds.
    pub(super) fn gone(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// Whether it asks for rollouts, or did.
    pub(crate) fn knows(&self, key: &ObjectKey) -> bool {
        self.lock().contains_key(key)
    }

    /// What is known of one.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Known> {
        self.lock().get(key).cloned()
    }

    /// Changes what is known of one, unless another has its name by now.
    pub(crate) fn update(
        &self,
        key: &ObjectKey,
        uid: Option<&str>,
        change: impl FnOnce(&mut Known),
    ) {
        if let Some(known) = self.lock().get_mut(key)
            && known.uid.as_deref() == uid
        {
            change(known);
        }
    }

    /// Those of a namespace.
    pub(crate) fn within(&self, namespace: &Arc<str>) -> Vec<(ObjectKey, Known)> {
        let known = self.lock();
        let all = known.range(ObjectKey::new(namespace, "")..);
        let of = all.take_while(|(key, _)| key.namespace == *namespace);
        of.map(|(key, known)| (key.clone(), known.clone())).collect()
    }

    /// The bounds.
    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, unless the ExternalSecret is gone by now: what is noted for it then would never be taken back.
    pub(super) fn unless_gone<T>(
        &self,
        key: &ObjectKey,
        change: impl FnOnce(&Self) -> T,
    ) -> Option<T> {
        let known = self.lock();
        known.contains_key(key).then(|| change(self))
    }

    /// What rolls on behalf of an ExternalSecret, as it was just seen.
    pub(super) fn observe(&self, key: &ObjectKey, rolling: Vec<Place>, now: Instant) {
        self.unless_gone(key, |all| all.limits().observe(key, rolling, now));
    }

    /// Takes a place.
    pub(super) fn start(&self, place: &Place, key: &ObjectKey, now: Instant) -> Answer {
        let answer = self.unless_gone(key, |all| all.limits().start(place, key, now));
        answer.unwrap_or(Answer::Waits)
    }

    /// Notes for what a wave waits; for what it waited before.
    pub(super) fn waits(&self, key: &ObjectKey, wait: Option<Wait>) -> Option<Wait> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match wait {
            Some(wait) => waiting.insert(key.clone(), wait),
            None => waiting.remove(key),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
