//! AWS Systems Manager Parameter Store.

mod batch;
mod list;
mod push;

use std::{fmt, time::Duration};

use aws_sdk_ssm::{Client, types::ResourceTypeForTagging};
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

/// AWS's limit of one `GetParameters`.
const BATCH: usize = 10;

/// One identity's view of Parameter Store.
pub(super) struct ParameterStore {
    client: Client,
    calls: Calls,
}

impl ParameterStore {
    /// Sends nothing yet.
    pub(super) fn connect(
        platform: &Platform,
        source: &AwsSource,
        meter: Meter,
        batch_pause: Duration,
    ) -> Self {
        let calls = Calls::new(platform, source, meter, batch_pause);
        let client = platform.parameters(source, &calls.credentials, &calls.meter);
        Self { client, calls }
    }

    /// The name that AWS knows a parameter by, without the version of the request.
    fn name(&self, request: &ReadRequest) -> Result<String, ProviderError> {
        let name = self.calls.id(request);
        check_name(&name).map(|()| name)
    }

    /// One value, decrypted.
    async fn value(&self, request: &ReadRequest, lane: Lane) -> Result<Fetched, ProviderError> {
        let name = self.name(request)?;
        let version = version(&name, &request.version)?;
        let selected = match version {
            Some(version) => format!("{name}:{version}"),
            None => name.clone(),
        };
        let sdk_request = self.client.get_parameter().name(&selected).with_decryption(true);
        let call = Box::pin(sdk_request.send());
        match self.calls.call(Operation::GetParameter, lane, &name, call).await {
            Ok(answer) => {
                let text = answer.parameter.and_then(|parameter| parameter.value);
                Ok(Fetched { text: text.map(Into::into), ..Fetched::default() })
            }
            Err(ProviderError::NoSuchVersion { key, .. }) => Err(ProviderError::NoSuchVersion {
                version: version.or(selector(&key)).unwrap_or_default().to_owned(),
                key,
                available: vec!["those that aws ssm get-parameter-history lists".to_owned()],
            }),
            Err(error) => Err(error),
        }
    }

    /// The tags as a JSON object.
    async fn tags(&self, request: &ReadRequest, lane: Lane) -> Result<Fetched, ProviderError> {
        let name = self.name(request)?;
        if name.contains(':') {
            // AWS says the same of it as of a parameter that does not exist.
            let reason = "tags are those of a name: write it without an ARN and without a version";
            return Err(invalid(&name, reason));
        }
        let sdk_request = self
            .client
            .list_tags_for_resource()
            .resource_type(ResourceTypeForTagging::Parameter)
            .resource_id(&name);
        let call = Box::pin(sdk_request.send());
        let answer = self.calls.call(Operation::ListTagsForResource, lane, &name, call).await?;
        let pairs = answer.tag_list.unwrap_or_default().into_iter();
        let pairs = pairs.map(|tag| (tag.key, serde_json::Value::from(tag.value)));
        let object = serde_json::Value::Object(pairs.collect());
        Ok(Fetched { text: Some(object.to_string().into()), ..Fetched::default() })
    }
}

/// A version is a number or a label; both are asked for in the same way.
fn version<'a>(name: &str, version: &'a Version) -> Result<Option<&'a str>, ProviderError> {
    let wrong = |reason: &str| Err(invalid(name, reason));
    match version {
        Version::Current => Ok(None),
        Version::Id(_) => wrong("a parameter has no version ids: write its number or a label"),
        Version::Stage(text) if text.is_empty() || text.contains([':', '/']) => {
            wrong("the version is neither a number nor a label")
        }
        Version::Stage(text) => Ok(Some(text)),
    }
}

/// The version in a name such as `/prod/db:3`, which AWS takes as well. An ARN has five colons of its own.
fn selector(name: &str) -> Option<&str> {
    let path = if name.starts_with("arn:") { name.splitn(6, ':').nth(5)? } else { name };
    path.rsplit_once(':').map(|(_, selector)| selector)
}

fn invalid(key: &str, reason: &str) -> ProviderError {
    ProviderError::Invalid { key: key.to_owned(), reason: reason.to_owned() }
}

/// Refuses what no parameter is called. AWS's own words do not explain it, and AWS refuses all names of a call for
/// one of them.
fn check_name(name: &str) -> Result<(), ProviderError> {
    check_slashes(name)?;
    if name.ends_with('/') {
        let reason = "it ends in a slash, as a path does: read what is below a path with dataFrom[].find.path";
        return Err(invalid(name, reason));
    }
    // The names of Secrets Manager, too: its secrets are below /aws/reference/secretsmanager/.
    let is_named = |c: char| c.is_ascii_alphanumeric() || "_.-/:+=@!".contains(c);
    if name.is_empty() || !name.chars().all(is_named) {
        let reason = "the name of a parameter has letters, digits and _ . - / only, and at least one of them";
        return Err(invalid(name, reason));
    }
    Ok(())
}

/// An empty step of a hierarchy is a mistake that AWS's own words do not explain.
fn check_slashes(name: &str) -> Result<(), ProviderError> {
    if !name.contains("//") {
        return Ok(());
    }
    let reason = "it has two slashes in a row, which no parameter has: remove one (the store's prefix and the key or \
                  path are put together as they are)";
    Err(invalid(name, reason))
}

impl Provider for ParameterStore {
    fn batch(&self, request: &ReadRequest) -> usize {
        let current = request.version == Version::Current && request.content == Content::Value;
        // The answer has the name without the version: among others it could be taken for the current one.
        let plain = selector(&self.calls.id(request)).is_none();
        if current && plain && !self.calls.is_batch_refused() { BATCH } else { 1 }
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

impl fmt::Debug for ParameterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterStore").field("source", &self.calls.source).finish_non_exhaustive()
    }
}
