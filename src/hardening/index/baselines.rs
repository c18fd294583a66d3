//! What is known of baselines.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{Baseline, Index, Phase};
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::hardening::{
    plan::{error::Error, objects::ObservedObject, teardown::is_paused},
    stored::Stored,
};
use crate::meta::ResourceVersion;
use crate::policy::selection::Protected;

impl Index {
    /// Records a baseline. True if its spec, deletion or annotations changed.
    pub(crate) fn baseline_applied(&self, stored: Stored) -> bool {
        let Stored { mut object, unreadable } = stored;
        object.metadata.managed_fields = None;
        let name: Arc<str> = object.metadata.name.as_deref().unwrap_or_default().into();
        let mut state = self.lock();
        let known = state.baselines.get(&name).cloned();
        let same_object =
            known.as_ref().filter(|known| known.object.metadata.uid == object.metadata.uid);
        if let Some(known) = same_object
            && ResourceVersion::of(&object.metadata)
                .is_older_than(&ResourceVersion::of(&known.object.metadata))
        {
            return false;
        }
        let news = same_object.is_none_or(|known| {
            let (a, b) = (&known.object.metadata, &object.metadata);
            (a.generation, &a.deletion_timestamp, &a.annotations, &a.finalizers)
                != (b.generation, &b.deletion_timestamp, &b.annotations, &b.finalizers)
        });
        // One that comes back takes over from its predecessor without a gap.
        let before = known.as_ref().filter(|known| known.vanished).or(same_object);
        let (phase, refused) =
            before.map_or((None, None), |known| (known.phase.clone(), known.refused.clone()));
        let object = Arc::new(object);
        state
            .baselines
            .insert(name, Baseline { object, unreadable, vanished: false, phase, refused });
        news
    }

    /// A baseline is gone. False if it is kept in force, because its teardown was paused as an accident.
    pub(crate) fn baseline_deleted(&self, name: &str) -> bool {
        let mut state = self.lock();
        if let Some(known) = state.baselines.get_mut(name)
            && is_paused(&known.object)
        {
            known.vanished = true;
            return false;
        }
        state.baselines.remove(name).is_some()
    }

    /// Those that are not in `present`.
    pub(crate) fn baselines_missing(&self, present: &HashSet<Arc<str>>) -> Vec<Arc<str>> {
        let state = self.lock();
        state.baselines.keys().filter(|name| !present.contains(*name)).cloned().collect()
    }

    /// All baselines.
    pub(crate) fn baseline_names(&self) -> Vec<Arc<str>> {
        self.lock().baselines.keys().cloned().collect()
    }

    /// One baseline.
    pub(crate) fn baseline(&self, name: &str) -> Option<Baseline> {
        self.lock().baselines.get(name).cloned()
    }

    /// Every baseline as it is stored.
    pub(crate) fn baseline_objects(&self) -> Vec<Arc<HardeningBaseline>> {
        self.lock().baselines.values().map(|baseline| Arc::clone(&baseline.object)).collect()
    }

    /// Records how a baseline stands. A baseline that starts to leave waits for the namespaces that it selects or
    /// left something in, and for no others.
    pub(crate) fn set_phase(
        &self,
        name: &str,
        phase: Phase,
        refused: Option<Error>,
        protected: &Protected,
    ) {
        let mut state = self.lock();
        if let Phase::Leaving(leaving, selection) = &phase {
            let was_leaving = matches!(
                state.baselines.get(name).and_then(|baseline| baseline.phase.as_ref()),
                Some(Phase::Leaving(..))
            );
            if !was_leaving {
                for entry in state.namespaces.values_mut() {
                    let observed = &entry.observed;
                    let selected = selection.as_ref().is_none_or(|selection| {
                        selection.reaches(&observed.name, &observed.labels, protected)
                    });
                    let owns = |live: &Arc<ObservedObject>| live.owners.contains(&leaving.uid);
                    let reported = entry.effective.as_ref().is_some_and(|e| e.digest.names(name));
                    if selected || reported || observed.objects.values().any(owns) {
                        entry.holds.insert(leaving.uid.clone());
                    }
                }
            }
        }
        if let Some(baseline) = state.baselines.get_mut(name) {
            baseline.phase = Some(phase);
            baseline.refused = refused;
        }
    }

    /// Records a baseline as our own write left it.
    pub(crate) fn baseline_written(&self, name: &str, object: HardeningBaseline) {
        if let Some(baseline) = self.lock().baselines.get_mut(name)
            && baseline.object.metadata.uid == object.metadata.uid
            // The watch may have delivered a deletion before the answer to our own write arrived.
            && !ResourceVersion::of(&object.metadata)
                .is_older_than(&ResourceVersion::of(&baseline.object.metadata))
        {
            baseline.object = Arc::new(object);
        }
    }

    /// Labels of a namespace that there is.
    pub(crate) fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let state = self.lock();
        let entry = state.namespaces.get(name).filter(|entry| !entry.observed.uid.is_empty());
        entry.map(|entry| entry.observed.labels.clone())
    }
}
