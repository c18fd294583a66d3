//! Writing: each call on its own, in the order in which the caller makes them. Nothing is joined or gathered.

use super::{Connection, Fetcher};
use crate::lane::Lane;
use crate::provider::push::{Change, Push, Remote};
use crate::provider::{Content, Fetched, Provider, ProviderError, ReadRequest, Version};

impl Fetcher {
    /// Whether the provider can be written to.
    pub fn can_push(&self, connection: &Connection) -> bool {
        self.batcher(connection).provider().push().is_some()
    }

    /// What is known of a remote secret without its value.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline.
    pub async fn describe(
        &self,
        connection: &Connection,
        key: &str,
        lane: Lane,
    ) -> Result<Option<Remote>, ProviderError> {
        let batcher = self.batcher(connection);
        self.within(writer(&**batcher.provider(), key)?.describe(key, lane)).await
    }

    /// The present value, never one that was read for somebody else.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline.
    pub async fn current(
        &self,
        connection: &Connection,
        key: &str,
        lane: Lane,
    ) -> Result<Fetched, ProviderError> {
        let (version, content) = (Version::Current, Content::Value);
        let request = ReadRequest { key: key.to_owned(), version, content };
        let batcher = self.batcher(connection);
        self.within(batcher.provider().read(&request, lane)).await
    }

    /// Makes one change of a remote secret. The id of the version that it made, if it made one.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline: then nobody knows whether it was made.
    pub async fn change(
        &self,
        connection: &Connection,
        key: &str,
        change: Change<'_>,
        lane: Lane,
    ) -> Result<Option<String>, ProviderError> {
        let batcher = self.batcher(connection);
        let changed = writer(&**batcher.provider(), key)?.change(key, change, lane);
        self.within(changed).await
    }
}

fn writer<'a>(provider: &'a dyn Provider, key: &str) -> Result<&'a dyn Push, ProviderError> {
    provider.push().ok_or_else(|| ProviderError::Invalid {
        key: key.to_owned(),
        reason: "this provider cannot be written to".to_owned(),
    })
}
