//! The configuration: typed, complete, checked once at the start, safe to print.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use gotemplate::Delimiters;

use crate::{
    outbound::AllowedHost,
    provider::aws::{Endpoints, QueueArn},
    telemetry::{LogFormat, PerObject},
};

/// Everything `gabion run` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the API server is; `None` = in-cluster, or the usual kubeconfig.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Only this namespace; `None` = the whole cluster.
    pub(crate) namespace: Option<String>,
    /// Address of `/metrics`.
    pub(crate) metrics_addr: SocketAddr,
    /// Address of `/healthz` and `/readyz`.
    pub(crate) health_addr: SocketAddr,
    /// How long work may stand still until the process counts as stuck.
    pub(crate) stall_timeout: Duration,
    /// This process's name; unique among replicas.
    pub(crate) replica: String,
    /// Log level or filter.
    pub log_level: String,
    /// Log format.
    pub log_format: LogFormat,
    /// The secrets subsystem.
    pub(crate) secrets: SecretsConfig,
    /// The hardening subsystem.
    pub(crate) hardening: HardeningConfig,
    /// Leader election, if wanted.
    pub(crate) election: Option<ElectionConfig>,
    /// Objects under way at once, per controller.
    pub(crate) concurrency: usize,
    /// Requests to the API server under way at once.
    pub(crate) write_concurrency: usize,
    /// Which objects have series of their own.
    pub(crate) per_object_metrics: PerObject,
    /// ESO flags that were given and mean nothing here.
    pub(crate) ignored_flags: Vec<&'static str>,
    /// Values of the chart that were given and that nothing reads.
    pub(crate) ignored_values: Vec<String>,
}

/// Which stores without `auth` may use the operator's own credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AmbientCredentials {
    /// No store
    None,
    /// ClusterSecretStores, which only administrators create
    ClusterStores,
    /// Every store, as with External Secrets Operator
    All,
}

/// Settings of the secrets subsystem.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub(crate) struct SecretsConfig {
    /// Whether it runs at all.
    pub(crate) enabled: bool,
    /// Stores with this `spec.controller`, or none, are ours.
    pub(crate) controller_class: String,
    /// ClusterSecretStores are reconciled.
    pub(crate) cluster_stores: bool,
    /// ClusterExternalSecrets are reconciled.
    pub(crate) cluster_external_secrets: bool,
    /// PushSecrets are reconciled.
    pub(crate) push_secrets: bool,
    /// ClusterPushSecrets are reconciled, if PushSecrets are.
    pub(crate) cluster_push_secrets: bool,
    /// Whether SecretRotations are served.
    pub(crate) rotations: bool,
    /// SecretStores are reconciled.
    pub(crate) namespaced_stores: bool,
    /// An ExternalSecret waits for its store to be Ready.
    pub(crate) store_gate: bool,
    /// How often a store without `refreshInterval` is validated.
    pub(crate) store_interval: Duration,
    /// `status.refreshTime` of an unchanged object is rewritten at most this often.
    pub(crate) heartbeat: Duration,
    /// What opens and closes an action of a template.
    pub(crate) delimiters: Delimiters,
    /// Workloads roll when the data of their Secret changes.
    pub(crate) rollouts: bool,
    /// How long a Secret has to be visible before a workload is rolled for it.
    pub(crate) rollout_settle: Duration,
    /// Existing Secrets that nobody's ExternalSecret made may be taken over.
    pub(crate) adopt_unmanaged: bool,
    /// Which stores may use the operator's own credentials.
    pub(crate) ambient_credentials: AmbientCredentials,
    /// Events tell also of what went as it should.
    pub(crate) routine_events: bool,
    /// Queues of events that wake every ExternalSecret.
    pub(crate) events_queues: Vec<QueueArn>,
    /// Queues that are read at once.
    pub(crate) events_queues_max: usize,
    /// Hosts that Webhook generators may ask.
    pub(crate) webhook_hosts: Vec<AllowedHost>,
    /// Where AWS is, if not at its own addresses.
    pub(crate) aws: Endpoints,
}

/// Settings of the hardening subsystem.
#[derive(Clone, Debug)]
pub(crate) struct HardeningConfig {
    /// Whether it runs at all.
    pub(crate) enabled: bool,
    /// The operator's own namespace: protected.
    pub(crate) operator_namespace: String,
    /// Where pods are tried by dry run, to prove admission policies: protected too.
    pub(crate) probe_namespace: String,
    /// More protected namespaces.
    pub(crate) protected: Vec<String>,
    /// Namespace and name of each Secret that baselines may have copied.
    pub(crate) pull_secret_sources: Vec<(String, String)>,
}

/// Settings of leader election.
#[derive(Clone, Debug)]
pub(crate) struct ElectionConfig {
    /// Name of the Lease.
    pub(crate) id: String,
    /// How long others wait after the last renewal they saw.
    pub(crate) lease_duration: Duration,
    /// How long the leader writes without a renewal.
    pub(crate) renew_deadline: Duration,
    /// Pause between tries.
    pub(crate) retry_period: Duration,
}
