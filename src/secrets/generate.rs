//! Asking generators, and keeping what they made before where no refresh is due.

mod aws;
mod keep;
mod webhook;

pub(super) use keep::AsMade;

use std::{collections::BTreeMap, sync::OnceLock};

use aws_lc_rs::rand;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::plan::collect::{self, Answer, Collected};
use super::plan::generate::{Generated, GeneratorUse};
use super::plan::policy;
use crate::api::external_secrets::external_secret::GeneratorKind;
use crate::api::generators::aws::{ECRAuthorizationToken, STSSessionToken};
use crate::api::generators::cluster::{ClusterGenerator, ClusterGeneratorSpec};
use crate::api::generators::local::{Fake, FakeSpec, Password, PasswordSpec};
use crate::api::generators::local::{SSHKey, SSHKeySpec, UUID, UUIDSpec};
use crate::api::generators::mfa::{MFA, MFASpec};
use crate::api::generators::webhook::Webhook;
use crate::cluster::ObjectKey;
use crate::generator::{self, Entropy, GeneratorError, Values};
use crate::provider::SecretBytes;
use crate::provider::aws::Made;
use crate::secrets::reconciler::Reconciler;

/// Most bytes of all values that the generators of one object make together.
const MAX_BYTES: usize = 1 << 20;

/// The system's random generator.
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), GeneratorError> {
        rand::fill(buffer).map_err(|_| GeneratorError::Entropy)
    }
}

/// A generator as it is read. Its spec may be left out.
#[derive(Deserialize)]
struct Object<S> {
    spec: Option<S>,
}

/// What to make.
enum Settings {
    Password(PasswordSpec),
    Uuid,
    SshKey(SSHKeySpec),
    Fake(FakeSpec),
    /// With the seed that it names.
    Mfa(MFASpec, SecretBytes),
    /// Somebody else makes it.
    Aws(aws::Call),
    Webhook(Box<webhook::Call>),
}

/// One generator of an object, as it is now.
pub(super) struct ResolvedGenerator {
    of: GeneratorUse,
    settings: Settings,
}

impl ResolvedGenerator {
    /// Whether what it makes exists in the Secret alone.
    fn mints(&self) -> bool {
        !matches!(self.settings, Settings::Fake(_) | Settings::Mfa(..))
    }

    /// Whether it takes long enough to be in the way of others on this thread.
    fn is_costly(&self) -> bool {
        matches!(self.settings, Settings::SshKey(_))
    }

    /// Whether somebody else makes its values.
    fn is_remote(&self) -> bool {
        matches!(self.settings, Settings::Aws(_) | Settings::Webhook(_))
    }

    fn make(&self, asked: &Asked) -> Result<Values, GeneratorError> {
        match &self.settings {
            Settings::Aws(_) | Settings::Webhook(_) => {
                Ok(asked.get(&self.of.nth).cloned().unwrap_or_default())
            }
            Settings::Password(spec) => generator::password(spec, &mut SystemEntropy),
            Settings::Uuid => generator::uuid(&mut SystemEntropy),
            Settings::SshKey(spec) => generator::ssh_key(spec, &mut SystemEntropy),
            Settings::Mfa(spec, seed) => generator::totp(spec, seed.expose(), Timestamp::now()),
            Settings::Fake(spec) => {
                let values = spec.data.iter();
                Ok(values.map(|(k, v)| (k.clone(), SecretBytes::from(v.clone()))).collect())
            }
        }
    }
}

/// What others made, by the index of the entry of `dataFrom`.
type Asked = BTreeMap<usize, Values>;

/// What a refresh is made of: what the providers said, and what generators are to make.
pub(super) struct Sources<'a> {
    answers: &'a [Answer],
    generators: Vec<ResolvedGenerator>,
    /// What others made: they are asked once.
    asked: OnceLock<Asked>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(answers: &'a [Answer], generators: Vec<ResolvedGenerator>) -> Self {
        Self { answers, generators, asked: OnceLock::new() }
    }

    /// Whether others make some of it.
    fn ask_others(&self) -> bool {
        self.generators.iter().any(ResolvedGenerator::is_remote)
    }

    /// Whether some of it exists in the Secret alone.
    pub(super) fn mint(&self) -> bool {
        self.generators.iter().any(ResolvedGenerator::mints)
    }
}

