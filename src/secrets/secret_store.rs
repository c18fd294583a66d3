//! The controller of SecretStores and ClusterSecretStores: are they usable, and if not, why.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::auth;
use super::auth::is_referent;
use super::auth::is_tagged_by_caller;
use super::context::Context;
use super::error::Error;
use super::error::RECHECK;
use super::events;
use super::index::StoreKey;
use super::plan::access::{self, Access};
use super::plan::allowed_keys::{ANNOTATION, Patterns};
use super::plan::store_status::next_status;
use super::plan::store_status::{Queue, StoreOutcome};
use super::store::{Caller, Store};
use super::stores::Readiness;
use super::stores::User;
use crate::api::external_secrets::secret_store::ClusterSecretStore;
use crate::api::external_secrets::secret_store::SecretStore;
use crate::api::external_secrets::secret_store::SecretStoreStatus;
use crate::cluster::{
    events::EventType,
    queue::{Lane, Next},
    write::{ApiError, Part, PatchKind},
};
use crate::duration;
use crate::meta::ResourceVersion;
use crate::provider::ProviderError;
use crate::provider::Validation;
use crate::provider::fetcher::Connection;
use crate::retry::Retry;
use crate::text::shortened;

/// While a provider does not answer, its stores are validated this often.
const PROBE_EVERY: Duration = Duration::from_secs(2);
const MANAGER: &str = "external-secrets";
/// Bytes of a key that a message shows.
const SHOWN: usize = 512;

/// Validates one store, says so in its status, and wakes whoever waits for it.
pub(crate) async fn reconcile(context: Arc<Context>, key: StoreKey) -> Next {
    let started = Instant::now();
    let Some((store, before, epoch)) = context.stores.find(&key) else { return Next::Idle };
    // One that is being deleted serves until it is gone: what holds it may take long.
    if !context.is_ours(&store) {
        context.event_queues.withdraw(&key);
        // One that is being deleted waits for it no longer.
        for user in context.pushes.users_of_store(&key) {
            context.wake_push(&user, Lane::Periodic);
        }
        return Next::Idle;
    }
    let (found, failure) = validate(&context, &store, epoch).await;
    let (outcome, readiness) = conclude(found, failure.as_ref(), &before);
    let (ready, reason, message) = outcome.condition();
    let changed = context.stores.validated(&key, epoch, &readiness);
    if failure.as_ref().is_some_and(Error::is_refused_key) {
        // The next try reads the keys again.
        context.stores.doubt(&key, Instant::now());
    }
    if changed {
        for user in context.index.users_of_store(&key) {
            context.wake(&user, Lane::Urgent);
        }
        for user in context.pushes.users_of_store(&key) {
            context.wake_push(&user, Lane::Urgent);
        }
        for user in context.rotations.users_of_store(&key) {
            context.wake_rotation(&user, Lane::Urgent);
        }
    }
    context.metrics.reconciles.done(key.kind(), reason, started.elapsed());
    let queue = events::declare(&context, &store);
    let reported = report(&context, &store, &outcome, &queue).await;
    // One that the status calls usable already was so before this process.
    let is_new = reason == "Valid" && !says_ready(&store, reason);
    if changed && (!ready || is_new) {
        let kind = if ready { EventType::Routine } else { EventType::Warning };
        context.record(store_reference(&store), reason, message.clone(), kind);
    }
    match &reported {
        Ok(()) => tracing::debug!(store = ?key, reason, message, "store validated"),
        Err(error) => tracing::warn!(store = ?key, %error, "store status not written"),
    }
    match failure {
        _ if reported.is_err() => Next::Retry,
        None => Next::after(interval(&context, &store)),
        Some(error) if error.is_outage() => Next::RetryAfter(PROBE_EVERY),
        Some(error) => match error.class().1 {
            Retry::Backoff => Next::Retry,
            Retry::OnChange => Next::RetryAfter(RECHECK),
        },
    }
}

