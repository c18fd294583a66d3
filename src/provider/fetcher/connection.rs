//! Who asks, and of whom.

use std::{fmt, sync::Arc};

use crate::meta::Uid;
use crate::provider::{Provider, aws::AwsSource, fake::FakeSource};

/// Who asks: part of every key, so that no value, batch, client or credential is ever shared between two.
///
/// The caller gives what it knows of the store; [`Connection`] adds a digest of region, prefix, credentials and
/// role chain. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<Parts>);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Parts {
    store_uid: Uid,
    generation: i64,
    auth: String,
    backend: [u8; 32],
}

impl Identity {
    /// `auth` covers what the generation does not show: uid and resourceVersion of the auth Secrets, uid
    /// of the service account, and the namespace where a cluster store's reference is looked up in it.
    pub fn new(store_uid: impl Into<Uid>, generation: i64, auth: impl Into<String>) -> Self {
        Self(Arc::new(Parts {
            store_uid: store_uid.into(),
            generation,
            auth: auth.into(),
            backend: [0; 32],
        }))
    }

    /// As given.
    pub fn store_uid(&self) -> &Uid {
        &self.0.store_uid
    }

    fn with_backend(&self, backend: [u8; 32]) -> Self {
        Self(Arc::new(Parts { backend, ..(*self.0).clone() }))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.0.store_uid, self.0.generation, self.0.auth)
    }
}

/// An identity and the provider it reaches. Cheap to clone; build it once per state of a store.
#[derive(Clone)]
pub struct Connection {
    pub(super) identity: Identity,
    pub(super) backend: Backend,
}

#[derive(Clone)]
pub(super) enum Backend {
    Aws(AwsSource),
    Connected(Arc<dyn Provider>),
}

impl Connection {
    /// Secrets Manager. The client is made by the fetcher, on first use.
    pub fn aws(identity: &Identity, source: AwsSource) -> Self {
        Self {
            identity: identity.with_backend(source.fingerprint()),
            backend: Backend::Aws(source),
        }
    }

    /// The fake provider.
    pub fn fake(identity: &Identity, source: FakeSource) -> Self {
        Self::connected(identity, Arc::new(source))
    }

    /// Any other provider. The identity alone must tell it apart from every other one.
    pub fn connected(identity: &Identity, provider: Arc<dyn Provider>) -> Self {
        Self { identity: identity.clone(), backend: Backend::Connected(provider) }
    }

    /// Who asks, if it is somebody whom AWS knows: whatever is asked, and whichever store it is for.
    pub(crate) fn who(&self) -> Option<[u8; 32]> {
        match &self.backend {
            Backend::Aws(source) => Some(source.who()),
            Backend::Connected(_) => None,
        }
    }

    /// The full identity, to compare in [`Fetcher::retain`](super::Fetcher::retain) and to ask for
    /// [`Fetcher::notes`](super::Fetcher::notes).
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("identity", &self.identity).finish_non_exhaustive()
    }
}
