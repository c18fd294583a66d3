//! A store as the API server has it, what its connections are made of, and for whom.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::index::StoreKey;
use super::plan::allowed_keys::{self, AllowedKeys};
use super::plan::events::QUEUE_ANNOTATION;
use crate::api::external_secrets::secret_store::ClusterSecretStore;
use crate::api::external_secrets::secret_store::SecretStore;
use crate::api::external_secrets::secret_store::SecretStoreStatus;
use crate::api::external_secrets::secret_store::StoreSpec;
use crate::cluster::ObjectKey;
use crate::meta::{ResourceVersion, Uid};

/// Annotation of a ServiceAccount: the role to assume.
pub(crate) const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
/// Annotation of a ServiceAccount: the audience of its tokens.
pub(crate) const AUDIENCE_ANNOTATION: &str = "eks.amazonaws.com/audience";

/// One store as the API server has it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Which.
    pub(crate) key: StoreKey,
    /// Its uid.
    pub(crate) uid: Uid,
    /// Its generation.
    pub(crate) generation: i64,
    /// Its resourceVersion.
    pub(crate) resource_version: ResourceVersion,
    /// Its spec.
    pub(crate) spec: StoreSpec,
    /// Its status as stored.
    pub(crate) status: Option<SecretStoreStatus>,
    /// It is being deleted.
    pub(crate) deleting: bool,
    /// The remote keys that namespaces may read, if they are listed.
    pub(crate) allowed_keys: Option<Arc<AllowedKeys>>,
    /// Since when it exists.
    pub(crate) created: Option<Timestamp>,
    /// The queue whose events wake its ExternalSecrets, as it is written.
    pub(crate) events_queue: Option<Arc<str>>,
}

impl From<SecretStore> for Store {
    fn from(object: SecretStore) -> Self {
        let key = StoreKey(ObjectKey::of(&object));
        Self::new(key, &object.metadata, object.spec.0, object.status)
    }
}

impl From<ClusterSecretStore> for Store {
    fn from(object: ClusterSecretStore) -> Self {
        let key = StoreKey(ObjectKey::of(&object));
        Self::new(key, &object.metadata, object.spec.0, object.status)
    }
}

impl Store {
    fn new(
        key: StoreKey,
        meta: &ObjectMeta,
        spec: StoreSpec,
        status: Option<SecretStoreStatus>,
    ) -> Self {
        let annotations = meta.annotations.as_ref();
        let list = annotations.and_then(|all| all.get(allowed_keys::ANNOTATION));
        Self {
            key,
            uid: Uid::of(meta),
            generation: meta.generation.unwrap_or_default(),
            resource_version: ResourceVersion::of(meta),
            spec,
            status,
            deleting: meta.deletion_timestamp.is_some(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            events_queue: annotations
                .and_then(|all| all.get(QUEUE_ANNOTATION))
                .map(|text| text.as_str().into()),
            allowed_keys: list.map(|text| Arc::new(AllowedKeys::read(text))),
        }
    }
}

/// For whom a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller<'a> {
    /// The store itself, which is being validated.
    Store,
    /// ExternalSecrets of a namespace.
    Namespace(&'a str),
}

/// An object whose content goes into a store's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Input {
    /// A Secret with keys.
    Secret(ObjectKey),
    /// A ServiceAccount whose token is exchanged.
    ServiceAccount(ObjectKey),
    /// A ConfigMap with certificates.
    ConfigMap(ObjectKey),
}

/// The state that an input was in, as far as credentials are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum InputVersion {
    /// It did not exist.
    #[default]
    Absent,
    /// A Secret or ConfigMap: any change of it may be one of its keys.
    Secret(Uid, ResourceVersion),
    /// A ServiceAccount: only its annotations count.
    ServiceAccount {
        /// Its uid.
        uid: Uid,
        /// The role that it names.
        role: Option<String>,
        /// The audience that it names.
        audience: Option<String>,
    },
}

impl InputVersion {
    /// The state of a Secret or ConfigMap.
    pub(crate) fn of_secret(meta: &ObjectMeta) -> Self {
        Self::Secret(Uid::of(meta), ResourceVersion::of(meta))
    }

    /// The state of a ServiceAccount.
    pub(crate) fn of_account(meta: &ObjectMeta) -> Self {
        let note = |name| meta.annotations.as_ref().and_then(|notes| notes.get(name)).cloned();
        Self::ServiceAccount {
            uid: Uid::of(meta),
            role: note(ROLE_ANNOTATION),
            audience: note(AUDIENCE_ANNOTATION),
        }
    }

    /// True if this is known to be an earlier state of the same object than `known`.
    pub(crate) fn is_older_than(&self, known: &Self) -> bool {
        match (self, known) {
            (Self::Secret(uid, version), Self::Secret(known_uid, known)) => {
                uid == known_uid && version.is_older_than(known)
            }
            _ => false,
        }
    }
}

impl fmt::Display for InputVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Secret(uid, version) => write!(f, "{uid}@{version}"),
            Self::ServiceAccount { uid, role, audience } => {
                write!(f, "{uid}@{role:?}@{audience:?}")
            }
        }
    }
}
