//! What is known of admission policies and bindings, and what every baseline wants of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::api::gabion::hardening_baseline::Stage;

use crate::cluster::{self, Tombstones};
use crate::meta::Uid;

use crate::hardening::index::Baseline;
use crate::hardening::index::Phase;
use crate::hardening::plan::admission::Admission;
use crate::hardening::plan::admission::AdmissionKey;
use crate::hardening::plan::admission::AdmissionKind;
use crate::hardening::plan::admission::Desired;
use crate::hardening::plan::admission::Live;
use crate::hardening::plan::admission::Mark;
use crate::hardening::plan::admission::Progress;
use crate::hardening::plan::admission::Proof;
use crate::hardening::plan::admission::Seen;
use crate::hardening::plan::admission::Site;
use crate::hardening::plan::admission::Types;
use crate::hardening::plan::admission::desired;
use crate::hardening::plan::admission::guarded;
use crate::hardening::plan::baseline::Compiled;
use crate::hardening::plan::error::Error;
use crate::marks::FIELD_MANAGER;
use crate::policy::waivers::Waiver;

/// The state. Every method locks for a moment only.
pub(crate) struct Admissions {
    /// Namespaces with a meaning of their own.
    pub(crate) site: Site,
    state: Mutex<State>,
    sweep: Notify,
}

#[derive(Default)]
struct State {
    live: Live,
    listed: HashSet<&'static str>,
    tombstones: Tombstones,
    baselines: HashMap<String, Entry>,
}

#[derive(Default)]
struct Entry {
    uid: Uid,
    desired: Option<Made>,
    proof: Proof,
    /// What a revision that denies was made from.
    denies: Option<Arc<Compiled>>,
    /// Digest of each object as we last wrote it.
    written: BTreeMap<AdmissionKey, String>,
}

/// What was made, and what from.
#[derive(Clone)]
struct Made {
    compiled: Arc<Compiled>,
    waivers: Vec<Waiver>,
    desired: Arc<Desired>,
}

/// Whether two forms of a baseline have the same policies.
fn same_policies(a: &Compiled, b: &Compiled) -> bool {
    (&a.uid, a.stage, &a.selection, &a.checks, guarded(a))
        == (&b.uid, b.stage, &b.selection, &b.checks, guarded(b))
}

/// The policies of a baseline could not be made.
pub(crate) fn failed(known: &Baseline, error: Error) -> Admission {
    let rollout = known.object.spec.rollout.as_ref();
    let stage = rollout.and_then(|rollout| rollout.target).unwrap_or(Stage::Audit);
    Admission { revision: None, progress: Progress::Failed(error), stage }
}

