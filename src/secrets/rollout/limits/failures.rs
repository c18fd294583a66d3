//! Which workloads failed to roll, and whom that holds.
//!
//! Workloads are counted and not waves: one broken workload is one, however many ExternalSecrets name it and however
//! often it is tried again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::Place;

/// So many workloads of a namespace that fail within so much time hold the namespace for so long; so many namespaces with
/// one that fails hold the cluster.
const FAILURES: usize = 3;
const WITHIN: Duration = Duration::from_mins(10);
const HOLD: Duration = Duration::from_mins(30);

/// Nothing starts, until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) until: Instant,
    /// In no namespace, because workloads of several failed.
    pub(crate) everywhere: bool,
}

/// What failed lately.
#[derive(Debug, Default)]
pub(super) struct Failures {
    failed: BTreeMap<Place, Instant>,
    namespaces: BTreeMap<Arc<str>, Instant>,
    cluster: Option<Instant>,
}

impl Failures {
    /// A workload failed.
    pub(super) fn add(&mut self, place: &Place, now: Instant) {
        self.failed.retain(|_, at| now.saturating_duration_since(*at) < WITHIN);
        self.namespaces.retain(|_, until| *until > now);
        self.failed.insert(place.clone(), now);
        let namespaces: BTreeSet<_> =
            self.failed.keys().map(|(namespace, _, _)| namespace).collect();
        if namespaces.len() >= FAILURES {
            self.cluster = Some(now + HOLD);
            self.failed.clear();
            return;
        }
        let namespace = &place.0;
        if self.failed.keys().filter(|(other, _, _)| other == namespace).count() >= FAILURES {
            self.namespaces.insert(Arc::clone(namespace), now + HOLD);
            // One stays: the namespace still counts among those that hold the cluster.
            self.failed.retain(|(other, _, _), _| other != namespace);
            self.failed.insert(place.clone(), now);
        }
    }

    /// What holds a namespace.
    pub(super) fn held(&self, namespace: &str, now: Instant) -> Option<Held> {
        let held = |until: Option<&Instant>, everywhere| {
            let until = *until.filter(|until| **until > now)?;
            Some(Held { until, everywhere })
        };
        held(self.cluster.as_ref(), true).or_else(|| held(self.namespaces.get(namespace), false))
    }
}
