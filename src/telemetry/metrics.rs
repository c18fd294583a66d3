//! Metrics. Labels come from closed sets, but for the series per object in `objects`.

use std::{
    collections::BTreeMap,
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
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::{
    Health, PerObject, events::EventMetrics, exposition, objects::ObjectSeries,
    rollouts::RolloutMetrics,
};
use crate::cluster::{RequestCounts, queue::QueueStats};

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    queues: Queues,
    /// Requests to the API server.
    pub(crate) requests: RequestCounts,
    /// Outcomes of reconciling.
    pub(crate) reconciles: ReconcileMetrics,
    /// Rotations that ended.
    pub(crate) rotations: RotationMetrics,
    /// Rollouts of workloads.
    pub(crate) rollouts: RolloutMetrics,
    /// Events of secret managers.
    pub(crate) events: EventMetrics,
    /// Series per object, as far as they are wanted.
    pub(crate) objects: Option<ObjectSeries>,
}

impl Metrics {
    /// All series, registered.
    pub(crate) fn new(health: &Health, per_object: PerObject) -> Arc<Self> {
        let mut registry = Registry::default();
        let requests = RequestCounts::default();
        let reconciles = ReconcileMetrics::default();
        requests.register(&mut registry);
        reconciles.register(&mut registry);
        let rotations = RotationMetrics::default();
        rotations.register(&mut registry);
        let rollouts = RolloutMetrics::default();
        rollouts.register(&mut registry);
        let events = EventMetrics::default();
        events.register(&mut registry);
        registry.register_collector(Box::new(Watches(health.clone())));
        let queues = Queues::default();
        registry.register_collector(Box::new(queues.clone()));
        registry.register(
            "gabion_build",
            "The running program; always 1",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let objects = ObjectSeries::wanted(per_object);
        if let Some(objects) = &objects {
            objects.register(&mut registry);
        }
        let registry = Mutex::new(registry);
        Arc::new(Self {
            registry,
            queues,
            requests,
            reconciles,
            rotations,
            rollouts,
            events,
            objects,
        })
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
        let mut queues = self.queues.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push((name, Box::new(stats)));
    }

    /// Registers the metrics of exceptions: how many are in each state, and in how many seconds the next one ends.
    pub(crate) fn exceptions(
        &self,
        figures: impl Fn() -> (BTreeMap<&'static str, i64>, Option<i64>) + Send + Sync + 'static,
    ) {
        self.register(|registry| {
            registry.register_collector(Box::new(Exceptions(Box::new(figures))));
        });
    }

    /// All series as OpenMetrics text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }

    /// All series in Prometheus' own text format.
    pub(crate) fn render_plain(&self) -> Result<String, fmt::Error> {
        self.render().map(|text| exposition::plain(&text))
    }
}

type Figures = Box<dyn Fn() -> (BTreeMap<&'static str, i64>, Option<i64>) + Send + Sync>;

struct Exceptions(Figures);

impl fmt::Debug for Exceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exceptions")
    }
}

impl Collector for Exceptions {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (states, next) = (self.0)();
        let none = ConstGauge::new(0i64);
        let help = "BaselineExceptions by state";
        let mut series =
            encoder.encode_descriptor("gabion_exceptions", help, None, none.metric_type())?;
        for (state, count) in states {
            ConstGauge::new(count).encode(series.encode_family(&[("state", state)])?)?;
        }
        if let Some(seconds) = next {
            let (name, unit) = ("gabion_exception_expiry", Some(&Unit::Seconds));
            let help = "Until the next exception that is in force ends; absent if none is";
            let series = encoder.encode_descriptor(name, help, unit, none.metric_type())?;
            ConstGauge::new(seconds).encode(series)?;
        }
        Ok(())
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndingLabel {
    outcome: &'static str,
}

/// How rotations ended.
#[derive(Clone, Default)]
pub(crate) struct RotationMetrics(Family<EndingLabel, Counter>);

impl RotationMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("gabion_rotations", "Rotations that ended, by how", self.0.clone());
    }

