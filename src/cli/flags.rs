//! The flags of `gabion run`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, builder::BoolishValueParser};

use super::{aws, eso::EsoFlags};
use crate::cluster::Patience;
use crate::config::{AmbientCredentials, Config, ElectionConfig, HardeningConfig, SecretsConfig};
use crate::duration;
use crate::outbound::AllowedHost;
use crate::provider::aws::QueueArn;
use crate::telemetry::{LogFormat, PerObject};
use gotemplate::Delimiters;

/// Flags of `gabion run`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub(crate) struct RunFlags {
    /// Kubeconfig file; without it the in-cluster account is used, or the usual kubeconfig
    #[arg(long, env = "GABION_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Watch and write only this namespace; without it the whole cluster
    #[arg(long, env = "GABION_NAMESPACE", default_value = "")]
    namespace: String,
    /// Address of /metrics (HOST:PORT; an empty host means all)
    #[arg(long, env = "GABION_METRICS_ADDR", default_value = ":8080", value_parser = address, value_name = "HOST:PORT")]
    metrics_addr: SocketAddr,
    /// Address of /healthz and /readyz (ESO's --live-addr is accepted too)
    #[arg(long, alias = "live-addr", env = "GABION_HEALTH_ADDR", default_value = ":8081", value_parser = address, value_name = "HOST:PORT")]
    health_addr: SocketAddr,
    /// /healthz fails when work has waited for this long and none of it is done, /readyz when a watch has failed for half of it; a dead connection is noticed within half of it, too
    #[arg(long, env = "GABION_STALL_TIMEOUT", default_value = "2m", value_parser = stall, value_name = "DURATION")]
    stall_timeout: Duration,
    /// Log level, or a filter such as info,gabion=debug (ESO's --loglevel is accepted too)
    #[arg(long, alias = "loglevel", env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// Log format: json or text
    #[arg(long, env = "LOG_FORMAT", default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Concurrent reconciles per controller
    #[arg(long, env = "GABION_CONCURRENCY", default_value_t = 128, value_parser = at_least_one)]
    concurrency: usize,
    /// Concurrent requests to the API server
    #[arg(long, env = "GABION_WRITE_CONCURRENCY", default_value_t = 32, value_parser = at_least_one)]
    write_concurrency: usize,
    /// Series per ExternalSecret in /metrics, under ESO's names: failing (objects that fail now, at most 200), all (grows with the number of objects) or off
    #[arg(long, env = "GABION_PER_OBJECT_METRICS", default_value = "failing", num_args = 0..=1, require_equals = true, default_missing_value = "all", value_parser = per_object, value_name = "WHICH")]
    per_object_metrics: PerObject,

    /// Run the secrets subsystem (ExternalSecret, its stores, ClusterExternalSecret)
    #[arg(long, env = "GABION_ENABLE_SECRETS", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_secrets: bool,
    /// Reconcile the stores whose spec.controller is this, or empty
    #[arg(
        long,
        env = "GABION_CONTROLLER_CLASS",
        help_heading = "Secrets",
        default_value = "default"
    )]
    controller_class: String,
    /// Reconcile ClusterSecretStores
    #[arg(long, env = "GABION_ENABLE_CLUSTER_STORE_RECONCILER", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_cluster_store_reconciler: bool,
    /// Reconcile ClusterExternalSecrets
    #[arg(long, env = "GABION_ENABLE_CLUSTER_EXTERNAL_SECRET_RECONCILER", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_cluster_external_secret_reconciler: bool,
    /// Reconcile PushSecrets
    #[arg(long, env = "GABION_ENABLE_PUSH_SECRET_RECONCILER", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_push_secret_reconciler: bool,
    /// Reconcile ClusterPushSecrets, if PushSecrets are reconciled
    #[arg(long, env = "GABION_ENABLE_CLUSTER_PUSH_SECRET_RECONCILER", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_cluster_push_secret_reconciler: bool,
    /// Rotate secrets of AWS Secrets Manager as SecretRotations say
    #[arg(long, env = "GABION_ENABLE_SECRET_ROTATION", help_heading = "Secrets", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_secret_rotation: bool,
    /// Reconcile SecretStores
    #[arg(long, env = "GABION_ENABLE_SECRET_STORE_RECONCILER", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_secret_store_reconciler: bool,
    /// Roll the workloads that an ExternalSecret names in the annotation gabion.dev/rollout when its Secret changes; needs config/overlays/rollouts
    #[arg(long, env = "GABION_ENABLE_ROLLOUTS", help_heading = "Secrets", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_rollouts: bool,
    /// How long kubelets may take to see a changed Secret: no workload is rolled for it sooner
    #[arg(long, env = "GABION_ROLLOUT_SETTLE", help_heading = "Secrets", default_value = "2s", value_parser = duration::unsigned, value_name = "DURATION")]
    rollout_settle: Duration,
    /// ExternalSecrets wait until their store is Ready
    #[arg(long, env = "GABION_ENABLE_FLOOD_GATE", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_flood_gate: bool,
    /// How often a store without spec.refreshInterval is validated
    #[arg(long, env = "GABION_STORE_REQUEUE_INTERVAL", help_heading = "Secrets", default_value = "5m", value_parser = duration::unsigned, value_name = "DURATION")]
    store_requeue_interval: Duration,
    /// status.refreshTime of an unchanged ExternalSecret is rewritten at most this often
    #[arg(long, env = "GABION_REFRESH_HEARTBEAT", help_heading = "Secrets", default_value = "15m", value_parser = duration::unsigned, value_name = "DURATION")]
    refresh_heartbeat: Duration,
    /// Take over existing Secrets that no ExternalSecret created, as ESO does silently
    #[arg(long, env = "GABION_ADOPT_UNMANAGED", help_heading = "Secrets", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    adopt_unmanaged: bool,
    /// Which stores without `auth` may use Gabion's own AWS credentials; `all` is what ESO does
    #[arg(
        long,
        env = "GABION_AMBIENT_CREDENTIALS",
        help_heading = "Secrets",
        default_value = "cluster-stores",
        value_enum
    )]
    ambient_credentials: AmbientCredentials,
    /// Emit the Events Created (a new Secret) and Valid (a store that has become usable), as ESO does
    #[arg(long, env = "GABION_ROUTINE_EVENTS", help_heading = "Secrets", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    routine_events: bool,
    /// Hosts that generators of kind Webhook may ask, separated by commas: HOST is asked over TLS at port 443, HOST:PORT also without TLS; none by default. A loopback or link-local address is asked only if it is named with its port
    #[arg(
        long,
        env = "GABION_WEBHOOK_GENERATOR_HOSTS",
        help_heading = "Secrets",
        value_delimiter = ',',
        value_name = "HOSTS"
    )]
    webhook_generator_hosts: Vec<AllowedHost>,
    /// ARNs of SQS queues, separated by commas, whose events of secrets wake every ExternalSecret that reads them; read with the operator's own identity
    #[arg(long, env = "GABION_EVENTS_QUEUE", help_heading = "Secrets", value_delimiter = ',', value_parser = QueueArn::parse, value_name = "ARNS")]
    events_queue: Vec<QueueArn>,
    /// Queues of events that are read at most, those of stores included
    #[arg(
        long,
        env = "GABION_EVENTS_QUEUES_MAX",
        help_heading = "Secrets",
        default_value_t = 50,
        value_name = "NUMBER"
    )]
    events_queues_max: usize,
    /// Opening delimiter of template actions
    #[arg(long, env = "GABION_TEMPLATE_LEFT_DELIMITER", help_heading = "Secrets", default_value = "{{", value_parser = delimiter)]
    template_left_delimiter: String,
    /// Closing delimiter of template actions
    #[arg(long, env = "GABION_TEMPLATE_RIGHT_DELIMITER", help_heading = "Secrets", default_value = "}}", value_parser = delimiter)]
    template_right_delimiter: String,

    /// Run the hardening subsystem (HardeningBaseline)
    #[arg(long, env = "GABION_ENABLE_HARDENING", help_heading = "Hardening", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_hardening: bool,
    /// Namespace that Gabion itself runs in; never hardened, contains the Lease
    #[arg(
        long,
        env = "GABION_OPERATOR_NAMESPACE",
        help_heading = "Hardening",
        default_value = "gabion-system"
    )]
    operator_namespace: String,
    /// Namespace of the dry-run pods that test admission policies; never hardened
    #[arg(
        long,
        env = "GABION_PROBE_NAMESPACE",
        help_heading = "Hardening",
        default_value = "gabion-probe"
    )]
    probe_namespace: String,
    /// More namespaces that are never touched, separated by commas
    #[arg(
        long,
        env = "GABION_PROTECTED_NAMESPACES",
        help_heading = "Hardening",
        value_delimiter = ',',
        value_name = "NAME,..."
    )]
    protected_namespaces: Vec<String>,
    /// Secrets with registry credentials that baselines may have copied into their namespaces, separated by commas; none by default. Needs config/overlays/pull-secrets
    #[arg(long, env = "GABION_PULL_SECRET_SOURCES", help_heading = "Hardening", value_delimiter = ',', value_parser = pull_secret_source, value_name = "NAMESPACE/NAME,...")]
    pull_secret_sources: Vec<(String, String)>,

    /// Several replicas: only the holder of a Lease writes
    #[arg(long, env = "GABION_ENABLE_LEADER_ELECTION", help_heading = "Leader election", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    enable_leader_election: bool,
    /// Name of the Lease
    #[arg(
        long,
        env = "GABION_LEADER_ELECTION_ID",
        help_heading = "Leader election",
        default_value = "gabion"
    )]
    leader_election_id: String,
    /// How long other replicas wait after the last renewal they saw
    #[arg(long, env = "GABION_LEADER_ELECTION_LEASE_DURATION", help_heading = "Leader election", default_value = "15s", value_parser = duration::unsigned, value_name = "DURATION")]
    leader_election_lease_duration: Duration,
    /// How long the leader keeps writing without a renewal
    #[arg(long, env = "GABION_LEADER_ELECTION_RENEW_DEADLINE", help_heading = "Leader election", default_value = "10s", value_parser = duration::unsigned, value_name = "DURATION")]
    leader_election_renew_deadline: Duration,
    /// Pause between tries
    #[arg(long, env = "GABION_LEADER_ELECTION_RETRY_PERIOD", help_heading = "Leader election", default_value = "2s", value_parser = duration::unsigned, value_name = "DURATION")]
    leader_election_retry_period: Duration,

    /// Values of the Helm chart that nothing reads, separated by commas: the log names them once
    #[arg(
        long,
        env = "GABION_IGNORED_VALUES",
        help_heading = "Accepted from External Secrets Operator",
        hide_short_help = true,
        value_delimiter = ',',
        value_name = "KEY,..."
    )]
    ignored_values: Vec<String>,
    #[command(flatten)]
    eso: EsoFlags,
}

