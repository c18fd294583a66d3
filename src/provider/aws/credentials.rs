//! One credential per identity: a chain of links, each cached, renewed before it expires, and asked for once
//! however many calls wait for it.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use aws_config::{
    Region, default_provider::credentials::DefaultCredentialsChain, provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials as Keys,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_sts as sts;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Mutex;

use super::{
    AssumedRole, AwsSource, BaseCredentials, Platform,
    errors::{Subject, translate},
    source::SESSION_NAME,
};
use crate::lane::Lane;
use crate::provider::ProviderError;
use crate::provider::SecretBytes;
use crate::provider::TokenSource;
use crate::provider::metrics::Operation;
use crate::provider::rate_limit::Meter;

/// Renewal starts this long before expiry, or after four fifths of a shorter life.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// While the old credentials still work, a failed renewal is not repeated for this long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How one link gets its keys.
pub(super) enum Link {
    /// Written in the store's auth Secret.
    Static(Keys),
    /// Gabion's own, by the SDK's chain.
    Chain { region: String, http: SharedHttpClient },
    /// A token is exchanged for a role.
    WebIdentity { role_arn: String, token: Arc<dyn TokenSource>, sts: sts::Client, region: String },
    /// A role is assumed with the keys of the link before, which the client signs with.
    Role { role: AssumedRole, before: Arc<Credentials>, sts: sts::Client, region: String },
}

/// One link with its cache.
pub(super) struct Credentials {
    link: Link,
    meter: Arc<Meter>,
    cached: RwLock<Option<Cached>>,
    /// Held while new keys are fetched; the last failure, for those who waited for it.
    renewal: Mutex<Option<(Instant, ProviderError)>>,
}

#[derive(Clone)]
struct Cached {
    keys: Keys,
    renew_at: Option<SystemTime>,
}

impl Credentials {
    pub(super) fn new(link: Link, meter: Arc<Meter>) -> Self {
        Self { link, meter, cached: RwLock::default(), renewal: Mutex::default() }
    }

    /// The whole chain of a source; the last link signs its reads.
    pub(super) fn of(platform: &Platform, source: &AwsSource, meter: &Arc<Meter>) -> Arc<Self> {
        let settings = source.settings();
        let link = |link| Arc::new(Self::new(link, meter.clone()));
        let mut chain = match &settings.credentials {
            BaseCredentials::Default => platform.own_credentials(&settings.region, meter),
            BaseCredentials::Static { access_key_id, secret_access_key, session_token } => {
                link(Link::Static(Keys::new(
                    text(access_key_id),
                    text(secret_access_key),
                    session_token.as_ref().map(text),
                    None,
                    "store",
                )))
            }
            BaseCredentials::WebIdentity { role_arn, token } => link(Link::WebIdentity {
                role_arn: role_arn.clone(),
                token: token.clone(),
                sts: platform.sts(source, None, meter),
                region: settings.region.clone(),
            }),
        };
        let plain = |arn: &String| AssumedRole { arn: arn.clone(), ..AssumedRole::default() };
        let roles = settings.additional_roles.iter().map(plain).chain(settings.role.clone());
        for role in roles {
            chain = link(Link::Role {
                role,
                sts: platform.sts(source, Some(&chain), meter),
                before: chain,
                region: settings.region.clone(),
            });
        }
        chain
    }

    /// Keys that are valid now. Concurrent callers share one renewal, and its failure.
    pub(super) async fn current(&self) -> Result<Keys, ProviderError> {
        let asked = Instant::now();
        let now = SystemTime::now();
        let old = self.cached();
        match &old {
            Some(cached) if cached.renew_at.is_none_or(|at| now < at) => {
                return Ok(cached.keys.clone());
            }
            // Still valid: one caller renews, the others go on with what there is.
            Some(cached) if cached.keys.expiry().is_some_and(|at| now < at) => {
                let Ok(mut failure) = self.renewal.try_lock() else {
                    return Ok(cached.keys.clone());
                };
                let recently = |at: &Instant| at.elapsed() < PAUSE_AFTER_FAILURE;
                if failure.as_ref().is_some_and(|(at, _)| recently(at)) {
                    return Ok(cached.keys.clone());
                }
                return match self.renew(&mut failure).await {
                    Ok(keys) => Ok(keys),
                    Err(_) => Ok(cached.keys.clone()),
                };
            }
            _ => {}
        }
        let mut failure = self.renewal.lock().await;
        if let Some(cached) = self.cached()
            && cached.renew_at.is_none_or(|at| SystemTime::now() < at)
        {
            return Ok(cached.keys);
        }
        if let Some((at, error)) = &*failure
            && *at >= asked
        {
            return Err(error.clone());
        }
        self.renew(&mut failure).await
    }

