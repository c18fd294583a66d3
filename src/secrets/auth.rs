//! From a store's spec to something that can be asked: resolves references to Secrets and ServiceAccounts.
//!
//! The one place that reads credentials. A SecretStore's references never leave its own namespace; a
//! ClusterSecretStore's go where they say, or, where they say nothing, to the ExternalSecret's namespace.

mod kubeconfig;
mod kubernetes;
mod tags;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::{
    api::core::v1::{Secret, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::context::Context;
use super::error::Error;
use super::store::{AUDIENCE_ANNOTATION, Caller, Input, InputVersion, ROLE_ANNOTATION, Store};
use super::token::ServiceAccountToken;
use crate::api::external_secrets::aws::AwsProvider;
use crate::api::external_secrets::aws::AwsService;
use crate::api::external_secrets::aws::SessionTagsPolicy;
use crate::api::external_secrets::references::SecretKeySelector;
use crate::api::external_secrets::references::ServiceAccountSelector;
use crate::api::external_secrets::secret_store::FakeProvider;
use crate::cluster::ObjectKey;
use crate::config::AmbientCredentials;
use crate::duration;
use crate::provider::SecretBytes;
use crate::provider::aws::AssumedRole;
use crate::provider::aws::AwsSettings;
use crate::provider::aws::AwsSource;
use crate::provider::aws::BaseCredentials;
use crate::provider::aws::RetrySettings;
use crate::provider::aws::Service;
use crate::provider::aws::unusable;
use crate::provider::fake::FakeEntry;
use crate::provider::fake::FakeSource;
use crate::provider::fake::FakeValidation;
use crate::provider::fetcher::Connection;
use crate::provider::fetcher::Identity;
use tags::{NAMESPACE_TAG, STORE_KIND_TAG, STORE_NAME_TAG};

const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";

/// True if the store's credentials are looked up in the namespace of whoever uses it.
pub(crate) fn is_referent(store: &Store) -> bool {
    if let Some(provider) = &store.spec.provider.kubernetes {
        return store.key.is_cluster() && kubernetes::is_referent(provider);
    }
    let Some(auth) = store.spec.provider.aws.as_ref().and_then(|aws| aws.auth.as_ref()) else {
        return false;
    };
    if !store.key.is_cluster() {
        return false;
    }
    let jwt = auth.jwt.as_ref().and_then(|jwt| jwt.service_account_ref.as_ref());
    if let Some(account) = jwt {
        return is_unset(account.namespace.as_deref());
    }
    let keys = auth
        .secret_ref
        .iter()
        .flat_map(|refs| [&refs.access_key_id, &refs.secret_access_key, &refs.session_token]);
    keys.flatten().any(|selector| is_unset(selector.namespace.as_deref()))
}

/// An empty text is what a template of a chart leaves where nothing was meant.
fn is_unset(text: Option<&str>) -> bool {
    text.is_none_or(str::is_empty)
}

/// True if the sessions of the store's role bear the namespace of whoever uses it.
pub(crate) fn is_tagged_by_caller(store: &Store) -> bool {
    let aws = store.spec.provider.aws.as_ref();
    store.key.is_cluster()
        && aws.is_some_and(|aws| {
            aws.session_tags_policy != SessionTagsPolicy::None && !is_unset(aws.role.as_deref())
        })
}

/// What came of resolving a store.
pub(crate) struct Resolved {
    /// What the connection is made of, whether that worked or not: a change of any of it makes it stale.
    pub(crate) inputs: Vec<(Input, InputVersion)>,
    /// The connection depends on the caller, so it must not be shared with another namespace.
    pub(crate) of_caller: bool,
    /// The connection.
    pub(crate) connection: Result<Connection, Error>,
}

/// Makes the connection of `store` for a caller.
pub(crate) async fn resolve(context: &Context, store: &Store, caller: Caller<'_>) -> Resolved {
    let provider = &store.spec.provider;
    let plain = |connection| Resolved { inputs: Vec::new(), of_caller: false, connection };
    if let Some(fake) = &provider.fake {
        return plain(fake_connection(store, fake));
    }
    let mut resolver = Resolver::new(context, store, caller);
    if let Some(kubernetes) = &provider.kubernetes {
        let connection = resolver.kubernetes(kubernetes).await;
        return resolver.resolved(connection);
    }
    let Some(aws) = &provider.aws else {
        let provider = provider.name().to_owned();
        return plain(Err(Error::ProviderNotSupported { provider }));
    };
    let service = match &aws.service {
        AwsService::SecretsManager => Service::SecretsManager,
        AwsService::ParameterStore => Service::ParameterStore,
        other @ (AwsService::CertificateManager | AwsService::Other(_)) => {
            let provider = format!("aws/{other}");
            return plain(Err(Error::ProviderNotSupported { provider }));
        }
    };
    let connection = resolver.aws(aws, service).await;
    resolver.resolved(connection)
}

/// How to reach AWS as a store without connections of its own. `is_cluster`: only administrators write it.
pub(crate) async fn aws_source(
    context: &Context,
    store: &Store,
    is_cluster: bool,
) -> Result<AwsSource, Error> {
    let Some(aws) = &store.spec.provider.aws else {
        return Err(Error::ProviderNotSupported {
            provider: store.spec.provider.name().to_owned(),
        });
    };
    let mut resolver = Resolver::new(context, store, Caller::Namespace(&store.key.0.namespace));
    resolver.is_of_administrators |= is_cluster;
    resolver.source(aws, Service::SecretsManager).await
}

fn fake_connection(store: &Store, fake: &FakeProvider) -> Result<Connection, Error> {
    let entries = fake.data.iter().map(|entry| FakeEntry {
        key: entry.key.clone(),
        value: entry.value.clone(),
        version: entry.version.clone().unwrap_or_default(),
    });
    let validation = FakeValidation::try_from(i64::from(fake.validation_result.unwrap_or(0)))?;
    let source = FakeSource { data: entries.collect(), validation };
    Ok(Connection::fake(&Identity::new(store.uid.clone(), store.generation, ""), source))
}

struct Resolver<'a> {
    context: &'a Context,
    store: &'a Store,
    caller: Caller<'a>,
    /// Only administrators write the object that the credentials are for.
    is_of_administrators: bool,
    /// Something was made of the caller's namespace ([`Resolver::namespace`] is the only way to it).
    of_caller: bool,
    /// Whose share of a provider's quotas the connection uses, where its credentials do not say so.
    tenant: String,
    /// The Secrets that were read; `None` does not exist.
    secrets: BTreeMap<ObjectKey, Option<SecretData>>,
    /// What was read, and in which state it was.
    inputs: Vec<(Input, InputVersion)>,
    /// Everything that the store's generation does not show: uids and versions of what was read.
    digest: String,
}

impl<'a> Resolver<'a> {
    fn new(context: &'a Context, store: &'a Store, caller: Caller<'a>) -> Self {
        Self {
            context,
            store,
            caller,
            is_of_administrators: store.key.is_cluster(),
            of_caller: false,
            tenant: store.key.0.namespace.to_string(),
            secrets: BTreeMap::new(),
            inputs: Vec::new(),
            digest: String::new(),
        }
    }

