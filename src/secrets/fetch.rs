//! Asking the providers, through stores that may be used and are ready.

use std::{collections::BTreeMap, time::Instant};

use futures::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use gotemplate::regexp::Regexp;

use super::error::Error;
use super::find::{Asking, Budget};
use super::index::StoreKey;
use super::index::stores_of;
use super::plan::PlanError;
use super::plan::access;
use super::plan::access::Access;
use super::plan::allowed_keys::{ANNOTATION, Patterns};
use super::plan::collect;
use super::plan::collect::{Answer, Ask, Lookup};
use super::plan::due::Why;
use super::plan::find;
use super::secret_store::bad_list;
use super::store::{Caller, Store};
use super::stores::Readiness;
use crate::cluster::ObjectKey;
use crate::lane::Lane;
use crate::provider::ProviderError;
use crate::provider::fetcher::Connection;
use crate::secrets::reconciler::Reconciler;
use crate::text::shortened;

/// Entries of one object that find at the same time: each holds a list and some values in memory.
const FINDS_AT_ONCE: usize = 4;
/// Bytes of a key that a message shows.
const SHOWN: usize = 512;

/// The expressions of the lookups, ready to use. What cannot be one costs no provider anything.
fn patterns(lookups: &[Lookup]) -> Result<Vec<Option<Regexp>>, PlanError> {
    let pattern = |lookup: &Lookup| match &lookup.ask {
        Ask::Read(_) => Ok(None),
        Ask::Find(search) => find::pattern(&lookup.field, search),
    };
    lookups.iter().map(pattern).collect()
}

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
        lookups: &[Lookup],
        why: Why,
    ) -> Result<Option<Vec<Answer>>, Error> {
        let lane = if why.is_urgent() { Lane::Urgent } else { Lane::Periodic };
        let (patterns, budget) = (patterns(lookups)?, Budget::default());
        let mut by_store: BTreeMap<&collect::StoreId, Vec<usize>> = BTreeMap::new();
        for (nth, lookup) in lookups.iter().enumerate() {
            by_store.entry(&lookup.store).or_default().push(nth);
        }
        let (patterns, budget) = (&patterns, &budget);
        let of = |indices: &[usize]| indices.iter().map(|nth| &lookups[*nth]).collect::<Vec<_>>();
        for (store, indices) in &by_store {
            self.check_keys(&self.store_key(store), &of(indices))?;
        }
        let mut asked = Vec::with_capacity(by_store.len());
        for (store, indices) in by_store {
            let key = self.store_key(store);
            // Once more: a store may have changed, or appeared, while another one was connected to.
            let list = self.check_keys(&key, &of(&indices))?;
            let Some((connection, fake)) = self.connection(&key).await? else { return Ok(None) };
            asked.push(async move {
                let anew = why == Why::Edited;
                let allowed = list.as_ref();
                let asking = Asking { connection: &connection, lane, anew, budget, allowed };
                let lookups: Vec<_> =
                    indices.iter().map(|nth| (&lookups[*nth], patterns[*nth].as_ref())).collect();
                let answers = self.answers(&asking, &lookups, fake).await;
                self.context.mention_notes(&key, &connection);
                self.note_silence(&key, &answers);
                self.note_refused_keys(&key, &answers);
                indices.into_iter().zip(answers)
            });
        }
        let mut answers: Vec<Option<Answer>> = vec![None; lookups.len()];
        for (nth, answer) in join_all(asked).await.into_iter().flatten() {
            answers[nth] = Some(answer);
        }
        Ok(Some(answers.into_iter().flatten().collect()))
    }

    /// What one store answers, in the order of the lookups.
    async fn answers(
        &self,
        asking: &Asking<'_>,
        lookups: &[(&Lookup, Option<&Regexp>)],
        absent_property_is_missing: bool,
    ) -> Vec<Answer> {
        let (mut requests, mut finds) = (Vec::new(), Vec::new());
        for (lookup, pattern) in lookups {
            match &lookup.ask {
                Ask::Read(request) => requests.push(request.clone()),
                Ask::Find(search) => finds.push(self.find(asking, &lookup.field, search, *pattern)),
            }
        }
        let finds = stream::iter(finds).buffered(FINDS_AT_ONCE).collect::<Vec<_>>();
        let (reads, found) = join(self.read_values(asking, requests), finds).await;
        let (mut reads, mut found) = (reads.into_iter(), found.into_iter());
        let mut answers = Vec::with_capacity(lookups.len());
        for (lookup, _) in lookups {
            answers.extend(match &lookup.ask {
                Ask::Read(_) => {
                    reads.next().map(|result| Answer::Read { result, absent_property_is_missing })
                }
                Ask::Find(_) => found.next().map(Answer::Found),
            });
        }
        answers
    }

    /// Keys that are refused may have been replaced without our knowing.
    fn note_refused_keys(&self, store: &StoreKey, answers: &[Answer]) {
        let is_refused =
            |answer: &Answer| matches!(answer.failure(), Some(ProviderError::Credentials { .. }));
        if answers.iter().any(is_refused) && self.context.stores.doubt(store, Instant::now()) {
            self.context.validations.wake(store, store, Lane::Urgent);
        }
    }

    /// An answer after a long silence is for every object of the store.
    fn note_silence(&self, store: &StoreKey, answers: &[Answer]) {
        let outages = &self.context.outages;
        let is_silence =
            |answer: &Answer| matches!(answer.failure(), Some(ProviderError::Unavailable { .. }));
        if answers.iter().all(is_silence) {
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

    /// Whether the store lets this namespace read what it asks for, and what it may find there. Asked before any store
    /// is.
    fn check_keys(&self, key: &StoreKey, lookups: &[&Lookup]) -> Result<Option<Patterns>, Error> {
        let Some((store, _, _)) = self.context.stores.find(key) else { return Ok(None) };
        let Some(list) = &store.allowed_keys else { return Ok(None) };
        if let Some(error) = bad_list(&store) {
            return Err(error);
        }
        let namespace = self.key.namespace.to_string();
        let facts = self.context.index.namespace(&namespace);
        let patterns =
            list.of(&namespace, facts.as_ref().map(|facts| &facts.labels)).map_err(|reason| {
                Error::StoreField { field: ANNOTATION.to_owned(), reason: reason.to_owned() }
            })?;
        let store = key.0.name.to_string();
        for lookup in lookups {
            let (access, what) = match &lookup.ask {
                Ask::Read(request) => {
                    (patterns.decide(&request.key), format!("{:?}", shortened(&request.key, SHOWN)))
                }
                Ask::Find(_) => (patterns.decide_any(), "anything".to_owned()),
            };
            let field = lookup.field.clone();
            match access {
                Access::Allowed => {}
                Access::Denied => {
                    return Err(Error::KeyNotAllowed { field, what, store, namespace });
                }
                Access::Unknown => return Err(Error::NamespaceUnknown { store, namespace }),
            }
        }
        Ok(Some(patterns))
    }

    /// The connection of a store, if the store may be used here and is ready; and whether it is a fake one.
    async fn connection(&self, key: &StoreKey) -> Result<Option<(Connection, bool)>, Error> {
        let context = self.context;
        let Some((store, readiness, epoch)) = context.stores.find(key) else {
            return Err(context.unknown(key));
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