impl Reconciler<'_> {
    /// The generators that the object names. `None`: one of them is for another controller.
    pub(super) async fn generators(
        &self,
        uses: &[GeneratorUse],
    ) -> Result<Option<Vec<ResolvedGenerator>>, Error> {
        let mut generators = Vec::with_capacity(uses.len());
        for one in uses {
            let settings = self.settings(one).await?;
            if let Settings::Fake(FakeSpec { controller: Some(class), .. }) = &settings
                && !class.is_empty()
                && *class != self.context.config.controller_class
            {
                return Ok(None);
            }
            generators.push(ResolvedGenerator { of: one.clone(), settings });
        }
        Ok(Some(generators))
    }

    async fn settings(&self, one: &GeneratorUse) -> Result<Settings, Error> {
        match &one.kind {
            GeneratorKind::Password => {
                let spec = self.spec::<Password, _>(one, &self.key.namespace).await?;
                Ok(Settings::Password(spec.unwrap_or_default()))
            }
            GeneratorKind::Uuid => {
                self.spec::<UUID, UUIDSpec>(one, &self.key.namespace).await?;
                Ok(Settings::Uuid)
            }
            GeneratorKind::SshKey => {
                let spec = self.spec::<SSHKey, _>(one, &self.key.namespace).await?;
                Ok(Settings::SshKey(spec.unwrap_or_default()))
            }
            GeneratorKind::Fake => {
                let spec = self.spec::<Fake, _>(one, &self.key.namespace).await?;
                Ok(Settings::Fake(spec.unwrap_or_default()))
            }
            GeneratorKind::Mfa => {
                let spec = self.spec::<MFA, MFASpec>(one, &self.key.namespace).await?;
                self.with_seed(one, spec.unwrap_or_default()).await
            }
            GeneratorKind::EcrAuthorizationToken => {
                let spec = self.spec::<ECRAuthorizationToken, _>(one, &self.key.namespace).await?;
                Ok(Settings::Aws(self.login(one, spec.unwrap_or_default(), false).await?))
            }
            GeneratorKind::StsSessionToken => {
                let spec = self.spec::<STSSessionToken, _>(one, &self.key.namespace).await?;
                Ok(Settings::Aws(self.session(one, spec.unwrap_or_default(), false).await?))
            }
            GeneratorKind::Webhook => {
                let spec = self.spec::<Webhook, _>(one, &self.key.namespace).await?;
                let call = self.webhook(one, &spec.unwrap_or_default()).await?;
                Ok(Settings::Webhook(Box::new(call)))
            }
            GeneratorKind::ClusterGenerator => self.of_cluster(one).await,
            other => Err(not_supported(one, other)),
        }
    }

    async fn of_cluster(&self, one: &GeneratorUse) -> Result<Settings, Error> {
        let spec = self.spec::<ClusterGenerator, ClusterGeneratorSpec>(one, "").await?;
        let Some(spec) = spec else { return Err(mismatch(one, "")) };
        let generator = spec.generator;
        let settings = match &spec.kind {
            GeneratorKind::Mfa => match generator.mfa_spec {
                Some(spec) => Some(self.with_seed(one, spec).await?),
                None => None,
            },
            GeneratorKind::EcrAuthorizationToken => match generator.ecr_authorization_token_spec {
                Some(spec) => Some(Settings::Aws(self.login(one, spec, true).await?)),
                None => None,
            },
            GeneratorKind::StsSessionToken => match generator.sts_session_token_spec {
                Some(spec) => Some(Settings::Aws(self.session(one, spec, true).await?)),
                None => None,
            },
            GeneratorKind::Webhook => match generator.webhook_spec {
                Some(spec) => Some(Settings::Webhook(Box::new(self.webhook(one, &spec).await?))),
                None => None,
            },
            GeneratorKind::Password => generator.password_spec.map(Settings::Password),
            GeneratorKind::Uuid => generator.uuid_spec.map(|_| Settings::Uuid),
            GeneratorKind::SshKey => generator.ssh_key_spec.map(Settings::SshKey),
            GeneratorKind::Fake => generator.fake_spec.map(Settings::Fake),
            GeneratorKind::ClusterGenerator => None,
            other => return Err(not_supported(one, other)),
        };
        settings.ok_or_else(|| mismatch(one, spec.kind.as_str()))
    }

    /// Reads the seed of a device, in the namespace of the ExternalSecret and in no other.
    async fn with_seed(&self, one: &GeneratorUse, spec: MFASpec) -> Result<Settings, Error> {
        let wrong = |reason: String| Error::GeneratorField {
            field: one.field(),
            kind: one.kind.to_string(),
            name: one.name.clone(),
            reason,
        };
        let own = &*self.key.namespace;
        let selector = &spec.secret;
        if let Some(other) =
            selector.namespace.as_deref().filter(|name| !name.is_empty() && *name != own)
        {
            return Err(wrong(format!(
                "spec.secret names namespace {other:?}, and a generator reads only the namespace of the \
                 ExternalSecret: remove the namespace"
            )));
        }
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (Some(name), Some(key)) = (set(&selector.name), set(&selector.key)) else {
            return Err(wrong("spec.secret needs a name and a key: set both".to_owned()));
        };
        let read = self.context.writer.read::<Secret, Secret>(&ObjectKey::new(own, &name)).await;
        let read =
            read.map_err(|source| Error::GeneratorUnreadable { field: one.field(), source })?;
        let seed = read.and_then(|secret| secret.data?.remove(&key));
        let seed = seed.ok_or_else(|| {
            wrong(format!(
                "spec.secret: Secret {name:?} or its key {key:?} does not exist: create it"
            ))
        })?;
        Ok(Settings::Mfa(spec, SecretBytes::new(seed.0)))
    }

    /// Reads one generator.
    async fn spec<K, S>(&self, one: &GeneratorUse, namespace: &str) -> Result<Option<S>, Error>
    where
        K: Resource<DynamicType = ()>,
        S: DeserializeOwned,
    {
        let key = ObjectKey::new(namespace, &one.name);
        let read = self.context.writer.read::<K, Object<S>>(&key).await;
        let read =
            read.map_err(|source| Error::GeneratorUnreadable { field: one.field(), source })?;
        match read {
            Some(object) => Ok(object.spec),
            None => Err(Error::GeneratorMissing {
                field: one.field(),
                kind: one.kind.to_string(),
                name: one.name.clone(),
            }),
        }
    }

    /// What the providers said and the generators make, together.
    pub(super) async fn collect(&self, sources: &Sources<'_>) -> Result<Collected, Error> {
        let again: Asked;
        let asked = if let Some(asked) = sources.asked.get() {
            // Once more, to see what depends on it.
            again = asked.iter().map(|(nth, made)| (*nth, keep::altered(made))).collect();
            &again
        } else {
            let asked = self.ask(&sources.generators).await?;
            sources.asked.get_or_init(|| asked)
        };
        let generated = self.generate(&sources.generators, asked).await?;
        let spec = &self.object().spec;
        let collected =
            self.with_engine(|engine| collect::collect(spec, sources.answers, &generated, engine));
        Ok(collected.await?)
    }

    /// What one generator makes, for the first time.
    pub(super) async fn make_one(&self, one: &GeneratorUse) -> Result<Values, Error> {
        let settings = self.settings(one).await?;
        let generators = [ResolvedGenerator { of: one.clone(), settings }];
        let asked = self.ask(&generators).await?;
        let mut generated = self.generate(&generators, &asked).await?;
        Ok(generated.remove(&one.nth).unwrap_or_default())
    }

    /// Has others make values, one after the other.
    async fn ask(&self, generators: &[ResolvedGenerator]) -> Result<Asked, Error> {
        let mut asked = Asked::new();
        for generator in generators {
            let one = &generator.of;
            let fetcher = &self.context.fetcher;
            let named = |made: Made| -> Values {
                made.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            };
            let made = match &generator.settings {
                Settings::Aws(aws::Call::Login(source, registry)) => {
                    fetcher.login(source, *registry).await.map(named)
                }
                Settings::Aws(aws::Call::Session(source, request)) => {
                    fetcher.session(source, request.clone()).await.map(named)
                }
                Settings::Webhook(call) => {
                    let _turn = self.context.webhooks.turn(&self.key.namespace).await;
                    call.ask().await
                }
                _ => continue,
            };
            let refused = |source| Error::GeneratorRefused {
                field: one.field(),
                kind: one.kind.to_string(),
                name: one.name.clone(),
                source: Box::new(source),
            };
            asked.insert(one.nth, made.map_err(refused)?);
        }
        Ok(asked)
    }

    async fn generate(
        &self,
        generators: &[ResolvedGenerator],
        asked: &Asked,
    ) -> Result<Generated, Error> {
        let work = || {
            let (mut generated, mut bytes) = (Generated::new(), 0);
            for generator in generators {
                let failed = |source| Error::Generator {
                    field: generator.of.field(),
                    kind: generator.of.kind.to_string(),
                    name: generator.of.name.clone(),
                    source,
                };
                let values = generator.make(asked).map_err(failed)?;
                bytes += values.values().map(SecretBytes::len).sum::<usize>();
                if bytes > MAX_BYTES {
                    let name = policy::target_name(self.object());
                    return Err(super::plan::PlanError::TooLarge { name, bytes }.into());
                }
                generated.insert(generator.of.nth, values);
            }
            Ok(generated)
        };
        if !generators.iter().any(ResolvedGenerator::is_costly) {
            return work();
        }
        let _turn = self.context.rendering.turn(&self.key.namespace).await;
        tokio::task::block_in_place(work)
    }
}

fn mismatch(one: &GeneratorUse, kind: &str) -> Error {
    let reason =
        format!("spec.generator has no settings of spec.kind {kind:?}: make the two agree");
    Error::GeneratorField {
        field: one.field(),
        kind: one.kind.to_string(),
        name: one.name.clone(),
        reason,
    }
}

fn not_supported(one: &GeneratorUse, kind: &GeneratorKind) -> Error {
    Error::GeneratorNotSupported {
        field: one.field(),
        kind: kind.to_string(),
        name: one.name.clone(),
    }
}
