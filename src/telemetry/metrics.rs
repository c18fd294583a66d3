//! Metrics. Labels come from closed sets; series per object exist only with `--per-object-metrics`, under
//! the names that External Secrets Operator's dashboards know.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::Health;
use crate::cluster::{ObjectKey, RequestCounts, queue::QueueStats};

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    /// Requests to the API server.
    pub(crate) requests: RequestCounts,
    /// Outcomes of reconciling.
    pub(crate) reconciles: ReconcileMetrics,
    /// Per-object series, when asked for.
    pub(crate) objects: Option<ObjectSeries>,
}

impl Metrics {
    /// All series, registered. `per_object` adds the ones that grow with the number of objects.
    pub(crate) fn new(health: &Health, per_object: bool) -> Arc<Self> {
        let mut registry = Registry::default();
        let requests = RequestCounts::default();
        let reconciles = ReconcileMetrics::default();
        requests.register(&mut registry);
        reconciles.register(&mut registry);
        registry.register_collector(Box::new(Watches(health.clone())));
        let objects = per_object.then(ObjectSeries::default);
        if let Some(objects) = &objects {
            objects.register(&mut registry);
        }
        Arc::new(Self { registry: Mutex::new(registry), requests, reconciles, objects })
    }

    /// Registers more series.
    pub(crate) fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Registers the metrics of a queue.
    pub(crate) fn queue(
        &self,
        name: &'static str,
        stats: impl Fn() -> QueueStats + Send + Sync + 'static,
    ) {
        let collector = Queues { name, stats: Box::new(stats) };
        self.register(|registry| registry.register_collector(Box::new(collector)));
    }

    /// All series as OpenMetrics text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Outcomes of reconciling, by the reasons of `docs/reasons.md`.
#[derive(Clone)]
pub(crate) struct ReconcileMetrics {
    outcomes: Family<OutcomeLabels, Counter>,
    duration: Family<KindLabel, Histogram, fn() -> Histogram>,
    drift: Family<KindLabel, Counter>,
    fights: Family<KindLabel, Counter>,
    tampers: Family<KindLabel, Counter>,
}

impl Default for ReconcileMetrics {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        Self {
            outcomes: Family::default(),
            duration: Family::new_with_constructor(seconds),
            drift: Family::default(),
            fights: Family::default(),
            tampers: Family::default(),
        }
    }
}

impl ReconcileMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "gabion_reconciles",
            "Objects reconciled, by kind and by the reason of the outcome",
            self.outcomes.clone(),
        );
        registry.register_with_unit(
            "gabion_reconcile_duration",
            "Duration of one reconcile",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "gabion_drift_repairs",
            "Objects that somebody else changed or deleted, put back",
            self.drift.clone(),
        );
        registry.register(
            "gabion_fights",
            "Fields left alone because another manager keeps changing them",
            self.fights.clone(),
        );
        registry.register(
            "gabion_tamper",
            "Admission policies and bindings that somebody else changed or deleted, put back",
            self.tampers.clone(),
        );
    }

    /// Counts one reconcile of one object.
    pub(crate) fn done(&self, kind: &'static str, reason: &'static str, took: Duration) {
        self.outcomes.get_or_create(&OutcomeLabels { kind, reason }).inc();
        self.duration.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    /// Counts a repair of a generated object.
    pub(crate) fn drift_repaired(&self, kind: &'static str) {
        self.drift.get_or_create(&KindLabel { kind }).inc();
    }

    /// Counts a repair of an admission policy or binding.
    pub(crate) fn tampered(&self, kind: &'static str) {
        self.tampers.get_or_create(&KindLabel { kind }).inc();
    }

    /// Counts a field that is given up for a while.
    pub(crate) fn fight(&self, kind: &'static str) {
        self.fights.get_or_create(&KindLabel { kind }).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    name: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    name: String,
    namespace: String,
    condition: &'static str,
    status: &'static str,
}

/// The series per object that External Secrets Operator has, for existing dashboards.
#[derive(Clone, Default)]
pub(crate) struct ObjectSeries {
    syncs: Family<ObjectLabels, Counter>,
    /// A gauge, because its name lacks the suffix of counters.
    errors: Family<ObjectLabels, Gauge>,
    condition: Family<ConditionLabels, Gauge>,
    duration: Family<ObjectLabels, Gauge>,
}

impl ObjectSeries {
    fn register(&self, registry: &mut Registry) {
        let help = "Reconciles of the object";
        registry.register("externalsecret_sync_calls", help, self.syncs.clone());
        let help = "Reconciles of the object that failed";
        registry.register("externalsecret_sync_calls_error", help, self.errors.clone());
        let help = "1 for the present status of the condition, 0 for the other";
        registry.register("externalsecret_status_condition", help, self.condition.clone());
        let help = "Duration of the last reconcile in nanoseconds";
        registry.register("externalsecret_reconcile_duration", help, self.duration.clone());
    }

    /// Records one reconcile of an ExternalSecret. One that was deleted meanwhile leaves no series: who deletes it
    /// from the index forgets its series afterwards, so whoever comes last finds it gone.
    pub(crate) fn reconciled(
        &self,
        key: &ObjectKey,
        ready: bool,
        took: Duration,
        exists: impl FnOnce() -> bool,
    ) {
        let labels = ObjectLabels::of(key);
        self.syncs.get_or_create(&labels).inc();
        if !ready {
            self.errors.get_or_create(&labels).inc();
        }
        let nanoseconds = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        self.duration.get_or_create(&labels).set(nanoseconds);
        for (status, is) in [("True", ready), ("False", !ready)] {
            let labels = condition(key, status);
            self.condition.get_or_create(&labels).set(i64::from(is));
        }
        if !exists() {
            self.forget(key);
        }
    }

    /// Drops the series of an object that is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        let labels = ObjectLabels::of(key);
        self.syncs.remove(&labels);
        self.errors.remove(&labels);
        self.duration.remove(&labels);
        for status in ["True", "False"] {
            self.condition.remove(&condition(key, status));
        }
    }
}

