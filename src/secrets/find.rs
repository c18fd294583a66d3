//! Finding: the names that a store lists, those of them that are meant, and their values.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gotemplate::regexp::Regexp;

use super::plan::PlanError;
use super::plan::allowed_keys::Patterns;
use super::plan::find::{self, Found, Search};
use crate::lane::Lane;
use crate::provider::fetcher::Connection;
use crate::provider::{
    Content, Fetched, Listing, ProviderError, ReadRequest, SecretBytes, Version,
};
use crate::secrets::reconciler::Reconciler;

/// Values are read so many at a time, so that too many of them are noticed before all are in memory.
const AT_ONCE: usize = 200;
/// Matching the names of one list may take so long. An ordinary expression needs a few milliseconds.
const MATCHING: Duration = Duration::from_secs(2);

/// Whom an object asks, and how.
pub(crate) struct Asking<'a> {
    /// Its connection to the store.
    pub(crate) connection: &'a Connection,
    /// How urgent it is.
    pub(crate) lane: Lane,
    /// It wants the state of now, not that of a call that was sent before.
    pub(crate) anew: bool,
    /// What it has found so far.
    pub(crate) budget: &'a Budget,
    /// The keys that its namespace may read, if they are listed.
    pub(crate) allowed: Option<&'a Patterns>,
}

/// What all entries of an object have found together.
#[derive(Default)]
pub(crate) struct Budget {
    secrets: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    fn add_secrets(&self, field: &str, more: usize) -> Result<(), PlanError> {
        let (field, most) = (field.to_owned(), find::MOST_FOUND);
        match self.secrets.fetch_add(more, Ordering::Relaxed) + more {
            count if count > most => Err(PlanError::TooManyFound { field, count, most }),
            _ => Ok(()),
        }
    }

    fn add_bytes(&self, field: &str, more: usize) -> Result<(), PlanError> {
        let (field, most) = (field.to_owned(), find::MOST_BYTES);
        match self.bytes.fetch_add(more, Ordering::Relaxed) + more {
            bytes if bytes > most => Err(PlanError::FoundTooLarge { field, most }),
            _ => Ok(()),
        }
    }
}

impl Reconciler<'_> {
    /// The values of several secrets, in the order of the requests.
    pub(crate) async fn read_values(
        &self,
        asking: &Asking<'_>,
        requests: Vec<ReadRequest>,
    ) -> Vec<Result<Arc<Fetched>, ProviderError>> {
        let Asking { connection, lane, anew, .. } = *asking;
        let fetcher = &self.context.fetcher;
        if anew {
            fetcher.fetch_all_anew(connection, requests, lane).await
        } else {
            fetcher.fetch_all(connection, requests, lane).await
        }
    }

    /// Everything that a search finds.
    pub(crate) async fn find(
        &self,
        asking: &Asking<'_>,
        field: &str,
        search: &Search,
        pattern: Option<&Regexp>,
    ) -> Result<Found, PlanError> {
        let refused = |source| PlanError::Provider { field: field.to_owned(), source };
        let listing = self.listing(asking, search).await.map_err(refused)?;
        let keys = self.matching(field, (pattern, asking.allowed), &listing).await?;
        let prefix = listing.prefix.clone();
        // All names of a store, while the values of a few are read: that can take a minute, in many objects at once.
        drop(listing);
        asking.budget.add_secrets(field, keys.len())?;
        let mut found = Found::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            let requests = keys.iter().map(|key| current(key)).collect();
            for (key, result) in keys.iter().zip(self.read_values(asking, requests).await) {
                match result {
                    // What is found in it would grow with each refresh.
                    Ok(fetched) if self.writes(&fetched) => {}
                    Ok(fetched) => {
                        asking.budget.add_bytes(field, size(&fetched))?;
                        found.push((format!("{prefix}{key}"), fetched));
                    }
                    // It went after it was listed.
                    Err(ProviderError::NotFound { .. }) => {}
                    Err(source) => return Err(refused(source)),
                }
            }
        }
        Ok(found)
    }

    /// The keys whose names match. That may take a while, for which others on this thread should not have to wait.
    async fn matching(
        &self,
        field: &str,
        (pattern, allowed): (Option<&Regexp>, Option<&Patterns>),
        listing: &Listing,
    ) -> Result<Vec<String>, PlanError> {
        let _turn = self.context.rendering.turn(&self.key.namespace).await;
        let until = Instant::now() + MATCHING;
        let in_time = || Instant::now() < until;
        tokio::task::block_in_place(|| find::matching(field, (pattern, allowed), listing, in_time))
    }

    async fn listing(
        &self,
        asking: &Asking<'_>,
        search: &Search,
    ) -> Result<Arc<Listing>, ProviderError> {
        let Asking { connection, lane, anew, .. } = *asking;
        let (fetcher, filter) = (&self.context.fetcher, search.filter.clone());
        if anew {
            fetcher.list_anew(connection, filter, lane).await
        } else {
            fetcher.list(connection, filter, lane).await
        }
    }
}

fn current(key: &str) -> ReadRequest {
    ReadRequest { key: key.to_owned(), version: Version::Current, content: Content::Value }
}

fn size(fetched: &Fetched) -> usize {
    fetched.text.iter().chain(&fetched.binary).map(SecretBytes::len).sum()
}
