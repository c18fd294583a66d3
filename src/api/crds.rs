//! The CustomResourceDefinitions as they are applied to a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
    CustomResourceSubresources,
};
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::push_secret::PushSecret;
use crate::api::external_secrets::secret_store::ClusterSecretStore;
use crate::api::external_secrets::secret_store::SecretStore;
use crate::api::gabion;
use crate::api::generators::{aws, cluster, foreign, local, mfa, webhook};

/// Why the definitions could not be made. Not reachable with the types of this crate; the tests prove it.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// A schema is no JSON object, or does not survive the round trip.
    #[error("the schema of {kind} cannot be rewritten")]
    Schema {
        /// The kind.
        kind: String,
        /// Where.
        #[source]
        source: serde_json::Error,
    },
    /// A definition cannot be written as YAML.
    #[error("the definition of {kind} cannot be written as YAML: {reason}")]
    Yaml {
        /// The kind.
        kind: String,
        /// The writer's words.
        reason: String,
    },
}

/// Fields that `v1beta1` fills in on create and `v1` does not.
const V1BETA1_DEFAULTS: [(&str, &str); 3] =
    [("conversionStrategy", "Default"), ("decodingStrategy", "None"), ("metadataPolicy", "None")];

/// Every definition, in the order of their names.
pub fn all() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    let secrets = [
        two_versions(ClusterExternalSecret::crd()),
        two_versions(ClusterSecretStore::crd()),
        two_versions(ExternalSecret::crd()),
        two_versions(SecretStore::crd()),
        one_version(ClusterPushSecret::crd()),
        one_version(PushSecret::crd()),
    ];
    let generators = generators().into_iter().map(generator);
    let hardening = gabion::crds::crds().into_iter().map(Ok);
    let all = secrets.into_iter().chain(generators).chain(hardening);
    let mut all: Vec<_> = all.collect::<Result<_, _>>()?;
    all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    Ok(all)
}

/// The kinds of `generators.external-secrets.io`.
fn generators() -> Vec<CustomResourceDefinition> {
    vec![
        local::Password::crd(),
        local::UUID::crd(),
        local::SSHKey::crd(),
        local::Fake::crd(),
        aws::ECRAuthorizationToken::crd(),
        aws::STSSessionToken::crd(),
        cluster::ClusterGenerator::crd(),
        foreign::ACRAccessToken::crd(),
        foreign::BeyondtrustWorkloadCredentialsDynamicSecret::crd(),
        foreign::CloudsmithAccessToken::crd(),
        foreign::GCRAccessToken::crd(),
        foreign::GeneratorState::crd(),
        foreign::GithubAccessToken::crd(),
        foreign::GitlabDeployToken::crd(),
        foreign::Grafana::crd(),
        mfa::MFA::crd(),
        foreign::QuayAccessToken::crd(),
        foreign::VaultDynamicSecret::crd(),
        webhook::Webhook::crd(),
    ]
}

/// A kind of which there never was another version.
fn one_version(mut crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let kind = crd.spec.names.kind.clone();
    for version in &mut crd.spec.versions {
        *version = rewrite(version, &kind, tidy)?;
    }
    Ok(crd)
}

/// A kind of generator has a status subresource without fields, and its spec may be left out.
fn generator(mut crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let kind = crd.spec.names.kind.clone();
    for version in &mut crd.spec.versions {
        *version = rewrite(version, &kind, tidy)?;
        if let Some(root) =
            version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            root.required = None;
        }
        if kind != "GeneratorState" {
            let status = Some(CustomResourceSubresourceStatus(json!({})));
            version.subresources = Some(CustomResourceSubresources { status, scale: None });
        }
    }
    Ok(crd)
}

/// Every definition as one stream of YAML documents.
pub fn yaml() -> Result<String, CrdError> {
    all()?.iter().map(to_yaml).collect()
}

/// One definition as a YAML document, as it is in `crds/`.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdError> {
    let kind = || crd.spec.names.kind.clone();
    let value =
        serde_json::to_value(crd).map_err(|source| CrdError::Schema { kind: kind(), source })?;
    let text = serde_saphyr::to_string(&value)
        .map_err(|error| CrdError::Yaml { kind: kind(), reason: error.to_string() })?;
    Ok(format!("---\n{text}"))
}

/// Serves `v1beta1` beside the stored `v1`, from the same type.
///
/// No conversion takes place, so both versions have the same fields: a field of one version only would be
/// lost in silence. They differ in what the API server fills in.
fn two_versions(mut crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let kind = crd.spec.names.kind.clone();
    let versions = std::mem::take(&mut crd.spec.versions);
    for version in versions {
        let stored = rewrite(&version, &kind, tidy)?;
        let mut served = rewrite(&stored, &kind, add_defaults)?;
        "v1beta1".clone_into(&mut served.name);
        served.storage = false;
        // The API server takes equal lists of selectable fields for one list of the whole definition, which
        // it refuses because the schemas differ. The order means nothing otherwise.
        served.selectable_fields.iter_mut().for_each(|fields| fields.reverse());
        crd.spec.versions.extend([stored, served]);
    }
    Ok(crd)
}

fn rewrite(
    version: &CustomResourceDefinitionVersion,
    kind: &str,
    change: impl Fn(&mut Map<String, Value>),
) -> Result<CustomResourceDefinitionVersion, CrdError> {
    let wrap = |source| CrdError::Schema { kind: kind.to_owned(), source };
    let mut value = serde_json::to_value(&version.schema).map_err(wrap)?;
    each_object(&mut value, &change);
    Ok(CustomResourceDefinitionVersion {
        schema: serde_json::from_value(value).map_err(wrap)?,
        ..version.clone()
    })
}

/// Calls `change` for every JSON object, inner ones first.
fn each_object(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|inner| each_object(inner, change));
            change(map);
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| each_object(inner, change)),
        _ => {}
    }
}

/// Removes what the derive adds and a Kubernetes schema should not have.
///
/// An optional field need not be nullable: the API server drops a null of a field that is not, which is
/// what the person who wrote it means.
fn tidy(schema: &mut Map<String, Value>) {
    let keeps_null = schema.get("format") == Some(&json!("date-time"));
    if schema.get("nullable") == Some(&json!(true)) && !keeps_null {
        schema.remove("nullable");
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// Adds the defaults of `v1beta1` to every `properties` that has such a field.
fn add_defaults(schema: &mut Map<String, Value>) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (field, default) in V1BETA1_DEFAULTS {
        if let Some(property) = properties.get_mut(field).and_then(Value::as_object_mut) {
            property.insert("default".to_owned(), json!(default));
        }
    }
}
