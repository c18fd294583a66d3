//! The one way a watch enters the program.
//!
//! Each watch runs in a task of its own, so one that fails (a missing `watch` verb, a CRD that is gone)
//! delays no other. Errors are paced, counted and shown on `/readyz`; they never reach a controller.
//!
//! This is a loop of our own and not `kube::runtime::watcher`: that decodes a page as a whole, so that one object
//! fails the list of all, has no deadline on a list or on the start of a watch, and does not say when a watch is
//! accepted again.

mod health;
mod requests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::{
    ObjectKey, Undecodable,
    decode::{Decoded, Identity, decode},
};
use crate::meta::ResourceVersion;
use crate::retry::Pauses;
pub(crate) use health::{CacheSync, WatchHealth};
pub(crate) use requests::Selected;
use requests::{Line, Requests, WatchError};

const RETRY: Pauses = Pauses { first: Duration::from_millis(200), longest: Duration::from_secs(5) };
/// Pause after a refusal of a watch that may be refused.
const REFUSED_PAUSE: Duration = Duration::from_mins(10);
/// The same for a kind that is not installed: somebody may be about to.
const ABSENT_PAUSE: Duration = Duration::from_secs(15);
/// After so many failures in a row the list is read again: the API server may have been restored to a state in
/// which the version to go on from does not exist.
const RELIST_AFTER: u32 = 10;
/// A watch that ends earlier and without an event never began.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What a watch says.
#[derive(Debug)]
pub(crate) enum Change<K> {
    /// The object exists and looks like this.
    Applied(K),
    /// The object is gone; this is its last known form.
    Deleted(K),
    /// A complete list has been delivered: whatever is not in the set does not exist.
    Replaced(HashSet<ObjectKey>),
}

/// Whether it is normal that a watch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A right or a CRD is missing, and somebody must mend it.
    Fails,
    /// Only some clusters have the kind, and only some installations may see it: logged once, asked rarely.
    IsNormal,
    /// The definition of the kind need not be installed; a missing right is somebody's to mend.
    AbsenceIsNormal,
}

/// Follows every change of the objects of `api` for ever. Dropping the future ends the watch.
pub(crate) async fn follow<K>(
    (api, selected): (Api<K>, Selected),
    health: Arc<WatchHealth>,
    refusal: Refusal,
    report: impl FnMut(Undecodable) + Send,
    sink: impl FnMut(Change<K>) + Send,
) where
    K: Resource + DeserializeOwned,
{
    let url = api.resource_url().to_owned();
    let requests =
        Requests::new(api.into_client(), &url, selected, K::metadata_api(), health.patience);
    let cache = Cache { health, undecodable: HashMap::new(), report, sink };
    let mut watch = Watch { requests, cache, position: None, relist: false, progress: false };
    let (mut failures, mut refused) = (0_u32, false);
    loop {
        let outcome = watch.advance::<K>().await;
        if std::mem::take(&mut watch.progress) {
            (failures, refused) = (0, false);
        }
        let Err(error) = outcome else { continue };
        let health = &watch.cache.health;
        let why = error.explain(health.kind);
        failures = failures.saturating_add(1);
        let pause = RETRY.after(health.kind, failures);
        let is_absent = matches!(error, WatchError::Refused { code: 404, .. });
        let is_refusal = is_absent || matches!(error, WatchError::Refused { code: 403, .. });
        let pause_if_normal = match refusal {
            Refusal::IsNormal => is_refusal.then_some(REFUSED_PAUSE),
            Refusal::AbsenceIsNormal => is_absent.then_some(ABSENT_PAUSE),
            Refusal::Fails => None,
        };
        if let Some(pause) = pause_if_normal {
            if !refused {
                let kind = health.kind;
                tracing::info!(kind, "not followed: RBAC does not allow it, or it is not served");
            }
            refused = true;
            health.absent();
            watch.position = None;
            time::sleep(pause).await;
            continue;
        }
        let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(kind = health.kind, error = why, retry_in_ms, "watch failed");
        health.failed(why);
        let relist_after =
            if matches!(error, WatchError::NeverEnded(_)) { 2 } else { RELIST_AFTER };
        if error == WatchError::Expired || failures.is_multiple_of(relist_after) {
            watch.position = None;
        }
        time::sleep(pause).await;
    }
}

/// Runs `work` until it ends or `stop`.
pub(crate) async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

struct Watch<R, S> {
    requests: Requests,
    cache: Cache<R, S>,
    /// The version after which to go on. Without one the list comes first.
    position: Option<ResourceVersion>,
    /// The list must be read again when the watch ends.
    relist: bool,
    /// A list was delivered, or an event, or a watch lasted.
    progress: bool,
}

impl<R: FnMut(Undecodable), S> Watch<R, S> {
    /// One list, or one watch request from its start to its end.
    async fn advance<K>(&mut self) -> Result<(), WatchError>
    where
        K: Resource + DeserializeOwned,
        S: FnMut(Change<K>),
    {
        if self.position.is_none() {
            self.list::<K>().await?;
            self.progress = true;
            return Ok(());
        }
        let started = Instant::now();
        self.watch::<K>().await?;
        self.progress = true;
        if std::mem::take(&mut self.relist) {
            self.position = None;
        }
        // Something that ends each watch at once must not be asked without a pause.
        if started.elapsed() < RETRY.first {
            time::sleep(RETRY.first).await;
        }
        Ok(())
    }

