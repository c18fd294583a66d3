//! The controller of exceptions: what is asked and approved, what of it is in force, and what its status says.
//!
//! Policies and labels are made from [`Exceptions::in_force`], which asks the one decision of
//! [`super::plan::exceptions`] for the present moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::Context;
use super::explain::explain;
use super::plan::error::Error;
use super::plan::exceptions::{self as decision, Standing, State as Stands};
use crate::api::gabion::baseline_exception::BaselineException;
use crate::api::gabion::baseline_exception_approval::BaselineExceptionApproval;
use crate::api::gabion::hardening_baseline::ExceptionCounts;
use crate::cluster::{
    Change, ObjectKey,
    events::EventType,
    queue::{Lane, Next},
    write::{Part, PatchKind},
};
use crate::marks::FIELD_MANAGER;
use crate::policy::waivers::Waiver;
use crate::retry::Retry;

const KIND: &str = "BaselineException";
/// How long the clock is trusted: if it jumps, this is when that is noticed.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// What ends within this time ends soon.
const SOON: Duration = Duration::from_hours(24);
const RECHECK: Duration = Duration::from_hours(1);

/// What is known of exceptions and approvals. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Exceptions(Mutex<State>);

#[derive(Default)]
struct State {
    /// By namespace and name.
    asked: BTreeMap<Arc<str>, Arc<BaselineException>>,
    /// By the exception that they name, and then by their own name.
    given: BTreeMap<Arc<str>, BTreeMap<String, Arc<BaselineExceptionApproval>>>,
    /// Which exception an approval names.
    named: HashMap<String, Arc<str>>,
    /// What is in force, as long as nothing and no clock says otherwise.
    cached: Option<Cached>,
    /// What was last told to those who make something of it.
    told: Arc<Vec<Waiver>>,
}

struct Cached {
    from: Timestamp,
    to: Timestamp,
    waivers: Arc<Vec<Waiver>>,
}

fn key_of(namespace: &str, name: &str) -> Arc<str> {
    format!("{namespace}/{name}").into()
}

impl State {
    fn standing(&self, key: &str, now: Timestamp) -> Option<Standing> {
        let asked = self.asked.get(key)?;
        let given: Vec<_> =
            self.given.get(key).into_iter().flatten().map(|(_, given)| &**given).collect();
        Some(decision::active(asked, &given, now))
    }

    fn in_force(&mut self, now: Timestamp) -> Arc<Vec<Waiver>> {
        if let Some(cached) = &self.cached
            && (cached.from..cached.to).contains(&now)
        {
            return Arc::clone(&cached.waivers);
        }
        let approved = self.given.keys().filter_map(|key| {
            let waiver = self.standing(key, now)?.waiver?;
            let created = self.asked.get(key)?.metadata.creation_timestamp.as_ref()?.0;
            Some((created, waiver))
        });
        let waivers = Arc::new(decision::that_fit(approved.collect()));
        let ends = waivers.iter().map(|waiver| waiver.until).min();
        let to = ends.unwrap_or(Timestamp::MAX).min(later(now));
        self.cached = Some(Cached { from: now, to, waivers: Arc::clone(&waivers) });
        waivers
    }
}

/// Nothing begins by the clock alone, so this only bounds how long a clock that jumped is believed.
fn later(now: Timestamp) -> Timestamp {
    now.checked_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX)
}

