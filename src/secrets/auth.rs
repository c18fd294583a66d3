//! From a store's spec to something that can be asked: resolves references to Secrets and ServiceAccounts.
//!
//! The one place that reads credentials. A SecretStore's references never leave its own namespace; a
//! ClusterSecretStore's go where they say, or, where they say nothing, to the ExternalSecret's namespace.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    api::core::v1::{Secret, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::Error;
use super::stores::Input;
use super::stores::Store;
use crate::api::external_secrets::aws::AwsProvider;
use crate::api::external_secrets::aws::AwsService;
use crate::api::external_secrets::aws::SessionTagsPolicy;
use crate::api::external_secrets::references::SecretKeySelector;
use crate::api::external_secrets::references::ServiceAccountSelector;
use crate::api::external_secrets::secret_store::FakeProvider;
use crate::cluster::{
    ObjectKey,
    write::{ApiError, Writer},
};
use crate::duration;
use crate::provider::ProviderError;
use crate::provider::SecretBytes;
use crate::provider::TokenSource;
use crate::provider::aws::AssumedRole;
use crate::provider::aws::AwsSettings;
use crate::provider::aws::AwsSource;
use crate::provider::aws::BaseCredentials;
use crate::provider::aws::RetrySettings;
use crate::provider::fake::FakeEntry;
use crate::provider::fake::FakeSource;
use crate::provider::fake::FakeValidation;
use crate::provider::fetcher::Connection;
use crate::provider::fetcher::Identity;

const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE_ANNOTATION: &str = "eks.amazonaws.com/audience";
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// Tokens are exchanged at once; ten minutes is the shortest time the API server issues them for.
const TOKEN_SECONDS: i64 = 600;

/// True if the store's credentials are looked up in the namespace of whoever uses it.
pub(crate) fn is_referent(store: &Store) -> bool {
    let Some(auth) = store.spec.provider.aws.as_ref().and_then(|aws| aws.auth.as_ref()) else {
        return false;
    };
    if !store.key.is_cluster() {
        return false;
    }
    let jwt = auth.jwt.as_ref().and_then(|jwt| jwt.service_account_ref.as_ref());
    if let Some(account) = jwt {
        return account.namespace.is_none();
    }
    let keys = auth
        .secret_ref
        .iter()
        .flat_map(|refs| [&refs.access_key_id, &refs.secret_access_key, &refs.session_token]);
    keys.flatten().any(|selector| selector.namespace.is_none())
}

/// Makes the connection of `store` for a user in `namespace` (the store's own, unless it is referent). Also says
/// what it is made of, whether that worked or not: a change of any of it makes the answer stale.
pub(crate) async fn resolve(
    writer: &Writer,
    store: &Store,
    namespace: &str,
) -> (Vec<(Input, String)>, Result<Connection, Error>) {
    let provider = &store.spec.provider;
    if let Some(fake) = &provider.fake {
        return (Vec::new(), fake_connection(store, fake));
    }
    let Some(aws) = &provider.aws else {
        let provider = provider.name().to_owned();
        return (Vec::new(), Err(Error::ProviderNotSupported { provider }));
    };
    if aws.service != AwsService::SecretsManager {
        let provider = format!("aws/{}", aws.service);
        return (Vec::new(), Err(Error::ProviderNotSupported { provider }));
    }
    let (secrets, inputs, digest) = (BTreeMap::new(), Vec::new(), String::new());
    let mut resolver = Resolver { writer, store, namespace, secrets, inputs, digest };
    let connection = resolver.aws(aws).await;
    (resolver.inputs, connection)
}

fn fake_connection(store: &Store, fake: &FakeProvider) -> Result<Connection, Error> {
    let entries = fake.data.iter().map(|entry| FakeEntry {
        key: entry.key.clone(),
        value: entry.value.clone(),
        version: entry.version.clone().unwrap_or_default(),
    });
    let validation = FakeValidation::try_from(i64::from(fake.validation_result.unwrap_or(0)))?;
    let source = FakeSource { data: entries.collect(), validation };
    Ok(Connection::fake(&Identity::new(&store.uid, store.generation, ""), source))
}

struct Resolver<'a> {
    writer: &'a Writer,
    store: &'a Store,
    namespace: &'a str,
    /// The Secrets that were read; `None` does not exist.
    secrets: BTreeMap<ObjectKey, Option<SecretData>>,
    /// What was read, and in which state it was.
    inputs: Vec<(Input, String)>,
    /// Everything that the store's generation does not show: uids and versions of what was read.
    digest: String,
}