/// Most Secrets that are followed for their copies: a watch each.
const MOST_SOURCES: usize = 64;

fn pull_secret_source(text: &str) -> Result<(String, String), String> {
    let is_name = |text: &str| {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c);
        !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
    };
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("must be the namespace and the name of a Secret: NAMESPACE/NAME".to_owned()),
    }
}

/// Each once.
fn sources(mut named: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    named.sort();
    named.dedup();
    if named.len() > MOST_SOURCES {
        return Err(format!("--pull-secret-sources names more than {MOST_SOURCES} Secrets"));
    }
    Ok(named)
}

impl RunFlags {
    /// Checks what no single flag can check, and builds the configuration.
    pub(crate) fn config(self) -> Result<Config, String> {
        let election = self.election()?;
        Ok(Config {
            kubeconfig: self.kubeconfig,
            namespace: Some(self.namespace).filter(|namespace| !namespace.is_empty()),
            metrics_addr: self.metrics_addr,
            health_addr: self.health_addr,
            stall_timeout: self.stall_timeout,
            replica: replica_name(),
            log_level: self.log_level,
            log_format: self.log_format,
            secrets: SecretsConfig {
                enabled: self.enable_secrets,
                controller_class: self.controller_class,
                cluster_stores: self.enable_cluster_store_reconciler,
                cluster_external_secrets: self.enable_cluster_external_secret_reconciler,
                push_secrets: self.enable_push_secret_reconciler,
                cluster_push_secrets: self.enable_cluster_push_secret_reconciler,
                rotations: self.enable_secret_rotation,
                rollouts: self.enable_rollouts,
                rollout_settle: self.rollout_settle,
                namespaced_stores: self.enable_secret_store_reconciler,
                store_gate: self.enable_flood_gate,
                store_interval: self.store_requeue_interval,
                heartbeat: self.refresh_heartbeat,
                adopt_unmanaged: self.adopt_unmanaged,
                ambient_credentials: self.ambient_credentials,
                routine_events: self.routine_events,
                webhook_hosts: self.webhook_generator_hosts.clone(),
                events_queues: self.events_queue,
                events_queues_max: self.events_queues_max,
                aws: aws::endpoints(|name| std::env::var(name).ok()),
                delimiters: Delimiters {
                    left: self.template_left_delimiter,
                    right: self.template_right_delimiter,
                },
            },
            hardening: HardeningConfig {
                enabled: self.enable_hardening,
                operator_namespace: self.operator_namespace,
                probe_namespace: self.probe_namespace,
                protected: self.protected_namespaces,
                pull_secret_sources: sources(self.pull_secret_sources)?,
            },
            election,
            concurrency: self.concurrency,
            write_concurrency: self.write_concurrency,
            per_object_metrics: self.per_object_metrics,
            ignored_flags: self.eso.given(),
            ignored_values: self.ignored_values,
        })
    }

