//! How a store reaches AWS: region, credentials, role chain. Checked here, before anything is sent.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha3::{Digest, Sha3_256};

use crate::provider::{ProviderError, SecretBytes, TokenSource};

/// Session name of every assumed role. ESO's, because trust policies in the wild compare it.
pub(super) const SESSION_NAME: &str = "external-secrets-provider-aws";

/// `spec.provider.aws` of a store, with its references resolved.
#[derive(Clone)]
pub struct AwsSettings {
    /// Whose share of quotas this uses: the namespace whose word the role is, as nobody has to prove anything to
    /// name one.
    pub tenant: String,
    /// What is read.
    pub service: Service,
    /// For example `eu-west-1`.
    pub(crate) region: String,
    /// Put in front of every key, as it is.
    pub prefix: String,
    /// Where the first credentials come from.
    pub credentials: BaseCredentials,
    /// Roles to assume one after the other before `role`.
    pub additional_roles: Vec<String>,
    /// The last role to assume.
    pub role: Option<AssumedRole>,
    /// `spec.retrySettings` of the store.
    pub retry: Option<RetrySettings>,
}

impl AwsSettings {
    /// A store in `region` that uses Gabion's own credentials.
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            tenant: String::new(),
            service: Service::SecretsManager,
            region: region.into(),
            prefix: String::new(),
            credentials: BaseCredentials::Default,
            additional_roles: Vec::new(),
            role: None,
            retry: None,
        }
    }
}

/// A service that holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Secrets Manager.
    SecretsManager,
    /// Parameter Store.
    ParameterStore,
}

impl Service {
    /// As AWS has it in host names and IAM actions.
    const fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::ParameterStore => "ssm",
        }
    }
}

/// The first link of the credential chain.
#[derive(Clone)]
pub enum BaseCredentials {
    /// The SDK's chain: environment, shared config, web identity file, Pod Identity, instance metadata.
    Default,
    /// `auth.secretRef`. White space around each of them is dropped.
    Static {
        /// `accessKeyIDSecretRef`
        access_key_id: SecretBytes,
        /// `secretAccessKeySecretRef`
        secret_access_key: SecretBytes,
        /// `sessionTokenSecretRef`
        session_token: Option<SecretBytes>,
    },
    /// `auth.jwt`: a service account's token is exchanged for its role.
    WebIdentity {
        /// Annotation `eks.amazonaws.com/role-arn` of the service account.
        role_arn: String,
        /// Issues tokens for the service account.
        token: Arc<dyn TokenSource>,
    },
}

/// `spec.provider.aws.role` with the three settings that apply to it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssumedRole {
    /// ARN of the role.
    pub arn: String,
    /// `externalID`
    pub external_id: Option<String>,
    /// `sessionTags`, or what `sessionTagsPolicy` makes of them: key and value.
    pub session_tags: Vec<(String, String)>,
    /// `transitiveTagKeys`
    pub transitive_tag_keys: Vec<String>,
}

/// `spec.retrySettings`: replaces the default of one retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Number of retries after the first attempt.
    pub max_retries: u32,
    /// Pause between attempts.
    pub interval: Duration,
}

/// Checked settings. Cheap to clone; prints no credential.
#[derive(Clone)]
pub struct AwsSource {
    settings: Arc<AwsSettings>,
    fingerprint: [u8; 32],
}

impl AwsSource {
    /// Checks the settings and drops white space around credentials.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] names the field that cannot work; nothing has been sent.
    pub fn new(mut settings: AwsSettings) -> Result<Self, ProviderError> {
        settings.region = checked_region(&settings.region)?;
        settings.credentials = checked_credentials(settings.credentials)?;
        for role in &mut settings.additional_roles {
            *role = checked_role("spec.provider.aws.additionalRoles", role)?;
        }
        if let Some(role) = &mut settings.role {
            role.arn = checked_role("spec.provider.aws.role", &role.arn)?;
        }
        let fingerprint = fingerprint(&settings);
        Ok(Self { settings: Arc::new(settings), fingerprint })
    }

    pub(super) fn settings(&self) -> &AwsSettings {
        &self.settings
    }

