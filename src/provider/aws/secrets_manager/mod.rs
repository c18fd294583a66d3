//! AWS Secrets Manager: reading one secret, its tags, or the list of its versions.

mod batch;
mod list;
mod push;

use std::{fmt, time::Duration};

use aws_sdk_secretsmanager::{Client, operation::describe_secret::DescribeSecretOutput};
use futures::future::BoxFuture;

use super::{AwsSource, Platform, calls::Calls};
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
use crate::provider::push::Push;
use crate::provider::rate_limit::Meter;

/// AWS's limit of one `BatchGetSecretValue`.
const BATCH: usize = 20;

/// One identity's view of Secrets Manager.
pub(super) struct SecretsManager {
    client: Client,
    calls: Calls,
}

impl SecretsManager {
    /// Sends nothing yet.
    pub(super) fn connect(
        platform: &Platform,
        source: &AwsSource,
        meter: Meter,
        batch_pause: Duration,
    ) -> Self {
        let calls = Calls::new(platform, source, meter, batch_pause);
        let client = platform.secrets(source, &calls.credentials, &calls.meter);
        Self { client, calls }
    }

    /// One value.
    async fn value(&self, request: &ReadRequest, lane: Lane) -> Result<Fetched, ProviderError> {
        let id = self.calls.id(request);
        let mut sdk_request = self.client.get_secret_value().secret_id(&id);
        match &request.version {
            Version::Current => {}
            Version::Id(version) => sdk_request = sdk_request.version_id(version),
            Version::Stage(stage) => sdk_request = sdk_request.version_stage(stage),
        }
        match self
            .calls
            .call(Operation::GetSecretValue, lane, &id, Box::pin(sdk_request.send()))
            .await
        {
            Ok(answer) => Ok(Fetched {
                text: answer.secret_string.map(Into::into),
                binary: answer.secret_binary.map(|blob| blob.into_inner().into()),
                version: answer.version_id,
                ..Fetched::default()
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
        let id = self.calls.id(request);
        let secret = self.describe(&id, lane).await?;
        let pairs = secret.tags().iter().filter_map(|tag| {
            let value = tag.value().unwrap_or_default();
            tag.key().map(|key| (key.to_owned(), serde_json::Value::from(value)))
        });
        let object = serde_json::Value::Object(pairs.collect());
        Ok(Fetched { text: Some(object.to_string().into()), ..Fetched::default() })
    }

    async fn describe(&self, id: &str, lane: Lane) -> Result<DescribeSecretOutput, ProviderError> {
        let sdk_request = self.client.describe_secret().secret_id(id);
        let secret = self
            .calls
            .call(Operation::DescribeSecret, lane, id, Box::pin(sdk_request.send()))
            .await?;
        // Unlike the reads, a description is given of a secret that is marked for deletion, too.
        if secret.deleted_date().is_some() {
            return Err(ProviderError::NotFound { key: id.to_owned() });
        }
        Ok(secret)
    }
}

impl Provider for SecretsManager {
    fn batch(&self, request: &ReadRequest) -> usize {
        let current = request.version == Version::Current && request.content == Content::Value;
        if current && !self.calls.is_batch_refused() { BATCH } else { 1 }
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
        Box::pin(self.calls.validate())
    }

    fn notes(&self) -> Vec<Note> {
        self.calls.notes()
    }

    fn push(&self) -> Option<&dyn Push> {
        Some(self)
    }
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManager").field("source", &self.calls.source).finish_non_exhaustive()
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
