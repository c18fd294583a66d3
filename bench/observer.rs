//! An independent observer: what the API server's watch shows, and when.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use gabion::api::external_secrets::external_secret::ExternalSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::watcher::{self, Event, watcher},
};
use support::{Failure, Result};
use tokio::{sync::Notify, task::JoinHandle};

use crate::world::is_ready;

/// One state of an object: `None` if it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The password in a Secret; whether an ExternalSecret is Ready.
    pub state: Option<String>,
    /// When it was seen first.
    pub at: Instant,
}

/// The present state of every object of a kind, by namespace and name.
pub struct Observer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<HashMap<(String, String), Seen>>,
    changed: Notify,
}

impl Shared {
    fn note(&self, key: (String, String), state: Option<String>) {
        let at = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(&key) {
            Some(known) if known.state == state => {}
            _ => {
                seen.insert(key, Seen { state, at });
            }
        }
        drop(seen);
        self.changed.notify_waiters();
    }
}

impl Observer {
    /// Observes the passwords in the managed Secrets of one namespace, or of all.
    pub fn secrets(client: &Client, namespace: Option<&str>) -> Self {
        let api = match namespace {
            Some(namespace) => Api::<Secret>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        Self::start(api, |secret| {
            let value = secret.data.as_ref().and_then(|data| data.get("password"));
            value.map(|value| String::from_utf8_lossy(&value.0).into_owned())
        })
    }

    /// Observes whether ExternalSecrets are Ready (`"true"` or `"false"`).
    pub fn readiness(client: &Client) -> Self {
        let api = Api::<ExternalSecret>::all(client.clone());
        Self::start(api, |object| Some(is_ready(object).to_string()))
    }

    fn start<K>(api: Api<K>, state: fn(&K) -> Option<String>) -> Self
    where
        K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let shared = Arc::<Shared>::default();
        let noting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => {
                        noting.note(key(&object), state(&object));
                    }
                    Ok(Event::Delete(object)) => noting.note(key(&object), None),
                    Ok(Event::Init | Event::InitDone) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Self { shared, task }
    }

    /// Waits until `enough` holds for everything that was seen.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        enough: impl Fn(&HashMap<(String, String), Seen>) -> bool,
    ) -> Result<()> {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                if enough(&self.seen()) {
                    return;
                }
                // The pause bounds the cost of looking at everything while much changes.
                let _ = tokio::time::timeout(Duration::from_millis(500), changed).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let done = tokio::time::timeout(limit, wait).await;
        done.map_err(|_| Failure::new(format!("{what}: not so within {limit:?}")))
    }

    /// Everything that was seen.
    pub fn seen(&self) -> MutexGuard<'_, HashMap<(String, String), Seen>> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one object has come into a state after `since`, and says when that was seen first.
    pub async fn until_one(
        &self,
        namespace: &str,
        name: &str,
        state: Option<&str>,
        since: Instant,
    ) -> Result<Instant> {
        let key = (namespace.to_owned(), name.to_owned());
        let is = |seen: &Seen| seen.at > since && seen.state.as_deref() == state;
        let limit = Duration::from_mins(1);
        self.until(name, limit, |seen| seen.get(&key).is_some_and(is)).await?;
        let at = self.seen().get(&key).map(|seen| seen.at);
        at.ok_or_else(|| Failure::new(format!("no further state of {name} was observed")))
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn key<K: kube::Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}
