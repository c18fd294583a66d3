//! The composition root: the only module that sees all others.
//!
//! Order of start: the ports (so that one in use is an error at once), the connection, the lease (if there is
//! one), the controllers. Order of stop: the controllers finish what is under way, within ten seconds; then the last
//! events go out, within one; then the lease is given back.

use std::{sync::Arc, time::Duration};

use tokio::{signal::unix, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    cluster::{
        Clients, ConnectError, Fence, Patience,
        events::events,
        lease::{Election, LeaseLost, LeaseSettings},
        write::Writer,
    },
    config::Config,
    hardening,
    runtime::Runtime,
    secrets,
    telemetry::{Health, Metrics, ServeError, bind, serve_health, serve_metrics},
};

/// After SIGTERM, work under way has this long to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Why `gabion run` ended other than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The API server cannot be addressed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A port is taken.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The lease is lost.
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    /// A signal cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signal(#[from] std::io::Error),
    /// The definitions cannot be written.
    #[error("the CustomResourceDefinitions cannot be written: {0}")]
    Crds(String),
    /// The TLS provider is already another one.
    #[error("another TLS provider than aws-lc-rs is installed in this process")]
    Tls,
}

/// The CustomResourceDefinitions as YAML.
pub fn crds() -> Result<String, OperatorError> {
    api::crds::yaml().map_err(|error| OperatorError::Crds(error.to_string()))
}

/// Runs everything until SIGTERM or SIGINT, or until the lease is lost.
pub async fn run(config: Config) -> Result<(), OperatorError> {
    prepare(&config)?;
    let stop = CancellationToken::new();
    let health = Health::new(Patience::new(config.stall_timeout));
    let metrics = Metrics::new(&health, config.per_object_metrics);
    let metrics_port = bind("--metrics-addr", config.metrics_addr).await?;
    let health_port = bind("--health-addr", config.health_addr).await?;
    let clients = Clients::connect(config.kubeconfig.as_deref()).await?;

    let mut tasks = JoinSet::new();
    // The admin servers outlive the controllers, so that a probe during the stop gets an answer.
    let served = CancellationToken::new();
    tokio::spawn(serve_metrics(metrics_port, Arc::clone(&metrics), served.clone()));
    tokio::spawn(serve_health(health_port, health.clone(), served.clone()));

    let signalled = tokio::spawn(wait_for_signal(stop.clone()));
    let mut election = lead(&config, &clients, &stop).await;
    let fence = election.as_ref().map_or_else(Fence::open, |(_, fence)| fence.clone());
    let last_event = CancellationToken::new();
    let (events, publish) = events(
        clients.work.clone(),
        fence.clone(),
        "external-secrets",
        &config.replica,
        last_event.clone(),
    );
    let publisher = tokio::spawn(publish);
    if !stop.is_cancelled() {
        let (work, requests) = (clients.work.clone(), metrics.requests.clone());
        let writer = Writer::new(work, fence, config.write_concurrency, requests);
        start(&mut Runtime {
            config: &config,
            watch: clients.watch.clone(),
            server: clients.server.clone(),
            writer,
            events,
            health: &health,
            metrics: &metrics,
            stop: &stop,
            tasks: &mut tasks,
        });
    }
    let outcome = if let Some((election, _)) = election.as_mut() {
        election.keep(&stop).await.map_err(OperatorError::from)
    } else {
        stop.cancelled().await;
        Ok(())
    };
    stop.cancel();
    finish(tasks).await;
    last_event.cancel();
    let _ = publisher.await;
    if let (Ok(()), Some((election, _))) = (&outcome, election.as_mut()) {
        election.release().await;
    }
    served.cancel();
    signalled.abort();
    tracing::info!("stopped");
    outcome
}

/// What a process does once, before anything else.
fn prepare(config: &Config) -> Result<(), OperatorError> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| OperatorError::Tls)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?config, "starting");
    for flag in &config.ignored_flags {
        tracing::warn!(flag, "this flag of External Secrets Operator has no effect in Gabion");
    }
    if !config.ignored_values.is_empty() {
        let values = config.ignored_values.join(", ");
        tracing::warn!(values, "these values of the chart have no effect: its README says why");
    }
    Ok(())
}

/// Takes part in the election and returns once this process leads, if an election is wanted.
async fn lead(
    config: &Config,
    clients: &Clients,
    stop: &CancellationToken,
) -> Option<(Election, Fence)> {
    let wanted = config.election.as_ref()?;
    let fence = Fence::closed();
    let settings = LeaseSettings {
        namespace: config.hardening.operator_namespace.clone(),
        name: wanted.id.clone(),
        identity: config.replica.clone(),
        lease_duration: wanted.lease_duration,
        renew_deadline: wanted.renew_deadline,
        retry_period: wanted.retry_period,
    };
    let mut election = Election::new(clients.lease.clone(), settings, fence.clone());
    election.win(stop).await;
    Some((election, fence))
}

fn start(runtime: &mut Runtime<'_>) {
    let config = runtime.config;
    if config.secrets.enabled {
        secrets::start(runtime);
    }
    // Cluster-scoped objects cannot be hardened with rights in one namespace.
    if config.hardening.enabled && config.namespace.is_none() {
        hardening::start(runtime);
    }
}

async fn finish(mut tasks: JoinSet<()>) {
    let done = async { while tasks.join_next().await.is_some() {} };
    if time::timeout(GRACE, done).await.is_err() {
        tracing::warn!("work under way did not finish in {} s; leaving it", GRACE.as_secs());
    }
}

async fn wait_for_signal(stop: CancellationToken) -> Result<(), std::io::Error> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        () = stop.cancelled() => {}
    }
    stop.cancel();
    Ok(())
}
