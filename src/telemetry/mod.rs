//! Logs, metrics and the admin servers.

mod admin;
mod events;
mod exposition;
mod health;
mod logs;
mod metrics;
mod objects;
mod provider;
mod rollouts;

pub(crate) use admin::{ServeError, bind, serve_health, serve_metrics};
pub(crate) use health::Health;
pub use logs::{LogFormat, init};
pub(crate) use metrics::Metrics;
pub(crate) use objects::PerObject;
pub(crate) use provider::ProviderCalls;
pub(crate) use rollouts::Wait;
