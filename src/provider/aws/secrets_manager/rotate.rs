//! Versions and labels of Secrets Manager.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::{
    config::{ConfigBag, Intercept, RuntimeComponents},
    error::BoxError,
    types::Tag,
};
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::SecretsManager;
use crate::lane::Lane;
use crate::provider::ProviderError;
use crate::provider::metrics::Operation;
use crate::provider::rotate::{Described, Effect, Rotate, Valued};

/// Keeps the time that AWS itself says it is.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    fn time(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().and_then(|response| response.headers().get("date"));
        let time = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time.map(|it| it.timestamp());
        Ok(())
    }
}

impl SecretsManager {
    async fn stages(&self, key: &str, lane: Lane) -> Result<Option<Described>, ProviderError> {
        let id = self.written_name(key)?;
        let call = Box::pin(self.client.describe_secret().secret_id(&id).send());
        let secret = match self.calls.call(Operation::DescribeSecret, lane, &id, call).await {
            Err(ProviderError::NotFound { .. }) => return Ok(None),
            answer => answer?,
        };
        let versions = secret.version_ids_to_stages.unwrap_or_default().into_iter();
        let stages = versions
            .filter(|(_, stages)| !stages.is_empty())
            .map(|(id, stages)| (id, stages.into_iter().collect()));
        let tags = secret.tags.unwrap_or_default().into_iter().filter_map(|tag| {
            let value = tag.value.unwrap_or_default();
            tag.key.map(|key| (key, value))
        });
        let region = &self.calls.source.settings().region;
        Ok(Some(Described {
            stages: stages.collect(),
            tags: tags.collect(),
            rotates: secret.rotation_enabled.unwrap_or_default(),
            owner: secret.owning_service.or(secret.r#type).filter(|owner| !owner.is_empty()),
            replica_of: secret.primary_region.filter(|of| !of.is_empty() && of != region),
            deleting: secret.deleted_date.is_some(),
        }))
    }

    async fn valued(
        &self,
        key: &str,
        version: Option<&str>,
        lane: Lane,
    ) -> Result<Valued, ProviderError> {
        let id = self.written_name(key)?;
        let clock = Clock::default();
        let request = self
            .client
            .get_secret_value()
            .secret_id(&id)
            .set_version_id(version.map(ToOwned::to_owned));
        let call = Box::pin(request.customize().interceptor(clock.clone()).send());
        let answer = self.calls.call(Operation::GetSecretValue, lane, &id, call).await?;
        Ok(Valued {
            version: answer.version_id.unwrap_or_default(),
            text: answer.secret_string.map(Into::into),
            created: answer.created_date.and_then(|at| Timestamp::from_second(at.secs()).ok()),
            answered: clock.time(),
        })
    }

    async fn make(&self, key: &str, effect: Effect<'_>, lane: Lane) -> Result<(), ProviderError> {
        let id = self.written_name(key)?;
        match effect {
            Effect::Put { token, label, value } => {
                let Ok(text) = std::str::from_utf8(value.expose()) else {
                    let reason = "the new value is not UTF-8".to_owned();
                    return Err(ProviderError::Invalid { key: id, reason });
                };
                let request = self
                    .client
                    .put_secret_value()
                    .secret_id(&id)
                    .client_request_token(token)
                    .version_stages(label)
                    .secret_string(text);
                let call = Box::pin(request.send());
                match self.calls.call(Operation::PutSecretValue, lane, &id, call).await {
                    Err(ProviderError::Invalid { reason, .. }) if exists(&reason) => Ok(()),
                    answer => answer.map(|_| ()),
                }
            }
            Effect::Move { label, to, from } => {
                let request = self
                    .client
                    .update_secret_version_stage()
                    .secret_id(&id)
                    .version_stage(label)
                    .set_move_to_version_id(to.map(ToOwned::to_owned))
                    .set_remove_from_version_id(from.map(ToOwned::to_owned));
                let call = Box::pin(request.send());
                let operation = Operation::UpdateSecretVersionStage;
                self.calls.call(operation, lane, &id, call).await.map(|_| ())
            }
            Effect::Tag(name, value) => {
                let tag = Tag::builder().key(name).value(value).build();
                let request = self.client.tag_resource().secret_id(&id).tags(tag);
                let call = Box::pin(request.send());
                self.calls.call(Operation::TagResource, lane, &id, call).await.map(|_| ())
            }
        }
    }
}

/// Whether there is a version of this id, with another value.
fn exists(reason: &str) -> bool {
    reason.starts_with("ResourceExistsException ")
}

impl Rotate for SecretsManager {
    fn versions<'a>(
        &'a self,
        key: &'a str,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Option<Described>, ProviderError>> {
        Box::pin(self.stages(key, lane))
    }

    fn version<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a str>,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Valued, ProviderError>> {
        Box::pin(self.valued(key, version, lane))
    }

    fn effect<'a>(
        &'a self,
        key: &'a str,
        effect: Effect<'a>,
        lane: Lane,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.make(key, effect, lane))
    }
}
