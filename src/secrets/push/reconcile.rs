//! One reconcile of one PushSecret.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::super::context::Context;
use super::super::error::{Error, RECHECK};
use super::super::plan::push::PushError;
use super::super::plan::push::claims::Claim;
use super::super::plan::push::decide::shown;
use super::super::plan::push::entries::{self, Group, id};
use super::super::plan::push::report::{Due, Outcome, Synced, due, is_by_gabion, is_edited};
use super::super::pushes::{store_key, store_name};
use super::data::Source;
use super::remote::{Pushed, Target};
use super::{AT_ONCE, KIND, Pusher, Whose, ahead, by_store, leave::advice};
use crate::api::external_secrets::push_secret::{PushDeletionPolicy, PushSecret};
use crate::cluster::{ObjectKey, events::EventType, queue::Next, write::ApiError};
use crate::lane::Lane;
use crate::retry::Retry;

/// Longest time one reconcile may take, all waiting included.
const DEADLINE: Duration = Duration::from_mins(10);

/// What came of a reconcile.
enum Pass {
    /// It is not ours, or a store is being validated and wakes it.
    Waiting,
    /// Nothing is to be done before this.
    NotDue(Due),
    /// This is to be written down before anything is pushed.
    Ahead(Synced),
    /// This.
    Done { failures: Vec<Error>, synced: Synced, source: String, source_gone: bool },
    /// It is gone.
    Left,
}

/// Reconciles one PushSecret.
pub(crate) async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Next {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let Some(tracked) = context.pushes.find(&key) else { return Next::Idle };
    let mut object = tracked.object;
    if let Err(next) = finalize(&context, &key, &mut object).await {
        return next;
    }
    let pass = match passes(&context, &key, &mut object, started).await {
        Ok(pass) => pass,
        Err(next) => return next,
    };
    let pusher = Pusher::new(&context, &key, &object);
    let deleting = object.metadata.deletion_timestamp.is_some();
    let (failures, synced, source, source_gone) = match pass {
        Ok(Pass::Waiting | Pass::Left | Pass::Ahead(_)) => return Next::Idle,
        Ok(Pass::NotDue(due)) => return next_at(due, started),
        Ok(Pass::Done { failures, synced, source, source_gone }) => {
            (failures, synced, source, source_gone)
        }
        Err(error) => (vec![error], pusher.recorded(), String::new(), false),
    };
    if failures.iter().any(|error| is_soon_over(error, context.pushing.failures(&key))) {
        return Next::Retry;
    }
    let (outcome, reason, retry) = conclude(&key, &failures, source_gone, deleting);
    for error in &failures {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(kind = KIND, %key, reason = error.class().0, %error, cause, "not pushed");
    }
    context.metrics.reconciles.done(KIND, reason, clock.elapsed());
    let reported = pusher.report(&outcome, synced, &source, started).await;
    if reported.is_ok() {
        context.pushes.reported(&object);
    }
    match (reported, retry) {
        (Err(ApiError::NotFound { .. }), _) => Next::Idle,
        (Err(error), _) => {
            tracing::debug!(%key, %error, "status not written; trying again");
            Next::Retry
        }
        (Ok(()), Some(Retry::Backoff)) => Next::Retry,
        (Ok(()), Some(Retry::OnChange)) => Next::RetryAfter(RECHECK),
        (Ok(()), None) if source_gone => Next::Idle,
        (Ok(()), None) => {
            context.pushes.refreshed(&object, started);
            let interval = entries::interval(&object.spec).unwrap_or_default();
            match started.checked_add(interval) {
                Ok(at) if interval.is_positive() => next_at(Due::At(at), started),
                _ => Next::Idle,
            }
        }
    }
}