impl Exceptions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is excused at this moment.
    pub(crate) fn in_force(&self, now: Timestamp) -> Arc<Vec<Waiver>> {
        self.lock().in_force(now)
    }

    /// The object and how it stands, room considered.
    fn standing(&self, key: &str, now: Timestamp) -> Option<(Arc<BaselineException>, Standing)> {
        let mut state = self.lock();
        let standing = state.standing(key, now)?;
        let object = Arc::clone(state.asked.get(key)?);
        let in_force = state.in_force(now);
        let has_room = |waiver: &Waiver| in_force.contains(waiver);
        let standing = match &standing.waiver {
            Some(waiver) if !has_room(waiver) => standing.crowded_out(decision::no_room()),
            _ => standing,
        };
        Some((object, standing))
    }

    /// Namespaces in which something else is excused than was last told; empty if nothing changed.
    fn changed(&self, now: Timestamp) -> BTreeSet<String> {
        let mut state = self.lock();
        let present = state.in_force(now);
        let before = std::mem::replace(&mut state.told, Arc::clone(&present));
        let only_in = |a: &Vec<Waiver>, b: &Vec<Waiver>| -> Vec<String> {
            a.iter().filter(|w| !b.contains(w)).map(|w| w.namespace.clone()).collect()
        };
        only_in(&present, &before).into_iter().chain(only_in(&before, &present)).collect()
    }

    /// How many there are in each state, as their status says, and when the next one that is in force ends.
    pub(crate) fn figures(&self, now: Timestamp) -> (BTreeMap<&'static str, i64>, Option<i64>) {
        let mut state = self.lock();
        let mut counts: BTreeMap<_, _> = Stands::ALL.map(|one| (one.as_str(), 0)).into();
        for object in state.asked.values() {
            let said = object.status.as_ref().and_then(|status| status.state.as_deref());
            if let Some(count) = said.and_then(|said| counts.get_mut(said)) {
                *count += 1;
            }
        }
        let next = state.in_force(now).iter().map(|waiver| waiver.until).min();
        (counts, next.map(|until| until.as_second() - now.as_second()))
    }

    /// How many there are in the namespaces that a baseline reaches.
    pub(crate) fn counts(&self, now: Timestamp, reached: impl Fn(&str) -> bool) -> ExceptionCounts {
        // Asked without the lock: what is reached is somebody else's to know.
        let (asked, in_force) = {
            let mut state = self.lock();
            let waiting = state.asked.values().filter(|object| {
                let said = object.status.as_ref().and_then(|status| status.state.as_deref());
                said == Some(Stands::Requested.as_str())
            });
            let waiting: Vec<_> = waiting.filter_map(|object| object.namespace()).collect();
            (waiting, state.in_force(now))
        };
        let count = |counted: usize| i64::try_from(counted).unwrap_or(i64::MAX);
        let active: Vec<_> = in_force.iter().filter(|w| reached(&w.namespace)).collect();
        let soon = now.checked_add(SOON).unwrap_or(Timestamp::MAX);
        ExceptionCounts {
            requested: count(asked.iter().filter(|namespace| reached(namespace)).count()),
            active: count(active.len()),
            expiring_soon: count(active.iter().filter(|waiver| waiver.until <= soon).count()),
        }
    }

    /// True if it is news to a policy or to a status.
    fn applied(&self, object: BaselineException) -> bool {
        let key = key_of(&object.namespace().unwrap_or_default(), &object.name_any());
        let mut state = self.lock();
        let decides = |object: &BaselineException| {
            let meta = &object.metadata;
            (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some())
        };
        let before = state.asked.get(&key).map(|before| (decides(before), before.status.clone()));
        let news = before != Some((decides(&object), object.status.clone()));
        if before.is_none_or(|(before, _)| before != decides(&object)) {
            state.cached = None;
        }
        state.asked.insert(key, Arc::new(object));
        news
    }

    fn gone(&self, key: &str) {
        let mut state = self.lock();
        state.asked.remove(key);
        state.cached = None;
    }

    fn missing(&self, present: &HashSet<ObjectKey>) -> Vec<Arc<str>> {
        let present: HashSet<_> =
            present.iter().map(|key| key_of(&key.namespace, &key.name)).collect();
        self.lock().asked.keys().filter(|key| !present.contains(*key)).cloned().collect()
    }

    /// Records an approval; the exceptions that it is news to.
    fn approved(&self, object: BaselineExceptionApproval) -> Vec<Arc<str>> {
        let of = &object.spec.exception_ref;
        let (key, name) = (key_of(&of.namespace, &of.name), object.name_any());
        let mut woken = self.revoked(&name);
        let mut state = self.lock();
        state.named.insert(name.clone(), Arc::clone(&key));
        state.given.entry(Arc::clone(&key)).or_default().insert(name, Arc::new(object));
        state.cached = None;
        woken.push(key);
        woken
    }

    fn revoked(&self, name: &str) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let Some(key) = state.named.remove(name) else { return Vec::new() };
        if let Some(given) = state.given.get_mut(&key) {
            given.remove(name);
            if given.is_empty() {
                state.given.remove(&key);
            }
        }
        state.cached = None;
        vec![key]
    }

    fn revoked_unless(&self, present: &HashSet<ObjectKey>) -> Vec<Arc<str>> {
        let present: HashSet<&str> = present.iter().map(|key| &*key.name).collect();
        let named: Vec<_> = self.lock().named.keys().cloned().collect();
        let gone = named.iter().filter(|name| !present.contains(name.as_str()));
        gone.flat_map(|name| self.revoked(name)).collect()
    }
}

