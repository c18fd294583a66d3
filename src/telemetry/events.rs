//! Events of secret managers, as metrics.

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
struct OutcomeLabels {
    source: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// What became of events, and how it stands with their queues.
#[derive(Clone)]
pub(crate) struct EventMetrics {
    outcomes: Family<OutcomeLabels, Counter>,
    seconds: Family<StageLabel, Histogram, fn() -> Histogram>,
    queues: Family<StateLabel, Gauge>,
}

impl Default for EventMetrics {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 17));
        Self {
            outcomes: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            queues: Family::default(),
        }
    }
}

impl EventMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gabion_events",
            "Events of secret managers by source and by what became of them",
            self.outcomes.clone(),
        );
        registry.register_with_unit(
            "gabion_event",
            "How long an event was on the queue (transit), and from its receipt until all that it woke were looked at \
             (sync)",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "gabion_event_queues",
            "Queues of events that stores and the operator name, by the reason of the condition EventsReady",
            self.queues.clone(),
        );
    }

    /// Counts one message.
    pub(crate) fn count(&self, source: &'static str, outcome: &'static str) {
        self.outcomes.get_or_create(&OutcomeLabels { source, outcome }).inc();
    }

    /// Notes how long a stage took.
    pub(crate) fn seconds(&self, stage: &'static str, took: Duration) {
        self.seconds.get_or_create(&StageLabel { stage }).observe(took.as_secs_f64());
    }

    /// How many queues are in a state.
    pub(crate) fn queues(&self, state: &'static str, count: i64) {
        self.queues.get_or_create(&StateLabel { state }).set(count);
    }
}