impl Resolver<'_> {
    async fn aws(&mut self, aws: &AwsProvider) -> Result<Connection, Error> {
        let mut settings = AwsSettings::new(aws.region.clone());
        settings.prefix = aws.prefix.clone().unwrap_or_default();
        settings.credentials = self.credentials(aws).await?;
        settings.additional_roles.clone_from(&aws.additional_roles);
        settings.role = aws.role.as_ref().filter(|arn| !arn.is_empty()).map(|arn| AssumedRole {
            arn: arn.clone(),
            external_id: aws.external_id.clone().filter(|id| !id.is_empty()),
            session_tags: session_tags(self.store, self.namespace, aws),
            transitive_tag_keys: aws.transitive_tag_keys.clone(),
        });
        settings.retry = self.retry()?;
        let digest = std::mem::take(&mut self.digest);
        let identity = Identity::new(&self.store.uid, self.store.generation, digest);
        Ok(Connection::aws(&identity, AwsSource::new(settings)?))
    }

    fn retry(&self) -> Result<Option<RetrySettings>, Error> {
        let Some(settings) = &self.store.spec.retry_settings else { return Ok(None) };
        let interval = match settings.retry_interval.as_deref() {
            None | Some("") => Duration::from_secs(1),
            Some(text) => duration::parse(text)
                .and_then(|interval| Duration::try_from(interval).ok())
                .ok_or_else(|| Error::StoreField {
                    field: "spec.retrySettings.retryInterval".to_owned(),
                    reason: format!("{text:?} is not a duration: write it like 10s or 1m"),
                })?,
        };
        let max_retries = u32::try_from(settings.max_retries.unwrap_or(3)).unwrap_or(0);
        Ok(Some(RetrySettings { max_retries, interval }))
    }

    async fn credentials(&mut self, aws: &AwsProvider) -> Result<BaseCredentials, Error> {
        let Some(auth) = &aws.auth else { return Ok(BaseCredentials::Default) };
        if let Some(account) = auth.jwt.as_ref().and_then(|jwt| jwt.service_account_ref.as_ref()) {
            return self.web_identity(account).await;
        }
        let Some(refs) = &auth.secret_ref else { return Ok(BaseCredentials::Default) };
        let access_key_id = self.required("accessKeyIDSecretRef", refs.access_key_id.as_ref());
        let access_key_id = access_key_id.await?;
        let secret_access_key =
            self.required("secretAccessKeySecretRef", refs.secret_access_key.as_ref()).await?;
        let session_token = match &refs.session_token {
            Some(selector) => Some(self.required("sessionTokenSecretRef", Some(selector)).await?),
            None => None,
        };
        Ok(BaseCredentials::Static { access_key_id, secret_access_key, session_token })
    }

    async fn required(
        &mut self,
        which: &str,
        selector: Option<&SecretKeySelector>,
    ) -> Result<SecretBytes, Error> {
        let field = format!("spec.provider.aws.auth.secretRef.{which}");
        let Some(selector) = selector else {
            let what = "is not set: name the Secret and the key that hold it".to_owned();
            return Err(Error::AuthMissing { field, what });
        };
        let (Some(name), Some(key)) = (&selector.name, &selector.key) else {
            let what = "needs both name and key".to_owned();
            return Err(Error::AuthMissing { field, what });
        };
        let namespace = self.namespace_of(&field, selector.namespace.as_deref())?;
        let secret = ObjectKey::new(&namespace, name);
        let Some(found) = self.secret(&secret).await? else {
            let what = format!("Secret {secret} does not exist");
            return Err(Error::AuthMissing { field, what });
        };
        let Some(encoded) = found.data.get(key) else {
            let what = format!("Secret {secret} has no key {key:?}");
            return Err(Error::AuthMissing { field, what });
        };
        let what = || format!("key {key:?} of Secret {secret} cannot be decoded");
        let decoded = STANDARD.decode(encoded.as_bytes());
        decoded
            .map(SecretBytes::new)
            .map_err(|_| Error::AuthMissing { field: field.clone(), what: what() })
    }

    /// A Secret, read once however many references name it.
    async fn secret(&mut self, key: &ObjectKey) -> Result<Option<&SecretData>, Error> {
        if !self.secrets.contains_key(key) {
            let found: Option<SecretData> = self.writer.read::<Secret, _>(key).await?;
            let version = found.as_ref().map(|f| secret_version(&f.metadata)).unwrap_or_default();
            self.digest.push_str(&version);
            self.digest.push(';');
            self.inputs.push((Input::Secret(key.clone()), version));
            self.secrets.insert(key.clone(), found);
        }
        Ok(self.secrets.get(key).and_then(Option::as_ref))
    }

    async fn web_identity(
        &mut self,
        selector: &ServiceAccountSelector,
    ) -> Result<BaseCredentials, Error> {
        let field = "spec.provider.aws.auth.jwt.serviceAccountRef".to_owned();
        let namespace = self.namespace_of(&field, selector.namespace.as_deref())?;
        let key = ObjectKey::new(&namespace, &selector.name);
        let account: Option<ServiceAccount> = self.writer.read::<ServiceAccount, _>(&key).await?;
        let version = account.as_ref().map(|a| account_version(&a.metadata)).unwrap_or_default();
        self.digest.push_str(&version);
        self.digest.push(';');
        self.inputs.push((Input::ServiceAccount(key.clone()), version));
        let Some(account) = account else {
            let what = format!("ServiceAccount {key} does not exist");
            return Err(Error::AuthMissing { field, what });
        };
        let annotations = account.metadata.annotations.unwrap_or_default();
        let Some(role_arn) = annotations.get(ROLE_ANNOTATION).cloned() else {
            let what = format!(
                "ServiceAccount {key} has no annotation {ROLE_ANNOTATION}: it names the role to assume"
            );
            return Err(Error::AuthMissing { field, what });
        };
        let audience =
            annotations.get(AUDIENCE_ANNOTATION).map_or(DEFAULT_AUDIENCE, String::as_str);
        let mut audiences = vec![audience.to_owned()];
        audiences.extend(selector.audiences.iter().filter(|a| *a != audience).cloned());
        let token = Arc::new(ServiceAccountToken { writer: self.writer.clone(), key, audiences });
        Ok(BaseCredentials::WebIdentity { role_arn, token })
    }

    fn namespace_of(&self, field: &str, named: Option<&str>) -> Result<String, Error> {
        if self.store.key.is_cluster() {
            return Ok(named.unwrap_or(self.namespace).to_owned());
        }
        let own = &*self.store.key.0.namespace;
        match named {
            Some(other) if other != own => Err(Error::CrossNamespace {
                field: format!("{field}.namespace"),
                namespace: other.to_owned(),
            }),
            _ => Ok(own.to_owned()),
        }
    }
}