/// Goes over the object, and once more after what is about to be created was written down.
async fn passes(
    context: &Context,
    key: &ObjectKey,
    object: &mut Arc<PushSecret>,
    started: Timestamp,
) -> Result<Result<Pass, Error>, Next> {
    let mut is_paced = false;
    loop {
        let before = Arc::clone(object);
        let pusher = Pusher::new(context, key, &before);
        let pass = Box::pin(pusher.pass(started, is_paced));
        let Ok(pass) = tokio::time::timeout(DEADLINE, pass).await else {
            return Ok(Err(Error::Deadline(DEADLINE.as_secs())));
        };
        let Ok(Pass::Ahead(entries)) = pass else { return Ok(pass) };
        match ahead::record(context, key, &before, &entries).await {
            Ok(written) => *object = written,
            Err(ApiError::NotFound { .. }) => return Err(Next::Idle),
            Err(error) => {
                tracing::warn!(kind = KIND, %key, %error, "status not written; nothing is created before it is");
                return Err(Next::Retry);
            }
        }
        is_paced = true;
    }
}

/// Sets the finalizer that the deletion policy asks for, before anything is pushed that would have to be removed.
async fn finalize(
    context: &Context,
    key: &ObjectKey,
    object: &mut Arc<PushSecret>,
) -> Result<(), Next> {
    let pusher = Pusher::new(context, key, object);
    let wanted = object.spec.deletion_policy == PushDeletionPolicy::Delete;
    let is_ours = pusher.all_ours();
    if object.metadata.deletion_timestamp.is_some() || !is_ours || wanted == pusher.has_finalizer()
    {
        return Ok(());
    }
    match pusher.set_finalizer(wanted).await {
        Ok(written) => {
            *object = Arc::new(written);
            Ok(())
        }
        Err(ApiError::NotFound { .. }) => Err(Next::Idle),
        Err(error) => {
            tracing::warn!(kind = KIND, %key, %error, "finalizer not written; trying again");
            Err(Next::Retry)
        }
    }
}

/// What is not worth a word, because the next try will most likely not meet it.
fn is_soon_over(error: &Error, failures: u32) -> bool {
    match error {
        Error::Cluster(ApiError::Fenced) => true,
        Error::StoreMissing(_) => failures == 0,
        Error::Cluster(ApiError::Conflict { .. }) | Error::NamespaceUnknown { .. } => failures < 3,
        _ => false,
    }
}

/// What to say, the reason for metrics, and what to do next.
fn conclude(
    key: &ObjectKey,
    failures: &[Error],
    source_gone: bool,
    deleting: bool,
) -> (Outcome, &'static str, Option<Retry>) {
    // What may pass by itself is tried again, whatever else there is.
    let passing = |error: &&Error| error.class().1 == Retry::Backoff;
    let Some(first) = failures.iter().find(passing).or(failures.first()) else {
        let outcome = if source_gone { Outcome::SourceDeleted } else { Outcome::Synced };
        return (outcome.clone(), outcome.reason(), None);
    };
    let (reason, retry) = first.class();
    let advice = if deleting { advice(key) } else { String::new() };
    let cause = format!("{first}{advice}");
    let outcome = Outcome::Failed { cause, others: failures.len() - 1, retry };
    (outcome, reason, Some(retry))
}

fn next_at(due: Due, now: Timestamp) -> Next {
    match due {
        Due::Never => Next::Idle,
        Due::Now => Next::at(now, now),
        Due::At(at) => Next::at(at, now),
    }
}

impl<'a> Pusher<'a> {
    fn new(context: &'a Context, key: &'a ObjectKey, object: &'a PushSecret) -> Self {
        let mark = context.pushes.inputs.mark(key, &ObjectKey::new("", "")).unwrap_or_default();
        let urgent = object.metadata.deletion_timestamp.is_some() || is_edited(object, &mark);
        let spent = context.pushes.is_spent(key, Timestamp::now());
        let lane = if urgent && !spent { Lane::Urgent } else { Lane::Periodic };
        Self { context, key, object, lane }
    }
}

