//! Reading one secret, its tags, or the list of its versions.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_secretsmanager::{
    Client, error::SdkError, operation::describe_secret::DescribeSecretOutput,
};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::future::BoxFuture;

use super::{
    AwsSource, Platform,
    credentials::Credentials,
    errors::{Subject, translate},
};
use crate::lane::Lane;
use crate::provider::Content;
use crate::provider::Fetched;
use crate::provider::Filter;
use crate::provider::Listing;
use crate::provider::Note;
use crate::provider::Provider;
use crate::provider::ProviderError;
use crate::provider::ReadRequest;
use crate::provider::Validation;
use crate::provider::Version;
use crate::provider::metrics::Operation;
use crate::provider::rate_limit::Meter;

/// AWS's limit of one `BatchGetSecretValue`.
const BATCH: usize = 20;
/// The permission for it, which ESO's users often lack.
pub(super) const BATCH_ACTION: &str = "secretsmanager:BatchGetSecretValue";

/// One identity's view of Secrets Manager.
pub(crate) struct SecretsManager {
    pub(super) client: Client,
    pub(super) source: AwsSource,
    pub(super) meter: Arc<Meter>,
    credentials: Arc<Credentials>,
    batch_pause: Duration,
    /// Since when, and for whom, the batch operation is refused.
    batch_refused: Mutex<Option<(Instant, Note)>>,
}

impl SecretsManager {
    /// Sends nothing yet.
    pub(crate) fn connect(
        platform: &Platform,
        source: &AwsSource,
        meter: Meter,
        batch_pause: Duration,
    ) -> Self {
        let meter = Arc::new(meter);
        let credentials = Credentials::of(platform, source, &meter);
        Self {
            client: platform.reader(source, &credentials, &meter),
            source: source.clone(),
            meter,
            credentials,
            batch_pause,
            batch_refused: Mutex::default(),
        }
    }

    /// The key as AWS knows it.
    pub(super) fn id(&self, request: &ReadRequest) -> String {
        format!("{}{}", self.source.settings().prefix, request.key)
    }

    /// Gets credentials, waits for the call's turn, makes it and translates its failure.
    pub(super) async fn call<T, E>(
        &self,
        operation: Operation,
        lane: Lane,
        key: &str,
        sdk_request: impl Future<Output = Result<T, SdkError<E, Response>>>,
    ) -> Result<T, ProviderError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let keys = self.credentials.current().await?;
        let subject = self.subject(operation, key);
        let translated = async { sdk_request.await.map_err(|error| translate(&error, subject)) };
        let result = self.meter.call(operation, lane, translated).await;
        if matches!(result, Err(ProviderError::Credentials { .. })) {
            self.credentials.discard(&keys);
        }
        result
    }

    pub(super) fn subject<'a>(&'a self, operation: Operation, key: &'a str) -> Subject<'a> {
        let action = match operation {
            Operation::BatchGetSecretValue => BATCH_ACTION,
            Operation::DescribeSecret => "secretsmanager:DescribeSecret",
            Operation::ListSecrets => "secretsmanager:ListSecrets",
            _ => "secretsmanager:GetSecretValue",
        };
        Subject { key, action, region: &self.source.settings().region }
    }

    /// One value.
    pub(super) async fn value(
        &self,
        request: &ReadRequest,
        lane: Lane,
    ) -> Result<Fetched, ProviderError> {
        let id = self.id(request);
        let mut sdk_request = self.client.get_secret_value().secret_id(&id);
        match &request.version {
            Version::Current => {}
            Version::Id(version) => sdk_request = sdk_request.version_id(version),
            Version::Stage(stage) => sdk_request = sdk_request.version_stage(stage),
        }
        match self.call(Operation::GetSecretValue, lane, &id, Box::pin(sdk_request.send())).await {
            Ok(answer) => Ok(Fetched {
                text: answer.secret_string.map(Into::into),
                binary: answer.secret_binary.map(|blob| blob.into_inner().into()),
            }),
            Err(error @ ProviderError::NoSuchVersion { .. }) => {
                Err(self.which_versions(error, &id, request, lane).await)
            }
            // A missing secret may be deleted in the cluster as well, so whether it is the secret or the
            // version must not hang on AWS's wording.
            Err(error @ ProviderError::NotFound { .. }) if request.version != Version::Current => {
                Err(self.which_versions(error, &id, request, lane).await)
            }
            Err(error) => Err(error),
        }
    }

    /// The error for a version that does not exist, with those that do.
    async fn which_versions(
        &self,
        error: ProviderError,
        id: &str,
        request: &ReadRequest,
        lane: Lane,
    ) -> ProviderError {
        let available = match self.describe(id, lane).await {
            Ok(secret) => versions(&secret),
            Err(gone @ ProviderError::NotFound { .. }) => return gone,
            Err(_) if matches!(error, ProviderError::NotFound { .. }) => return error,
            Err(_) => vec![
                "others that could not be listed (secretsmanager:DescribeSecret is needed for that)"
                    .to_owned(),
            ],
        };
        let version = match &request.version {
            Version::Current => "AWSCURRENT".to_owned(),
            Version::Id(version) | Version::Stage(version) => version.clone(),
        };
        ProviderError::NoSuchVersion { key: id.to_owned(), version, available }
    }

    /// The tags as a JSON object.
    async fn tags(&self, request: &ReadRequest, lane: Lane) -> Result<Fetched, ProviderError> {
        let id = self.id(request);
        let secret = self.describe(&id, lane).await?;
        let pairs = secret.tags().iter().filter_map(|tag| {
            let value = tag.value().unwrap_or_default();
            tag.key().map(|key| (key.to_owned(), serde_json::Value::from(value)))
        });
        let object = serde_json::Value::Object(pairs.collect());
        Ok(Fetched { text: Some(object.to_string().into()), binary: None })
    }

    async fn describe(&self, id: &str, lane: Lane) -> Result<DescribeSecretOutput, ProviderError> {
        let sdk_request = self.client.describe_secret().secret_id(id);
        let secret =
            self.call(Operation::DescribeSecret, lane, id, Box::pin(sdk_request.send())).await?;
        // Unlike the reads, a description is given of a secret that is marked for deletion, too.
        if secret.deleted_date().is_some() {
            return Err(ProviderError::NotFound { key: id.to_owned() });
        }
        Ok(secret)
    }

    pub(super) fn remember_refusal(&self, identity: String, action: &'static str) {
        let note = Note::SingleReads { identity, action };
        *self.refusal() = Some((Instant::now(), note));
    }

    fn refusal(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Note)>> {
        let mut refusal = self.batch_refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal.as_ref().is_some_and(|(since, _)| since.elapsed() >= self.batch_pause) {
            *refusal = None;
        }
        refusal
    }
}

