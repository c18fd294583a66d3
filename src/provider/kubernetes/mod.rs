//! Secrets of Kubernetes: those of another namespace, or of another cluster.
//!
//! Asks with the credentials of the store alone. Whoever reads is whom RBAC of that cluster decides about.

mod answers;
mod tokens;

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::metrics::Operation;
use super::rate_limit::Meter;
use super::{
    Content, Fetched, Filter, Listing, MOST_LISTED, Provider, ProviderError, ReadRequest,
    Validation,
};
use crate::lane::Lane;
use crate::outbound::{self, Answer, Bounds, Outbound, OutboundError};
use answers::{Names, Review, Secret};
pub(crate) use tokens::{Auth, Tokens};

/// Longest time one call may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// Largest answer that is read: a Secret has at most 1 MiB of data, which base64 makes a third longer.
const MOST_BYTES: usize = 4 << 20;
/// Pages of a list, and bytes of what the next one is asked with.
const MOST_PAGES: usize = MOST_LISTED / PAGE * 4;
const LONGEST_TOKEN: usize = 8 << 10;
/// Names on one page of a list.
const PAGE: usize = 500;
/// Longest name of a Secret.
const LONGEST_NAME: usize = 253;
/// The field that says where the server is.
const URL: &str = "spec.provider.kubernetes.server.url";
const JSON: &str = "application/json";
const NAMES_ONLY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One identity's view of the Secrets of one namespace.
pub(crate) struct KubernetesSource {
    /// The API server.
    pub(crate) server: Uri,
    /// The namespace to read from.
    pub(crate) namespace: String,
    /// Connections to it.
    pub(crate) outbound: Outbound,
    /// How it says who asks.
    pub(crate) auth: Auth,
    /// Who asks, for messages.
    pub(crate) who: String,
    /// Paces and counts its calls.
    pub(crate) meter: Meter,
}

/// One request to the API server.
struct Call<'a> {
    operation: Operation,
    /// What is asked for, for the error that names it.
    key: &'a str,
    method: Method,
    path: String,
    accept: &'static str,
    body: Vec<u8>,
}

impl KubernetesSource {
    fn secrets(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    /// Sends a call in its turn and reads the object that answers it.
    async fn call<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        lane: Lane,
    ) -> Result<T, ProviderError> {
        let outcome = self.meter.call(call.operation, lane, async {
            let mut answer = self.exchange(&call).await?;
            // A token may have been revoked before its time.
            if answer.status == StatusCode::UNAUTHORIZED && self.auth.forget().await {
                answer = self.exchange(&call).await?;
            }
            self.understood(&call, &answer)
        });
        let outcome = outcome.await;
        if matches!(outcome, Err(ProviderError::Throttled)) {
            self.meter.slow_down(call.operation);
        }
        outcome
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        let refused = |reason: &str| ProviderError::Invalid {
            key: call.key.to_owned(),
            reason: reason.to_owned(),
        };
        let url = format!("{}{}", self.server.to_string().trim_end_matches('/'), call.path);
        let request = Request::builder()
            .method(&call.method)
            .uri(url)
            .header(ACCEPT, call.accept)
            .header(CONTENT_TYPE, JSON)
            .body(call.body.clone().into());
        let mut request = request.map_err(|_| refused("the request could not be formed"))?;
        if let Some(token) = self.auth.token().await? {
            let mut text = zeroize::Zeroizing::new(b"Bearer ".to_vec());
            text.extend_from_slice(token.expose());
            let mut header = HeaderValue::from_bytes(&text)
                .map_err(|_| refused("the token holds characters that no token has"))?;
            header.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        let bounds = Bounds { time: DEADLINE, bytes: MOST_BYTES, failure: None };
        let called = format!("{:?}", outbound::host(&self.server));
        self.outbound
            .send(request, bounds, &called)
            .await
            .map_err(|error| unanswered(&error, call.key))
    }

    /// The object that an answer holds, or why it holds none.
    fn understood<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        answer: &Answer,
    ) -> Result<T, ProviderError> {
        if answer.status.is_success() {
            // The parser's words may quote what it reads.
            return serde_json::from_slice(&answer.body).map_err(|_| ProviderError::Unavailable {
                reason: format!("{} sent something else than Kubernetes does", self.server),
                source: None,
            });
        }
        let key = call.key.to_owned();
        Err(match answer.status {
            StatusCode::UNAUTHORIZED => ProviderError::Credentials {
                reason: format!("{} does not accept {}", self.server, self.who),
            },
            StatusCode::FORBIDDEN => ProviderError::Denied {
                identity: self.who.clone(),
                action: call.operation.action(),
                key: format!("{}/{key}", self.namespace),
            },
            StatusCode::NOT_FOUND if answers::is_absent(&answer.body) => {
                ProviderError::NotFound { key }
            }
            StatusCode::TOO_MANY_REQUESTS => ProviderError::Throttled,
            status if status.is_redirection() => ProviderError::Unavailable {
                reason: format!("{} redirects, which is not followed: correct {URL}", self.server),
                source: None,
            },
            status if status.is_server_error() || status == StatusCode::GONE => {
                ProviderError::Unavailable {
                    reason: format!("{} answered {}", self.server, status.as_u16()),
                    source: None,
                }
            }
            status => ProviderError::Invalid {
                key,
                reason: format!(
                    "{} answered {} to {}: is it the API server of a cluster?",
                    self.server,
                    status.as_u16(),
                    call.operation.action()
                ),
            },
        })
    }

