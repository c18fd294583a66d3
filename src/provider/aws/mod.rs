//! AWS Secrets Manager.

mod source;

pub use source::{AssumedRole, AwsSettings, AwsSource, BaseCredentials, RetrySettings};

/// Where AWS is, if not at its own addresses. All of them are URLs such as `http://127.0.0.1:4566`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Secrets Manager.
    pub secrets_manager: Option<String>,
    /// Security Token Service.
    pub sts: Option<String>,
}

impl Endpoints {
    /// ESO's variables first, then the SDK's own: the one of the service before the one for all.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 3]| {
            names
                .iter()
                .filter_map(|name| variable(name))
                .map(|url| url.trim().to_owned())
                .find(|url| !url.is_empty())
        };
        Self {
            secrets_manager: first([
                "AWS_SECRETSMANAGER_ENDPOINT",
                "AWS_ENDPOINT_URL_SECRETS_MANAGER",
                "AWS_ENDPOINT_URL",
            ]),
            sts: first(["AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]),
        }
    }
}

/// What all clients of AWS share: one connection pool and one set of endpoints.
#[derive(Clone, Debug)]
pub struct Platform {
    endpoints: Endpoints,
}

impl Platform {
    /// Sends nothing yet.
    pub fn new(endpoints: Endpoints) -> Self {
        Self { endpoints }
    }
}
