//! The kinds of the cluster that keep one object in each of many namespaces.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};

use crate::api::external_secrets::cluster_external_secret::{
    ClusterExternalSecret, ClusterExternalSecretStatus, ExternalSecretMetadata, FailedNamespace,
    ManagedKeys,
};
use crate::api::external_secrets::cluster_push_secret::{
    ClusterPushSecret, ClusterPushSecretStatus,
};
use crate::api::external_secrets::external_secret::{ExternalSecret, ExternalSecretSpec};
use crate::api::external_secrets::push_secret::{PushSecret, PushSecretSpec};
use crate::api::external_secrets::references::Condition;

/// What messages and objects call a kind and what it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The kind.
    pub(crate) kind: &'static str,
    /// `apiVersion` of both kinds.
    pub(crate) api_version: &'static str,
    /// The kind of what it makes.
    pub(crate) child: &'static str,
    /// The same in sentences.
    pub(crate) noun: &'static str,
    /// What `kubectl get` calls it.
    pub(crate) short: &'static str,
    /// Field of spec and status with the name of what it makes.
    pub(crate) name_field: &'static str,
    /// A finalizer that External Secrets Operator puts on the object. Gabion adds none, and removes this one.
    pub(crate) finalizer: Option<&'static str>,
}

/// Which namespaces, and what each gets beside its spec.
pub(crate) struct Asked<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) metadata: Option<&'a ExternalSecretMetadata>,
    pub(crate) selector: Option<&'a LabelSelector>,
    pub(crate) selectors: &'a [LabelSelector],
    pub(crate) namespaces: &'a [String],
    pub(crate) refresh_time: Option<&'a str>,
}

/// What the status says, under the same names for all kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterStatus {
    pub(crate) name: Option<String>,
    pub(crate) failed: Vec<FailedNamespace>,
    pub(crate) provisioned: Vec<String>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) observed_generation: Option<i64>,
    pub(crate) gabion: Option<ManagedKeys>,
}

/// A kind of the cluster that keeps one object in each of many namespaces.
pub(crate) trait ClusterKind:
    Resource<DynamicType = ()> + Clone + Debug + PartialEq + Send + Sync + 'static
{
    /// What it makes.
    type Child: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// The spec of that.
    type ChildSpec: Serialize + PartialEq;

    const NAMES: Names;

    fn asked(&self) -> Asked<'_>;
    fn child_spec(&self) -> &Self::ChildSpec;
    fn spec_of(child: &Self::Child) -> &Self::ChildSpec;
    fn status(&self) -> Option<ClusterStatus>;
    fn set_status(&mut self, status: ClusterStatus);
    /// Whether the specs are the same.
    fn asks_the_same(&self, other: &Self) -> bool;
}

impl ClusterKind for ClusterExternalSecret {
    type Child = ExternalSecret;
    type ChildSpec = ExternalSecretSpec;

    const NAMES: Names = Names {
        kind: "ClusterExternalSecret",
        api_version: "external-secrets.io/v1",
        child: "ExternalSecret",
        noun: "external secret",
        short: "es",
        name_field: "externalSecretName",
        finalizer: Some("externalsecrets.external-secrets.io/clusterexternalsecret-cleanup"),
    };

    fn asked(&self) -> Asked<'_> {
        let spec = &self.spec;
        Asked {
            name: spec.external_secret_name.as_deref(),
            metadata: spec.external_secret_metadata.as_ref(),
            selector: spec.namespace_selector.as_ref(),
            selectors: &spec.namespace_selectors,
            namespaces: &spec.namespaces,
            refresh_time: spec.refresh_time.as_deref(),
        }
    }

    fn child_spec(&self) -> &ExternalSecretSpec {
        &self.spec.external_secret_spec
    }

    fn spec_of(child: &ExternalSecret) -> &ExternalSecretSpec {
        &child.spec
    }

    fn status(&self) -> Option<ClusterStatus> {
        let status = self.status.clone()?;
        Some(ClusterStatus {
            name: status.external_secret_name,
            failed: status.failed_namespaces,
            provisioned: status.provisioned_namespaces,
            conditions: status.conditions,
            observed_generation: status.observed_generation,
            gabion: status.gabion,
        })
    }

    fn set_status(&mut self, status: ClusterStatus) {
        self.status = Some(ClusterExternalSecretStatus {
            external_secret_name: status.name,
            failed_namespaces: status.failed,
            provisioned_namespaces: status.provisioned,
            conditions: status.conditions,
            observed_generation: status.observed_generation,
            gabion: status.gabion,
        });
    }

    fn asks_the_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl ClusterKind for ClusterPushSecret {
    type Child = PushSecret;
    type ChildSpec = PushSecretSpec;

    const NAMES: Names = Names {
        kind: "ClusterPushSecret",
        api_version: "external-secrets.io/v1alpha1",
        child: "PushSecret",
        noun: "push secret",
        short: "ps",
        name_field: "pushSecretName",
        finalizer: None,
    };

    fn asked(&self) -> Asked<'_> {
        let spec = &self.spec;
        Asked {
            name: spec.push_secret_name.as_deref(),
            metadata: spec.push_secret_metadata.as_ref(),
            selector: None,
            selectors: &spec.namespace_selectors,
            namespaces: &[],
            refresh_time: spec.refresh_time.as_deref(),
        }
    }

    fn child_spec(&self) -> &PushSecretSpec {
        &self.spec.push_secret_spec
    }

    fn spec_of(child: &PushSecret) -> &PushSecretSpec {
        &child.spec
    }

    fn status(&self) -> Option<ClusterStatus> {
        let status = self.status.clone()?;
        Some(ClusterStatus {
            name: status.push_secret_name,
            failed: status.failed_namespaces,
            provisioned: status.provisioned_namespaces,
            conditions: status.conditions,
            observed_generation: status.observed_generation,
            gabion: status.gabion,
        })
    }

    fn set_status(&mut self, status: ClusterStatus) {
        self.status = Some(ClusterPushSecretStatus {
            push_secret_name: status.name,
            failed_namespaces: status.failed,
            provisioned_namespaces: status.provisioned,
            conditions: status.conditions,
            observed_generation: status.observed_generation,
            gabion: status.gabion,
        });
    }

    fn asks_the_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
