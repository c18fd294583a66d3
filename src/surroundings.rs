//! What a half of the operator runs in: handed to it once, at the start.

use std::sync::Arc;

use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{events::Events, write::Writer},
    config::Config,
    telemetry::{Health, Metrics},
};

/// Everything a half needs from outside.
pub struct Surroundings<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The connection for watches.
    pub watch: Client,
    /// The writing side.
    pub writer: Writer,
    /// Where notices go.
    pub events: Events,
    /// Where watches and queues report.
    pub health: &'a Health,
    /// What is counted.
    pub metrics: &'a Arc<Metrics>,
    /// Ends everything.
    pub stop: &'a CancellationToken,
    /// Where tasks are started.
    pub tasks: &'a mut JoinSet<()>,
}
