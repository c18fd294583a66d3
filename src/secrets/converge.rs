//! One reconcile of one ExternalSecret: observe, decide, act.
//!
//! The order of cost: what memory and watches know is asked first, then the provider, and only where neither
//! can tell, the Secret itself. An object that is in sync costs nothing; a new one costs one create.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::error::Error;
use super::generate::{AsMade, Sources};
use super::index::Verified;
use super::observe::Target;
use super::plan::collect;
use super::plan::desired::Desired;
use super::plan::desired::Rendered;
use super::plan::desired::desired;
use super::plan::due;
use super::plan::due::Due;
use super::plan::due::Why;
use super::plan::existing::Existing;
use super::plan::generate;
use super::plan::hash;
use super::plan::policy;
use super::plan::policy::Action;
use super::plan::policy::Leave;
use super::plan::status::Outcome;
use super::target;
use crate::api::external_secrets::external_secret::CreationPolicy;
use crate::api::external_secrets::external_secret::DeletionPolicy;
use crate::api::external_secrets::external_secret::GabionStatus;
use crate::api::external_secrets::external_secret::WrittenTarget;
use crate::cluster::{events::EventType, write::ApiError};
use crate::meta::{ResourceVersion, Uid};
use crate::secrets::reconciler::Reconciler;

/// A Secret is deleted only after this many answers in a row that say that nothing is left.
const PROOFS_OF_LOSS: u32 = 2;
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// How a reconcile ended, if nothing went wrong.
pub(crate) enum Converged {
    /// Nothing to do before the next refresh.
    NotDue,
    /// Something else has to happen first, and will wake the object; or it is not ours.
    Waiting,
    /// Reconcile again after this time; until then nothing is reported.
    Again(Duration),
    /// Done, with what was read at this time.
    Done(Done, Timestamp),
}

/// What was done.
pub(crate) enum Done {
    /// The Secret is as it should be.
    Synced(String, GabionStatus),
    /// The Secret was deleted.
    Deleted,
    /// The Secret was left alone.
    Left(Leave),
}

impl Done {
    /// The same, for the status.
    pub(crate) fn as_outcome(&self) -> Outcome<'_> {
        match self {
            Self::Synced(name, written) => Outcome::Synced { name, written: written.clone() },
            Self::Deleted => Outcome::Deleted,
            Self::Left(leave) => Outcome::Left(*leave),
        }
    }
}

/// What a refresh is for, and what it asks.
struct Wanted {
    lookups: Vec<collect::Lookup>,
    uses: Vec<generate::GeneratorUse>,
    why: Why,
    /// Whether values that are made here are made anew.
    is_refresh: bool,
}