impl Provider for SecretsManager {
    fn batch(&self, request: &ReadRequest) -> usize {
        let current = request.version == Version::Current && request.content == Content::Value;
        if current && self.refusal().is_none() { BATCH } else { 1 }
    }

    fn read<'a>(
        &'a self,
        request: &'a ReadRequest,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Fetched, ProviderError>> {
        match request.content {
            Content::Value => Box::pin(self.value(request, lane)),
            Content::Tags => Box::pin(self.tags(request, lane)),
        }
    }

    fn read_many<'a>(
        &'a self,
        requests: &'a [&'a ReadRequest],
        lane: Lane,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.values(requests, lane))
    }

    fn list<'a>(
        &'a self,
        filter: &'a Filter,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Listing, ProviderError>> {
        Box::pin(self.names(filter, lane))
    }

    fn validate(&self) -> BoxFuture<'_, Result<Validation, ProviderError>> {
        Box::pin(async { self.credentials.current().await.map(|_| Validation::Ready) })
    }

    fn notes(&self) -> Vec<Note> {
        self.refusal().iter().map(|(_, note)| note.clone()).collect()
    }
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManager").field("source", &self.source).finish_non_exhaustive()
    }
}

/// At most ten versions, each by its stages and its id; those with a stage first.
fn versions(secret: &DescribeSecretOutput) -> Vec<String> {
    let Some(by_id) = secret.version_ids_to_stages() else { return vec!["none".to_owned()] };
    let mut all: Vec<(bool, String)> = by_id
        .iter()
        .map(|(id, stages)| {
            let mut stages: Vec<_> = stages.iter().map(|stage| printable(stage)).collect();
            stages.sort();
            let bare = stages.is_empty();
            let text = if bare {
                format!("uuid/{}", printable(id))
            } else {
                format!("{} (uuid/{})", stages.join(" "), printable(id))
            };
            (bare, text)
        })
        .collect();
    all.sort();
    if all.is_empty() {
        return vec!["none".to_owned()];
    }
    all.into_iter().take(10).map(|(_, text)| text).collect()
}

/// A label of a version, if it looks like one: whoever may write it may write anything into it.
fn printable(label: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if label.len() <= 64 && label.bytes().all(is_plain) {
        label.to_owned()
    } else {
        "(an unusual name)".to_owned()
    }
}
