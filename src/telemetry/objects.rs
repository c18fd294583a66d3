//! Series per object, under the names that dashboards and alerts for External Secrets Operator know.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use crate::cluster::ObjectKey;

/// Objects with a series of their own while they fail. The rest is counted.
const MAX_FAILING: usize = 200;

/// Which objects have series of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PerObject {
    /// None.
    Off,
    /// Those that fail now, within a bound.
    Failing,
    /// All: the number of series grows with that of objects.
    All,
}

/// The series per object.
#[derive(Clone)]
pub(crate) struct ObjectSeries {
    externals: ExternalSeries,
    /// Of all ClusterExternalSecrets: there are few.
    clusters: Family<ConditionLabels, Gauge>,
    /// Of all ClusterPushSecrets.
    cluster_pushes: Family<ConditionLabels, Gauge>,
}

/// The series of ExternalSecrets.
#[derive(Clone)]
enum ExternalSeries {
    /// Of objects that fail.
    Failing(FailingSeries),
    /// Of all objects.
    All(AllSeries),
}

impl ObjectSeries {
    /// Those that are wanted, if any.
    pub(super) fn wanted(per_object: PerObject) -> Option<Self> {
        let externals = match per_object {
            PerObject::Off => return None,
            PerObject::Failing => ExternalSeries::Failing(FailingSeries::default()),
            PerObject::All => ExternalSeries::All(AllSeries::default()),
        };
        let (clusters, cluster_pushes) = (Family::default(), Family::default());
        Some(Self { externals, clusters, cluster_pushes })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        match &self.externals {
            ExternalSeries::Failing(series) => {
                registry.register_collector(Box::new(series.clone()));
            }
            ExternalSeries::All(series) => series.register(registry),
        }
        let help = "1 for the present status of the condition, 0 for the other";
        registry.register("clusterexternalsecret_status_condition", help, self.clusters.clone());
        let pushes = self.cluster_pushes.clone();
        registry.register("clusterpushsecret_status_condition", help, pushes);
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
        match &self.externals {
            ExternalSeries::Failing(series) => series.reconciled(key, ready),
            ExternalSeries::All(series) => series.reconciled(key, ready, took),
        }
        if !exists() {
            self.forget(key);
        }
    }

    /// Drops the series of an object that is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        match &self.externals {
            ExternalSeries::Failing(series) => series.reconciled(key, true),
            ExternalSeries::All(series) => series.forget(key),
        }
    }

    fn of_kind(&self, kind: &str) -> &Family<ConditionLabels, Gauge> {
        if kind == "ClusterPushSecret" { &self.cluster_pushes } else { &self.clusters }
    }

    /// Records the Ready condition of a ClusterExternalSecret or ClusterPushSecret.
    pub(crate) fn cluster_condition(&self, kind: &str, name: &str, ready: bool) {
        for (status, is) in [("True", ready), ("False", !ready)] {
            let labels = condition(&ObjectKey::new("", name), status);
            self.of_kind(kind).get_or_create(&labels).set(i64::from(is));
        }
    }

    /// Drops the series of a ClusterExternalSecret or ClusterPushSecret that is gone.
    pub(crate) fn forget_cluster(&self, kind: &str, name: &str) {
        for status in ["True", "False"] {
            self.of_kind(kind).remove(&condition(&ObjectKey::new("", name), status));
        }
    }
}

/// Objects that fail now, by namespace and name.
#[derive(Clone, Debug, Default)]
struct FailingSeries(Arc<Mutex<BTreeSet<(String, String)>>>);

impl FailingSeries {
    fn reconciled(&self, key: &ObjectKey, ready: bool) {
        let key = (key.namespace.to_string(), key.name.to_string());
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ready {
            failing.remove(&key);
        } else {
            failing.insert(key);
        }
    }
}

