//! Rotating: each call on its own, in the order in which the caller makes them.

use super::{Connection, Fetcher};
use crate::lane::Lane;
use crate::provider::rotate::{Described, Effect, Rotate, Valued};
use crate::provider::{Provider, ProviderError};

impl Fetcher {
    /// What is known of a remote secret and its versions, without a value.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline.
    pub async fn versions(
        &self,
        connection: &Connection,
        key: &str,
        lane: Lane,
    ) -> Result<Option<Described>, ProviderError> {
        let batcher = self.batcher(connection);
        self.within(rotator(&**batcher.provider(), key)?.versions(key, lane)).await
    }

    /// The value of one version, or of the current one; never one that was read for somebody else.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline.
    pub async fn version(
        &self,
        connection: &Connection,
        key: &str,
        version: Option<&str>,
        lane: Lane,
    ) -> Result<Valued, ProviderError> {
        let batcher = self.batcher(connection);
        self.within(rotator(&**batcher.provider(), key)?.version(key, version, lane)).await
    }

    /// Makes one effect.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline: then nobody knows whether it was made.
    pub async fn effect(
        &self,
        connection: &Connection,
        key: &str,
        effect: Effect<'_>,
        lane: Lane,
    ) -> Result<(), ProviderError> {
        let batcher = self.batcher(connection);
        self.within(rotator(&**batcher.provider(), key)?.effect(key, effect, lane)).await
    }
}

fn rotator<'a>(provider: &'a dyn Provider, key: &str) -> Result<&'a dyn Rotate, ProviderError> {
    provider.rotate().ok_or_else(|| ProviderError::Invalid {
        key: key.to_owned(),
        reason: "secrets of this provider cannot be rotated: name a store of AWS Secrets Manager"
            .to_owned(),
    })
}
