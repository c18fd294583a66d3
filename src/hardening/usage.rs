//! What pods use, read before a quota is written. Pods are not watched: there are too many of them.
//!
//! When a baseline comes, every namespace asks at once. Then one list of all pods answers all of them: it costs
//! one request for 250 pods instead of one for each namespace. Namespaces go on asking while that list is read,
//! because they are put in line one after the other. For those it is too old, and it is read again for all of
//! them together.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Mutex;

use super::plan::{baseline::Amounts, resources::add_pod};
use crate::cluster::write::{ApiError, Writer};

/// How long a list of all pods answers for.
const FRESH: Duration = Duration::from_secs(10);
/// All pods are not listed more often: whoever asks meanwhile waits for the next list.
const PACE: Duration = Duration::from_millis(250);

/// What pods use, by namespace.
type Used = HashMap<String, Amounts>;

/// Where pods are read.
pub(crate) trait Pods: Sync {
    /// What all pods use.
    fn all(&self) -> impl Future<Output = Result<Used, ApiError>> + Send;
    /// What the pods of one namespace use.
    fn of(&self, namespace: &str) -> impl Future<Output = Result<Amounts, ApiError>> + Send;
}

impl Pods for Writer {
    async fn all(&self) -> Result<Used, ApiError> {
        let mut used = Used::new();
        let count = |pod: Pod| {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            add_pod(used.entry(namespace).or_default(), &pod);
        };
        self.list::<Pod, Pod>("", count).await?;
        Ok(used)
    }

    async fn of(&self, namespace: &str) -> Result<Amounts, ApiError> {
        let mut used = Amounts::new();
        self.list::<Pod, Pod>(namespace, |pod| add_pod(&mut used, &pod)).await?;
        Ok(used)
    }
}

/// Reads what pods use.
#[derive(Default)]
pub(crate) struct Usage {
    all: Arc<Mutex<Option<Snapshot>>>,
}

struct Snapshot {
    begun: Instant,
    used: Used,
}

impl Usage {
    /// What the pods of a namespace use, as of `since` or later: when there was a reason to read them. In a crowd
    /// many other namespaces wait to be reconciled.
    pub(crate) async fn of(
        &self,
        pods: &impl Pods,
        namespace: &str,
        since: Instant,
        crowd: bool,
    ) -> Result<Amounts, ApiError> {
        // Those of a crowd wait for the list that one of them makes; nobody else does.
        let all = if crowd { Some(self.all.lock().await) } else { self.all.try_lock().ok() };
        if let Some(mut all) = all {
            if crowd && !all.as_ref().is_some_and(|all| all.answers(since)) {
                if let Some(before) = all.as_ref() {
                    tokio::time::sleep(PACE.saturating_sub(before.begun.elapsed())).await;
                }
                let begun = Instant::now();
                *all = Some(Snapshot { begun, used: pods.all().await? });
                self.forget_later();
            }
            if let Some(all) = all.as_ref().filter(|all| all.answers(since)) {
                return Ok(all.used.get(namespace).cloned().unwrap_or_default());
            }
        }
        pods.of(namespace).await
    }

    /// Gives the memory back.
    fn forget_later(&self) {
        let all = Arc::clone(&self.all);
        tokio::spawn(async move {
            tokio::time::sleep(FRESH).await;
            all.lock().await.take_if(|all| all.begun.elapsed() >= FRESH);
        });
    }
}

impl Snapshot {
    fn answers(&self, since: Instant) -> bool {
        self.begun >= since && self.begun.elapsed() < FRESH
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts lists, each of which takes a while.
    #[derive(Default)]
    struct Counted {
        all: AtomicUsize,
        single: AtomicUsize,
    }

    impl Pods for Counted {
        async fn all(&self) -> Result<Used, ApiError> {
            self.all.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(Used::new())
        }

        async fn of(&self, _: &str) -> Result<Amounts, ApiError> {
            self.single.fetch_add(1, Ordering::Relaxed);
            Ok(Amounts::new())
        }
    }

    /// A wave of namespaces that are put in line over `span`, and worked on eight at a time.
    async fn wave(usage: &Usage, pods: &Counted, namespaces: u32, span: Duration) {
        let begun = Instant::now();
        let workers = (0..8).map(|worker| async move {
            for nth in (worker..namespaces).step_by(8) {
                let since = begun + span * nth / namespaces;
                tokio::time::sleep(since.saturating_duration_since(Instant::now())).await;
                usage.of(pods, "n", since, namespaces - nth > 32).await.unwrap();
            }
        });
        futures::future::join_all(workers).await;
    }

    #[tokio::test]
    async fn q6_a_list_that_is_too_old_is_made_again_for_all_and_not_for_each() {
        let (usage, pods) = (Usage::default(), Counted::default());
        wave(&usage, &pods, 400, Duration::from_millis(1)).await;
        // The next change comes while the list of the first wave is still fresh.
        wave(&usage, &pods, 400, Duration::from_millis(1)).await;
        let lists = pods.all.load(Ordering::Relaxed) + pods.single.load(Ordering::Relaxed);
        assert!(lists <= 4, "{lists} lists for two waves at once");
        // New namespaces are put in line while they are worked on.
        let (usage, pods) = (Usage::default(), Counted::default());
        wave(&usage, &pods, 1_000, Duration::from_secs(1)).await;
        let (all, single) = (pods.all.load(Ordering::Relaxed), pods.single.load(Ordering::Relaxed));
        assert!(all <= 6 && single <= 32, "{all} lists of all, {single} of one");
    }

    #[test]
    fn a_list_answers_only_those_who_had_reason_to_look_before_it() {
        let now = Instant::now();
        let list = Snapshot { begun: now, used: Used::new() };
        assert!(list.answers(now));
        assert!(!list.answers(now + Duration::from_millis(1)), "pods may have come since");
    }
}