    async fn list<K>(&mut self) -> Result<(), WatchError>
    where
        K: Resource + DeserializeOwned,
        S: FnMut(Change<K>),
    {
        let mut listing = Listing::default();
        let mut token = None;
        loop {
            let page = self.requests.page(token).await?;
            let contents = page.contents()?;
            for item in contents.items.unwrap_or_default() {
                let identity = Identity::of(item.get())
                    .ok_or(WatchError::Form("an object of the list has no name"))?;
                listing.present.insert(identity.key.clone());
                self.cache.applied::<K>(identity, item.get(), &mut listing.undecodable);
            }
            token = contents.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                let version = contents.metadata.resource_version.filter(|v| !v.is_empty());
                self.position = Some(
                    version.ok_or(WatchError::Form("the list has no resourceVersion"))?.into(),
                );
                self.cache.listed::<K>(listing);
                return Ok(());
            }
        }
    }

    async fn watch<K>(&mut self) -> Result<(), WatchError>
    where
        K: Resource + DeserializeOwned,
        S: FnMut(Change<K>),
    {
        let from = self.position.clone().unwrap_or_default();
        let (started, mut brought) = (Instant::now(), false);
        let mut lines = self.requests.watch(&from).await?;
        self.cache.health.accepted();
        while let Some(text) = lines.next().await? {
            let line = Line::of(text)?;
            let object = line.object.get();
            let version = if line.what == "BOOKMARK" {
                bookmark(object)
            } else {
                let identity = Identity::of(object)
                    .ok_or(WatchError::Form("an object of an event has no name"))?;
                let version = identity.resource_version.clone();
                match line.what {
                    "DELETED" => self.relist |= !self.cache.deleted::<K>(&identity, object),
                    _ => self.cache.changed::<K>(identity, object),
                }
                Some(version)
            };
            let version = version.filter(|version| !version.is_empty());
            self.position =
                Some(version.ok_or(WatchError::Form("an event has no resourceVersion"))?);
            self.progress = true;
            brought = true;
            self.cache.health.worked();
        }
        if brought {
            Ok(())
        } else if lines.timed_out {
            Err(WatchError::NeverEnded(self.cache.health.patience.watch()))
        } else if started.elapsed() < AT_ONCE {
            Err(WatchError::EndedAtOnce)
        } else {
            Ok(())
        }
    }
}

fn bookmark(object: &str) -> Option<ResourceVersion> {
    #[derive(serde::Deserialize)]
    struct Bookmark {
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta,
    }
    Some(serde_json::from_str::<Bookmark>(object).ok()?.metadata.resource_version?.into())
}

/// What a list has brought so far.
#[derive(Default)]
struct Listing {
    present: HashSet<ObjectKey>,
    undecodable: HashMap<ObjectKey, ResourceVersion>,
}

/// Decodes what arrives and hands it on.
struct Cache<R, S> {
    health: Arc<WatchHealth>,
    /// The versions of what cannot be decoded, each of which is reported once.
    undecodable: HashMap<ObjectKey, ResourceVersion>,
    report: R,
    sink: S,
}

impl<R: FnMut(Undecodable), S> Cache<R, S> {
    /// An object exists. If it cannot be decoded, it is noted in `undecodable`.
    fn applied<K>(
        &mut self,
        identity: Identity,
        text: &str,
        undecodable: &mut HashMap<ObjectKey, ResourceVersion>,
    ) where
        K: DeserializeOwned,
        S: FnMut(Change<K>),
    {
        let kind = self.health.kind;
        match decode::<K>(text) {
            Ok(Decoded { object, status_problem }) => {
                if let Some(problem) = status_problem {
                    let key = &identity.key;
                    tracing::warn!(kind, object = %key, problem, "the status cannot be decoded and is left out");
                }
                (self.sink)(Change::Applied(object));
            }
            Err(problem) => {
                let version = identity.resource_version.clone();
                undecodable.insert(identity.key.clone(), version);
                if self.undecodable.get(&identity.key) != Some(&identity.resource_version) {
                    let key = &identity.key;
                    tracing::warn!(kind, object = %key, problem, "the object cannot be decoded and is left out");
                    (self.report)(Undecodable::new(identity, problem, text));
                }
            }
        }
    }

    fn listed<K>(&mut self, listing: Listing)
    where
        S: FnMut(Change<K>),
    {
        self.undecodable = listing.undecodable;
        self.health.set_undecodable(self.undecodable.len());
        (self.sink)(Change::Replaced(listing.present));
        self.health.list_delivered();
    }

    fn changed<K>(&mut self, identity: Identity, text: &str)
    where
        K: DeserializeOwned,
        S: FnMut(Change<K>),
    {
        let key = identity.key.clone();
        let mut undecodable = HashMap::new();
        self.applied::<K>(identity, text, &mut undecodable);
        match undecodable.remove(&key) {
            Some(version) => self.undecodable.insert(key, version),
            None => self.undecodable.remove(&key),
        };
        self.health.set_undecodable(self.undecodable.len());
    }

    /// False if it is unknown which object went, because its last form cannot be decoded.
    fn deleted<K>(&mut self, identity: &Identity, text: &str) -> bool
    where
        K: DeserializeOwned,
        S: FnMut(Change<K>),
    {
        self.undecodable.remove(&identity.key);
        self.health.set_undecodable(self.undecodable.len());
        match decode::<K>(text) {
            Ok(Decoded { object, .. }) => {
                (self.sink)(Change::Deleted(object));
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
