//! The secret at its source.

use super::super::plan::rotation::attempt::Stages;
use super::super::plan::rotation::error::Refusal;
use super::super::secret_store::check_key;
use super::{Rotator, Trouble};
use crate::lane::Lane;
use crate::provider::ProviderError;
use crate::provider::fetcher::Connection;
use crate::provider::rotate::{Described, Effect, Valued};
use crate::secrets::index::StoreKey;

impl Rotator<'_> {
    /// The way to the secret, if the store lets this namespace rotate it. `None`: the store is being validated, and wakes
    /// this object.
    pub(super) async fn connection(&self, store: &StoreKey) -> Result<Option<Connection>, Trouble> {
        let namespace = &self.key.namespace;
        let usable = self.context.usable(store, namespace).await?;
        let Some((connection, of)) = usable else { return Ok(None) };
        if !of.allows_rotation {
            return Err(Refusal::NotAllowed(store.to_string()).into());
        }
        if let Some(patterns) = self.context.allowed_keys(store, namespace)? {
            let key = Some(self.remote_key());
            check_key(&patterns, store, namespace, ("remoteRef.key", key))?;
        }
        Ok(Some(connection))
    }

    pub(super) fn remote_key(&self) -> &str {
        &self.object.spec.remote_ref.key
    }

    /// Where the labels are. A secret that is gone has none.
    pub(super) async fn describe(&self, connection: &Connection) -> Result<Stages, Trouble> {
        let described = self.described(connection).await?;
        let present = described.filter(|described| !described.deleting);
        Ok(present.map(|described| described.stages).unwrap_or_default())
    }

    pub(super) async fn described(
        &self,
        connection: &Connection,
    ) -> Result<Option<Described>, Trouble> {
        let fetcher = &self.context.fetcher;
        let answer = fetcher.versions(connection, self.remote_key(), Lane::Urgent).await;
        self.noted(answer)
    }

    pub(super) async fn value(
        &self,
        connection: &Connection,
        version: Option<&str>,
    ) -> Result<Valued, Trouble> {
        let fetcher = &self.context.fetcher;
        let answer = fetcher.version(connection, self.remote_key(), version, Lane::Urgent).await;
        self.noted(answer)
    }

    /// Makes an effect. Whoever does not lead any more makes none.
    pub(super) async fn effect(
        &self,
        connection: &Connection,
        effect: Effect<'_>,
    ) -> Result<Result<(), ProviderError>, Trouble> {
        self.context.writer.may_write()?;
        let fetcher = &self.context.fetcher;
        let answer = fetcher.effect(connection, self.remote_key(), effect, Lane::Urgent).await;
        self.doubt(&answer);
        Ok(answer)
    }

    fn noted<T>(&self, answer: Result<T, ProviderError>) -> Result<T, Trouble> {
        self.doubt(&answer);
        answer.map_err(|error| Trouble::Failed(error.into()))
    }

    fn doubt<T>(&self, answer: &Result<T, ProviderError>) {
        let store = super::super::rotations::store_of(&self.object);
        if let (Err(ProviderError::Credentials { .. }), Some(store)) = (answer, store) {
            self.context.doubt(&store);
        }
    }
}
