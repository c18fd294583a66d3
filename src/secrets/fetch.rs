//! Asking the providers, through stores that may be used and are ready.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

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
use super::plan::allowed_keys::Patterns;
use super::plan::collect;
use super::plan::collect::{Answer, Ask, Lookup};
use super::plan::due::Why;
use super::plan::find;
use super::secret_store::check_key;
use crate::api::external_secrets::external_secret::CreationPolicy;
use crate::cluster::ObjectKey;
use crate::lane::Lane;
use crate::provider::{Fetched, ProviderError};
use crate::secrets::reconciler::Reconciler;

/// Entries of one object that find at the same time: each holds a list and some values in memory.
const FINDS_AT_ONCE: usize = 4;

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
        let lane = match why {
            why if why.is_urgent() => Lane::Urgent,
            Why::Event => Lane::Event,
            _ => Lane::Periodic,
        };
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
            let usable = self.context.usable(&key, &self.key.namespace).await?;
            let Some((connection, store)) = usable else { return Ok(None) };
            let fake = store.spec.provider.fake.is_some();
            let at_once = if store.spec.provider.kubernetes.is_some() { 16 } else { usize::MAX };
            asked.push(async move {
                // An answer that was sent for before the event may be as old.
                let anew = why == Why::Edited || self.event;
                let allowed = list.as_ref();
                let connection = &connection;
                let asking = Asking { connection, lane, anew, at_once, budget, allowed };
                let lookups: Vec<_> =
                    indices.iter().map(|nth| (&lookups[*nth], patterns[*nth].as_ref())).collect();
                let answers = self.answers(&asking, &lookups, fake).await;
                self.context.mention_notes(&key, connection);
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
        let (reads, found) = join(self.read_named(asking, requests), finds).await;
        let (mut reads, mut found) = (reads.into_iter(), found.into_iter());
        let mut answers = Vec::with_capacity(lookups.len());
        for (lookup, _) in lookups {
            answers.extend(match &lookup.ask {
                Ask::Read(request) => reads.next().map(|result| {
                    let result = result.and_then(|fetched| self.not_own(&request.key, fetched));
                    Answer::Read { result, absent_property_is_missing }
                }),
                Ask::Find(_) => found.next().map(Answer::Found),
            });
        }
        answers
    }

    /// Refuses the Secret that the object itself writes: what is read of it would grow with each refresh.
    fn not_own(&self, key: &str, fetched: Arc<Fetched>) -> Result<Arc<Fetched>, ProviderError> {
        if !self.writes(&fetched) {
            return Ok(fetched);
        }
        let reason = "it is the Secret that this ExternalSecret writes: read another one, or choose another target.name";
        Err(ProviderError::Invalid { key: key.to_owned(), reason: reason.to_owned() })
    }

    /// Whether this is the Secret that the object writes, whatever way it was read.
    pub(crate) fn writes(&self, fetched: &Fetched) -> bool {
        let Some(uid) = &fetched.uid else { return false };
        self.object().spec.target.creation_policy != CreationPolicy::None
            && self.context.index.secret(&self.target()).is_some_and(|own| own.uid == *uid)
    }

    /// Keys that are refused may have been replaced without our knowing.
    fn note_refused_keys(&self, store: &StoreKey, answers: &[Answer]) {
        let is_refused =
            |answer: &Answer| matches!(answer.failure(), Some(ProviderError::Credentials { .. }));
        if answers.iter().any(is_refused) {
            self.context.doubt(store);
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

    /// Whether the store lets this namespace read what it asks for, and what it may find there. Asked before any store
    /// is.
    fn check_keys(&self, key: &StoreKey, lookups: &[&Lookup]) -> Result<Option<Patterns>, Error> {
        let Some(patterns) = self.context.allowed_keys(key, &self.key.namespace)? else {
            return Ok(None);
        };
        for lookup in lookups {
            let asked = match &lookup.ask {
                Ask::Read(request) => Some(&*request.key),
                Ask::Find(_) => None,
            };
            check_key(&patterns, key, &self.key.namespace, (&lookup.field, asked))?;
        }
        Ok(Some(patterns))
    }
}
