//! What is counted of rollouts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    outcome: &'static str,
}

/// What is counted of rollouts.
#[derive(Clone)]
pub(crate) struct RolloutMetrics {
    rollouts: Family<Labels, Counter>,
    waves: Histogram,
}

impl Default for RolloutMetrics {
    fn default() -> Self {
        Self {
            rollouts: Family::default(),
            waves: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
        }
    }
}

impl RolloutMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gabion_rollouts",
            "Rollouts of workloads whose Secret changed, by kind and outcome",
            self.rollouts.clone(),
        );
        registry.register_with_unit(
            "gabion_rollout",
            "From the first look at a change of a Secret to the last of its workloads being complete",
            Unit::Seconds,
            self.waves.clone(),
        );
    }

    pub(crate) fn count(&self, kind: &'static str, outcome: &'static str) {
        self.rollouts.get_or_create(&Labels { kind, outcome }).inc();
    }

    pub(crate) fn wave(&self, took: Duration) {
        self.waves.observe(took.as_secs_f64());
    }
}
