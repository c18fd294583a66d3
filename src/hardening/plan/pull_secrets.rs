//! Registry credentials: what a baseline asks for, and what is known of the Secrets that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Error;
use crate::api::gabion::hardening_baseline::Attach;
use crate::api::gabion::hardening_baseline::PullSecret;
use crate::digest::digest_text;
use crate::meta::Uid;
use crate::secret_bytes::SecretBytes;
use crate::text::shortened;

/// Largest value that is copied, as base64: 64 KiB of credentials. It goes into every namespace.
pub(crate) const LARGEST: usize = 88 * 1024;

/// Namespace and name of a Secret that may be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl SourceName {
    /// Reads `NAMESPACE/NAME`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_label = |text: &str| text.len() <= 63 && !text.contains('.') && is_name(text);
        match text.split_once('/') {
            Some((namespace, name)) if is_label(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("must be the namespace and the name of a Secret: NAMESPACE/NAME".to_owned()),
        }
    }
}

impl std::fmt::Display for SourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Whether the API server takes this as the name of a Secret.
pub(crate) fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !part.is_empty()
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

/// One Secret that a baseline wants in its namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullSecretAsk {
    /// The Secret that is copied.
    pub(crate) source: SourceName,
    /// Name of the copy.
    pub(crate) target: String,
    /// Which `ServiceAccounts` use it.
    pub(crate) attach: Attach,
}

/// Checks what a stored baseline says. Without `attach`, all `ServiceAccounts` use the copy.
pub(crate) fn compile(list: &[PullSecret]) -> Result<Vec<PullSecretAsk>, Error> {
    let one = |asked: &PullSecret| {
        let field = |part: &str| {
            let target = shortened(&asked.target_name, 80);
            format!("serviceAccounts.pullSecrets[{target}].{part}")
        };
        let attach = asked.attach.unwrap_or(Attach::AllServiceAccounts);
        if attach == Attach::Unknown {
            let problem = "holds a word that this version does not know; use one from the schema";
            return Err(Error::invalid(field("attach"), problem));
        }
        if !is_name(&asked.target_name) {
            return Err(Error::invalid(field("targetName"), "is no name that a Secret can have"));
        }
        let text = format!("{}/{}", asked.source.namespace, asked.source.name);
        let source =
            SourceName::parse(&text).map_err(|problem| Error::invalid(field("source"), problem))?;
        Ok(PullSecretAsk { source, target: asked.target_name.clone(), attach })
    };
    list.iter().map(one).collect()
}

/// The two types of Secrets that kubelets give to registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialType {
    /// `kubernetes.io/dockerconfigjson`
    DockerConfigJson,
    /// `kubernetes.io/dockercfg`
    DockerCfg,
}

impl CredentialType {
    /// As it stands in the field `type`. The names are Kubernetes'.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::DockerCfg => "kubernetes.io/dockercfg",
        }
    }

    /// The one key that such a Secret must have, and the only one that is copied.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::DockerConfigJson => ".dockerconfigjson",
            Self::DockerCfg => ".dockercfg",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::DockerConfigJson, Self::DockerCfg].into_iter().find(|known| known.as_str() == text)
    }
}

/// What is copied.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Type of the source, and of its copies.
    pub(crate) kind: CredentialType,
    /// The value, in base64 as the API server sends and takes it.
    pub(crate) value: SecretBytes,
    /// What the copies say of it. The uid of the source goes into it, which nobody can read who may not read the
    /// source: without it a short password could be guessed from the digest.
    pub(crate) revision: String,
}

/// How a source stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// It was not read yet.
    Unread,
    /// It does not exist.
    Missing,
    /// It cannot be used, and why.
    Unusable(String),
    /// It can be copied.
    Usable(Arc<Credential>),
}

impl Source {
    /// Judges a Secret. `value` is the one under the key of its type, in base64.
    pub(crate) fn of(uid: &Uid, kind: &str, value: impl Fn(&str) -> Option<SecretBytes>) -> Self {
        let Some(kind) = CredentialType::parse(kind) else {
            let kind = shortened(kind, 80);
            return Self::Unusable(format!(
                "is of type {kind}, and only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg are copied; write it as one of these"
            ));
        };
        let Some(value) = value(kind.key()).filter(|value| value.len() > 0) else {
            let key = kind.key();
            return Self::Unusable(format!("has nothing under the key {key}; write it there"));
        };
        if value.len() > LARGEST {
            return Self::Unusable(
                "holds more than 64 KiB, which would go into every namespace; shorten it".into(),
            );
        }
        let text = std::str::from_utf8(value.expose()).unwrap_or_default();
        let revision = digest_text(&(uid, kind.as_str(), text));
        Self::Usable(Arc::new(Credential { kind, value, revision }))
    }
}

/// All Secrets that may be copied, as the flag names them.
pub type Sources = BTreeMap<SourceName, Source>;

/// Why a source cannot be copied; `None` if it can.
pub(crate) fn problem(sources: &Sources, name: &SourceName) -> Option<Error> {
    let why = match sources.get(name) {
        Some(Source::Usable(_)) => return None,
        None => "is not among the operator's --pull-secret-sources; add it there",
        Some(Source::Unread) => {
            "was not read yet; if that stays so, apply config/overlays/pull-secrets"
        }
        Some(Source::Missing) => "does not exist; create it",
        Some(Source::Unusable(why)) => why,
    };
    Some(Error::PullSecretUnusable { secret: name.to_string(), why: why.to_owned() })
}