    /// A digest of everything that decides what this source may read. Part of its identity, so that two
    /// stores with different credentials never share an answer, even if their callers name them alike.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// A digest of who asks, whatever is asked and wherever. Whoever only names a role proves nothing, and is told apart
    /// by whose word it is.
    pub(crate) fn who(&self) -> [u8; 32] {
        let mut who = AwsSettings::new("");
        who.credentials = self.settings.credentials.clone();
        who.additional_roles.clone_from(&self.settings.additional_roles);
        who.role.clone_from(&self.settings.role);
        if !matches!(who.credentials, BaseCredentials::Static { .. }) {
            who.prefix.clone_from(&self.settings.tenant);
        }
        fingerprint(&who)
    }

    /// Whose quota reads count against: the account of the last role, else of the base credentials; with the
    /// region, because quotas are regional.
    ///
    /// Anybody can write the ARN of a role of somebody else, and use up what that account may call by being
    /// refused. So only those share a budget that come with the same base credentials.
    pub(crate) fn account(&self) -> String {
        let settings = &*self.settings;
        let role = settings.role.as_ref().map(|role| role.arn.as_str());
        let base = self.base_account();
        match role.or(settings.additional_roles.last().map(String::as_str)) {
            Some(arn) => format!("{base}/{}", account_of(arn)),
            None => base,
        }
    }

    /// Whose quota role changes count against. An access key id is no secret: only the whole key proves anything.
    pub(crate) fn base_account(&self) -> String {
        let settings = &*self.settings;
        let (tenant, region) = (&settings.tenant, &settings.region);
        match &settings.credentials {
            BaseCredentials::Default => format!("default@{tenant}/{region}"),
            BaseCredentials::Static { access_key_id, secret_access_key, .. } => {
                let mut hash = Sha3_256::new();
                hash.update(access_key_id.len().to_le_bytes());
                hash.update(access_key_id.expose());
                hash.update(secret_access_key.expose());
                format!("{}/{region}", STANDARD.encode(hash.finalize()))
            }
            BaseCredentials::WebIdentity { role_arn, .. } => {
                format!("{}@{tenant}/{region}", account_of(role_arn))
            }
        }
    }

    /// Where it reads: those who share an endpoint find out together that it does not answer.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/{}", self.settings.service.name(), self.settings.region)
    }

    /// Where it changes roles.
    pub(crate) fn region(&self) -> &str {
        &self.settings.region
    }
}

/// The account in an ARN.
fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or(arn)
}

impl fmt::Debug for AwsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSource").field("region", &self.settings.region).finish_non_exhaustive()
    }
}

/// The form of every region name there is: `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`.
fn checked_region(region: &str) -> Result<String, ProviderError> {
    let region = region.trim();
    let parts: Vec<&str> = region.split('-').collect();
    let (last, words) = parts.split_last().unwrap_or((&"", &[]));
    let number = !last.is_empty() && last.len() <= 2 && last.bytes().all(|b| b.is_ascii_digit());
    let named = words.len() >= 2
        && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
    if number && named && region.len() <= 32 {
        return Ok(region.to_owned());
    }
    Err(ProviderError::Settings {
        field: "spec.provider.aws.region",
        reason: format!("{region:?} is not the name of a region; write it as in eu-west-1"),
    })
}

fn checked_role(field: &'static str, arn: &str) -> Result<String, ProviderError> {
    let arn = arn.trim();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", _, resource] if resource.starts_with("role/") => Ok(arn.to_owned()),
        _ => Err(ProviderError::Settings {
            field,
            reason: format!(
                "{arn:?} is not the ARN of a role; write it as in arn:aws:iam::123456789012:role/name"
            ),
        }),
    }
}