    async fn secret(&self, request: &ReadRequest, lane: Lane) -> Result<Fetched, ProviderError> {
        let key = &request.key;
        if !is_name(key) {
            return Err(ProviderError::Invalid {
                key: key.clone(),
                reason: "it is no name of a Secret: lower case letters, digits, '-' and '.', at most 253"
                    .to_owned(),
            });
        }
        let path = format!("{}/{key}", self.secrets());
        let operation = Operation::GetKubernetesSecret;
        let call =
            Call { operation, key, method: Method::GET, path, accept: JSON, body: Vec::new() };
        let secret: Secret = self.call(call, lane).await?;
        match request.content {
            Content::Value => secret.value(key),
            Content::Tags => Ok(secret.tags()),
        }
    }

    async fn names(&self, filter: &Filter, lane: Lane) -> Result<Listing, ProviderError> {
        let selector = selector(filter)?;
        let first = format!("{}?limit={PAGE}&labelSelector={}", self.secrets(), encode(&selector));
        let (mut path, mut keys) = (first.clone(), Vec::new());
        for _ in 0..MOST_PAGES {
            let operation = Operation::ListKubernetesSecrets;
            let (method, body) = (Method::GET, Vec::new());
            let call = Call { operation, key: "", method, path, accept: NAMES_ONLY, body };
            let page: Names = self.call(call, lane).await?;
            let (names, next) = page.into_parts();
            keys.extend(names.filter(|name| name.starts_with(&filter.path)));
            if keys.len() > MOST_LISTED {
                return Err(ProviderError::TooManyListed);
            }
            match next {
                Some(token) if token.len() > LONGEST_TOKEN => break,
                Some(token) => path = format!("{first}&continue={}", encode(&token)),
                None => return Ok(Listing { prefix: String::new(), keys }),
            }
        }
        Err(ProviderError::TooManyListed)
    }

