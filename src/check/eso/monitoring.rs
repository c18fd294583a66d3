//! Metrics of ESO that alerts and dashboards use and Gabion does not have.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use super::differs;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// Values within values that are searched; no rule goes deeper.
const DEEPEST: usize = 16;

/// Series of ESO that Gabion has.
pub(super) const HERE: [&str; 5] = [
    "externalsecret_status_condition",
    "externalsecret_provider_api_calls_count",
    "externalsecret_sync_calls_total",
    "externalsecret_sync_calls_error",
    "externalsecret_reconcile_duration",
];
/// Those of them that exist for every object only with a flag.
const BY_FLAG: [&str; 3] = [
    "externalsecret_sync_calls_total",
    "externalsecret_sync_calls_error",
    "externalsecret_reconcile_duration",
];

/// `None` if there is no such expression, which cannot be.
static SERIES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let kinds = "cluster_?externalsecret|cluster_?pushsecret|cluster_?secretstore|externalsecret|pushsecret|secretstore";
    Regex::new(&format!(r"\b(?:{kinds})_(?:sync_calls|status_condition|reconcile_duration|provider_api_calls)(?:_[a-z]+)*\b")).ok()
});

/// Series that every operator of the kind has, with a label that means ESO's controllers.
static SHARED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = "(?:externalsecret|secretstore|pushsecret)";
    let series = "(?:controller_runtime|workqueue)_[a-z_]+";
    Regex::new(&format!(r#"\b({series})\{{[^}}]*"[^"}}]*{label}"#)).ok()
});

/// What to say of alerts or a dashboard; `None` if they have nothing to do with ESO.
pub(super) fn evaluate(object: &Value) -> Option<Vec<Finding>> {
    let mut search = Search { named: BTreeSet::new(), found: Vec::new() };
    for part in ["spec", "data"] {
        search.value(&object[part], &FieldPath::default().key(part), 0);
    }
    (!search.named.is_empty()).then_some(search.found)
}

struct Search {
    /// Series with the part of the object, each once.
    named: BTreeSet<(FieldPath, String)>,
    found: Vec<Finding>,
}

impl Search {
    fn value(&mut self, value: &Value, at: &FieldPath, depth: usize) {
        match value {
            _ if depth > DEEPEST => {}
            Value::String(text) => self.text(text, at),
            Value::Array(items) => {
                for (nth, item) in items.iter().enumerate() {
                    self.value(item, &at.index(nth), depth + 1);
                }
            }
            Value::Object(fields) => {
                for (key, inner) in fields {
                    self.value(inner, &at.key(key), depth + 1);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, at: &FieldPath) {
        let own = SERIES.as_ref().into_iter().flat_map(|series| series.find_iter(text));
        let own = own.map(|found| found.as_str());
        let shared = SHARED.as_ref().into_iter().flat_map(|series| series.captures_iter(text));
        let shared = shared.filter_map(|found| found.get(1)).map(|found| found.as_str());
        for name in own.chain(shared) {
            if !self.named.insert((at.clone(), name.to_owned())) {
                continue;
            }
            let finding = if BY_FLAG.contains(&name) {
                let message = format!("{name} has a series for each object only with a flag");
                differs(
                    at.clone(),
                    message,
                    "run Gabion with --per-object-metrics=all, or use gabion_reconciles_total",
                )
            } else if HERE.contains(&name) {
                continue;
            } else {
                let message =
                    format!("Gabion has no metric {name}: what is built on it never fires");
                differs(at.clone(), message, "choose another one of docs/metrics.md")
            };
            self.found.push(finding);
        }
    }
}