/// Whether the status of a store has its Ready condition, with this reason.
fn says_ready(store: &Store, reason: &str) -> bool {
    let conditions = store.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|one| one.type_ == "Ready")
        .any(|one| one.status == "True" && one.reason.as_deref() == Some(reason))
}

/// What to say of a store, and whether it can be used. A provider that is away fails in ways that alternate: the
/// first one stands, so that nobody is woken and nothing is written each time.
fn conclude(
    found: StoreOutcome,
    failure: Option<&Error>,
    before: &Readiness,
) -> (StoreOutcome, Readiness) {
    if found.condition().0 {
        return (found, Readiness::Ready);
    }
    let passing = failure.is_some_and(Error::is_passing);
    let outcome = match before {
        Readiness::NotReady { outcome, passing: true } if passing => outcome.clone(),
        _ => found,
    };
    (outcome.clone(), Readiness::NotReady { outcome, passing })
}

/// What is wrong with the list of keys that namespaces may read.
pub(crate) fn bad_list(store: &Store) -> Option<Error> {
    let list = store.allowed_keys.as_ref()?;
    let reason = match list.problem() {
        // Whoever may write a SecretStore would write the list as well.
        None if !store.key.is_cluster() => "works on a ClusterSecretStore only: remove it",
        problem => problem?,
    };
    let field = format!("metadata.annotations[{ANNOTATION}]");
    Some(Error::StoreField { field, reason: reason.to_owned() })
}

async fn validate(context: &Context, store: &Store, epoch: u64) -> (StoreOutcome, Option<Error>) {
    if let Some(error) = bad_list(store) {
        return (StoreOutcome::NoClient { cause: error.to_string() }, Some(error));
    }
    if is_referent(store) {
        // Its credentials are those of whoever uses it: there is nothing to try before.
        return (StoreOutcome::Valid { note: None }, None);
    }
    let connection = match context.connection(store, epoch, Caller::Store).await {
        Ok(connection) => connection,
        Err(error @ Error::ProviderNotSupported { .. }) => {
            return (StoreOutcome::NotSupported { cause: error.to_string() }, Some(error));
        }
        Err(error) => return (StoreOutcome::NoClient { cause: error.to_string() }, Some(error)),
    };
    match context.fetcher.validate(&connection).await {
        Ok(Validation::Ready) => {
            let identities = context.stores.identities_of(&store.key);
            let mut notes = identities.iter().flat_map(|of| context.fetcher.notes(of));
            let note = notes.next().map(|note| note.to_string());
            (StoreOutcome::Valid { note }, None)
        }
        Ok(Validation::Unknown { reason }) => (StoreOutcome::Unknown { cause: reason }, None),
        // The role's trust may ask for the tag that only a caller has.
        Err(error @ ProviderError::Denied { .. }) if is_tagged_by_caller(store) => {
            let cause = format!("{error}; without a namespace, which its session tags name");
            (StoreOutcome::Unknown { cause }, None)
        }
        Err(error) => {
            let error = Error::from(error);
            (StoreOutcome::NotValid { cause: error.to_string() }, Some(error))
        }
    }
}

async fn report(
    context: &Context,
    store: &Store,
    outcome: &StoreOutcome,
    queue: &Queue,
) -> Result<(), ApiError> {
    let old = store.status.as_ref();
    let Some(next) = next_status(old, outcome, queue, store.generation, Timestamp::now()) else {
        return Ok(());
    };
    let written = write_status(context, store, &next).await?;
    context.stores.own_write(&store.key, written, next);
    Ok(())
}

async fn write_status(
    context: &Context,
    store: &Store,
    status: &SecretStoreStatus,
) -> Result<ResourceVersion, ApiError> {
    let body = serde_json::json!({
        "metadata": {"resourceVersion": store.resource_version},
        "status": status,
    });
    let key = &store.key.0;
    let (part, kind) = (Part::Status, PatchKind::Merge);
    let meta = if store.key.is_cluster() {
        context.writer.patch::<ClusterSecretStore>(key, part, kind, &body, MANAGER).await?
    } else {
        context.writer.patch::<SecretStore>(key, part, kind, &body, MANAGER).await?
    };
    Ok(ResourceVersion::of(&meta))
}