fn checked_credentials(base: BaseCredentials) -> Result<BaseCredentials, ProviderError> {
    match base {
        BaseCredentials::Default => Ok(BaseCredentials::Default),
        BaseCredentials::WebIdentity { role_arn, token } => Ok(BaseCredentials::WebIdentity {
            role_arn: checked_role(
                "annotation eks.amazonaws.com/role-arn of the ServiceAccount in \
                 spec.provider.aws.auth.jwt.serviceAccountRef",
                &role_arn,
            )?,
            token,
        }),
        BaseCredentials::Static { access_key_id, secret_access_key, session_token } => {
            let session_token = match session_token {
                Some(token) => Some(trimmed(SESSION_TOKEN_FIELD, &token)?),
                None => None,
            };
            Ok(BaseCredentials::Static {
                access_key_id: trimmed(ACCESS_KEY_FIELD, &access_key_id)?,
                secret_access_key: trimmed(SECRET_KEY_FIELD, &secret_access_key)?,
                session_token,
            })
        }
    }
}

const ACCESS_KEY_FIELD: &str = "spec.provider.aws.auth.secretRef.accessKeyIDSecretRef";
const SECRET_KEY_FIELD: &str = "spec.provider.aws.auth.secretRef.secretAccessKeySecretRef";
const SESSION_TOKEN_FIELD: &str = "spec.provider.aws.auth.secretRef.sessionTokenSecretRef";

/// A trailing newline is the commonest slip of all, and no credential contains white space.
fn trimmed(field: &'static str, value: &SecretBytes) -> Result<SecretBytes, ProviderError> {
    let bytes = value.expose().trim_ascii();
    match unusable(bytes) {
        Some(problem) => {
            Err(ProviderError::Settings { field, reason: format!("the key it names {problem}") })
        }
        None => Ok(SecretBytes::new(bytes.to_vec())),
    }
}

/// Why a text is no credential, and what to do.
pub(crate) fn unusable(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        Some("is empty: put the credential there")
    } else if bytes.starts_with("\u{FEFF}".as_bytes()) {
        Some("starts with a byte-order mark, which an editor may have put there: remove it")
    } else if bytes.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        Some("holds white space or control characters: put the bare credential there")
    } else if !bytes.iter().all(u8::is_ascii_graphic) {
        Some("holds characters that no credential has: put the bare credential there")
    } else {
        None
    }
}

