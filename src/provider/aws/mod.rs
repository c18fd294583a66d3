//! AWS: one folder per service, and what they have in common.

mod calls;
mod credentials;
mod errors;
mod parameter_store;
pub(crate) mod queue;
mod queue_arn;
mod secrets_manager;
mod source;
mod throttling;
mod tokens;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_secretsmanager::{self as secretsmanager, config::retry::RetryPartition};
use aws_sdk_sqs as sqs;
use aws_sdk_ssm as ssm;
use aws_sdk_sts as sts;
use aws_smithy_http_client::{Connector, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::{
    http::{HttpConnectorSettings, SharedHttpClient},
    runtime_components::RuntimeComponents,
};

use crate::provider::Provider;
use crate::provider::rate_limit::Meter;
use credentials::{Credentials, Link};
use parameter_store::ParameterStore;
use secrets_manager::SecretsManager;
use throttling::Throttling;

pub use queue_arn::QueueArn;
pub(crate) use source::unusable;
pub use source::{AssumedRole, AwsSettings, AwsSource, BaseCredentials, RetrySettings, Service};
pub(crate) use tokens::{Made, Registry, SessionRequest, login, session};

/// Where AWS is, if not at its own addresses. All of them are URLs such as `http://127.0.0.1:4566`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Secrets Manager.
    pub secrets_manager: Option<String>,
    /// Systems Manager, which Parameter Store is a part of.
    pub parameter_store: Option<String>,
    /// Security Token Service.
    pub sts: Option<String>,
    /// Simple Queue Service.
    pub queues: Option<String>,
    /// The registries of containers, private and public.
    pub registry: Option<String>,
    /// Validated cryptography; not together with an address of one's own.
    pub fips: bool,
    /// IPv4 and IPv6; not together with an address of one's own.
    pub dual_stack: bool,
}

/// The provider of the service that a source names. Sends nothing yet.
pub(super) fn connect(
    platform: &Platform,
    source: &AwsSource,
    meter: Meter,
    batch_pause: Duration,
) -> Arc<dyn Provider> {
    match source.settings().service {
        Service::SecretsManager => {
            Arc::new(SecretsManager::connect(platform, source, meter, batch_pause))
        }
        Service::ParameterStore => {
            Arc::new(ParameterStore::connect(platform, source, meter, batch_pause))
        }
    }
}

/// Connections kept open per host between calls; a burst may open more.
const IDLE_CONNECTIONS: usize = 32;

/// What all clients of AWS share: one connection pool, one set of endpoints, and Gabion's own credentials.
#[derive(Clone)]
pub struct Platform(Arc<Shared>);

struct Shared {
    endpoints: Endpoints,
    http: SharedHttpClient,
    /// Gabion's own credentials, one cache per region that their chain may have to ask STS in.
    own: Mutex<HashMap<String, Arc<Credentials>>>,
}