fn interval(context: &Context, store: &Store) -> Duration {
    let own = match &store.spec.refresh_interval {
        Some(IntOrString::Int(seconds)) => u64::try_from(*seconds).map(Duration::from_secs).ok(),
        Some(IntOrString::String(text)) => {
            duration::parse(text).and_then(|interval| Duration::try_from(interval).ok())
        }
        None => None,
    };
    own.filter(|interval| !interval.is_zero()).unwrap_or(context.config.store_interval)
}

fn store_reference(store: &Store) -> k8s_openapi::api::core::v1::ObjectReference {
    k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some("external-secrets.io/v1".to_owned()),
        kind: Some(store.key.kind().to_owned()),
        namespace: (!store.key.is_cluster()).then(|| store.key.0.namespace.to_string()),
        name: Some(store.key.0.name.to_string()),
        uid: Some(store.uid.to_string()),
        ..Default::default()
    }
}

/// Whether the list of a store names a key, or anything if none is given, that the field of an object asks for.
pub(crate) fn check_key(
    patterns: &Patterns,
    store: &StoreKey,
    namespace: &str,
    (field, asked): (&str, Option<&str>),
) -> Result<(), Error> {
    let (access, what) = match asked {
        Some(key) => (patterns.decide(key), format!("{:?}", shortened(key, SHOWN))),
        None => (patterns.decide_any(), "anything".to_owned()),
    };
    let (store, namespace) = (store.0.name.to_string(), namespace.to_owned());
    match access {
        Access::Allowed => Ok(()),
        Access::Denied => {
            Err(Error::KeyNotAllowed { field: field.to_owned(), what, store, namespace })
        }
        Access::Unknown => Err(Error::NamespaceUnknown { store, namespace }),
    }
}

impl Context {
    /// The connection of a store, if it may be used in this namespace and is ready. `None`: it is being validated, and
    /// wakes whoever uses it.
    pub(crate) async fn usable(
        &self,
        key: &StoreKey,
        namespace: &str,
    ) -> Result<Option<(Connection, Arc<Store>)>, Error> {
        let Some((store, readiness, epoch)) = self.stores.find(key) else {
            return Err(self.unknown(key));
        };
        if key.is_cluster() {
            self.check_access(key, &store, namespace)?;
        }
        match readiness {
            Readiness::Unknown => return Ok(None),
            Readiness::NotReady { outcome, .. } if self.config.store_gate => {
                let cause = outcome.condition().2;
                return Err(Error::StoreNotReady { store: key.clone(), cause });
            }
            Readiness::NotReady { .. } | Readiness::Ready => {}
        }
        let connection = self.connection(&store, epoch, Caller::Namespace(namespace)).await?;
        Ok(Some((connection, store)))
    }

    /// Whether the store's conditions let this namespace in.
    fn check_access(&self, key: &StoreKey, store: &Store, namespace: &str) -> Result<(), Error> {
        let facts = self.index.namespace(namespace);
        let labels = facts.as_ref().map(|facts| &facts.labels);
        let access = access::access(&store.spec.conditions, namespace, labels)
            .map_err(|source| Error::BadCondition { store: key.clone(), source })?;
        let (store, namespace) = (key.0.name.to_string(), namespace.to_owned());
        match access {
            Access::Allowed => Ok(()),
            Access::Denied => Err(Error::StoreDenied { store, namespace }),
            Access::Unknown => Err(Error::NamespaceUnknown { store, namespace }),
        }
    }

    /// Whether a store certainly refuses a key to a namespace, by its conditions or its list.
    pub(crate) fn refuses(&self, key: &StoreKey, namespace: &str, remote_key: &str) -> bool {
        let Some((store, _, _)) = self.stores.find(key).filter(|_| key.is_cluster()) else {
            return false;
        };
        let access = self.check_access(key, &store, namespace);
        let patterns = self.allowed_keys(key, namespace).ok().flatten();
        matches!(access, Err(Error::StoreDenied { .. }))
            || patterns.is_some_and(|patterns| patterns.decide(remote_key) == Access::Denied)
    }