/// Every field with its length in front, so that no two settings have one encoding.
fn fingerprint(settings: &AwsSettings) -> [u8; 32] {
    let mut hash = Sha3_256::new();
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    };
    add(settings.service.name().as_bytes());
    add(settings.region.as_bytes());
    add(settings.prefix.as_bytes());
    match &settings.credentials {
        BaseCredentials::Default => add(b"default"),
        BaseCredentials::Static { access_key_id, secret_access_key, session_token } => {
            add(b"static");
            add(access_key_id.expose());
            add(secret_access_key.expose());
            add(session_token.as_ref().map_or(&[][..], SecretBytes::expose));
        }
        BaseCredentials::WebIdentity { role_arn, .. } => {
            add(b"web identity");
            add(role_arn.as_bytes());
        }
    }
    add(&settings.additional_roles.len().to_le_bytes());
    for role in &settings.additional_roles {
        add(role.as_bytes());
    }
    if let Some(role) = &settings.role {
        add(role.arn.as_bytes());
        add(role.external_id.as_deref().unwrap_or_default().as_bytes());
        add(&role.session_tags.len().to_le_bytes());
        for (key, value) in &role.session_tags {
            add(key.as_bytes());
            add(value.as_bytes());
        }
        for key in &role.transitive_tag_keys {
            add(key.as_bytes());
        }
    }
    if let Some(retry) = settings.retry {
        add(&retry.max_retries.to_le_bytes());
        add(&retry.interval.as_nanos().to_le_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_static(access: &str, secret: &str) -> Result<AwsSource, ProviderError> {
        let mut settings = AwsSettings::new("eu-west-1");
        settings.credentials = BaseCredentials::Static {
            access_key_id: access.to_owned().into(),
            secret_access_key: secret.to_owned().into(),
            session_token: None,
        };
        AwsSource::new(settings)
    }

    #[test]
    fn a_region_must_look_like_one() {
        for good in
            ["eu-west-1", "us-gov-east-1", "eusc-de-east-1", "ap-southeast-5", " eu-west-1\n"]
        {
            assert!(AwsSource::new(AwsSettings::new(good)).is_ok(), "{good}");
        }
        for bad in
            ["", "eu-west", "eu_west_1", "EU-WEST-1", "eu-west1", "eu-1", "https://x", "a-b-123"]
        {
            let error = AwsSource::new(AwsSettings::new(bad)).expect_err(bad).to_string();
            assert!(error.contains("spec.provider.aws.region"), "{error}");
        }
    }

    #[test]
    fn white_space_around_credentials_does_no_harm() {
        let clean = with_static("AKIA1", "secret").expect("valid");
        let dirty = with_static(" AKIA1\r\n", "\tsecret\n").expect("valid");
        assert_eq!(clean.fingerprint(), dirty.fingerprint());
    }

    #[test]
    fn an_empty_or_broken_credential_names_its_field_and_not_its_value() {
        for (access, secret, field) in [
            ("", "s", ACCESS_KEY_FIELD),
            ("AKIA", " \n", SECRET_KEY_FIELD),
            ("A B", "s", ACCESS_KEY_FIELD),
            ("\u{FEFF}AKIA", "s", ACCESS_KEY_FIELD),
        ] {
            let error = with_static(access, secret).expect_err("must be refused").to_string();
            assert!(error.contains(field), "{error}");
            assert!(!error.contains("A B"), "{error}");
        }
    }

    #[test]
    fn a_role_must_be_an_arn_of_a_role() {
        let mut settings = AwsSettings::new("eu-west-1");
        settings.additional_roles = vec!["arn:aws:iam::1:user/x".to_owned()];
        let error = AwsSource::new(settings).expect_err("not a role").to_string();
        assert!(error.contains("spec.provider.aws.additionalRoles"), "{error}");
    }

    #[test]
    fn who_names_a_role_of_somebody_else_uses_up_nothing_of_theirs() {
        let of = |secret: &str, tenant: &str, base: Option<BaseCredentials>| {
            let mut settings = AwsSettings::new("eu-west-1");
            settings.tenant = tenant.to_owned();
            settings.credentials = base.unwrap_or_else(|| BaseCredentials::Static {
                access_key_id: "AKIA1".to_owned().into(),
                secret_access_key: secret.to_owned().into(),
                session_token: None,
            });
            let arn = "arn:aws:iam::111111111111:role/theirs".to_owned();
            settings.role = Some(AssumedRole { arn, ..AssumedRole::default() });
            let source = AwsSource::new(settings).expect("valid");
            (source.account(), source.base_account())
        };
        let own = || Some(BaseCredentials::Default);
        assert_eq!(of("s", "a", None), of("s", "b", None), "who has the keys shares the budget");
        let (mine, theirs) = (of("guessed", "a", None), of("s", "a", None));
        assert!(mine.0 != theirs.0 && mine.1 != theirs.1, "an access key id proves nothing");
        let (mine, theirs) = (of("", "a", own()), of("", "b", own()));
        assert!(mine.0 != theirs.0 && mine.1 != theirs.1, "an ARN proves nothing");
    }

    #[test]
    fn everything_that_decides_what_may_be_read_changes_the_fingerprint() {
        let of = |change: &dyn Fn(&mut AwsSettings)| {
            let mut settings = AwsSettings::new("eu-west-1");
            change(&mut settings);
            AwsSource::new(settings).expect("valid").fingerprint()
        };
        let role = |arn: &str| AssumedRole { arn: arn.to_owned(), ..AssumedRole::default() };
        let arn = "arn:aws:iam::1:role/a";
        let tagged = AssumedRole {
            session_tags: vec![("esoNamespace".to_owned(), "a".to_owned())],
            ..role(arn)
        };
        let all = [
            of(&|_| {}),
            of(&|s| s.service = Service::ParameterStore),
            of(&|s| s.region = "eu-west-2".to_owned()),
            of(&|s| s.prefix = "p/".to_owned()),
            of(&|s| s.additional_roles = vec![arn.to_owned()]),
            of(&|s| s.role = Some(role(arn))),
            of(&|s| s.role = Some(AssumedRole { external_id: Some("x".to_owned()), ..role(arn) })),
            of(&|s| s.role = Some(tagged.clone())),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