impl Collector for FailingSeries {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = ConstGauge::new(1i64);
        let help = "1 while the object fails; look at the message of its condition";
        let mut series = encoder.encode_descriptor(
            "externalsecret_status_condition",
            help,
            None,
            one.metric_type(),
        )?;
        for (namespace, name) in failing.iter().take(MAX_FAILING) {
            let labels = [
                ("name", name.as_str()),
                ("namespace", namespace.as_str()),
                ("condition", "Ready"),
                ("status", "False"),
            ];
            one.encode(series.encode_family(&labels)?)?;
        }
        let left = failing.len().saturating_sub(MAX_FAILING);
        let left = ConstGauge::new(i64::try_from(left).unwrap_or(i64::MAX));
        let help =
            "Objects that fail and have no series of their own; `gabion status` shows them all";
        let kind = left.metric_type();
        left.encode(encoder.encode_descriptor(
            "gabion_failing_series_left_out",
            help,
            None,
            kind,
        )?)
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

/// All series per object that External Secrets Operator has.
#[derive(Clone, Default)]
struct AllSeries {
    syncs: Family<ObjectLabels, Counter>,
    /// A gauge, because its name lacks the suffix of counters.
    errors: Family<ObjectLabels, Gauge>,
    condition: Family<ConditionLabels, Gauge>,
    duration: Family<ObjectLabels, Gauge>,
}

impl AllSeries {
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

    fn reconciled(&self, key: &ObjectKey, ready: bool, took: Duration) {
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
    }

    fn forget(&self, key: &ObjectKey) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::{Health, Metrics};

    fn rendered(metrics: &Metrics) -> (usize, String) {
        let text = metrics.render().unwrap();
        let series =
            text.lines().filter(|line| line.starts_with("externalsecret_status_condition{"));
        (series.count(), text)
    }

    #[test]
    fn an_object_has_a_series_while_it_fails_in_the_form_that_alerts_ask_for() {
        let metrics = Metrics::new(&Health::default(), PerObject::Failing);
        let objects = metrics.objects.clone().unwrap();
        let key = |name: &str| ObjectKey::new("shop", name);
        let done = |name, ready| objects.reconciled(&key(name), ready, Duration::ZERO, || true);
        done("fine", true);
        done("db", false);
        let line = r#"externalsecret_status_condition{name="db",namespace="shop",condition="Ready",status="False"} 1"#;
        let (count, text) = rendered(&metrics);
        assert!(count == 1 && text.contains(line), "{text}");
        done("db", true);
        assert_eq!(rendered(&metrics).0, 0);
        objects.reconciled(&key("gone"), false, Duration::ZERO, || false);
        assert_eq!(rendered(&metrics).0, 0);
    }

    #[test]
    fn beyond_the_bound_they_are_counted_and_move_up_when_others_recover() {
        let metrics = Metrics::new(&Health::default(), PerObject::Failing);
        let objects = metrics.objects.clone().unwrap();
        for number in 0..MAX_FAILING + 7 {
            objects.reconciled(
                &ObjectKey::new("shop", &format!("{number:04}")),
                false,
                Duration::ZERO,
                || true,
            );
        }
        let (count, text) = rendered(&metrics);
        assert!(
            count == MAX_FAILING && text.contains("gabion_failing_series_left_out 7\n"),
            "{text}"
        );
        objects.forget(&ObjectKey::new("shop", "0000"));
        let (count, text) = rendered(&metrics);
        assert!(
            count == MAX_FAILING && text.contains("gabion_failing_series_left_out 6\n"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn the_series_are_those_of_a_plain_set(steps in prop::collection::vec((0u8..20, 0u8..3), 0..60)) {
            let series = FailingSeries::default();
            let mut plain = BTreeSet::new();
            for (name, step) in steps {
                let name = name.to_string();
                series.reconciled(&ObjectKey::new("n", &name), step != 0);
                if step == 0 { plain.insert(("n".to_owned(), name)); } else { plain.remove(&("n".to_owned(), name)); }
            }
            prop_assert_eq!(&*series.0.lock().unwrap(), &plain);
        }
    }
}
