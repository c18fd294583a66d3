//! Logs, metrics and the admin servers.

mod admin;
mod health;
mod logs;
mod metrics;
mod provider;

pub use admin::{ServeError, bind, serve_health, serve_metrics};
pub use health::Health;
pub use logs::{LogFormat, init};
pub use metrics::{Metrics, ObjectSeries, ReconcileMetrics};
pub use provider::ProviderCalls;