    fn election(&self) -> Result<Option<ElectionConfig>, String> {
        if !self.enable_leader_election {
            return Ok(None);
        }
        let (lease, deadline, retry) = (
            self.leader_election_lease_duration,
            self.leader_election_renew_deadline,
            self.leader_election_retry_period,
        );
        if !(lease > deadline && deadline > retry && !retry.is_zero()) {
            return Err(format!(
                "leader election needs lease duration > renew deadline > retry period > 0, \
                 but got {lease:?}, {deadline:?}, {retry:?}: change --leader-election-lease-duration, \
                 --leader-election-renew-deadline or --leader-election-retry-period"
            ));
        }
        Ok(Some(ElectionConfig {
            id: self.leader_election_id.clone(),
            lease_duration: lease,
            renew_deadline: deadline,
            retry_period: retry,
        }))
    }
}

/// The pod's name, else the host's, with the process id: unique among replicas.
fn replica_name() -> String {
    let host = ["POD_NAME", "HOSTNAME"].iter().find_map(|name| std::env::var(name).ok());
    format!("{}-{}", host.unwrap_or_else(|| "gabion".to_owned()), std::process::id())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| {
        format!(
            "{text:?} is not HOST:PORT with an IP address as host: write 127.0.0.1:8080 or :8080"
        )
    })
}

fn stall(text: &str) -> Result<Duration, String> {
    let stall = duration::unsigned(text)?;
    if stall < Patience::SHORTEST {
        let shortest = Patience::SHORTEST.as_secs();
        return Err(format!(
            "{text:?} ends processes that are only slow: write {shortest}s or more"
        ));
    }
    Ok(stall)
}

fn per_object(text: &str) -> Result<PerObject, String> {
    match text {
        "off" | "false" => Ok(PerObject::Off),
        "failing" => Ok(PerObject::Failing),
        "all" | "true" => Ok(PerObject::All),
        _ => Err(format!("{text:?} is none of failing, all and off")),
    }
}

fn delimiter(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a delimiter has at least one character: write for example {{ or <<".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a whole number of at least 1")),
        Ok(number) => Ok(number),
    }
}
