//! One look at one ExternalSecret: observe, decide, act.
//!
//! The order of cost: what memory and watches know is asked first, then the provider, and only where neither
//! can tell, the Secret itself. An object that is in sync costs nothing; a new one costs one create.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    Context, Error, StoreKey,
    external_secret::reference,
    index::{Digest, Tracked, Verified, target_key},
    plan::{
        access, collect,
        desired::{Desired, Rendered, desired},
        due::{self, Due, Why},
        existing::Existing,
        hash,
        policy::{self, Action, Leave},
        status::Outcome,
    },
    stores::Readiness,
    target,
};
use crate::{
    api::external_secret::{CreationPolicy, DeletionPolicy, ExternalSecret, WrittenTarget},
    cluster::{ObjectKey, write::ApiError},
    provider::{Fetched, Lane, ProviderError, SecretBytes},
};

/// A Secret is deleted only after this many answers in a row that say that nothing is left.
const PROOFS_OF_LOSS: u32 = 2;
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// How a look ended, if nothing went wrong.
pub enum Converged {
    /// Nothing to do before the next refresh.
    NotDue,
    /// Something else has to happen first, and will wake the object; or it is not ours.
    Waiting,
    /// Look again after this time before saying anything.
    Again(Duration),
    /// Done.
    Done(Done),
}

/// What was done.
pub enum Done {
    /// The Secret is as it should be.
    Synced(String, WrittenTarget),
    /// The Secret was deleted.
    Deleted,
    /// The Secret was left alone.
    Left(Leave),
}

impl Done {
    /// The same, for the status.
    pub fn as_outcome(&self) -> Outcome<'_> {
        match self {
            Self::Synced(name, target) => Outcome::Synced { name, target: target.clone() },
            Self::Deleted => Outcome::Deleted,
            Self::Left(leave) => Outcome::Left(*leave),
        }
    }
}

/// What is known of the target before anything is read.
enum Target {
    /// There is none.
    Absent,
    /// It is as it was written.
    Intact(Verified),
    /// It was read, because nothing else could tell.
    Read(Existing),
}

/// One look.
pub struct Look<'a> {
    /// What the controllers share.
    pub context: &'a Context,
    /// Which object.
    pub key: &'a ObjectKey,
    /// What is known of it.
    pub tracked: &'a Tracked,
    /// The time.
    pub now: Timestamp,
}

