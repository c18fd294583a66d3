//! What was asked of the API server, counted.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    kind: String,
    outcome: &'static str,
}

/// Requests to the API server, apart from watches.
#[derive(Clone, Default)]
pub struct RequestCounts {
    requests: Family<RequestLabels, Counter>,
}

impl RequestCounts {
    /// Adds the series to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gabion_api_requests",
            "Requests to the API server by verb, kind and outcome, watches apart",
            self.requests.clone(),
        );
    }

    /// Counts one request. `outcome` is from a closed set.
    pub(crate) fn count(&self, verb: &'static str, kind: &str, outcome: &'static str) {
        let labels = RequestLabels { verb, kind: kind.to_owned(), outcome };
        self.requests.get_or_create(&labels).inc();
    }
}
