//! The fetcher's counters as metrics.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::provider::metrics::{CallOutcome, Metrics, Operation};

/// Reads the counters at each scrape.
#[derive(Debug)]
pub(crate) struct ProviderCalls(pub(crate) Arc<Metrics>);

impl Collector for ProviderCalls {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let metrics = &self.0;
        let none = ConstCounter::new(0u64);
        let help = "Calls to providers by operation and outcome";
        let mut series =
            encoder.encode_descriptor("gabion_provider_calls", help, None, none.metric_type())?;
        for operation in Operation::ALL {
            for outcome in CallOutcome::ALL {
                let labels = [
                    ("provider", operation.provider()),
                    ("call", operation.name()),
                    ("outcome", outcome.name()),
                ];
                let calls = ConstCounter::new(metrics.calls(operation, outcome));
                calls.encode(series.encode_family(&labels)?)?;
            }
        }
        let counters = [
            ("gabion_provider_asks", "Questions put to the fetcher", metrics.requests()),
            (
                "gabion_provider_calls_saved",
                "Calls that sharing and batching made unnecessary",
                metrics.calls_saved(),
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        self.encode_eso(encoder)
    }
}

impl ProviderCalls {
    /// External Secrets Operator's series. A gauge here, because its name lacks the suffix of counters.
    fn encode_eso(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let none = ConstGauge::new(0i64);
        let name = "externalsecret_provider_api_calls_count";
        let help = "Calls to providers, under the name that existing dashboards know";
        let mut series = encoder.encode_descriptor(name, help, None, none.metric_type())?;
        for operation in Operation::ALL {
            for status in ["success", "error"] {
                let of_status = CallOutcome::ALL.into_iter().filter(|o| o.status() == status);
                let calls: u64 = of_status.map(|o| self.0.calls(operation, o)).sum();
                let labels = [
                    ("provider", operation.provider()),
                    ("call", operation.name()),
                    ("status", status),
                ];
                let gauge = ConstGauge::new(i64::try_from(calls).unwrap_or(i64::MAX));
                gauge.encode(series.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
