//! Objects as the watches of this subsystem read them: what is decided from, and no more. With every write the API
//! server sends a whole object, most of which would be decoded to be thrown away.

use std::{borrow::Cow, fmt::Debug};

use k8s_openapi::{
    api::{
        core::v1::{
            LimitRange, LimitRangeSpec, LocalObjectReference, Namespace, ResourceQuota,
            ResourceQuotaSpec, ServiceAccount,
        },
        networking::v1::{NetworkPolicy, NetworkPolicySpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::api::gabion::namespace_hardening::NamespaceHardening;
use crate::api::gabion::namespace_hardening::NamespaceHardeningSpec;
use crate::api::gabion::namespace_hardening::NamespaceHardeningStatus;

use super::slim_metadata::metadata;

/// An object of which only some parts were read.
#[derive(Clone, Debug)]
pub(crate) struct Slim<K>(pub(crate) K);

/// The parts that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "Spec: DeserializeOwned, Status: DeserializeOwned")]
pub(crate) struct Parts<Spec, Status> {
    #[serde(deserialize_with = "metadata", default)]
    metadata: ObjectMeta,
    spec: Option<Spec>,
    status: Option<Status>,
    automount_service_account_token: Option<bool>,
    image_pull_secrets: Option<Vec<LocalObjectReference>>,
}

/// A kind that can be put together from parts.
pub(crate) trait FromParts: Resource<DynamicType = ()> {
    /// What is read of its spec.
    type Spec: DeserializeOwned;
    /// What is read of its status.
    type Status: DeserializeOwned;

    /// Puts an object together.
    fn from_parts(parts: Parts<Self::Spec, Self::Status>) -> Self;
}

impl<'de, K: FromParts> Deserialize<'de> for Slim<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(K::from_parts).map(Self)
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Slim<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

impl FromParts for NetworkPolicy {
    type Spec = NetworkPolicySpec;
    type Status = IgnoredAny;

    fn from_parts(parts: Parts<Self::Spec, IgnoredAny>) -> Self {
        Self { metadata: parts.metadata, spec: parts.spec }
    }
}

impl FromParts for LimitRange {
    type Spec = LimitRangeSpec;
    type Status = IgnoredAny;

    fn from_parts(parts: Parts<Self::Spec, IgnoredAny>) -> Self {
        Self { metadata: parts.metadata, spec: parts.spec }
    }
}

impl FromParts for ResourceQuota {
    type Spec = ResourceQuotaSpec;
    type Status = IgnoredAny;

    fn from_parts(parts: Parts<Self::Spec, IgnoredAny>) -> Self {
        Self { metadata: parts.metadata, spec: parts.spec, status: None }
    }
}

impl FromParts for Namespace {
    type Spec = IgnoredAny;
    type Status = IgnoredAny;

    fn from_parts(parts: Parts<IgnoredAny, IgnoredAny>) -> Self {
        Self { metadata: parts.metadata, ..Self::default() }
    }
}

impl FromParts for ServiceAccount {
    type Spec = IgnoredAny;
    type Status = IgnoredAny;

    fn from_parts(parts: Parts<IgnoredAny, IgnoredAny>) -> Self {
        Self {
            metadata: parts.metadata,
            automount_service_account_token: parts.automount_service_account_token,
            image_pull_secrets: parts.image_pull_secrets,
            ..Self::default()
        }
    }
}

impl FromParts for NamespaceHardening {
    type Spec = IgnoredAny;
    type Status = NamespaceHardeningStatus;

    fn from_parts(parts: Parts<IgnoredAny, NamespaceHardeningStatus>) -> Self {
        let (metadata, status) = (parts.metadata, parts.status);
        Self { metadata, spec: NamespaceHardeningSpec {}, status }
    }
}