/// The state of a Secret as far as credentials are concerned.
pub(crate) fn secret_version(meta: &ObjectMeta) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}@{}", text(&meta.uid), text(&meta.resource_version))
}

/// The state of a ServiceAccount as far as credentials are concerned.
pub(crate) fn account_version(meta: &ObjectMeta) -> String {
    let note = |name| meta.annotations.as_ref().and_then(|notes| notes.get(name));
    let (role, audience) = (note(ROLE_ANNOTATION), note(AUDIENCE_ANNOTATION));
    format!("{}@{role:?}@{audience:?}", meta.uid.as_deref().unwrap_or_default())
}

/// `sessionTagsPolicy` decides which tags the session of `role` gets.
fn session_tags(store: &Store, namespace: &str, aws: &AwsProvider) -> Vec<(String, String)> {
    if aws.session_tags_policy == SessionTagsPolicy::None {
        return aws.session_tags.iter().map(|t| (t.key.clone(), t.value.clone())).collect();
    }
    let mut tags = vec![
        ("esoNamespace".to_owned(), namespace.to_owned()),
        ("esoStoreName".to_owned(), store.key.0.name.to_string()),
        ("esoStoreKind".to_owned(), store.key.kind().to_owned()),
    ];
    if aws.session_tags_policy == SessionTagsPolicy::Custom {
        tags.extend(aws.custom_session_tags.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    tags
}

/// The part of a Secret that credentials are read from. Values are wiped when dropped.
#[derive(Deserialize)]
struct SecretData {
    metadata: ObjectMeta,
    #[serde(default)]
    data: BTreeMap<String, Zeroizing<String>>,
}

/// Tokens of one ServiceAccount, each by a `TokenRequest`.
struct ServiceAccountToken {
    writer: Writer,
    key: ObjectKey,
    audiences: Vec<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    status: TokenStatus,
}

#[derive(Deserialize)]
struct TokenStatus {
    token: Zeroizing<String>,
}

impl TokenSource for ServiceAccountToken {
    fn token(&self) -> BoxFuture<'_, Result<SecretBytes, ProviderError>> {
        async move {
            let body = serde_json::json!({
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": self.audiences, "expirationSeconds": TOKEN_SECONDS},
            });
            let answer: Result<TokenAnswer, ApiError> =
                self.writer.post_subresource::<ServiceAccount, _>(&self.key, "token", &body).await;
            match answer {
                Ok(answer) => Ok(SecretBytes::new(answer.status.token.as_bytes().to_vec())),
                Err(error) => Err(ProviderError::Credentials {
                    reason: format!("no token for ServiceAccount {}: {error}", self.key),
                }),
            }
        }
        .boxed()
    }
}