impl Platform {
    /// Sends nothing yet.
    pub fn new(endpoints: Endpoints) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_with_connector_fn(connector);
        Self(Arc::new(Shared { endpoints, http, own: Mutex::default() }))
    }

    /// Gabion's own credentials, shared by every store that names none.
    fn own_credentials(&self, region: &str, meter: &Arc<Meter>) -> Arc<Credentials> {
        let mut own = self.0.own.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let link = Link::Chain { region: region.to_owned(), http: self.0.http.clone() };
            Arc::new(Credentials::new(link, meter.clone()))
        };
        own.entry(region.to_owned()).or_insert_with(made).clone()
    }

    fn secrets(
        &self,
        source: &AwsSource,
        credentials: &Arc<Credentials>,
        meter: &Arc<Meter>,
    ) -> secretsmanager::Client {
        let settings = source.settings();
        let mut config = secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .http_client(self.0.http.clone())
            .timeout_config(timeouts())
            .retry_config(retries(settings.retry))
            .retry_partition(RetryPartition::custom("store").build())
            .interceptor(Throttling(meter.clone()))
            .identity_cache(secretsmanager::config::IdentityCache::no_cache())
            .credentials_provider(signing(credentials));
        match &self.0.endpoints.secrets_manager {
            Some(url) => config = config.endpoint_url(url),
            None => config = config.use_fips(self.fips()).use_dual_stack(self.dual_stack()),
        }
        secretsmanager::Client::from_conf(config.build())
    }

    fn parameters(
        &self,
        source: &AwsSource,
        credentials: &Arc<Credentials>,
        meter: &Arc<Meter>,
    ) -> ssm::Client {
        let settings = source.settings();
        let mut config = ssm::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .http_client(self.0.http.clone())
            .timeout_config(timeouts())
            .retry_config(retries(settings.retry))
            .retry_partition(RetryPartition::custom("store").build())
            .interceptor(Throttling(meter.clone()))
            .identity_cache(ssm::config::IdentityCache::no_cache())
            .credentials_provider(signing(credentials));
        match &self.0.endpoints.parameter_store {
            Some(url) => config = config.endpoint_url(url),
            None => config = config.use_fips(self.fips()).use_dual_stack(self.dual_stack()),
        }
        ssm::Client::from_conf(config.build())
    }

    /// A client of queues in a region, which may be another one than that of the secrets.
    fn queues(
        &self,
        region: &str,
        credentials: &Arc<Credentials>,
        meter: &Arc<Meter>,
    ) -> sqs::Client {
        let mut config = sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(self.0.http.clone())
            .timeout_config(queue::timeouts())
            .retry_config(queue::retries())
            .retry_partition(RetryPartition::custom("queue").build())
            .interceptor(Throttling(meter.clone()))
            .identity_cache(sqs::config::IdentityCache::no_cache())
            .credentials_provider(signing(credentials));
        match &self.0.endpoints.queues {
            Some(url) => config = config.endpoint_url(url),
            None => config = config.use_fips(self.fips()).use_dual_stack(self.dual_stack()),
        }
        sqs::Client::from_conf(config.build())
    }

    /// A client of STS that signs with `credentials`; without any it can only exchange tokens.
    fn sts(
        &self,
        source: &AwsSource,
        credentials: Option<&Arc<Credentials>>,
        meter: &Arc<Meter>,
    ) -> sts::Client {
        let settings = source.settings();
        let mut config = sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .http_client(self.0.http.clone())
            .timeout_config(timeouts())
            .retry_config(retries(settings.retry))
            .retry_partition(RetryPartition::custom("store").build())
            .interceptor(Throttling(meter.clone()))
            .identity_cache(sts::config::IdentityCache::no_cache());
        config.set_credentials_provider(credentials.map(signing));
        match &self.0.endpoints.sts {
            Some(url) => config = config.endpoint_url(url),
            None => config = config.use_fips(self.fips()).use_dual_stack(self.dual_stack()),
        }
        sts::Client::from_conf(config.build())
    }

    fn fips(&self) -> bool {
        self.0.endpoints.fips
    }

    fn dual_stack(&self) -> bool {
        self.0.endpoints.dual_stack
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("endpoints", &self.0.endpoints).finish_non_exhaustive()
    }
}

fn signing(credentials: &Arc<Credentials>) -> SharedCredentialsProvider {
    let signer: Arc<dyn ProvideCredentials> = credentials.clone();
    SharedCredentialsProvider::new(signer)
}

/// One connector for all clients; it honours the usual proxy variables.
fn connector(
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> Connector {
    let crypto = tls::rustls_provider::CryptoMode::AwsLc;
    let mut builder = Connector::builder().tls_provider(tls::Provider::Rustls(crypto));
    builder.set_connector_settings(settings.cloned());
    if let Some(components) = components {
        builder.set_sleep_impl(components.sleep_impl());
    }
    builder.set_proxy_config(Some(ProxyConfig::from_env()));
    builder.set_pool_max_idle_per_host(Some(IDLE_CONNECTIONS));
    builder.build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(25))
        .build()
}

/// One retry, unless the store says otherwise: the queue of the object that asked retries as well.
fn retries(settings: Option<RetrySettings>) -> RetryConfig {
    let standard = RetryConfig::standard();
    match settings {
        None => standard.with_max_attempts(2),
        Some(RetrySettings { max_retries, interval }) => standard
            .with_max_attempts(max_retries.saturating_add(1))
            .with_initial_backoff(interval)
            .with_max_backoff(interval),
    }
}
