//! Reading for people: one connection with their own rights, a bound on every wait, and one sentence for every failure.

use std::{path::PathBuf, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time;

/// Objects in one page. 500 of the largest are some megabytes.
const PAGE: usize = 500;
/// A list that changed too much is begun anew this often.
const RESTARTS: usize = 3;

/// Whom to ask, as kubectl's flags say it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// A kubeconfig; `None` = the usual one, or the account of the pod.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// A context of it; `None` = the current one.
    pub(crate) context: Option<String>,
    /// How long one answer may take.
    pub(crate) timeout: Duration,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Nothing says where a cluster is.
    #[error("no cluster: {0}; set KUBECONFIG, or give --kubeconfig and --context")]
    NoCluster(String),
    /// Nobody is there.
    #[error("{url} cannot be reached: {cause}")]
    Unreachable {
        /// The API server.
        url: String,
        /// The innermost cause.
        cause: String,
    },
    /// Somebody is there and does not answer.
    #[error(
        "{url} did not answer within {seconds} s: raise --request-timeout, or look at the API server"
    )]
    Stalled {
        /// The API server.
        url: String,
        /// The bound.
        seconds: u64,
    },
    /// The API server does not know the user.
    #[error("{url} does not accept these credentials: log in again, or choose another --context")]
    Unauthorized {
        /// The API server.
        url: String,
    },
    /// The user may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// Anything else that the API server said.
    #[error("the API server answers {code}: {message}")]
    Refused {
        /// The status code.
        code: u16,
        /// Its message.
        message: String,
    },
}

impl ReadError {
    /// Whether nothing else can be read either.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NoCluster(_)
                | Self::Unreachable { .. }
                | Self::Stalled { .. }
                | Self::Unauthorized { .. }
        )
    }
}

/// A connection of a user.
pub(crate) struct Reader {
    client: Client,
    pub(super) config: Config,
    pub(super) url: String,
    namespace: String,
    pub(super) timeout: Duration,
}

impl Reader {
    /// Connects lazily: nothing is sent yet.
    pub(crate) async fn connect(target: &Target) -> Result<Self, ReadError> {
        let none = |error: &dyn std::error::Error| ReadError::NoCluster(innermost(error));
        let options = KubeConfigOptions { context: target.context.clone(), ..Default::default() };
        let mut config = match &target.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| none(&error))?;
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|error| none(&error))?
            }
            None if options.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| none(&error))?
            }
            None => Config::infer().await.map_err(|error| none(&error))?,
        };
        config.default_retry = false;
        config.connect_timeout = Some(target.timeout);
        config.read_timeout = Some(target.timeout);
        let (url, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
        let url = url.trim_end_matches('/').to_owned();
        let client = Client::try_from(config.clone()).map_err(|error| none(&error))?;
        Ok(Self { client, config, url, namespace, timeout: target.timeout })
    }

    /// The API server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The namespace of the context.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// One answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, ReadError> {
        self.send("GET", path, Vec::new()).await
    }

    /// Asks a question that is an object, such as a SelfSubjectAccessReview.
    pub(crate) async fn ask(&self, path: &str, question: &Value) -> Result<Value, ReadError> {
        self.send("POST", path, question.to_string().into_bytes()).await
    }

    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Value, ReadError> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", "application/json")
            .body(body);
        let refused = |message: String| ReadError::Refused { code: 0, message };
        let request = request.map_err(|error| refused(error.to_string()))?;
        match time::timeout(self.timeout, self.client.request::<Value>(request)).await {
            Err(_) => Err(self.stalled()),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.meaning(path, &error)),
        }
    }

    pub(super) fn stalled(&self) -> ReadError {
        ReadError::Stalled { url: self.url.clone(), seconds: self.timeout.as_secs() }
    }

    /// What a failure of the client means.
    pub(super) fn meaning(&self, path: &str, error: &kube::Error) -> ReadError {
        if let kube::Error::Api(status) = error {
            return match status.code {
                401 => ReadError::Unauthorized { url: self.url.clone() },
                403 => ReadError::Forbidden(status.message.clone()),
                404 => ReadError::NotFound(path.to_owned()),
                code => ReadError::Refused { code, message: status.message.clone() },
            };
        }
        let cause = innermost(error);
        let waited = cause.contains("timed out") || cause.contains("deadline");
        if waited {
            self.stalled()
        } else {
            ReadError::Unreachable { url: self.url.clone(), cause }
        }
    }

    /// Every object of a list, page by page: no more than one page is held. `begin` is called before the first page,
    /// and again if the API server has forgotten what the list began with. Returns the version of the list, from which a
    /// watch can go on.
    pub(crate) async fn list(
        &self,
        path: &str,
        labels: Option<&str>,
        on: &mut (dyn FnMut(Step) + Send),
    ) -> Result<String, ReadError> {
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut base = format!("{path}?limit={PAGE}");
        if let Some(labels) = labels {
            base = format!("{base}&labelSelector={}", escaped(labels));
        }
        let mut last = Ok(String::new());
        for _ in 0..RESTARTS {
            on(Step::Begin);
            let mut at = base.clone();
            last = loop {
                let mut page = match self.get(&at).await {
                    Ok(page) => page,
                    Err(error) => break Err(error),
                };
                if let Some(items) = page["items"].as_array_mut() {
                    items.drain(..).for_each(|item| on(Step::Object(item)));
                }
                match page["metadata"]["continue"].as_str() {
                    None | Some("") => {
                        let version = page["metadata"]["resourceVersion"].as_str();
                        return Ok(version.unwrap_or_default().to_owned());
                    }
                    Some(token) => at = format!("{base}&continue={}", escaped(token)),
                }
            };
            if !matches!(last, Err(ReadError::Refused { code: 410, .. })) {
                break;
            }
        }
        last
    }
}

/// What a list brings.
pub(crate) enum Step {
    /// It begins; whatever came before is void.
    Begin,
    /// An object.
    Object(Value),
}

/// What went wrong at the bottom: the layers above only repeat that something did.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
