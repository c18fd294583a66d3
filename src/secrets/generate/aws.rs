//! Generators that ask AWS: logins to registries, and sessions of STS.

use crate::api::external_secrets::aws::{AwsAuth, AwsProvider, AwsService};
use crate::api::external_secrets::secret_store::{Provider, StoreSpec};
use crate::api::generators::aws::{ECRAuthorizationTokenSpec, STSSessionTokenSpec};
use crate::cluster::ObjectKey;
use crate::provider::aws::{AwsSource, Registry, SessionRequest};
use crate::secrets::auth;
use crate::secrets::error::Error;
use crate::secrets::index::StoreKey;
use crate::secrets::plan::generate::GeneratorUse;
use crate::secrets::reconciler::Reconciler;
use crate::secrets::store::Store;

/// What to ask AWS for, and as whom.
pub(super) enum Call {
    Login(AwsSource, Registry),
    Session(AwsSource, SessionRequest),
}

impl Reconciler<'_> {
    pub(super) async fn login(
        &self,
        one: &GeneratorUse,
        spec: ECRAuthorizationTokenSpec,
        is_cluster: bool,
    ) -> Result<Call, Error> {
        let registry = match spec.scope.as_deref() {
            None | Some("" | "private") => Registry::Private,
            Some("public") => Registry::Public,
            Some(other) => {
                return Err(wrong(one, format!("spec.scope {other:?} must be private or public")));
            }
        };
        let source = self.source(one, (spec.region, spec.role, spec.auth), is_cluster).await?;
        Ok(Call::Login(source, registry))
    }

    pub(super) async fn session(
        &self,
        one: &GeneratorUse,
        spec: STSSessionTokenSpec,
        is_cluster: bool,
    ) -> Result<Call, Error> {
        if spec.auth.as_ref().is_some_and(|auth| auth.jwt.is_some()) {
            let reason = "spec.auth.jwt: AWS makes no session of the credentials that a ServiceAccount's \
                          token gets: set auth.secretRef to the keys of a user";
            return Err(wrong(one, reason.to_owned()));
        }
        let asked = spec.request_parameters.unwrap_or_default();
        let request = SessionRequest {
            seconds: asked.session_duration.filter(|seconds| *seconds != 0),
            serial_number: asked.serial_number.filter(|text| !text.is_empty()),
            token_code: asked.token_code.filter(|text| !text.is_empty()),
        };
        let source = self.source(one, (spec.region, spec.role, spec.auth), is_cluster).await?;
        Ok(Call::Session(source, request))
    }

    /// As a SecretStore of this namespace would ask AWS: its rules are those of generators.
    async fn source(
        &self,
        one: &GeneratorUse,
        (region, role, auth): (String, Option<String>, Option<AwsAuth>),
        is_cluster: bool,
    ) -> Result<AwsSource, Error> {
        let service = AwsService::SecretsManager;
        let aws = AwsProvider { service, region, auth, role, ..AwsProvider::default() };
        let store = Store {
            key: StoreKey(ObjectKey::new(&self.key.namespace, &one.name)),
            uid: "".into(),
            generation: 0,
            resource_version: "".into(),
            spec: StoreSpec {
                controller: None,
                provider: Provider { aws: Some(aws), ..Provider::default() },
                refresh_interval: None,
                retry_settings: None,
                conditions: Vec::new(),
            },
            status: None,
            deleting: false,
            allowed_keys: None,
            created: None,
            events_queue: None,
        };
        let source = auth::aws_source(self.context, &store, is_cluster).await;
        source.map_err(|error| match error {
            Error::StoreField { field, reason } => wrong(one, format!("{}: {reason}", own(&field))),
            Error::AuthMissing { field, what } => wrong(one, format!("{}: {what}", own(&field))),
            Error::CrossNamespace { field, namespace } => wrong(
                one,
                format!(
                    "{} names namespace {namespace:?}, and a generator reads only the namespace of the \
                     ExternalSecret: remove the namespace",
                    own(&field)
                ),
            ),
            Error::Provider(crate::provider::ProviderError::Settings { field, reason }) => {
                wrong(one, format!("{}: {reason}", own(field)))
            }
            other => other,
        })
    }
}

/// A field of a generator is where a store has it in its provider.
fn own(field: &str) -> String {
    field.replacen("spec.provider.aws", "spec", 1)
}

fn wrong(one: &GeneratorUse, reason: String) -> Error {
    Error::GeneratorField {
        field: one.field(),
        kind: one.kind.to_string(),
        name: one.name.clone(),
        reason,
    }
}