    /// As External Secrets Operator does it: asks the API server what it would allow.
    async fn review(&self) -> Result<Validation, ProviderError> {
        let body = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": self.namespace},
        });
        let call = Call {
            operation: Operation::ReviewRules,
            key: "",
            method: Method::POST,
            path: "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews".to_owned(),
            accept: JSON,
            body: body.to_string().into_bytes(),
        };
        let review: Review = self.call(call, Lane::Urgent).await?;
        if review.may_get_secrets() {
            return Ok(Validation::Ready);
        }
        if review.is_incomplete() {
            return Ok(Validation::Unknown {
                reason: format!(
                    "{} cannot list all rights of {} in namespace {:?}",
                    self.server, self.who, self.namespace
                ),
            });
        }
        Err(ProviderError::Denied {
            identity: self.who.clone(),
            action: Operation::GetKubernetesSecret.action(),
            key: format!("{}/*", self.namespace),
        })
    }
}

impl Provider for KubernetesSource {
    fn read<'a>(
        &'a self,
        request: &'a ReadRequest,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Fetched, ProviderError>> {
        Box::pin(self.secret(request, lane))
    }

    fn list<'a>(
        &'a self,
        filter: &'a Filter,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Listing, ProviderError>> {
        Box::pin(self.names(filter, lane))
    }

    fn validate(&self) -> BoxFuture<'_, Result<Validation, ProviderError>> {
        Box::pin(self.review())
    }
}

impl fmt::Debug for KubernetesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesSource")
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Why nothing came back.
fn unanswered(error: &OutboundError, key: &str) -> ProviderError {
    let reason = error.to_string();
    match error {
        OutboundError::Internal(_) => ProviderError::Settings {
            field: URL,
            reason: format!("{reason}; name the address that clients outside of this machine use"),
        },
        OutboundError::TooLarge(..) => ProviderError::Invalid { key: key.to_owned(), reason },
        // The server answers: this is no outage, which others of the store would share.
        OutboundError::Untrusted(_) | OutboundError::Tls(_) => ProviderError::Settings {
            field: URL,
            reason: format!(
                "{reason}: check spec.provider.kubernetes.server.caBundle or caProvider, and the host in url"
            ),
        },
        _ => ProviderError::Unavailable { reason, source: None },
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Whether a Secret may have this name: nothing else may get into the path of a request.
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty()
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= LONGEST_NAME && text.split('.').all(is_part)
}

/// The tags of a filter as labels.
fn selector(filter: &Filter) -> Result<String, ProviderError> {
    let is_word = |text: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
        text.len() <= LONGEST_NAME
            && text.bytes().all(inner)
            && ends(text.bytes().next())
            && ends(text.bytes().last())
    };
    let is_key = |text: &str| {
        let (domain, name) = text.rsplit_once('/').unwrap_or(("", text));
        (domain.is_empty() || is_name(domain)) && !name.is_empty() && is_word(name)
    };
    for (key, value) in &filter.tags {
        if !is_key(key) || !is_word(value) {
            return Err(ProviderError::Invalid {
                key: key.clone(),
                reason: "find.tags select by labels here, and this is no label: correct its key or its value"
                    .to_owned(),
            });
        }
    }
    let pairs: Vec<_> = filter.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_of_a_secret_never_gets_into_a_path() {
        for name in ["db", "a.b-c.d", "0", &"a".repeat(253)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "..",
            "../x",
            "a/b",
            "a%2fb",
            "a?x",
            "A",
            "-a",
            "a-",
            "a..b",
            "a b",
            "ä",
            &"a".repeat(254),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn tags_are_labels_and_nothing_else_gets_into_the_selector() {
        let select = |key: &str, value: &str| {
            let tags = [(key.to_owned(), value.to_owned())].into();
            selector(&Filter { path: String::new(), tags }).map_err(|error| error.to_string())
        };
        assert_eq!(select("app", "shop"), Ok("app=shop".to_owned()));
        assert_eq!(select("example.org/team", ""), Ok("example.org/team=".to_owned()));
        for (key, value) in [
            ("", "x"),
            ("a,b", "x"),
            ("a", "x,b=c"),
            ("a", "x)"),
            ("a/b/c", "x"),
            ("a!", "x"),
            ("a", "-x"),
        ] {
            assert!(select(key, value).is_err(), "{key}={value}");
        }
    }
}