    fn resolved(self, connection: Result<Connection, Error>) -> Resolved {
        Resolved { inputs: self.inputs, of_caller: self.of_caller, connection }
    }

    async fn aws(&mut self, aws: &AwsProvider, service: Service) -> Result<Connection, Error> {
        let source = self.source(aws, service).await?;
        let digest = std::mem::take(&mut self.digest);
        let identity = Identity::new(self.store.uid.clone(), self.store.generation, digest);
        Ok(Connection::aws(&identity, source))
    }

    async fn source(&mut self, aws: &AwsProvider, service: Service) -> Result<AwsSource, Error> {
        let mut settings = AwsSettings::new(aws.region.clone());
        settings.service = service;
        settings.prefix = aws.prefix.clone().unwrap_or_default();
        settings.credentials = self.credentials(aws).await?;
        settings.additional_roles.clone_from(&aws.additional_roles);
        settings.role = self.role(aws)?;
        settings.retry = self.retry()?;
        settings.tenant.clone_from(&self.tenant);
        Ok(AwsSource::new(settings)?)
    }

    /// The namespace of the caller; `None` while a ClusterSecretStore is being validated. Whoever asks makes the
    /// connection one of the caller.
    fn namespace(&mut self) -> Option<&str> {
        if !self.store.key.is_cluster() {
            return Some(&*self.store.key.0.namespace);
        }
        self.of_caller = true;
        match self.caller {
            Caller::Store => None,
            Caller::Namespace(namespace) => Some(namespace),
        }
    }