impl Reconciler<'_> {
    /// Brings the Secret to what the ExternalSecret asks for, if it is time.
    pub(crate) async fn converge(&self) -> Result<Converged, Error> {
        let object = self.object();
        if object.metadata.deletion_timestamp.is_some() {
            // The finalizer is the business of whoever keeps the object.
            if self.is_of_another() {
                return Ok(Converged::Waiting);
            }
            super::cleanup::leave(self).await?;
            return Ok(Converged::Waiting);
        }
        // Before anything is reported: what another controller reads may be beyond this one.
        if !self.all_ours() {
            return Ok(Converged::Waiting);
        }
        // One that has not arrived yet may be of another controller, too.
        if self.context.externals.failures(self.key) == 0
            && let Some(store) = self.unknown_store()
        {
            return Err(self.context.unknown(&store));
        }
        let lookups = collect::lookups(&object.spec)?;
        let uses = generate::uses(&object.spec)?;
        let target = self.observe().await?;
        let in_order = match &target {
            Target::Absent => policy::is_in_order(object, None),
            Target::Intact(_) => true,
            Target::Read(existing) => policy::is_in_order(object, Some(existing)),
        };
        let last_read = self.tracked.memory.refreshed;
        // Not in The first reconcile of this process: a restart reads nothing before it is due.
        let joining = last_read.is_some();
        // What is made here cannot be rendered again: a template that changed counts from the next refresh on.
        let template_changed = !generate::may_mint(&uses) && self.template_changed();
        let (restart, now) = (self.context.restart(), self.now);
        let event = self.event;
        let known =
            due::Known { last_read, in_order, template_changed, event, joining, restart, now };
        let why = match due::due(object, known)? {
            Due::Now(why) => why,
            Due::At(_) | Due::Never => {
                self.note_intact(&target);
                return Ok(Converged::NotDue);
            }
        };
        let is_refresh = generate::is_refresh(object, known, why);
        self.refresh(target, &Wanted { lookups, uses, why, is_refresh }).await
    }

    /// Reads the providers and writes what comes of it.
    async fn refresh(&self, target: Target, wanted: &Wanted) -> Result<Converged, Error> {
        let (object, why) = (self.object(), wanted.why);
        // A conflict costs the provider nothing.
        if let Target::Read(existing) = &target {
            policy::check_ownership(object, Some(existing), self.context.config.adopt_unmanaged)?;
        }
        let Some(generators) = self.generators(&wanted.uses).await? else {
            return Ok(Converged::Waiting);
        };
        let target = match self.as_made(target, &generators, wanted.is_refresh).await? {
            AsMade::Kept(target, rendered) => {
                let read_at = self.read_at(wanted.is_refresh);
                let done = self.act(target, rendered, false, why).await?;
                self.context.index.remember(self.key, self.uid(), |m| m.refreshed = Some(read_at));
                if self.wants_rename_tidied(why) {
                    super::cleanup::orphans(self).await?;
                }
                return Ok(Converged::Done(done, read_at));
            }
            AsMade::Unknown(target) => target,
        };
        let answers = self.fetch(&wanted.lookups, why).await?;
        let Some(answers) = answers else { return Ok(Converged::Waiting) };
        if let Some(pause) = self.context.wakes.stale(self.key, &wanted.lookups, &answers) {
            return Ok(Converged::Again(pause));
        }
        let sources = Sources::new(&answers, generators);
        let collected = self.collect(&sources).await?;
        for field in &collected.missing {
            let text = format!("spec.{field}: the remote secret does not exist; left out");
            self.record("MissingProviderSecret", text, EventType::Hint);
        }
        if self.is_unproven_loss(collected.data.is_empty()) {
            return Ok(Converged::Again(SECOND_LOOK));
        }
        let empty = collected.data.is_empty();
        let (mut rendered, template) = self.render(collected.data).await?;
        let (target, is_kept) = if sources.mint() {
            self.keep_made(target, &mut rendered, &sources, wanted.is_refresh).await?
        } else {
            (target, false)
        };
        let read_at = if is_kept { self.read_at(wanted.is_refresh) } else { self.now };
        let mut done = self.act(target, rendered, empty, why).await?;
        if let Done::Synced(_, written) = &mut done {
            written.template.clone_from(&template);
        }
        // Not before: what was read and could not be written has to be read again.
        self.context.index.remember(self.key, self.uid(), |memory| {
            memory.refreshed = Some(read_at);
            memory.template = template;
        });
        if self.wants_rename_tidied(why) {
            super::cleanup::orphans(self).await?;
        }
        Ok(Converged::Done(done, read_at))
    }

    /// When values that were kept count as read: the next refresh is not later for it.
    fn read_at(&self, is_refresh: bool) -> Timestamp {
        if is_refresh { self.now } else { self.last_read() }
    }

    /// When what is in the Secret was read, as far as that is known.
    fn last_read(&self) -> Timestamp {
        let status = self.object().status.as_ref();
        let written = status.and_then(|status| status.refresh_time.as_ref()).map(|time| time.0);
        let last = written.into_iter().chain(self.tracked.memory.refreshed).max();
        last.filter(|last| *last <= self.now).unwrap_or(self.now)
    }

    /// Whether an object that the template was read from is not as it was then.
    fn template_changed(&self) -> bool {
        let stored = self.object().status.as_ref().and_then(|status| status.gabion.as_ref());
        let stored = stored.and_then(|gabion| gabion.template.as_ref());
        // Of an object that another operator rendered this is unknown: the next refresh will tell.
        let rendered = self.tracked.memory.template.as_ref().or(stored);
        let now = self.context.template_inputs.mark(self.key, &self.target());
        rendered.is_some_and(|rendered| now.as_ref() != Some(rendered))
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
        rendered: Rendered,
        empty: bool,
        why: Why,
    ) -> Result<Done, Error> {
        let existing = match target {
            // What becomes of it where nothing is left to write depends on what it is.
            Target::Intact(_) if empty => self.read().await?,
            Target::Intact(verified) => match self.act_blind(&verified, &rendered).await? {
                Some(done) => return Ok(done),
                None => self.read().await?,
            },
            // A Secret that nobody manages is not in the index. Who creates finds out; who merges, or says that nothing
            // is there any more, has to read it.
            Target::Absent
                if empty || self.object().spec.target.creation_policy == CreationPolicy::Merge =>
            {
                self.read().await?
            }
            Target::Absent => None,
            Target::Read(existing) => Some(*existing),
        };
        let adopt = self.context.config.adopt_unmanaged;
        match policy::decide(self.object(), existing.as_ref(), empty, adopt) {
            Action::Refuse(error) => Err(error.into()),
            Action::Leave(leave) => Ok(Done::Left(leave)),
            Action::Delete => self.delete(existing).await,
            Action::Update => self.update(existing, rendered, why).await,
            Action::Create => match self.create(rendered.clone()).await {
                // One that the watch has not shown, or that is nobody's: read it before anything is done.
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
        let shape = self.shape(rendered);
        if verified.shape != Some(shape) {
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
                self.record_updated();
                Ok(Some(self.wrote(&meta, new_hash, shape)))
            }
            // It changed in this moment, or is gone, or is not as it was thought to be.
            Err(
                ApiError::Conflict { .. } | ApiError::NotFound { .. } | ApiError::Invalid { .. },
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The Secret as it is.
    pub(crate) async fn read(&self) -> Result<Option<Existing>, Error> {
        let key = self.target();
        let existing = target::read(&self.context.writer, &key, &self.manager()).await?;
        Ok(existing.map(|existing| Existing {
            holder: self.context.index.holder(&key, self.key).map(|name| name.to_string()),
            ..existing
        }))
    }

    async fn create(&self, rendered: Rendered) -> Result<Done, Error> {
        let (contributed, shape) = (hash::data_hash(&rendered.data), self.shape(&rendered));
        let desired = desired(self.object(), rendered, None)?;
        let writer = &self.context.writer;
        let meta = target::create(writer, &self.target(), &desired, &self.manager()).await?;
        let text = format!("Secret {:?} created", &*self.target().name);
        self.record("Created", text, EventType::Routine);
        Ok(self.wrote(&meta, contributed, shape))
    }

    async fn update(
        &self,
        existing: Option<Existing>,
        rendered: Rendered,
        why: Why,
    ) -> Result<Done, Error> {
        let Some(existing) = existing else { return Err(self.moved()) };
        let (contributed, shape) = (hash::data_hash(&rendered.data), self.shape(&rendered));
        let desired: Desired = desired(self.object(), rendered, Some(&existing))?;
        if !desired.differs(&existing) {
            let meta = ObjectMeta {
                uid: Some(existing.uid.to_string()),
                resource_version: Some(existing.resource_version.to_string()),
                ..ObjectMeta::default()
            };
            self.verified(&meta, contributed, shape);
            return Ok(self.synced(&existing.uid, &existing.resource_version));
        }
        let (writer, key) = (&self.context.writer, self.target());
        let meta = target::update(writer, &key, &existing, &desired, &self.manager()).await?;
        if why == Why::Drift {
            self.context.metrics.reconciles.drift_repaired("Secret");
        }
        self.record_updated();
        Ok(self.wrote(&meta, contributed, shape))
    }

    async fn delete(&self, existing: Option<Existing>) -> Result<Done, Error> {
        let Some(existing) = existing else { return Err(self.moved()) };
        super::cleanup::delete(self, &self.target(), &existing).await?;
        let text = format!("Secret {:?} deleted: the provider has nothing any more", existing.name);
        self.record("Deleted", text, EventType::Done);
        Ok(Done::Deleted)
    }

    /// The cluster is not as it was a moment ago.
    fn moved(&self) -> Error {
        let what = format!("Secret {}", self.target());
        ApiError::Conflict { what, causes: Vec::new() }.into()
    }

    fn record_updated(&self) {
        let text = format!("Secret {:?} updated", &*self.target().name);
        self.record("Updated", text, EventType::Done);
    }

    /// Records a Secret as our own write left it.
    fn wrote(&self, meta: &ObjectMeta, contributed: String, shape: u64) -> Done {
        self.context.index.secret_written(&self.target(), meta);
        self.verified(meta, contributed, shape);
        self.synced(&Uid::of(meta), &ResourceVersion::of(meta))
    }

    fn verified(&self, meta: &ObjectMeta, contributed: String, shape: u64) {
        let verified = Verified {
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            contributed: Some(contributed),
            shape: Some(shape),
        };
        self.context.index.remember(self.key, self.uid(), |m| m.verified = Some(verified));
    }

    fn synced(&self, uid: &Uid, resource_version: &ResourceVersion) -> Done {
        let target =
            WrittenTarget { uid: uid.to_string(), resource_version: resource_version.to_string() };
        let written = GabionStatus { target: Some(target), template: None };
        Done::Synced(self.target().name.to_string(), written)
    }

    /// A renamed target leaves a Secret behind only if the spec changed, or while no process ran.
    fn wants_rename_tidied(&self, why: Why) -> bool {
        self.object().spec.target.creation_policy == CreationPolicy::Owner
            && matches!(why, Why::Edited | Why::NeverSynced)
    }
}