    /// AWS refused these keys: the next call gets new ones, unless another has got them already.
    pub(super) fn discard(&self, refused: &Keys) {
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        if cached.as_ref().is_some_and(|it| it.keys.access_key_id() == refused.access_key_id()) {
            *cached = None;
        }
    }

    fn cached(&self) -> Option<Cached> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew(
        &self,
        failure: &mut Option<(Instant, ProviderError)>,
    ) -> Result<Keys, ProviderError> {
        match Box::pin(self.load()).await {
            Ok(keys) => {
                *failure = None;
                let cached = Cached { renew_at: renew_at(&keys), keys: keys.clone() };
                *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(cached);
                Ok(keys)
            }
            Err(error) => {
                *failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn load(&self) -> Result<Keys, ProviderError> {
        match &self.link {
            Link::Static(keys) => Ok(keys.clone()),
            Link::Chain { region, http } => own_keys(region, http).await,
            Link::WebIdentity { role_arn, token, sts, region } => {
                let token = token.token().await?;
                let operation = Operation::AssumeRoleWithWebIdentity;
                self.meter
                    .call(operation, Lane::Urgent, exchange(sts, role_arn, &token, region))
                    .await
            }
            Link::Role { role, before, sts, region } => {
                let signed_with = before.current().await?;
                let assumed = self
                    .meter
                    .call(Operation::AssumeRole, Lane::Urgent, assume(sts, role, region))
                    .await;
                if matches!(assumed, Err(ProviderError::Credentials { .. })) {
                    before.discard(&signed_with);
                }
                assumed
            }
        }
    }
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.current().await.map_err(CredentialsError::provider_error)
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

fn text(bytes: &SecretBytes) -> String {
    String::from_utf8_lossy(bytes.expose()).into_owned()
}

fn renew_at(keys: &Keys) -> Option<SystemTime> {
    let expiry = keys.expiry()?;
    let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
    Some(expiry - RENEW_BEFORE.min(left / 5))
}

async fn own_keys(region: &str, http: &SharedHttpClient) -> Result<Keys, ProviderError> {
    let region = Region::new(region.to_owned());
    let config = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_http_client(http.clone());
    let chain = DefaultCredentialsChain::builder().region(region).configure(config).build().await;
    chain.provide_credentials().await.map_err(|error| {
        let what = match error {
            CredentialsError::CredentialsNotLoaded(_) => "there are none",
            CredentialsError::ProviderTimedOut(_) => "a source did not answer in time",
            CredentialsError::InvalidConfiguration(_) => "a source is configured wrongly",
            _ => "a source failed",
        };
        ProviderError::Credentials {
            reason: format!(
                "the store names none, and of Gabion's own (environment, shared config, web \
                 identity, Pod Identity, instance metadata) {what}; give Gabion's ServiceAccount a \
                 role, or fill in spec.provider.aws.auth"
            ),
        }
    })
}

async fn exchange(
    sts: &sts::Client,
    role_arn: &str,
    token: &SecretBytes,
    region: &str,
) -> Result<Keys, ProviderError> {
    let subject =
        Subject { key: role_arn, action: "sts:AssumeRoleWithWebIdentity", region, writes: false };
    let answer = sts
        .assume_role_with_web_identity()
        .role_arn(role_arn)
        .role_session_name(SESSION_NAME)
        .web_identity_token(text(token))
        .send()
        .await
        .map_err(|error| translate(&error, subject))?;
    keys(answer.credentials, subject)
}

async fn assume(
    sts: &sts::Client,
    role: &AssumedRole,
    region: &str,
) -> Result<Keys, ProviderError> {
    let subject = Subject { key: &role.arn, action: "sts:AssumeRole", region, writes: false };
    let mut tags = Vec::with_capacity(role.session_tags.len());
    for (key, value) in &role.session_tags {
        let tag = sts::types::Tag::builder().key(key).value(value).build();
        tags.push(tag.map_err(|_| ProviderError::Settings {
            field: "spec.provider.aws.sessionTags",
            reason: format!("the tag {key:?} is incomplete"),
        })?);
    }
    let some = |list: Vec<String>| if list.is_empty() { None } else { Some(list) };
    let answer = sts
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(SESSION_NAME)
        .set_external_id(role.external_id.clone())
        .set_tags(if tags.is_empty() { None } else { Some(tags) })
        .set_transitive_tag_keys(some(role.transitive_tag_keys.clone()))
        .send()
        .await
        .map_err(|error| translate(&error, subject))?;
    keys(answer.credentials, subject)
}

fn keys(
    answer: Option<sts::types::Credentials>,
    subject: Subject<'_>,
) -> Result<Keys, ProviderError> {
    let answer = answer.ok_or_else(|| ProviderError::Credentials {
        reason: format!("{} answered without credentials for {}", subject.action, subject.key),
    })?;
    let expiry = SystemTime::try_from(answer.expiration).ok();
    Ok(Keys::new(
        answer.access_key_id,
        answer.secret_access_key,
        Some(answer.session_token),
        expiry,
        "sts",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::aws::AwsSettings;
    use crate::provider::aws::Endpoints;
    use crate::provider::endpoint::Endpoint;
    use crate::provider::metrics::CallOutcome;
    use crate::provider::metrics::Metrics;
    use crate::provider::rate_limit::Account;
    use crate::provider::rate_limit::Limits;

    const HOUR: Duration = Duration::from_hours(1);

    /// A role at an STS that cannot be reached, with a session that expires then and is due for renewal.
    fn due(expiry: SystemTime) -> Credentials {
        let nowhere = Some("http://127.0.0.1:1".to_owned());
        let platform = Platform::new(Endpoints { sts: nowhere, ..Endpoints::default() });
        let source = AwsSource::new(AwsSettings::new("eu-west-1")).expect("valid");
        let account = Arc::new(Account::new(&Limits::default()));
        let meter = Arc::new(Meter {
            metrics: Arc::new(Metrics::default()),
            account: account.clone(),
            payer_of_sts: account,
            reader: Arc::new(Endpoint::new(Arc::default())),
            sts: Arc::new(Endpoint::new(Arc::default())),
        });
        let base = Link::Static(Keys::new("AKIA", "secret", None, None, "test"));
        let before = Arc::new(Credentials::new(base, meter.clone()));
        let link = Link::Role {
            role: AssumedRole { arn: "arn:aws:iam::1:role/a".to_owned(), ..Default::default() },
            sts: platform.sts(&source, Some(&before), &meter),
            before,
            region: "eu-west-1".to_owned(),
        };
        let credentials = Credentials::new(link, meter);
        let keys = Keys::new("ASIA", "secret", None, Some(expiry), "test");
        let renew_at = Some(SystemTime::now() - Duration::from_secs(1));
        *credentials.cached.write().expect("not poisoned") = Some(Cached { keys, renew_at });
        credentials
    }

    fn failures(credentials: &Credentials) -> u64 {
        credentials.meter.metrics.calls(Operation::AssumeRole, CallOutcome::Unavailable)
    }

    #[tokio::test]
    async fn a_failed_renewal_does_no_harm_while_the_session_lasts() {
        let credentials = due(SystemTime::now() + HOUR);
        for _ in 0..3 {
            let keys = credentials.current().await.expect("they still work");
            assert_eq!(keys.access_key_id(), "ASIA");
        }
        assert_eq!(failures(&credentials), 1, "it is tried once, not with every read");
    }

    #[tokio::test]
    async fn while_one_caller_renews_the_others_go_on() {
        let credentials = due(SystemTime::now() + HOUR);
        let _renewing = credentials.renewal.lock().await;
        let keys = credentials.current().await.expect("they still work");
        assert_eq!(keys.access_key_id(), "ASIA");
        assert_eq!(failures(&credentials), 0);
    }

    #[tokio::test]
    async fn an_expired_session_is_not_used() {
        let credentials = due(SystemTime::now() - HOUR);
        let error = credentials.current().await.expect_err("STS cannot be reached");
        assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    }

    #[tokio::test]
    async fn refused_keys_are_dropped_unless_they_have_been_replaced() {
        let credentials = due(SystemTime::now() + HOUR);
        credentials.discard(&Keys::new("ASIAold", "secret", None, None, "test"));
        assert!(credentials.cached().is_some());
        credentials.discard(&Keys::new("ASIA", "secret", None, None, "test"));
        assert!(credentials.cached().is_none());
    }

    #[test]
    fn renewal_comes_five_minutes_before_expiry_or_after_four_fifths_of_a_short_life() {
        for (life, before) in
            [(HOUR, RENEW_BEFORE), (Duration::from_secs(100), Duration::from_secs(20))]
        {
            let expiry = SystemTime::now() + life;
            let at = renew_at(&Keys::new("ASIA", "secret", None, Some(expiry), "test"));
            let margin = expiry.duration_since(at.expect("it expires")).expect("before expiry");
            assert!(margin <= before && margin + Duration::from_secs(1) > before, "{margin:?}");
        }
        assert!(renew_at(&Keys::new("AKIA", "secret", None, None, "test")).is_none());
    }
}