    fn role(&mut self, aws: &AwsProvider) -> Result<Option<AssumedRole>, Error> {
        tags::check(aws)?;
        let Some(arn) = aws.role.as_ref().filter(|arn| !arn.is_empty()) else { return Ok(None) };
        let session_tags = self.session_tags(aws);
        let is_sent = |key: &&String| session_tags.iter().any(|(sent, _)| sent == *key);
        let transitive_tag_keys = match self.caller {
            // AWS refuses a session that passes on a tag which it does not have.
            Caller::Store => aws.transitive_tag_keys.iter().filter(is_sent).cloned().collect(),
            Caller::Namespace(_) => aws.transitive_tag_keys.clone(),
        };
        Ok(Some(AssumedRole {
            arn: arn.clone(),
            external_id: aws.external_id.clone().filter(|id| !id.is_empty()),
            session_tags,
            transitive_tag_keys,
        }))
    }

    /// `sessionTagsPolicy` decides which tags the session of `role` gets. That of a validation has no namespace,
    /// so it is no session that an ExternalSecret gets.
    fn session_tags(&mut self, aws: &AwsProvider) -> Vec<(String, String)> {
        if aws.session_tags_policy == SessionTagsPolicy::None {
            return aws.session_tags.iter().map(|t| (t.key.clone(), t.value.clone())).collect();
        }
        let namespace = self.namespace().map(str::to_owned);
        let mut tags: Vec<_> =
            namespace.into_iter().map(|name| (NAMESPACE_TAG.to_owned(), name)).collect();
        tags.push((STORE_NAME_TAG.to_owned(), self.store.key.0.name.to_string()));
        tags.push((STORE_KIND_TAG.to_owned(), self.store.key.kind().to_owned()));
        if aws.session_tags_policy == SessionTagsPolicy::Custom {
            tags.extend(aws.custom_session_tags.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        tags
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
        let Some(auth) = &aws.auth else { return self.own_credentials() };
        if let Some(jwt) = &auth.jwt {
            let account =
                jwt.service_account_ref.as_ref().filter(|account| !account.name.is_empty());
            let Some(account) = account else {
                // Never the operator's own identity: somebody meant another one.
                let field = "spec.provider.aws.auth.jwt.serviceAccountRef".to_owned();
                let what = "is not set: name the ServiceAccount whose role is assumed, or remove \
                            auth.jwt";
                return Err(Error::StoreField { field, reason: what.to_owned() });
            };
            return self.web_identity(account).await;
        }
        let Some(refs) = &auth.secret_ref else { return self.own_credentials() };
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

    /// The operator's own, if the store is one that may use them.
    fn own_credentials(&self) -> Result<BaseCredentials, Error> {
        let (is_allowed, who) = match self.context.config.ambient_credentials {
            AmbientCredentials::None => (false, "no store"),
            AmbientCredentials::ClusterStores => {
                (self.is_of_administrators, "ClusterSecretStores and ClusterGenerators only")
            }
            AmbientCredentials::All => (true, "every store"),
        };
        if is_allowed {
            return Ok(BaseCredentials::Default);
        }
        let field = "spec.provider.aws.auth".to_owned();
        let reason = format!(
            "is not set, and the operator lends its own credentials to {who} \
             (--ambient-credentials): set auth.jwt or auth.secretRef"
        );
        Err(Error::StoreField { field, reason })
    }

    async fn required(
        &mut self,
        which: &str,
        selector: Option<&SecretKeySelector>,
    ) -> Result<SecretBytes, Error> {
        self.bare(format!("spec.provider.aws.auth.secretRef.{which}"), selector).await
    }

    /// A credential that has no white space in it.
    async fn bare(
        &mut self,
        field: String,
        selector: Option<&SecretKeySelector>,
    ) -> Result<SecretBytes, Error> {
        let (value, what) = self.value(field.clone(), selector).await?;
        match unusable(value.expose()) {
            Some(problem) => Err(Error::StoreField { field, reason: format!("{what} {problem}") }),
            None => Ok(value),
        }
    }

    /// The value of one key of a Secret, and what to call it.
    async fn value(
        &mut self,
        field: String,
        selector: Option<&SecretKeySelector>,
    ) -> Result<(SecretBytes, String), Error> {
        let Some(selector) = selector else {
            let reason = "is not set: name the Secret and the key that hold it".to_owned();
            return Err(Error::StoreField { field, reason });
        };
        let set = |part: &Option<String>| part.clone().filter(|text| !text.is_empty());
        let (Some(name), Some(key)) = (&set(&selector.name), &set(&selector.key)) else {
            let reason = "needs both name and key".to_owned();
            return Err(Error::StoreField { field, reason });
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
        let what = format!("key {key:?} of Secret {secret}");
        match STANDARD.decode(encoded.as_bytes()).map(SecretBytes::new) {
            Ok(decoded) => Ok((decoded, what)),
            Err(_) => Err(Error::AuthMissing { field, what: format!("{what} cannot be decoded") }),
        }
    }

    /// A Secret, read once however many references name it.
    async fn secret(&mut self, key: &ObjectKey) -> Result<Option<&SecretData>, Error> {
        if !self.secrets.contains_key(key) {
            let found: Option<SecretData> = self.context.writer.read::<Secret, _>(key).await?;
            let version =
                found.as_ref().map(|f| InputVersion::of_secret(&f.metadata)).unwrap_or_default();
            self.note(Input::Secret(key.clone()), version);
            self.secrets.insert(key.clone(), found);
        }
        Ok(self.secrets.get(key).and_then(Option::as_ref))
    }

    /// The connection is made of this.
    fn note(&mut self, input: Input, version: InputVersion) {
        self.digest.push_str(&version.to_string());
        self.digest.push(';');
        self.inputs.push((input, version));
    }

    async fn web_identity(
        &mut self,
        selector: &ServiceAccountSelector,
    ) -> Result<BaseCredentials, Error> {
        let field = "spec.provider.aws.auth.jwt.serviceAccountRef".to_owned();
        let namespace = self.namespace_of(&field, selector.namespace.as_deref())?;
        let key = ObjectKey::new(&namespace, &selector.name);
        self.tenant.clone_from(&namespace);
        let account: Option<ServiceAccount> =
            self.context.writer.read::<ServiceAccount, _>(&key).await?;
        let version =
            account.as_ref().map(|a| InputVersion::of_account(&a.metadata)).unwrap_or_default();
        self.note(Input::ServiceAccount(key.clone()), version);
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
        let token =
            Arc::new(ServiceAccountToken { writer: self.context.writer.clone(), key, audiences });
        Ok(BaseCredentials::WebIdentity { role_arn, token })
    }

    fn namespace_of(&mut self, field: &str, named: Option<&str>) -> Result<String, Error> {
        let named = named.filter(|name| !is_unset(Some(name)));
        if self.store.key.is_cluster() {
            return match named {
                Some(named) => Ok(named.to_owned()),
                None => Ok(self.namespace().unwrap_or_default().to_owned()),
            };
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

/// The part of a Secret that credentials are read from. Values are wiped when dropped.
#[derive(Deserialize)]
struct SecretData {
    metadata: ObjectMeta,
    #[serde(default)]
    data: BTreeMap<String, Zeroizing<String>>,
}