/// What the watch of exceptions says.
pub(crate) fn exception(context: &Context, change: Change<BaselineException>) {
    match change {
        Change::Applied(object) => {
            let key = key_of(&object.namespace().unwrap_or_default(), &object.name_any());
            if context.exceptions.applied(object) {
                context.excused.wake(&key, &(), Lane::Urgent);
            }
        }
        Change::Deleted(object) => {
            let key = key_of(&object.namespace().unwrap_or_default(), &object.name_any());
            exception_gone(context, &key);
        }
        Change::Replaced(present) => {
            for key in context.exceptions.missing(&present) {
                exception_gone(context, &key);
            }
        }
    }
}

fn exception_gone(context: &Context, key: &Arc<str>) {
    context.exceptions.gone(key);
    context.excused.forget(key);
    announce(context);
}

/// What the watch of approvals says.
pub(crate) fn approval(context: &Context, change: Change<BaselineExceptionApproval>) {
    let woken = match change {
        Change::Applied(object) => context.exceptions.approved(object),
        Change::Deleted(object) => context.exceptions.revoked(&object.name_any()),
        Change::Replaced(present) => context.exceptions.revoked_unless(&present),
    };
    for key in woken {
        context.excused.wake(&key, &(), Lane::Urgent);
    }
}

/// Tells those who make policies and labels, if anything else is excused than before.
fn announce(context: &Context) {
    let namespaces = context.exceptions.changed(Timestamp::now());
    if namespaces.is_empty() {
        return;
    }
    for name in context.index.baseline_names() {
        context.baselines.wake(&name, &(), Lane::Urgent);
    }
    for namespace in namespaces {
        context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
    }
}

/// Reconciles one exception: says how it stands, and comes back when that changes by itself.
pub(crate) async fn reconcile(context: Arc<Context>, key: Arc<str>) -> Next {
    let started = Instant::now();
    let now = Timestamp::now();
    announce(&context);
    let Some((object, standing)) = context.exceptions.standing(&key, now) else {
        return Next::Idle;
    };
    let written = say(&context, &object, &standing, now).await;
    let reason = match &written {
        Ok(()) => standing.state.as_str(),
        Err(error) => error.class().0,
    };
    context.metrics.reconciles.done(KIND, reason, started.elapsed());
    if let Err(error) = written {
        tracing::warn!(exception = &*key, %error, "status not written");
        return match error.class().1 {
            Retry::Backoff => Next::Retry,
            Retry::OnChange => Next::RetryAfter(RECHECK),
        };
    }
    let ends = match standing.state {
        Stands::Active => standing.ends,
        Stands::Requested | Stands::ApprovalMismatch => Some(object.spec.expires_at.0),
        Stands::Rejected if standing.ends.is_some() => Some(now),
        Stands::Expired | Stands::Rejected => None,
    };
    let Some(ends) = ends else { return Next::Idle };
    let left = Duration::try_from(ends.duration_since(now)).unwrap_or(Duration::ZERO);
    if standing.state == Stands::Active && left < SOON {
        context.wake_baselines();
    }
    Next::after(if left.is_zero() { LOOK_AGAIN } else { left.min(LOOK_AGAIN) })
}

/// Writes the status if it says something else, and tells of a change of state.
async fn say(
    context: &Context,
    object: &BaselineException,
    standing: &Standing,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(status) = decision::next_status(object, standing, now) else { return Ok(()) };
    let before = object.status.as_ref().and_then(|status| status.state.as_deref());
    let is_news = before != Some(standing.state.as_str());
    let body = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": object.metadata.resource_version},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let namespace = object.namespace().unwrap_or_default();
    let key = ObjectKey::new(&namespace, &object.name_any());
    let writer = &context.writer;
    let patched = writer
        .patch::<BaselineException>(&key, Part::Status, PatchKind::Json, &body, FIELD_MANAGER)
        .await;
    patched.map_err(|error| explain("patch", &format!("{KIND}/{}", key.name), &error))?;
    if is_news {
        context.wake_baselines();
        let (reason, event_type) = match standing.state {
            Stands::Requested => ("ExceptionRequested", EventType::Done),
            Stands::Active => ("ExceptionActive", EventType::Done),
            Stands::ApprovalMismatch => ("ApprovalMismatch", EventType::Warning),
            Stands::Expired => ("ExceptionExpired", EventType::Done),
            Stands::Rejected => ("ExceptionRejected", EventType::Warning),
        };
        let by = standing.approved_by.as_ref().filter(|_| standing.state == Stands::Expired);
        let by = by.map(|by| format!("; it was approved by {by}")).unwrap_or_default();
        let text = format!("{}{by}", standing.message);
        context.record(object.object_ref(&()), reason, text, event_type);
    }
    Ok(())
}
