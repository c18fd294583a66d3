//! What pods use, looked up before a quota is written. Pods are not watched: there are too many of them.
//!
//! When a baseline comes, every namespace asks at once. Then one list of all pods answers all of them: it costs
//! one request for 250 pods instead of one for each namespace.

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

/// Looks up what pods use.
#[derive(Default)]
pub(crate) struct Usage {
    all: Arc<Mutex<Option<Snapshot>>>,
}

struct Snapshot {
    begun: Instant,
    used: HashMap<String, Amounts>,
}

impl Usage {
    /// What the pods of a namespace use, as of `since` or later: when there was a reason to read them. In a crowd
    /// many other namespaces wait to be reconciled.
    pub(crate) async fn of(
        &self,
        writer: &Writer,
        namespace: &str,
        since: Instant,
        crowd: bool,
    ) -> Result<Amounts, ApiError> {
        // Those of a crowd wait for the list that one of them makes; nobody else does.
        let all = if crowd { Some(self.all.lock().await) } else { self.all.try_lock().ok() };
        if let Some(mut all) = all {
            let fresh = all.as_ref().filter(|all| all.begun.elapsed() < FRESH);
            if fresh.is_none() && crowd {
                *all = Some(Snapshot::take(writer).await?);
                self.forget_later();
            }
            if let Some(all) = all.as_ref().filter(|all| all.answers(since)) {
                return Ok(all.used.get(namespace).cloned().unwrap_or_default());
            }
        }
        let mut used = Amounts::new();
        writer.list::<Pod, Pod>(namespace, |pod| add_pod(&mut used, &pod)).await?;
        Ok(used)
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
    async fn take(writer: &Writer) -> Result<Self, ApiError> {
        let (begun, mut used) = (Instant::now(), HashMap::<String, Amounts>::new());
        let count = |pod: Pod| {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            add_pod(used.entry(namespace).or_default(), &pod);
        };
        writer.list::<Pod, Pod>("", count).await?;
        Ok(Self { begun, used })
    }

    fn answers(&self, since: Instant) -> bool {
        self.begun >= since && self.begun.elapsed() < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_answers_only_those_who_had_reason_to_look_before_it() {
        let now = Instant::now();
        let list = Snapshot { begun: now, used: HashMap::new() };
        assert!(list.answers(now));
        assert!(!list.answers(now + Duration::from_millis(1)), "pods may have come since");
    }
}