impl ObjectLabels {
    fn of(key: &ObjectKey) -> Self {
        Self { name: key.name.to_string(), namespace: key.namespace.to_string() }
    }
}

fn condition(key: &ObjectKey, status: &'static str) -> ConditionLabels {
    ConditionLabels {
        name: key.name.to_string(),
        namespace: key.namespace.to_string(),
        condition: "Ready",
        status,
    }
}

struct Watches(Health);

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watches")
    }
}

impl Collector for Watches {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let watches = self.0.watches();
        let failures = ConstCounter::new(0u64);
        let help = "Failed watch requests by kind";
        let mut series = encoder.encode_descriptor(
            "gabion_watch_failures",
            help,
            None,
            failures.metric_type(),
        )?;
        for watch in &watches {
            let counter = ConstCounter::new(watch.failures());
            counter.encode(series.encode_family(&[("kind", watch.kind)])?)?;
        }
        let none = ConstGauge::new(0i64);
        let help = "Objects that exist and cannot be decoded, by kind; each is named in the log";
        let mut series = encoder.encode_descriptor(
            "gabion_undecodable_objects",
            help,
            None,
            none.metric_type(),
        )?;
        for watch in &watches {
            let gauge = ConstGauge::new(i64::try_from(watch.undecodable()).unwrap_or(i64::MAX));
            gauge.encode(series.encode_family(&[("kind", watch.kind)])?)?;
        }
        Ok(())
    }
}

struct Queues {
    name: &'static str,
    stats: Box<dyn Fn() -> QueueStats + Send + Sync>,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queues")
    }
}

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let stats = (self.stats)();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let series = [
            ("waiting", "objects that wait to be reconciled", count(stats.waiting)),
            ("running", "objects under way", count(stats.running)),
            ("known", "objects known", count(stats.known)),
            ("failing", "objects in backoff after a failure", count(stats.failing)),
        ];
        for (name, help, value) in series {
            let name = format!("gabion_{}_queue_{name}", self.name);
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(&name, help, None, gauge.metric_type())?)?;
        }
        let name = format!("gabion_{}_queue_oldest_wait", self.name);
        let gauge = ConstGauge::new(stats.oldest_wait.as_secs_f64());
        let help = "how long the oldest waiting object has been waiting";
        let unit = Some(&Unit::Seconds);
        gauge.encode(encoder.encode_descriptor(&name, help, unit, gauge.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_are_written_and_an_object_that_is_gone_leaves_none() {
        let health = Health::default();
        health.watch("ExternalSecret");
        let metrics = Metrics::new(&health, true);
        metrics.queue("secrets", QueueStats::default);
        metrics.requests.count("create", "Secret", "ok");
        metrics.reconciles.done("ExternalSecret", "SecretSynced", Duration::from_millis(3));
        let (objects, key) = (metrics.objects.clone().unwrap(), ObjectKey::new("shop", "db"));
        objects.reconciled(&key, true, Duration::from_millis(3), || true);
        let text = metrics.render().unwrap();
        for line in [
            r#"gabion_api_requests_total{verb="create",kind="Secret",outcome="ok"} 1"#,
            r#"gabion_reconciles_total{kind="ExternalSecret",reason="SecretSynced"} 1"#,
            r#"gabion_watch_failures_total{kind="ExternalSecret"} 0"#,
            "gabion_secrets_queue_waiting 0",
            r#"externalsecret_sync_calls_total{name="db",namespace="shop"} 1"#,
            r#"externalsecret_reconcile_duration{name="db",namespace="shop"} 3000000"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        objects.forget(&key);
        assert!(!metrics.render().unwrap().contains("shop"));
    }

    #[test]
    fn a_reconcile_that_ends_after_its_object_was_deleted_leaves_no_series() {
        let metrics = Metrics::new(&Health::default(), true);
        let (objects, key) = (metrics.objects.clone().unwrap(), ObjectKey::new("shop", "db"));
        objects.forget(&key);
        objects.reconciled(&key, false, Duration::from_millis(3), || false);
        assert!(!metrics.render().unwrap().contains("shop"));
    }
}
