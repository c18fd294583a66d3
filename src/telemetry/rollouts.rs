//! What is counted of rollouts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    outcome: &'static str,
}

/// For what a wave waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wait {
    /// More changes of its Secrets, and the kubelets.
    Changes,
    /// A place: other workloads roll.
    Place,
    /// The end of another rollout of the workload.
    Workload,
    /// The window, or the least time between two rollouts.
    Window,
    /// Workloads failed: nothing starts for half an hour.
    Failures,
    /// Somebody to resume a Deployment.
    Paused,
}

impl Wait {
    const ALL: [Self; 6] =
        [Self::Changes, Self::Place, Self::Workload, Self::Window, Self::Failures, Self::Paused];

    fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Place => "place",
            Self::Workload => "workload",
            Self::Window => "window",
            Self::Failures => "failures",
            Self::Paused => "paused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

/// What is counted of rollouts.
#[derive(Clone)]
pub(crate) struct RolloutMetrics {
    rollouts: Family<Labels, Counter>,
    waves: Histogram,
    waiting: Family<WhyLabel, Gauge>,
}

impl Default for RolloutMetrics {
    fn default() -> Self {
        let waiting = Family::<WhyLabel, Gauge>::default();
        for wait in Wait::ALL {
            waiting.get_or_create(&WhyLabel { why: wait.name() }).set(0);
        }
        Self {
            waiting,
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
        registry.register(
            "gabion_rollouts_waiting",
            "ExternalSecrets of which no workload rolls although one should, by what they wait for",
            self.waiting.clone(),
        );
    }

    pub(crate) fn count(&self, kind: &'static str, outcome: &'static str) {
        self.rollouts.get_or_create(&Labels { kind, outcome }).inc();
    }

    /// One waits for something else than before.
    pub(crate) fn waits(&self, before: Option<Wait>, now: Option<Wait>) {
        let gauge = |wait: Wait| self.waiting.get_or_create(&WhyLabel { why: wait.name() }).clone();
        if before != now {
            if let Some(before) = before {
                gauge(before).dec();
            }
            if let Some(now) = now {
                gauge(now).inc();
            }
        }
    }

    pub(crate) fn wave(&self, took: Duration) {
        self.waves.observe(took.as_secs_f64());
    }
}