impl Look<'_> {
    /// Brings the Secret to what the ExternalSecret asks for, if it is time.
    pub async fn converge(&self) -> Result<Converged, Error> {
        let object = self.object();
        if object.metadata.deletion_timestamp.is_some() {
            super::cleanup::leave(self).await?;
            return Ok(Converged::Waiting);
        }
        let lookups = collect::lookups(&object.spec);
        if let Ok(lookups) = &lookups
            && !self.all_ours(lookups)
        {
            return Ok(Converged::Waiting);
        }
        let lookups = lookups?;
        let target = self.observe().await?;
        let in_order = match &target {
            Target::Absent => policy::is_in_order(object, None),
            Target::Intact(_) => true,
            Target::Read(existing) => policy::is_in_order(object, Some(existing)),
        };
        let last_read = self.tracked.memory.refreshed;
        let why = match due::due(object, due::Known { last_read, in_order, now: self.now })? {
            Due::Now(why) => why,
            Due::At(_) | Due::Never => {
                self.note_intact(&target);
                return Ok(Converged::NotDue);
            }
        };
        // A conflict costs the provider nothing.
        if let Target::Read(existing) = &target {
            policy::check_ownership(object, Some(existing), self.context.config.adopt_unmanaged)?;
        }
        let Some(answers) = self.fetch(&lookups, why).await? else { return Ok(Converged::Waiting) };
        let collected = collect::collect(&object.spec, &answers)?;
        for field in &collected.missing {
            let text = format!("spec.{field}: the remote secret does not exist; left out");
            self.context.tell(reference(object), "MissingProviderSecret", text, false);
        }
        if self.is_unproven_loss(collected.data.is_empty()) {
            return Ok(Converged::Again(SECOND_LOOK));
        }
        self.context.index.remember(self.key, self.uid(), |m| m.refreshed = Some(self.now));
        let done = self.act(target, collected.data, why).await?;
        if self.wants_rename_tidied(why) {
            super::cleanup::orphans(self).await?;
        }
        Ok(Converged::Done(done))
    }

    /// The object.
    pub fn object(&self) -> &ExternalSecret {
        &self.tracked.object
    }

    /// Its uid.
    pub fn uid(&self) -> Option<&str> {
        self.object().metadata.uid.as_deref()
    }

    /// Field manager of its Secret.
    pub fn manager(&self) -> String {
        hash::field_manager(&self.key.name)
    }

    /// Key of its Secret.
    pub fn target(&self) -> ObjectKey {
        target_key(self.key, &self.object().spec)
    }

    /// False if any store it names is for another controller, or of a kind that is switched off.
    fn all_ours(&self, lookups: &[collect::Lookup]) -> bool {
        lookups.iter().all(|lookup| {
            let enabled = if lookup.store.cluster {
                self.context.config.cluster_stores
            } else {
                self.context.config.namespaced_stores
            };
            let store = self.context.stores.find(&self.store_key(&lookup.store));
            enabled && store.is_none_or(|(store, _, _)| self.context.is_ours(&store))
        })
    }

    fn store_key(&self, store: &collect::StoreId) -> StoreKey {
        let namespace = if store.cluster { "" } else { &*self.key.namespace };
        StoreKey(ObjectKey::new(namespace, &store.name))
    }

    /// What is known of the target. Reads it only if neither memory, status nor marks can tell.
    async fn observe(&self) -> Result<Target, Error> {
        let Some(digest) = self.context.index.secret(&self.target()) else {
            return Ok(Target::Absent);
        };
        if let Some(verified) = self.trusted(&digest) {
            return Ok(Target::Intact(verified));
        }
        if self.object().spec.target.creation_policy == CreationPolicy::None {
            return Ok(Target::Absent); // never looked at, never written
        }
        let read = target::read(&self.context.writer, &self.target(), &self.manager()).await?;
        Ok(read.map_or(Target::Absent, Target::Read))
    }

    /// The present state of the Secret, if it is known to be the one that was written.
    fn trusted(&self, digest: &Digest) -> Option<Verified> {
        let memory = &self.tracked.memory;
        if let Some(verified) = &memory.verified {
            let same =
                verified.uid == digest.uid && verified.resource_version == digest.resource_version;
            return same.then(|| verified.clone());
        }
        // The first look of this process: what does the stored status say?
        let status = self.object().status.as_ref()?;
        let data_hash = digest.data_hash.clone().filter(|_| digest.managed)?;
        let as_written = match status.gabion.as_ref().and_then(|gabion| gabion.target.as_ref()) {
            Some(written) => {
                written.uid == digest.uid && written.resource_version == digest.resource_version
            }
            // Written by External Secrets Operator: its marks are trusted unless somebody wrote data after it.
            None => status.refresh_time.is_some() && !digest.touched && self.is_marked_ours(digest),
        };
        let unchanged = status.synced_resource_version.as_deref() == Some(&*self.tracked.version);
        as_written.then(|| Verified {
            uid: digest.uid.clone(),
            resource_version: digest.resource_version.clone(),
            // What a merging object contributed cannot be told from the hash of the whole.
            contributed: (!self.merges()).then_some(data_hash),
            shape: unchanged.then(|| self.shape()),
        })
    }

    fn is_marked_ours(&self, digest: &Digest) -> bool {
        self.object().spec.target.creation_policy != CreationPolicy::Owner
            || digest.created_by.as_deref()
                == Some(&hash::created_by(&self.key.namespace, &self.key.name))
    }

    fn merges(&self) -> bool {
        let creation = &self.object().spec.target.creation_policy;
        matches!(creation, CreationPolicy::Merge | CreationPolicy::CreateOrMerge)
    }

    /// Everything but the data that decides how the Secret looks.
    fn shape(&self) -> u64 {
        let rendered = Rendered::without_template(self.object(), BTreeMap::new());
        let target = &self.object().spec.target;
        let mut hasher = DefaultHasher::new();
        (rendered.labels, rendered.annotations, rendered.type_).hash(&mut hasher);
        (&target.creation_policy, &target.name, target.immutable).hash(&mut hasher);
        hasher.finish()
    }

    /// Remembers a Secret that was found in order, so that it is not read again.
    fn note_intact(&self, target: &Target) {
        let verified = match target {
            Target::Absent => return,
            Target::Intact(verified) => verified.clone(),
            Target::Read(existing) => Verified {
                uid: existing.uid.clone(),
                resource_version: existing.resource_version.clone(),
                contributed: (!self.merges()).then(|| hash::data_hash(&existing.data)),
                shape: None,
            },
        };
        self.context.index.remember(self.key, self.uid(), |m| m.verified = Some(verified));
    }

    /// Asks the providers. `None`: a store is being validated, and will wake this object.
    async fn fetch(
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
        for (store, places) in by_store {
            let key = self.store_key(store);
            let Some((source, fake)) = self.source(&key).await? else { return Ok(None) };
            asked.push(async move {
                let asks = places.iter().map(|nth| lookups[*nth].ask.clone()).collect();
                let results = self.context.plane.fetch_all(&source, asks, lane).await;
                self.note_silence(&key, &results);
                (places, results, fake)
            });
        }
        let mut answers: Vec<Option<collect::Answer>> = vec![None; lookups.len()];
        for (places, results, fake) in join_all(asked).await {
            for (nth, result) in places.into_iter().zip(results) {
                answers[nth] = Some(collect::Answer { result, absent_property_is_missing: fake });
            }
        }
        Ok(Some(answers.into_iter().flatten().collect()))
    }

    /// An answer after a long silence is for every object of the store.
    fn note_silence(
        &self,
        store: &StoreKey,
        results: &[Result<std::sync::Arc<Fetched>, ProviderError>],
    ) {
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

    /// The source of a store, if the store may be used here and is ready; and whether it is a fake one.
    async fn source(
        &self,
        key: &StoreKey,
    ) -> Result<Option<(crate::provider::plane::Source, bool)>, Error> {
        let context = self.context;
        let Some((store, readiness, epoch)) = context.stores.find(key) else {
            return Err(Error::StoreMissing(key.clone()));
        };
        if key.is_cluster() {
            let labels = context.index.namespace(&self.key.namespace).unwrap_or_default().labels;
            let allowed = access::is_allowed(&store.spec.conditions, &self.key.namespace, &labels)
                .map_err(|source| Error::BadCondition { store: key.clone(), source })?;
            if !allowed {
                return Err(Error::StoreDenied {
                    store: key.0.name.to_string(),
                    namespace: self.key.namespace.to_string(),
                });
            }
        }
        match readiness {
            Readiness::Unknown => return Ok(None),
            Readiness::NotReady(cause) if context.config.store_gate => {
                return Err(Error::StoreNotReady { store: key.clone(), cause });
            }
            Readiness::NotReady(_) | Readiness::Ready => {}
        }
        let source = context.source(&store, epoch, &self.key.namespace).await?;
        Ok(Some((source, store.spec.provider.fake.is_some())))
    }

    /// Under `deletionPolicy: Delete` one answer that says "gone" is not enough.
    fn is_unproven_loss(&self, empty: bool) -> bool {
        let deletes = self.object().spec.target.deletion_policy == DeletionPolicy::Delete;
        let losses = if empty { self.tracked.memory.losses.saturating_add(1) } else { 0 };
        self.context.index.remember(self.key, self.uid(), |memory| memory.losses = losses);
        let exists = self.context.index.secret(&self.target()).is_some();
        deletes && exists && empty && losses < PROOFS_OF_LOSS
    }

    async fn act(
        &self,
        target: Target,
        data: BTreeMap<String, SecretBytes>,
        why: Why,
    ) -> Result<Done, Error> {
        let empty = data.is_empty();
        let rendered = Rendered::without_template(self.object(), data);
        let existing = match target {
            Target::Intact(verified) => match self.act_blind(&verified, &rendered).await? {
                Some(done) => return Ok(done),
                None => self.read().await?,
            },
            Target::Absent => None,
            Target::Read(existing) => Some(existing),
        };
        let adopt = self.context.config.adopt_unmanaged;
        match policy::decide(self.object(), existing.as_ref(), empty, adopt) {
            Action::Refuse(error) => Err(error.into()),
            Action::Leave(leave) => Ok(Done::Left(leave)),
            Action::Delete => self.delete(existing).await,
            Action::Update => self.update(existing, rendered, why).await,
            Action::Create => match self.create(rendered.clone()).await {
                // One that the watch has not shown, or that is nobody's: look at it before anything is done.
                Err(Error::Cluster(ApiError::AlreadyExists { .. })) => {
                    let existing = self.read().await?;
                    match policy::decide(self.object(), existing.as_ref(), empty, adopt) {
                        Action::Update => self.update(existing, rendered, why).await,
                        Action::Refuse(error) => Err(error.into()),
                        _ => Err(self.moved()),
                    }
                }
                created => created,
            },
        }
    }

    /// Acts on a Secret that is as it was written, without reading it. `None`: it has to be read after all.
    async fn act_blind(
        &self,
        verified: &Verified,
        rendered: &Rendered,
    ) -> Result<Option<Done>, Error> {
        let new_hash = hash::data_hash(&rendered.data);
        if rendered.data.is_empty() || verified.shape != Some(self.shape()) {
            return Ok(None);
        }
        if verified.contributed.as_ref() == Some(&new_hash) {
            self.note_intact(&Target::Intact(verified.clone()));
            return Ok(Some(self.synced(&verified.uid, &verified.resource_version)));
        }
        let target = &self.object().spec.target;
        let replaces =
            matches!(target.creation_policy, CreationPolicy::Owner | CreationPolicy::Orphan);
        if !replaces || target.immutable.unwrap_or_default() {
            return Ok(None);
        }
        // The same checks as for a Secret that was read, on the same data.
        desired(self.object(), rendered.clone(), None)?;
        let (writer, key, manager) = (&self.context.writer, self.target(), self.manager());
        let (version, data) = (&verified.resource_version, &rendered.data);
        let written = target::replace_data(writer, &key, version, data, &new_hash, &manager);
        match written.await {
            Ok(meta) => {
                self.tell_updated();
                Ok(Some(self.wrote(&meta, Some(new_hash))))
            }
            // It changed in this moment, or is gone, or is not as it was thought to be.
            Err(
                ApiError::Conflict { .. } | ApiError::NotFound { .. } | ApiError::Invalid { .. },
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn read(&self) -> Result<Option<Existing>, Error> {
        Ok(target::read(&self.context.writer, &self.target(), &self.manager()).await?)
    }

    async fn create(&self, rendered: Rendered) -> Result<Done, Error> {
        let contributed = hash::data_hash(&rendered.data);
        let desired = desired(self.object(), rendered, None)?;
        let writer = &self.context.writer;
        let meta = target::create(writer, &self.target(), &desired, &self.manager()).await?;
        Ok(self.wrote(&meta, Some(contributed)))
    }

    async fn update(
        &self,
        existing: Option<Existing>,
        rendered: Rendered,
        why: Why,
    ) -> Result<Done, Error> {
        let Some(existing) = existing else { return Err(self.moved()) };
        let contributed = hash::data_hash(&rendered.data);
        let desired: Desired = desired(self.object(), rendered, Some(&existing))?;
        if !desired.differs(&existing) {
            let meta = ObjectMeta {
                uid: Some(existing.uid.clone()),
                resource_version: Some(existing.resource_version.clone()),
                ..ObjectMeta::default()
            };
            self.verified(&meta, Some(contributed));
            return Ok(self.synced(&existing.uid, &existing.resource_version));
        }
        let (writer, key) = (&self.context.writer, self.target());
        let meta = target::update(writer, &key, &existing, &desired, &self.manager()).await?;
        if why == Why::Drift {
            self.context.metrics.reconciles.drift_repaired("Secret");
        }
        self.tell_updated();
        Ok(self.wrote(&meta, Some(contributed)))
    }

    async fn delete(&self, existing: Option<Existing>) -> Result<Done, Error> {
        let Some(existing) = existing else { return Err(self.moved()) };
        super::cleanup::delete(self, &self.target(), &existing).await?;
        let text = format!("Secret {:?} deleted: the provider has nothing any more", existing.name);
        self.context.tell(reference(self.object()), "Deleted", text, false);
        Ok(Done::Deleted)
    }

    /// The cluster is not as it was a moment ago.
    fn moved(&self) -> Error {
        let what = format!("Secret {}", self.target());
        ApiError::Conflict { what, causes: Vec::new() }.into()
    }

    fn tell_updated(&self) {
        let text = format!("Secret {:?} updated", &*self.target().name);
        self.context.tell(reference(self.object()), "Updated", text, false);
    }

    /// Takes in a Secret as our own write left it.
    fn wrote(&self, meta: &ObjectMeta, contributed: Option<String>) -> Done {
        self.context.index.secret_written(&self.target(), meta);
        self.verified(meta, contributed);
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        self.synced(&text(&meta.uid), &text(&meta.resource_version))
    }

    fn verified(&self, meta: &ObjectMeta, contributed: Option<String>) {
        let verified = Verified {
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            contributed,
            shape: Some(self.shape()),
        };
        self.context.index.remember(self.key, self.uid(), |m| m.verified = Some(verified));
    }

    fn synced(&self, uid: &str, resource_version: &str) -> Done {
        let target =
            WrittenTarget { uid: uid.to_owned(), resource_version: resource_version.to_owned() };
        Done::Synced(self.target().name.to_string(), target)
    }

    /// A renamed target leaves a Secret behind only if the spec changed, or while no process ran.
    fn wants_rename_tidied(&self, why: Why) -> bool {
        self.object().spec.target.creation_policy == CreationPolicy::Owner
            && matches!(why, Why::Edited | Why::NeverSynced)
    }
}