impl Admissions {
    /// Nothing is known yet.
    pub(crate) fn new(site: Site) -> Self {
        Self { site, state: Mutex::default(), sweep: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both kinds have been listed: if not, the operator may not see them.
    pub(crate) fn is_listed(&self) -> bool {
        self.lock().listed.len() == 2
    }

    /// What a baseline wants, as it was last compiled. `None`: leave everything as it is.
    pub(crate) fn desired(
        &self,
        name: &str,
        known: &Baseline,
        waivers: &[Waiver],
    ) -> Result<Option<Arc<Desired>>, Error> {
        if !self.is_listed() {
            return Err(Error::NeedsClusterInstall);
        }
        let Some(Phase::InForce(compiled)) = &known.phase else { return Ok(None) };
        let uid = Uid::of(&known.object.metadata);
        let cached = {
            let mut state = self.lock();
            let entry = state.baselines.entry(name.to_owned()).or_default();
            if entry.uid != uid {
                *entry = Entry { uid, ..Entry::default() };
            }
            entry.desired.clone()
        };
        if let Some(before) = &cached
            && same_policies(&before.compiled, compiled)
            && before.waivers == waivers
        {
            let desired = &before.desired;
            return Ok(Some(Arc::clone(desired)));
        }
        let compiled = Arc::clone(compiled);
        let made = Arc::new(desired(&compiled, &self.site, waivers)?);
        if let Some(entry) = self.lock().baselines.get_mut(name) {
            let (desired, waivers) = (Arc::clone(&made), waivers.to_vec());
            entry.desired = Some(Made { compiled, waivers, desired });
        }
        Ok(Some(made))
    }

    /// Records an object; the owners that it is news to.
    pub(crate) fn applied(&self, key: AdmissionKey, object: &Value) -> Vec<Uid> {
        let seen = observed(key.kind, object);
        if !seen.ours && !key.name.starts_with("gabion-") {
            return Vec::new();
        }
        let mut state = self.lock();
        let known = state.live.get(&key);
        if known.is_some_and(|known| is_overtaken(&seen, known)) {
            return Vec::new();
        }
        let news = known.is_none_or(|known| {
            (&known.uid, &known.digest, known.ours, &known.types, known.generation)
                != (&seen.uid, &seen.digest, seen.ours, &seen.types, seen.generation)
        });
        let owners = owners(known, Some(&seen));
        state.live.insert(key, seen);
        if news { owners } else { Vec::new() }
    }

    /// Records that an object is gone; the owners that it is news to.
    pub(crate) fn gone(&self, key: &AdmissionKey, uid: &Uid) -> Vec<Uid> {
        let mut state = self.lock();
        state.tombstones.note(uid);
        // A namesake may have taken its place already.
        if state.live.get(key).is_none_or(|known| known.uid != *uid) {
            return Vec::new();
        }
        let known = state.live.remove(key);
        owners(known.as_ref(), None)
    }

    /// Records a complete list; the owners that it is news to.
    pub(crate) fn listed(
        &self,
        kind: AdmissionKind,
        present: &HashSet<cluster::ObjectKey>,
    ) -> Vec<Uid> {
        let mut state = self.lock();
        state.listed.insert(kind.as_str());
        let is_gone = |key: &AdmissionKey| {
            key.kind == kind && !present.contains(&cluster::ObjectKey::new("", &key.name))
        };
        let mut woken: Vec<Uid> = state
            .live
            .iter()
            .filter(|(key, _)| is_gone(key))
            .map(|(_, s)| s.owner.clone())
            .collect();
        state.live.retain(|key, _| !is_gone(key));
        // Those of baselines that went while the operator was down.
        self.sweep.notify_one();
        woken.dedup();
        woken
    }

    /// All that is live, for one decision.
    pub(crate) fn live(&self) -> Live {
        self.lock().live.clone()
    }

    /// Whether a baseline owns something.
    pub(crate) fn owns_any(&self, uid: &Uid) -> bool {
        self.lock().live.values().any(|seen| seen.owner == *uid)
    }

    /// Uids of the baselines that own something.
    pub(crate) fn owners(&self) -> BTreeSet<Uid> {
        let state = self.lock();
        state.live.values().map(|seen| seen.owner.clone()).filter(|uid| !uid.is_empty()).collect()
    }

    /// What was proved for a baseline.
    pub(crate) fn proof(&self, name: &str) -> Proof {
        self.lock().baselines.get(name).map(|entry| entry.proof.clone()).unwrap_or_default()
    }

    /// Remembers that the present policies of a baseline deny; true if that is news.
    pub(crate) fn denies_now(&self, name: &str) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.baselines.get_mut(name) else { return false };
        let made = entry.desired.as_ref().map(|made| Arc::clone(&made.compiled));
        let before = std::mem::replace(&mut entry.denies, made);
        match (&before, &entry.denies) {
            (Some(before), Some(now)) => !same_policies(before, now),
            (_, now) => now.is_some(),
        }
    }

    /// Remembers that they need not deny any more: the baseline went back a stage.
    pub(crate) fn denies_no_more(&self, name: &str) {
        if let Some(entry) = self.lock().baselines.get_mut(name) {
            entry.denies = None;
        }
    }

    /// Whether policies of a baseline as it is now were seen to deny, by this process. Those of an earlier form may
    /// ask for less, for as long as the next revision does not pass its probes.
    pub(crate) fn denies(&self, compiled: &Compiled) -> bool {
        let state = self.lock();
        let entry = state.baselines.get(&compiled.name);
        let made = entry.and_then(|entry| entry.denies.as_ref());
        made.is_some_and(|made| same_policies(made, compiled))
    }

    /// Remembers a proof.
    pub(crate) fn proved(&self, name: &str, change: impl FnOnce(&mut Proof)) {
        if let Some(entry) = self.lock().baselines.get_mut(name) {
            change(&mut entry.proof);
        }
    }

    /// True if we wrote the object in just this form before: then somebody else changed or deleted it.
    pub(crate) fn wrote_before(&self, name: &str, key: &AdmissionKey, digest: &str) -> bool {
        let state = self.lock();
        let entry = state.baselines.get(name);
        entry.and_then(|entry| entry.written.get(key)).is_some_and(|written| written == digest)
    }

    /// Records an object as our own write left it.
    pub(crate) fn wrote(&self, name: &str, key: &AdmissionKey, seen: Seen) {
        let mut state = self.lock();
        let State { live, tombstones, baselines, .. } = &mut *state;
        if let Some(entry) = baselines.get_mut(name) {
            entry.written.insert(key.clone(), seen.digest.clone());
        }
        let known = live.get(key);
        // The watch may have delivered a later change, or its deletion, before the answer to our write arrived.
        if !tombstones.contains(&seen.uid) && known.is_none_or(|known| !is_overtaken(&seen, known))
        {
            let types = match known {
                Some(known) if known.uid == seen.uid && known.generation == seen.generation => {
                    known.types.clone()
                }
                _ => Types::Pending,
            };
            live.insert(key.clone(), Seen { types, ..seen });
        }
    }

    /// Records that we deleted or let go of an object.
    pub(crate) fn removed(&self, name: &str, key: &AdmissionKey) {
        let mut state = self.lock();
        state.live.remove(key);
        if let Some(entry) = state.baselines.get_mut(name) {
            entry.written.remove(key);
        }
    }

    /// Forgets a baseline.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().baselines.remove(name);
        self.sweep.notify_one();
    }

