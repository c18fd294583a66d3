//! Somebody who watches the API server and notes the moment of every event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, pin_mut};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use support::{Failure, Result};

/// A bound for what takes less than a second on a quiet machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One thing that was seen.
#[derive(Clone)]
pub struct Sighting<K> {
    /// When it was heard of.
    pub at: Instant,
    /// The object as it was then.
    pub object: K,
}

struct Notes<K> {
    seen: Mutex<Vec<Sighting<K>>>,
    news: Notify,
}

/// A watch of one kind of object. It ends when this is dropped.
pub struct Witness<K> {
    notes: Arc<Notes<K>>,
    task: JoinHandle<()>,
}

impl<K> Witness<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Begins to watch.
    pub fn start(api: Api<K>) -> Self {
        let notes = Arc::new(Notes { seen: Mutex::default(), news: Notify::new() });
        let own = Arc::clone(&notes);
        let task = tokio::spawn(async move {
            let events = watcher::watcher(api, watcher::Config::default());
            pin_mut!(events);
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                    let sighting = Sighting { at: Instant::now(), object };
                    own.seen.lock().unwrap_or_else(PoisonError::into_inner).push(sighting);
                    own.news.notify_waiters();
                }
            }
        });
        Self { notes, task }
    }

    /// How much was seen so far; [`Self::awaits`] starts from there.
    pub fn mark(&self) -> usize {
        self.notes.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The first sighting after `mark` that is `wanted`; waits for it.
    pub async fn awaits(
        &self,
        mark: usize,
        what: &str,
        wanted: impl Fn(&K) -> bool,
    ) -> Result<Sighting<K>> {
        let search = async {
            loop {
                let news = self.notes.news.notified();
                pin_mut!(news);
                news.as_mut().enable();
                if let Some(sighting) = self.find(mark, &wanted) {
                    return sighting;
                }
                news.await;
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .map_err(|_| Failure::new(format!("{what}: not so within {} s", PATIENCE.as_secs())))
    }

    fn find(&self, mark: usize, wanted: &impl Fn(&K) -> bool) -> Option<Sighting<K>> {
        let seen = self.notes.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().skip(mark).find(|sighting| wanted(&sighting.object)).cloned()
    }
}

impl<K> Drop for Witness<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