impl Pusher<'_> {
    /// False if any store that it names is for another controller, or of a kind that is switched off.
    fn all_ours(&self) -> bool {
        let stores = entries::stores(&self.object.spec).unwrap_or_default();
        let mut stores = stores.iter().filter_map(|store| store_key(store, &self.key.namespace));
        stores.all(|store| self.context.is_served(&store))
    }

    /// Says that nothing is pushed where only some of the stores are for another controller. Two that write one status
    /// would forget what the other one pushed.
    fn warn_of_shared(&self) {
        let stores = entries::stores(&self.object.spec).unwrap_or_default();
        let keys = stores.iter().filter_map(|store| store_key(store, &self.key.namespace));
        let (ours, others): (Vec<_>, Vec<_>) =
            keys.partition(|store| self.context.is_served(store));
        if let (Some(ours), Some(other)) = (ours.first(), others.first()) {
            let (ours, other) = (store_name(ours), store_name(other));
            let text = format!(
                "not pushed: {} is for this controller and {} for another one; use a PushSecret for each",
                shown(&ours),
                shown(&other)
            );
            self.record("NotPushed", text, EventType::Warning);
        }
    }

    /// Whether it is ours alone to let go: we pushed it, and its stores were given to another controller since.
    fn is_abandoned(&self) -> bool {
        let tracked = self.context.pushes.find(self.key);
        let stores = entries::stores(&self.object.spec).unwrap_or_default();
        let mut stores = stores.iter().filter_map(|store| store_key(store, &self.key.namespace));
        self.object.metadata.deletion_timestamp.is_some()
            && (is_by_gabion(self.object)
                || tracked.is_some_and(|tracked| tracked.refreshed.is_some()))
            && stores
                .all(|store| self.context.is_served(&store) || self.context.is_of_others(&store))
    }

    /// When the object may be pushed, if not now.
    fn pause(&self, now: Timestamp, is_paced: bool) -> Option<Pass> {
        let taken = if is_paced { Ok(()) } else { self.context.pushes.take(self.key, now) };
        taken.err().map(|at| Pass::NotDue(Due::At(at)))
    }

    async fn pass(&self, now: Timestamp, is_paced: bool) -> Result<Pass, Error> {
        if !self.all_ours() && !self.is_abandoned() {
            self.warn_of_shared();
            return Ok(Pass::Waiting);
        }
        if self.object.metadata.deletion_timestamp.is_some() {
            if !self.has_finalizer() {
                return Ok(Pass::Left);
            }
            return match self.pause(now, is_paced) {
                Some(pause) => Ok(pause),
                None => self.leave().await,
            };
        }
        let spec = &self.object.spec;
        let name = entries::source(spec)?;
        entries::groups(spec)?;
        let interval = entries::interval(spec)?;
        let mark = self.context.pushes.inputs.mark(self.key, &ObjectKey::new("", ""));
        let last = self.context.pushes.find(self.key).and_then(|tracked| tracked.refreshed);
        match due(self.object, &mark.unwrap_or_default(), last, interval, now) {
            Due::Now => {}
            later => return Ok(Pass::NotDue(later)),
        }
        if let Some(pause) = self.pause(now, is_paced) {
            return Ok(pause);
        }
        let Some(source) = self.source(name).await? else {
            return self.source_gone(name).await;
        };
        let groups = self.groups(&source).await?;
        let ahead = self.ahead(&groups, &source).await;
        if !ahead.is_empty() {
            return Ok(Pass::Ahead(ahead));
        }
        self.push_all(&groups, &source).await
    }

    /// Pushes everything, and removes what is not pushed any more.
    async fn push_all(&self, groups: &[Group], source: &Source) -> Result<Pass, Error> {
        let (mut failures, mut synced, mut waiting) = (Vec::new(), Synced::new(), false);
        let mut recorded = self.recorded();
        for (store, groups) in by_store(groups) {
            let Some(key) = store_key(store, &self.key.namespace) else { continue };
            let target = match self.context.usable(&key, &self.key.namespace).await {
                Ok(Some((connection, store))) => {
                    Target::of(self, store, connection).map_err(Error::from)
                }
                Ok(None) => {
                    waiting = true;
                    continue;
                }
                Err(error) => Err(error),
            };
            let done: Vec<(&Group, Result<Pushed, Error>)> = match &target {
                Err(error) => {
                    groups.first().map(|group| (*group, Err(error.clone()))).into_iter().collect()
                }
                Ok(target) => {
                    let mut work = Vec::with_capacity(groups.len());
                    for group in &groups {
                        work.push(self.push(target, group, source));
                    }
                    let done: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
                    groups.iter().copied().zip(done).collect()
                }
            };
            let pushed = synced.entry(store.to_owned()).or_default();
            for (group, done) in done {
                let entries = group.entries.iter();
                let entries = entries.map(|it| (id(&it.record.matches.remote_ref), &it.record));
                match done {
                    Ok(Pushed::Done) => {
                        pushed.extend(entries.map(|(id, record)| (id, record.clone())));
                    }
                    Ok(Pushed::Skipped) => {}
                    Ok(Pushed::NotCreated(error)) => {
                        failures.push(error);
                        let recorded = recorded.entry(store.to_owned()).or_default();
                        entries.for_each(|(id, _)| drop(recorded.remove(&id)));
                    }
                    Err(error) => failures.push(error),
                }
            }
        }
        if waiting {
            return Ok(Pass::Waiting);
        }
        let gone = self.settle(groups, recorded, &mut synced);
        let removed = self.remove_all(&gone, Whose::OfAnybody).await;
        for (store, entries) in removed.left {
            synced.entry(store).or_default().extend(entries);
        }
        failures.extend(removed.failures);
        synced.retain(|_, entries| !entries.is_empty());
        Ok(Pass::Done { failures, synced, source: source.mark.clone(), source_gone: false })
    }

    /// What was pushed: as the status has it, and what no status could be written about.
    fn recorded(&self) -> Synced {
        let status = self.object.status.as_ref();
        let mut all = status.map(|status| status.synced_push_secrets.clone()).unwrap_or_default();
        for (store, entries) in self.context.pushes.unreported(self.key) {
            all.entry(store).or_default().extend(entries);
        }
        all
    }

    /// Keeps on record what was pushed before and failed now. What is not asked for any more, and is to be removed.
    fn settle(&self, groups: &[Group], recorded: Synced, synced: &mut Synced) -> Synced {
        let mut gone = Synced::new();
        for (store, entries) in recorded {
            for (of, data) in entries {
                let is_wanted = groups.iter().filter(|group| group.store == store).any(|group| {
                    let claim = Claim::of(&data.matches.remote_ref);
                    let mut wanted = group.entries.iter();
                    // Two places may have one id.
                    wanted.any(|entry| Claim::of(&entry.record.matches.remote_ref) == claim)
                });
                if is_wanted {
                    synced.entry(store.clone()).or_default().entry(of).or_insert(data);
                } else {
                    gone.entry(store.clone()).or_default().insert(of, data);
                }
            }
        }
        let deletes = self.object.spec.deletion_policy == PushDeletionPolicy::Delete;
        if deletes { gone } else { Synced::new() }
    }

    /// The Secret does not exist.
    async fn source_gone(&self, name: &str) -> Result<Pass, Error> {
        let recorded = self.recorded();
        let deletes = self.object.spec.deletion_policy == PushDeletionPolicy::Delete;
        let was_gone = self.object.status.as_ref().is_some_and(|status| {
            status.conditions.iter().any(|c| c.reason.as_deref() == Some("SourceDeleted"))
        });
        if !deletes || recorded.is_empty() && !was_gone {
            self.means_only(&recorded);
            return Err(PushError::SourceMissing { name: name.to_owned() }.into());
        }
        let removed = self.remove_all(&recorded, Whose::OfOthers).await;
        if removed.waiting {
            return Ok(Pass::Waiting);
        }
        let (failures, synced) = (removed.failures, removed.left);
        self.means_only(&synced);
        Ok(Pass::Done { failures, synced, source: String::new(), source_gone: true })
    }

    /// The object is being deleted: removes what it says, and lets it go.
    async fn leave(&self) -> Result<Pass, Error> {
        if self.object.spec.deletion_policy == PushDeletionPolicy::Delete {
            let removed = self.remove_all(&self.recorded(), Whose::OfOthers).await;
            if !removed.failures.is_empty() {
                let (failures, synced) = (removed.failures, removed.left);
                let source = String::new();
                return Ok(Pass::Done { failures, synced, source, source_gone: false });
            }
            if removed.waiting {
                return Ok(Pass::Waiting);
            }
        }
        match self.set_finalizer(false).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(Pass::Left),
            Err(error) => Err(error.into()),
        }
    }
}