    /// Asks for a reconcile of what belongs to baselines that are gone.
    pub(crate) fn sweep_soon(&self) {
        self.sweep.notify_one();
    }

    /// Waits until that was asked for.
    pub(crate) async fn asked_to_sweep(&self) {
        self.sweep.notified().await;
    }
}

fn owners(before: Option<&Seen>, after: Option<&Seen>) -> Vec<Uid> {
    let mut owners: Vec<Uid> =
        before.into_iter().chain(after).map(|seen| seen.owner.clone()).collect();
    owners.sort();
    owners.dedup();
    owners
}

/// True if `seen` is an earlier state of the same object.
fn is_overtaken(seen: &Seen, known: &Seen) -> bool {
    known.uid == seen.uid && seen.resource_version.is_older_than(&known.resource_version)
}

/// Boils an object down.
pub(crate) fn observed(kind: AdmissionKind, object: &Value) -> Seen {
    let meta = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mark = Mark(object);
    Seen {
        uid: text(&meta["uid"]).into(),
        resource_version: text(&meta["resourceVersion"]).into(),
        generation: meta["generation"].as_i64().unwrap_or_default(),
        digest: mark.digest(),
        owner: mark.owner().into(),
        ours: mark.is_ours(),
        manager: last_manager(&meta["managedFields"]),
        types: if kind == AdmissionKind::Policy { types(object) } else { Types::Clean },
    }
}

/// Who wrote the object itself last; its status does not count.
fn last_manager(entries: &Value) -> String {
    let entries = entries.as_array().into_iter().flatten();
    let of_object = entries.filter(|entry| entry["subresource"].as_str().is_none_or(str::is_empty));
    let last = of_object.max_by_key(|entry| {
        // Of two in the same second the other one: we do not tamper with what is ours.
        (entry["time"].as_str().unwrap_or_default(), entry["manager"] != FIELD_MANAGER)
    });
    last.and_then(|entry| entry["manager"].as_str()).unwrap_or("unknown").to_owned()
}

fn types(object: &Value) -> Types {
    let status = &object["status"];
    if status["observedGeneration"] != object["metadata"]["generation"]
        || status["observedGeneration"].is_null()
    {
        return Types::Pending;
    }
    let warnings = status["typeChecking"]["expressionWarnings"].as_array();
    match warnings.and_then(|warnings| warnings.first()) {
        None => Types::Clean,
        Some(warning) => {
            let (field, text) = (&warning["fieldRef"], &warning["warning"]);
            let text = format!(
                "{}: {}",
                field.as_str().unwrap_or_default(),
                text.as_str().unwrap_or_default()
            );
            let line: Vec<_> = text.split_whitespace().collect();
            Types::Warned(line.join(" ").chars().take(300).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardening::plan::baseline::compile;
    use crate::policy::selection::Protected;
    use serde_json::json;

    /// A baseline at Enforce with this level of Pod Security, in force.
    fn known(level: &str) -> (Baseline, Arc<Compiled>) {
        let object = json!({
            "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
            "metadata": {"name": "b", "uid": "u"},
            "spec": {"namespaceSelector": {"matchLabels": {"set": "b"}}, "rollout": {"target": "Enforce"},
                     "podSecurity": {"level": level}},
        });
        let object: Arc<crate::api::gabion::hardening_baseline::HardeningBaseline> =
            Arc::new(serde_json::from_value(object).unwrap());
        let compiled = Arc::new(compile(&object, 37).unwrap());
        let phase = Some(Phase::InForce(Arc::clone(&compiled)));
        (Baseline { object, unreadable: None, vanished: false, phase, refused: None }, compiled)
    }

    /// Otherwise a label would give way although nothing asks for what it asked for.
    #[test]
    fn policies_that_deny_say_nothing_of_a_baseline_that_was_made_stricter_since() {
        let protected = Protected::new("gabion-system", []);
        let (probe, operator) = ("gabion-probe".to_owned(), "gabion-system".to_owned());
        let admissions = Admissions::new(Site { probe, operator, protected });
        for kind in [AdmissionKind::Policy, AdmissionKind::Binding] {
            admissions.listed(kind, &HashSet::new());
        }
        let ((before, milder), (after, stricter)) = (known("baseline"), known("restricted"));
        assert!(!admissions.denies(&milder) && !admissions.denies_now("b"));

        assert!(admissions.desired("b", &before, &[]).is_ok_and(|made| made.is_some()));
        assert!(!admissions.denies(&milder), "they were not seen to deny yet");
        assert!(admissions.denies_now("b") && !admissions.denies_now("b"), "news once");
        assert!(admissions.denies(&milder) && !admissions.denies(&stricter));

        assert!(admissions.desired("b", &after, &[]).is_ok_and(|made| made.is_some()));
        assert!(!admissions.denies(&stricter), "the new revision is only wanted");
        assert!(admissions.denies_now("b") && admissions.denies(&stricter));
        admissions.denies_no_more("b");
        assert!(!admissions.denies(&stricter));
    }
}