    /// What a namespace may ask of a store that lists it.
    pub(crate) fn allowed_keys(
        &self,
        key: &StoreKey,
        namespace: &str,
    ) -> Result<Option<Patterns>, Error> {
        // A store that is being replaced may come back with a list.
        let Some((store, _, _)) = self.stores.find(key) else { return Err(self.unknown(key)) };
        let Some(list) = &store.allowed_keys else { return Ok(None) };
        if let Some(error) = bad_list(&store) {
            return Err(error);
        }
        let facts = self.index.namespace(namespace);
        let patterns = list.of(namespace, facts.as_ref().map(|facts| &facts.labels));
        patterns.map(Some).map_err(|reason| {
            let field = format!("metadata.annotations[{ANNOTATION}]");
            Error::StoreField { field, reason: reason.to_owned() }
        })
    }

    /// The connection of a store for a caller, made once per state of the store and its inputs.
    pub(crate) async fn connection(
        &self,
        store: &Store,
        epoch: u64,
        caller: Caller<'_>,
    ) -> Result<Connection, Error> {
        if let Some(connection) = self.stores.connection(&store.key, caller) {
            return Ok(connection);
        }
        let resolved = auth::resolve(self, store, caller).await;
        let user = if resolved.of_caller { User::only(caller) } else { User::Anybody };
        // Also after a failure: a Secret that appears later must wake the store.
        for stale in self.stores.depends_on(&store.key, &user, resolved.inputs) {
            self.validations.wake(&stale, &stale, Lane::Urgent);
        }
        let connection = resolved.connection?;
        self.stores.keep_connection(&store.key, epoch, user, &connection);
        Ok(connection)
    }

    /// Has a store say what its owner should know, as soon as that is known.
    pub(crate) fn mention_notes(&self, key: &StoreKey, connection: &Connection) {
        let Some(note) = self.fetcher.notes(connection.identity()).into_iter().next() else {
            return;
        };
        let Some((store, _, _)) = self.stores.find(key) else { return };
        let text = note.to_string();
        let conditions = store.status.iter().flat_map(|status| &status.conditions);
        let mut messages = conditions.filter_map(|condition| condition.message.as_deref());
        if !is_referent(&store) && !messages.any(|message| message.contains(&text)) {
            self.validations.wake(key, key, Lane::Periodic);
        }
    }

    /// True if the store's class is ours.
    pub(crate) fn is_ours(&self, store: &Store) -> bool {
        self.is_our_class(store.spec.controller.as_deref().unwrap_or_default())
    }

    /// True if a store of this class is ours.
    pub(crate) fn is_our_class(&self, class: &str) -> bool {
        class.is_empty() || class == self.config.controller_class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(text: &str) -> (StoreOutcome, Error) {
        let error = Error::from(ProviderError::Unavailable { reason: text.into(), source: None });
        (StoreOutcome::NotValid { cause: error.to_string() }, error)
    }

    /// While it lasts nobody is woken and nothing is written: both follow from a readiness that changes.
    #[test]
    fn q1_outage_texts_that_alternate_are_one_outage() {
        let mut before = Readiness::Ready;
        let mut said = Vec::new();
        for text in ["connection refused", "timed out", "connection refused", "reset", "timed out"]
        {
            let (found, error) = away(text);
            let (outcome, now) = conclude(found, Some(&error), &before);
            said.push(now != before);
            assert_eq!(
                outcome.condition().2,
                conclude(away("x").0, Some(&error), &now).0.condition().2
            );
            before = now;
        }
        assert_eq!(said, [true, false, false, false, false]);
        // What does not pass by itself is news, and so is the end.
        let found = StoreOutcome::NoClient { cause: "no such key".into() };
        let other = Error::from(ProviderError::Credentials { reason: "refused".into() });
        assert_ne!(conclude(found, Some(&other), &before).1, before);
        assert_eq!(conclude(StoreOutcome::Valid { note: None }, None, &before).1, Readiness::Ready);
    }
}
