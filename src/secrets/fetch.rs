//! Asking the providers, through stores that may be used and are ready.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use futures::future::join_all;

use super::error::Error;
use super::index::StoreKey;
use super::index::stores_of;
use super::plan::access;
use super::plan::access::Access;
use super::plan::collect;
use super::plan::due::Why;
use super::store::{Caller, Store};
use super::stores::Readiness;
use crate::cluster::ObjectKey;
use crate::lane::Lane;
use crate::provider::Fetched;
use crate::provider::ProviderError;
use crate::provider::fetcher::Connection;
use crate::secrets::reconciler::Reconciler;

impl Reconciler<'_> {
    /// False if any store it names is for another controller, or of a kind that is switched off.
    pub(crate) fn all_ours(&self) -> bool {
        stores_of(&self.object().spec, &self.key.namespace).iter().all(|key| {
            let enabled = if key.is_cluster() {
                self.context.config.cluster_stores
            } else {
                self.context.config.namespaced_stores
            };
            let store = self.context.stores.find(key);
            enabled && store.is_none_or(|(store, _, _)| self.context.is_ours(&store))
        })
    }

    /// A store that it names and that is not known.
    pub(crate) fn unknown_store(&self) -> Option<StoreKey> {
        let mut stores = stores_of(&self.object().spec, &self.key.namespace).into_iter();
        stores.find(|key| self.context.stores.find(key).is_none())
    }

    /// True if a store that it names is there and is for another controller.
    pub(crate) fn is_of_another(&self) -> bool {
        stores_of(&self.object().spec, &self.key.namespace).iter().any(|key| {
            self.context.stores.find(key).is_some_and(|(store, _, _)| !self.context.is_ours(&store))
        })
    }

    fn store_key(&self, store: &collect::StoreId) -> StoreKey {
        let namespace = if store.cluster { "" } else { &*self.key.namespace };
        StoreKey(ObjectKey::new(namespace, &store.name))
    }

    /// Asks the providers. `None`: a store is being validated, and will wake this object.
    pub(crate) async fn fetch(
        &self,
        lookups: &[collect::Lookup],
        why: Why,
    ) -> Result<Option<Vec<collect::Answer>>, Error> {
        let lane = if why.is_urgent() { Lane::Urgent } else { Lane::Periodic };
        let mut by_store: BTreeMap<&collect::StoreId, Vec<usize>> = BTreeMap::new();
        for (nth, lookup) in lookups.iter().enumerate() {
            by_store.entry(&lookup.store).or_default().push(nth);
        }
        let mut asked = Vec::with_capacity(by_store.len());
        for (store, indices) in by_store {
            let key = self.store_key(store);
            let Some((connection, fake)) = self.connection(&key).await? else { return Ok(None) };
            asked.push(async move {
                let requests = indices.iter().map(|nth| lookups[*nth].request.clone()).collect();
                let fetcher = &self.context.fetcher;
                let results = if why == Why::Edited {
                    fetcher.fetch_all_anew(&connection, requests, lane).await
                } else {
                    fetcher.fetch_all(&connection, requests, lane).await
                };
                self.context.mention_notes(&key, &connection);
                self.note_silence(&key, &results);
                self.note_refused_keys(&key, &results);
                (indices, results, fake)
            });
        }
        let mut answers: Vec<Option<collect::Answer>> = vec![None; lookups.len()];
        for (indices, results, fake) in join_all(asked).await {
            for (nth, result) in indices.into_iter().zip(results) {
                answers[nth] = Some(collect::Answer { result, absent_property_is_missing: fake });
            }
        }
        Ok(Some(answers.into_iter().flatten().collect()))
    }

    /// Keys that are refused may have been replaced without our knowing.
    fn note_refused_keys(&self, store: &StoreKey, results: &[Result<Arc<Fetched>, ProviderError>]) {
        let is_refused = |result| matches!(result, &Err(ProviderError::Credentials { .. }));
        if results.iter().any(is_refused) && self.context.stores.doubt(store, Instant::now()) {
            self.context.validations.wake(store, store, Lane::Urgent);
        }
    }

    /// An answer after a long silence is for every object of the store.
    fn note_silence(&self, store: &StoreKey, results: &[Result<Arc<Fetched>, ProviderError>]) {
        let outages = &self.context.outages;
        let is_silence = |result| matches!(result, &Err(ProviderError::Unavailable { .. }));
        if results.iter().all(is_silence) {
            outages.unanswered(store, self.key, Instant::now());
            return;
        }
        for other in outages.answered(store, self.key, Instant::now()) {
            self.context.wake(&other, Lane::Periodic);
        }
    }

    /// Whether the store's conditions let this namespace in.
    fn check_access(&self, key: &StoreKey, store: &Store) -> Result<(), Error> {
        let namespace = self.key.namespace.to_string();
        let facts = self.context.index.namespace(&namespace);
        let labels = facts.as_ref().map(|facts| &facts.labels);
        let access = access::access(&store.spec.conditions, &namespace, labels)
            .map_err(|source| Error::BadCondition { store: key.clone(), source })?;
        let store = key.0.name.to_string();
        match access {
            Access::Allowed => Ok(()),
            Access::Denied => Err(Error::StoreDenied { store, namespace }),
            Access::Unknown => Err(Error::NamespaceUnknown { store, namespace }),
        }
    }

    /// The connection of a store, if the store may be used here and is ready; and whether it is a fake one.
    async fn connection(&self, key: &StoreKey) -> Result<Option<(Connection, bool)>, Error> {
        let context = self.context;
        let Some((store, readiness, epoch)) = context.stores.find(key) else {
            return Err(Error::StoreMissing(key.clone()));
        };
        if key.is_cluster() {
            self.check_access(key, &store)?;
        }
        match readiness {
            Readiness::Unknown => return Ok(None),
            Readiness::NotReady { outcome, .. } if context.config.store_gate => {
                let cause = outcome.condition().2;
                return Err(Error::StoreNotReady { store: key.clone(), cause });
            }
            Readiness::NotReady { .. } | Readiness::Ready => {}
        }
        let caller = Caller::Namespace(&self.key.namespace);
        let connection = context.connection(&store, epoch, caller).await?;
        Ok(Some((connection, store.spec.provider.fake.is_some())))
    }
}
