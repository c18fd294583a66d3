//! The connections to the API server.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::time;

use crate::retry::Pauses;

/// The three connections, kept apart so that none can starve another.
#[derive(Clone)]
pub(crate) struct Clients {
    /// Reads and writes of the controllers.
    pub(crate) work: Client,
    /// Watches: long answers, no read timeout of their own (each watch has one).
    pub(crate) watch: Client,
    /// The lease: short timeouts, so that a renewal never outlives its deadline.
    pub(crate) lease: Client,
    /// The API server, without any credentials.
    pub(crate) server: Server,
}

/// Where the API server is and what its certificate must be, for those who ask it in another name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// Its address.
    pub(crate) url: http::Uri,
    /// Certificates of its authority, in DER; `None`: those that the machine trusts.
    pub(crate) roots: Option<Vec<Vec<u8>>>,
    /// The name in its certificate, if it is not that of the host.
    pub(crate) name: Option<String>,
}

/// The API server cannot be addressed at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file cannot be used.
    #[error("cannot use the kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file as given.
        path: String,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor the in-cluster environment was found.
    #[error(
        "no API server is configured: run inside a cluster, or give --kubeconfig (or KUBECONFIG): {0}"
    )]
    Infer(#[source] kube::config::InferConfigError),
    /// The TLS or proxy settings are unusable.
    #[error("cannot set up the connection to the API server: {0}")]
    Client(#[source] Box<kube::Error>),
}

impl Clients {
    /// Connects lazily: nothing is sent yet.
    pub(crate) async fn connect(kubeconfig: Option<&Path>) -> Result<Self, ConnectError> {
        let base = match kubeconfig {
            Some(path) => from_file(path).await?,
            None => Config::infer().await.map_err(ConnectError::Infer)?,
        };
        let client = |read_timeout: Option<Duration>, connect_timeout: Duration| {
            let mut config = base.clone();
            // A retry hidden in the client repeats POSTs and outlives deadlines: retries are decided per object.
            config.default_retry = false;
            config.connect_timeout = Some(connect_timeout);
            config.read_timeout = read_timeout;
            config.reset_reader_on_write = true;
            Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))
        };
        tracing::info!(api_server = %base.cluster_url, "connecting");
        Ok(Self {
            work: client(Some(Duration::from_secs(30)), Duration::from_secs(5))?,
            watch: client(None, Duration::from_secs(5))?,
            lease: client(Some(Duration::from_secs(4)), Duration::from_secs(2))?,
            server: Server {
                url: base.cluster_url,
                roots: base.root_cert,
                name: base.tls_server_name,
            },
        })
    }
}

async fn from_file(path: &Path) -> Result<Config, ConnectError> {
    let failed = |source| ConnectError::Kubeconfig { path: path.display().to_string(), source };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)
}

/// Minor version of the API server, asked until it answers.
pub(crate) async fn server_minor(client: &Client) -> u16 {
    let mut failures = 0_u32;
    loop {
        match time::timeout(Duration::from_secs(5), client.apiserver_version()).await {
            Ok(Ok(version)) => {
                let digits: String =
                    version.minor.chars().take_while(char::is_ascii_digit).collect();
                if let Ok(minor) = digits.parse() {
                    return minor;
                }
                tracing::warn!(minor = version.minor, "the API server's version cannot be read");
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the API server does not say its version; asking again");
            }
            Err(_) => tracing::warn!("the API server does not answer; asking again"),
        }
        failures = failures.saturating_add(1);
        time::sleep(Pauses::of(Duration::from_secs(2)).after("version", failures)).await;
    }
}
