//! Writing to Parameter Store.
//!
//! A new version of a parameter loses what it does not repeat: the key, the tier and the description are read and
//! written again.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{
    ParameterMetadata, ParameterStringFilter, ParameterTier, ParameterType, ResourceTypeForTagging,
    Tag,
};
use futures::future::BoxFuture;

use super::{ParameterStore, check_name, invalid};
use crate::lane::Lane;
use crate::provider::metrics::Operation;
use crate::provider::push::{Change, OWNER, OWNER_TAG, Push, Remote, RemoteSettings};
use crate::provider::{ProviderError, SecretBytes};

type Revision = Result<Option<String>, ProviderError>;

/// What a new version repeats.
/// Pages that are asked for; one holds the parameter, unless the service passes empty ones first.
const MOST_PAGES: usize = 100;
const KEY: &str = "KeyId";
const PATTERN: &str = "AllowedPattern";
const DATA_TYPE: &str = "DataType";
const POLICIES: &str = "Policies";

impl ParameterStore {
    fn written_name(&self, key: &str) -> Result<String, ProviderError> {
        let name = self.calls.full_name(key);
        check_name(&name)?;
        if name.contains(':') {
            let reason =
                "a parameter that is pushed has a name without an ARN and without a version";
            return Err(invalid(&name, reason));
        }
        Ok(name)
    }

    /// What the service says of a parameter. A page may be empty although there are more.
    async fn metadata_of(
        &self,
        name: &str,
        filter: ParameterStringFilter,
        lane: Lane,
    ) -> Result<Option<ParameterMetadata>, ProviderError> {
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = self.client.describe_parameters().parameter_filters(filter.clone());
            let call = Box::pin(request.set_next_token(token).send());
            let answer = self.calls.call(Operation::DescribeParameters, lane, name, call).await?;
            let mut found = answer.parameters.unwrap_or_default().into_iter();
            if let Some(found) = found.find(|found| found.name() == Some(name)) {
                return Ok(Some(found));
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(None);
            }
        }
        Err(invalid(name, "the service gives page after page, and it is on none of them"))
    }

    async fn remote(&self, key: &str, lane: Lane) -> Result<Option<Remote>, ProviderError> {
        let name = self.written_name(key)?;
        let filter = ParameterStringFilter::builder().key("Name").option("Equals").values(&name);
        let filter = filter.build().map_err(|_| invalid(&name, "the name cannot be asked for"))?;
        let Some(found) = self.metadata_of(&name, filter, lane).await? else { return Ok(None) };
        let request = self
            .client
            .list_tags_for_resource()
            .resource_type(ResourceTypeForTagging::Parameter)
            .resource_id(&name);
        let call = Box::pin(request.send());
        let tags = match self.calls.call(Operation::ListTagsForResource, lane, &name, call).await {
            Err(ProviderError::NotFound { .. }) => return Ok(None),
            answer => answer?.tag_list.unwrap_or_default(),
        };
        Ok(Some(Remote {
            revision: found.version().to_string(),
            tags: tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            description: found.description().map(ToOwned::to_owned),
            deleting: false,
            repeated: repeated(&found),
        }))
    }

    async fn put(
        &self,
        name: &str,
        value: &SecretBytes,
        settings: &RemoteSettings,
        remote: Option<&Remote>,
        lane: Lane,
    ) -> Revision {
        let text = std::str::from_utf8(value.expose()).map_err(|_| {
            invalid(name, "the value is not UTF-8, and a parameter is text: push it as base64")
        })?;
        let of_remote = |field: &str| remote.and_then(|remote| remote.repeated.get(field)).cloned();
        let kind = settings.parameter_type.clone().or_else(|| of_remote("Type"));
        let kind = ParameterType::from(kind.as_deref().unwrap_or("String"));
        let tier = settings.tier.clone().or_else(|| of_remote("Tier"));
        let description = settings.description.clone();
        let mut request = self
            .client
            .put_parameter()
            .name(name)
            .value(text)
            .set_description(description.or_else(|| remote?.description.clone()))
            .set_tier(tier.as_deref().map(ParameterTier::from))
            .set_policies(settings.policies.clone().or_else(|| of_remote(POLICIES)))
            .set_allowed_pattern(of_remote(PATTERN))
            .set_data_type(of_remote(DATA_TYPE));
        if kind == ParameterType::SecureString {
            request = request.set_key_id(settings.kms_key.clone().or_else(|| of_remote(KEY)));
        }
        request = request.r#type(kind);
        if remote.is_some() {
            request = request.overwrite(true);
        } else {
            let mut all = tags(name, &settings.tags)?;
            all.extend(tag(OWNER_TAG, OWNER));
            request = request.set_tags(Some(all));
        }
        let call = Box::pin(request.send());
        let answer = self.calls.call(Operation::PutParameter, lane, name, call).await?;
        Ok(Some(answer.version.to_string()))
    }

    async fn changed(&self, key: &str, change: Change<'_>, lane: Lane) -> Revision {
        let name = self.written_name(key)?;
        let kind = ResourceTypeForTagging::Parameter;
        match change {
            Change::Create { value, settings } => {
                self.put(&name, value, settings, None, lane).await
            }
            Change::Put { value, settings, remote } => {
                self.put(&name, value, settings, Some(remote), lane).await
            }
            // Both are written with the value.
            Change::Describe { .. } | Change::Restore => Ok(None),
            Change::Tag(added) => {
                let request = self
                    .client
                    .add_tags_to_resource()
                    .resource_type(kind)
                    .resource_id(&name)
                    .set_tags(Some(tags(&name, added)?));
                let call = Box::pin(request.send());
                self.calls.call(Operation::AddTagsToResource, lane, &name, call).await?;
                Ok(None)
            }
            Change::Untag(removed) => {
                let request = self
                    .client
                    .remove_tags_from_resource()
                    .resource_type(kind)
                    .resource_id(&name)
                    .set_tag_keys(Some(removed.to_vec()));
                let call = Box::pin(request.send());
                self.calls.call(Operation::RemoveTagsFromResource, lane, &name, call).await?;
                Ok(None)
            }
            Change::Delete(_) => {
                let call = Box::pin(self.client.delete_parameter().name(&name).send());
                match self.calls.call(Operation::DeleteParameter, lane, &name, call).await {
                    Ok(_) | Err(ProviderError::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

fn repeated(found: &ParameterMetadata) -> BTreeMap<&'static str, String> {
    let policies: Vec<_> =
        found.policies().iter().filter_map(|policy| policy.policy_text()).collect();
    let policies = (!policies.is_empty()).then(|| format!("[{}]", policies.join(",")));
    let all = [
        ("Type", found.r#type().map(|kind| kind.as_str().to_owned())),
        ("Tier", found.tier().map(|tier| tier.as_str().to_owned())),
        (KEY, found.key_id().map(ToOwned::to_owned)),
        (PATTERN, found.allowed_pattern().map(ToOwned::to_owned)),
        (DATA_TYPE, found.data_type().map(ToOwned::to_owned)),
        (POLICIES, policies),
    ];
    all.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

fn tag(key: &str, value: &str) -> Option<Tag> {
    Tag::builder().key(key).value(value).build().ok()
}

fn tags(name: &str, tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, ProviderError> {
    let made = tags.iter().map(|(key, value)| tag(key, value));
    made.collect::<Option<_>>().ok_or_else(|| invalid(name, "a tag is incomplete"))
}

impl Push for ParameterStore {
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