    /// Counts one.
    pub(crate) fn ended(&self, outcome: &'static str) {
        self.0.get_or_create(&EndingLabel { outcome }).inc();
    }
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
            "gabion_tampers",
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

/// The queues by name, with where their figures come from.
#[derive(Clone, Default)]
struct Queues(Arc<Mutex<Vec<(&'static str, Stats)>>>);

type Stats = Box<dyn Fn() -> QueueStats + Send + Sync>;

type Figure = fn(&QueueStats) -> usize;

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queues")
    }
}

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stats: Vec<_> = queues.iter().map(|(name, stats)| (*name, stats())).collect();
        let figures: [(&str, &str, Figure); 4] = [
            ("waiting", "Objects that wait to be reconciled", |stats| stats.waiting),
            ("running", "Objects under way", |stats| stats.running),
            ("known", "Objects known", |stats| stats.known),
            ("failing", "Objects in backoff after a failure; `gabion status` says why", |stats| {
                stats.failing
            }),
        ];
        let none = ConstGauge::new(0i64);
        for (name, help, figure) in figures {
            let name = format!("gabion_queue_{name}");
            let mut series = encoder.encode_descriptor(&name, help, None, none.metric_type())?;
            for (queue, stats) in &stats {
                let gauge = ConstGauge::new(i64::try_from(figure(stats)).unwrap_or(i64::MAX));
                gauge.encode(series.encode_family(&[("queue", *queue)])?)?;
            }
        }
        let (name, unit) = ("gabion_queue_oldest_wait", Some(&Unit::Seconds));
        let help = "How long the oldest waiting object has been waiting";
        let mut series = encoder.encode_descriptor(name, help, unit, none.metric_type())?;
        for (queue, stats) in &stats {
            let gauge = ConstGauge::new(stats.oldest_wait.as_secs_f64());
            gauge.encode(series.encode_family(&[("queue", *queue)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cluster::ObjectKey;

    #[test]
    fn the_series_are_written_and_an_object_that_is_gone_leaves_none() {
        let health = Health::default();
        health.watch("ExternalSecret");
        let metrics = Metrics::new(&health, PerObject::All);
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
            r#"gabion_queue_waiting{queue="secrets"} 0"#,
            r#"externalsecret_sync_calls_total{name="db",namespace="shop"} 1"#,
            r#"externalsecret_reconcile_duration{name="db",namespace="shop"} 3000000"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let plain = metrics.render_plain().unwrap();
        assert!(plain.contains("# TYPE gabion_reconciles_total counter\n"), "{plain}");
        objects.forget(&key);
        assert!(!metrics.render().unwrap().contains("shop"));
    }

    #[test]
    fn a_reconcile_that_ends_after_its_object_was_deleted_leaves_no_series() {
        let metrics = Metrics::new(&Health::default(), PerObject::All);
        let (objects, key) = (metrics.objects.clone().unwrap(), ObjectKey::new("shop", "db"));
        objects.forget(&key);
        objects.reconciled(&key, false, Duration::from_millis(3), || false);
        assert!(!metrics.render().unwrap().contains("shop"));
    }

    /// Names and types, as a scraper sees them.
    fn inventory() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for per_object in [PerObject::Failing, PerObject::All] {
            let health = Health::default();
            health.watch("ExternalSecret");
            let metrics = Metrics::new(&health, per_object);
            let calls = crate::telemetry::ProviderCalls(Arc::default());
            metrics.register(|registry| registry.register_collector(Box::new(calls)));
            metrics.queue("externalsecret", QueueStats::default);
            metrics.exceptions(|| (BTreeMap::from([("Active", 1)]), Some(60)));
            metrics.requests.count("create", "Secret", "ok");
            metrics.reconciles.done("ExternalSecret", "SecretSynced", Duration::ZERO);
            metrics.reconciles.drift_repaired("Secret");
            metrics.reconciles.tampered("ValidatingAdmissionPolicy");
            metrics.reconciles.fight("Namespace");
            metrics.rollouts.count("Deployment", "started");
            metrics.rollouts.waits(None, Some(crate::telemetry::Wait::Place));
            metrics.rotations.ended("Complete");
            metrics.events.count("secretsmanager", "woke");
            metrics.events.seconds("sync", Duration::ZERO);
            metrics.events.queues("Receiving", 1);
            let objects = metrics.objects.clone().unwrap();
            objects.reconciled(&ObjectKey::new("shop", "db"), false, Duration::ZERO, || true);
            let text = metrics.render_plain().unwrap();
            found.extend(
                text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(Into::into),
            );
        }
        found
    }

    #[test]
    fn the_page_lists_every_series_with_its_type_and_no_other() {
        let page = include_str!("../../docs/metrics.md");
        let row =
            regex::Regex::new(r"(?m)^\| `(\w+)` \| (\w+) \| [^|]* \| [^|]{10,} \| [^|]{5,} \|$")
                .unwrap();
        let listed: BTreeSet<_> =
            row.captures_iter(page).map(|row| format!("{} {}", &row[1], &row[2])).collect();
        assert_eq!(inventory(), listed);
    }

    /// Rules and runbooks name series of the inventory only, and each alert has its runbook.
    #[test]
    fn every_alert_asks_for_series_that_exist_and_has_a_runbook() {
        let rules: serde_json::Value =
            serde_saphyr::from_str(include_str!("../../deploy/prometheus/rules.yaml")).unwrap();
        let known = inventory();
        let base = |name: &str| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name)
                .to_owned()
        };
        let series = regex::Regex::new(r"\b(gabion_\w+|externalsecret_\w+)").unwrap();
        let books = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
        let mut named = BTreeSet::new();
        for group in rules["groups"].as_array().unwrap() {
            for rule in group["rules"].as_array().unwrap() {
                let alert = rule["alert"].as_str().unwrap();
                for found in series.captures_iter(rule["expr"].as_str().unwrap()) {
                    let exists = known.iter().any(|known| {
                        let name = known.split(' ').next().unwrap();
                        name == &found[1] || name == base(&found[1])
                    });
                    assert!(exists, "{alert}: there is no series {}", &found[1]);
                }
                assert!(
                    ["critical", "warning", "info"]
                        .contains(&rule["labels"]["severity"].as_str().unwrap())
                );
                for annotation in ["summary", "description"] {
                    assert!(
                        rule["annotations"][annotation].as_str().unwrap().len() > 10,
                        "{alert}"
                    );
                }
                let url = rule["annotations"]["runbook_url"].as_str().unwrap();
                assert!(url.ends_with(&format!("/docs/runbooks/{alert}.md")), "{url}");
                let book = std::fs::read_to_string(books.join(format!("{alert}.md"))).unwrap();
                for part in [
                    "## Meaning",
                    "## Impact",
                    "## First commands",
                    "## Remedies",
                    "## When to silence it",
                ] {
                    assert!(book.contains(part), "{alert}: no {part}");
                }
                assert!(named.insert(format!("{alert}.md")), "{alert} twice");
            }
        }
        let pages: BTreeSet<_> = std::fs::read_dir(books)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(pages, named);
    }

    /// Series that no panel shows, and why.
    const NOT_SHOWN: [(&str, &str); 4] = [
        ("externalsecret_provider_api_calls_count", "the same as gabion_provider_calls_total"),
        ("externalsecret_sync_calls_total", "of single objects, with `all` only"),
        ("externalsecret_sync_calls_error", "of single objects, with `all` only"),
        ("externalsecret_reconcile_duration", "of single objects, with `all` only"),
    ];

    /// The published rules for dashboards: every panel says what it shows, in a unit, from the chosen source.
    #[test]
    fn every_panel_asks_for_series_that_exist_and_every_series_is_in_a_panel() {
        let text = include_str!("../../deploy/grafana/gabion.json");
        let dashboard: serde_json::Value = serde_json::from_str(text).unwrap();
        let known: BTreeSet<_> =
            inventory().iter().map(|row| row.split(' ').next().unwrap().to_owned()).collect();
        let series = regex::Regex::new(r"\b(gabion_\w+|externalsecret_\w+)").unwrap();
        let mut shown = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().unwrap().len() > 10, "{title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
                let query = target["expr"].as_str().unwrap();
                assert!(query.contains(r#"job=~"$job",instance=~"$instance""#), "{title}: {query}");
                assert_eq!(
                    query.contains("rate("),
                    query.contains("[$__rate_interval]"),
                    "{query}"
                );
                for found in series.captures_iter(query) {
                    let name = found[1].strip_suffix("_bucket").unwrap_or(&found[1]).to_owned();
                    assert!(known.contains(&name), "{title}: there is no series {name}");
                    shown.insert(name);
                }
            }
        }
        shown.extend(NOT_SHOWN.iter().map(|(name, _)| (*name).to_owned()));
        assert_eq!(shown, known);
    }
}
