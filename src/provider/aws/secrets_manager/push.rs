//! Writing to Secrets Manager.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::{primitives::Blob, types::Tag};
use futures::future::BoxFuture;

use super::SecretsManager;
use crate::lane::Lane;
use crate::provider::metrics::Operation;
use crate::provider::push::{Change, Deletion, OWNER, OWNER_TAG, Push, Remote, RemoteSettings};
use crate::provider::{ProviderError, SecretBytes};

type Revision = Result<Option<String>, ProviderError>;

impl SecretsManager {
    /// The name of a secret that is pushed. By its ARN it would be another one than by its name, for all who compare.
    pub(super) fn written_name(&self, key: &str) -> Result<String, ProviderError> {
        let name = self.calls.full_name(key);
        if name.starts_with("arn:") {
            let reason = "a secret that is pushed is named by its name, without an ARN".to_owned();
            return Err(ProviderError::Invalid { key: name, reason });
        }
        Ok(name)
    }

    async fn remote(&self, key: &str, lane: Lane) -> Result<Option<Remote>, ProviderError> {
        let id = self.written_name(key)?;
        let call = Box::pin(self.client.describe_secret().secret_id(&id).send());
        let secret = match self.calls.call(Operation::DescribeSecret, lane, &id, call).await {
            Err(ProviderError::NotFound { .. }) => return Ok(None),
            answer => answer?,
        };
        let versions = secret.version_ids_to_stages().into_iter().flatten();
        let current = |stages: &[String]| stages.iter().any(|stage| stage == "AWSCURRENT");
        let current = versions.filter(|(_, stages)| current(stages)).map(|(id, _)| id.clone());
        let tags = secret.tags().iter().filter_map(|tag| {
            tag.key().map(|key| (key.to_owned(), tag.value().unwrap_or_default().to_owned()))
        });
        Ok(Some(Remote {
            revision: current.min().unwrap_or_default(),
            tags: tags.collect(),
            description: secret.description().map(ToOwned::to_owned),
            deleting: secret.deleted_date().is_some(),
            repeated: BTreeMap::new(),
        }))
    }

    async fn create(
        &self,
        id: &str,
        value: &SecretBytes,
        settings: &RemoteSettings,
        lane: Lane,
    ) -> Revision {
        let mut tags: Vec<_> = tags(&settings.tags);
        tags.push(Tag::builder().key(OWNER_TAG).value(OWNER).build());
        let (text, binary) = stored(id, value, settings)?;
        let request = self
            .client
            .create_secret()
            .name(id)
            .set_secret_string(text)
            .set_secret_binary(binary)
            .set_description(settings.description.clone())
            .set_kms_key_id(settings.kms_key.clone())
            .set_tags(Some(tags));
        let call = Box::pin(request.send());
        let answer = self.calls.call(Operation::CreateSecret, lane, id, call).await?;
        Ok(answer.version_id)
    }

    async fn put(
        &self,
        id: &str,
        value: &SecretBytes,
        settings: &RemoteSettings,
        lane: Lane,
    ) -> Revision {
        let (text, binary) = stored(id, value, settings)?;
        let request = self
            .client
            .put_secret_value()
            .secret_id(id)
            .set_secret_string(text)
            .set_secret_binary(binary);
        let call = Box::pin(request.send());
        let answer = self.calls.call(Operation::PutSecretValue, lane, id, call).await?;
        Ok(answer.version_id)
    }

    async fn delete(&self, id: &str, deletion: Deletion, lane: Lane) -> Revision {
        let mut request = self.client.delete_secret().secret_id(id);
        if deletion.force {
            request = request.force_delete_without_recovery(true);
        } else {
            request = request.set_recovery_window_in_days(deletion.recovery_days);
        }
        let call = Box::pin(request.send());
        match self.calls.call(Operation::DeleteSecret, lane, id, call).await {
            Ok(_) | Err(ProviderError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn changed(&self, key: &str, change: Change<'_>, lane: Lane) -> Revision {
        let id = self.written_name(key)?;
        match change {
            Change::Create { value, settings } => self.create(&id, value, settings, lane).await,
            Change::Put { value, settings, .. } => self.put(&id, value, settings, lane).await,
            Change::Describe { description, kms_key } => {
                let request = self
                    .client
                    .update_secret()
                    .secret_id(&id)
                    .set_description(description.map(ToOwned::to_owned))
                    .set_kms_key_id(kms_key.map(ToOwned::to_owned));
                let call = Box::pin(request.send());
                self.calls.call(Operation::UpdateSecret, lane, &id, call).await.map(|_| None)
            }
            Change::Tag(added) => {
                let request = self.client.tag_resource().secret_id(&id).set_tags(Some(tags(added)));
                let call = Box::pin(request.send());
                self.calls.call(Operation::TagResource, lane, &id, call).await.map(|_| None)
            }
            Change::Untag(removed) => {
                let keys = Some(removed.to_vec());
                let request = self.client.untag_resource().secret_id(&id).set_tag_keys(keys);
                let call = Box::pin(request.send());
                self.calls.call(Operation::UntagResource, lane, &id, call).await.map(|_| None)
            }
            Change::Restore => {
                let call = Box::pin(self.client.restore_secret().secret_id(&id).send());
                self.calls.call(Operation::RestoreSecret, lane, &id, call).await.map(|_| None)
            }
            Change::Delete(deletion) => self.delete(&id, deletion, lane).await,
        }
    }
}

fn tags(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The value as text, or as bytes.
fn stored(
    id: &str,
    value: &SecretBytes,
    settings: &RemoteSettings,
) -> Result<(Option<String>, Option<Blob>), ProviderError> {
    if settings.as_text != Some(true) {
        return Ok((None, Some(Blob::new(value.expose().to_vec()))));
    }
    match std::str::from_utf8(value.expose()) {
        Ok(text) => Ok((Some(text.to_owned()), None)),
        Err(_) => Err(ProviderError::Invalid {
            key: id.to_owned(),
            reason: "the value is not UTF-8, so it cannot be pushed as text: remove \
                     metadata.spec.secretPushFormat"
                .to_owned(),
        }),
    }
}

impl Push for SecretsManager {
    fn describe<'a>(
        &'a self,
        key: &'a str,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Option<Remote>, ProviderError>> {
        Box::pin(self.remote(key, lane))
    }

    fn change<'a>(
        &'a self,
        key: &'a str,
        change: Change<'a>,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Option<String>, ProviderError>> {
        Box::pin(self.changed(key, change, lane))
    }
}
