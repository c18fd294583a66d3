//! What pods use and state, read before a quota or a LimitRange is written. Pods are not watched: there are too many
//! of them.
//!
//! When a baseline comes, every namespace asks at once. Then one list of all pods answers all of them: it costs
//! one request for 250 pods instead of one for each namespace. Namespaces go on asking while that list is read,
//! because they are put in line one after the other. For those it is too old, and it is read again for all of
//! them together.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Mutex;

use super::plan::pods::Pods as Found;
use crate::cluster::write::{ApiError, Writer};

/// How long a list of all pods answers for.
const FRESH: Duration = Duration::from_secs(10);
/// All pods are not listed more often, and no more than a fifth of the time: whoever asks meanwhile waits for the next
/// list.
const PACE: Duration = Duration::from_millis(250);
const REST: u32 = 4;
/// Lists of single namespaces in a second beyond which one of all pods is made for whoever asks. Namespaces that come one
/// after the other are worked on as fast as they come, and so are never many that wait.
const MOST_SINGLE: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// The pods, by namespace.
type Used = HashMap<String, Found>;

/// Where pods are read.
pub(crate) trait Pods: Sync {
    /// What all pods use.
    fn all(&self) -> impl Future<Output = Result<Used, ApiError>> + Send;
    /// What the pods of one namespace use.
    fn of(&self, namespace: &str) -> impl Future<Output = Result<Found, ApiError>> + Send;
}

impl Pods for Writer {
    async fn all(&self) -> Result<Used, ApiError> {
        let mut used = Used::new();
        let count = |pod: Pod| {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            used.entry(namespace).or_default().add(&pod);
        };
        self.list::<Pod, Pod>("", count).await?;
        Ok(used)
    }

    async fn of(&self, namespace: &str) -> Result<Found, ApiError> {
        let mut used = Found::default();
        self.list::<Pod, Pod>(namespace, |pod| used.add(&pod)).await?;
        Ok(used)
    }
}

/// Reads what pods use.
#[derive(Default)]
pub(crate) struct Usage {
    all: Arc<Mutex<Option<Snapshot>>>,
    /// When namespaces were listed one by one lately.
    single: std::sync::Mutex<VecDeque<Instant>>,
}

struct Snapshot {
    begun: Instant,
    took: Duration,
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
    ) -> Result<Found, ApiError> {
        let crowd = crowd || self.is_busy();
        // Those of a crowd wait for the list that one of them makes; nobody else does.
        let all = if crowd { Some(self.all.lock().await) } else { self.all.try_lock().ok() };
        if let Some(mut all) = all {
            if crowd && !all.as_ref().is_some_and(|all| all.answers(since)) {
                if let Some(before) = all.as_ref() {
                    let over = before.begun + PACE.max(before.took.saturating_mul(1 + REST));
                    tokio::time::sleep(over.saturating_duration_since(Instant::now())).await;
                }
                let begun = Instant::now();
                let used = pods.all().await?;
                *all = Some(Snapshot { begun, took: begun.elapsed(), used });
                self.forget_later();
            }
            if let Some(all) = all.as_ref().filter(|all| all.answers(since)) {
                return Ok(all.used.get(namespace).cloned().unwrap_or_default());
            }
        }
        self.lock_single().push_back(Instant::now());
        pods.of(namespace).await
    }

    /// Whether so many namespaces were listed one by one that it would be less work to list all.
    fn is_busy(&self) -> bool {
        let mut single = self.lock_single();
        while single.front().is_some_and(|at| at.elapsed() > SECOND) {
            single.pop_front();
        }
        single.len() >= MOST_SINGLE
    }

    fn lock_single(&self) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        self.single.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::cluster::queue::{Bounds, Lane, Next, Queue};

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

        async fn of(&self, _: &str) -> Result<Found, ApiError> {
            self.single.fetch_add(1, Ordering::Relaxed);
            Ok(Found::default())
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

    /// Puts namespaces in line in this rhythm, works on them as the controller does, and counts the lists.
    async fn of_a_queue(pauses: impl Fn(u64) -> Duration, work: Duration) -> (usize, Duration) {
        let bounds = Bounds { max_concurrent: 16, per_group: 32, in_all: 32, periodic: 8 };
        let queue: Queue<Arc<str>, ()> = Queue::new("namespace", bounds);
        let (usage, pods) = (Arc::new(Usage::default()), Arc::new(Counted::default()));
        let (stop, done) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let reconcile = {
            let (queue, usage, pods, done) =
                (queue.clone(), usage.clone(), pods.clone(), done.clone());
            move |key: Arc<str>| {
                let (queue, usage, pods, done) =
                    (queue.clone(), usage.clone(), pods.clone(), done.clone());
                async move {
                    let since = queue.since(&key).unwrap_or_else(Instant::now);
                    let crowd = queue.stats().waiting >= crate::hardening::CROWD;
                    usage.of(&*pods, &key, since, crowd).await.unwrap();
                    tokio::time::sleep(work).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    Next::Idle
                }
            }
        };
        let begun = Instant::now();
        let running = tokio::spawn({
            let (queue, stop) = (queue.clone(), stop.clone());
            async move { queue.run(stop, reconcile).await }
        });
        for nth in 0..1_000 {
            let pause = pauses(nth);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            queue.wake(&format!("n{nth}").into(), &(), Lane::Urgent);
        }
        while done.load(Ordering::Relaxed) < 1_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = begun.elapsed();
        stop.cancel();
        running.await.unwrap();
        (pods.all.load(Ordering::Relaxed) + pods.single.load(Ordering::Relaxed), took)
    }

    /// What a wave of a thousand namespaces costs depends on how long it lasts, and not on how many there are: whether
    /// they are put in line before, while or faster than they are worked on.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn q6_a_wave_of_namespaces_makes_a_few_lists_in_whatever_order_it_comes() {
        let at_once = |_: u64| Duration::ZERO;
        let bursts = |nth: u64| Duration::from_millis(if nth.is_multiple_of(100) { 40 } else { 0 });
        let steady = |nth: u64| Duration::from_millis(nth % 2);
        let (short, long) = (Duration::ZERO, Duration::from_millis(3));
        let waves = [
            of_a_queue(at_once, short).await,
            of_a_queue(bursts, short).await,
            of_a_queue(bursts, long).await,
            of_a_queue(steady, short).await,
            of_a_queue(steady, long).await,
        ];
        for (nth, (lists, took)) in waves.into_iter().enumerate() {
            // At most four of all and eight single ones a second, and those that are under way together.
            let most = usize::try_from(took.as_millis() * 12 / 1_000).unwrap() + 32;
            assert!(lists <= most, "wave {nth}: {lists} lists in {took:?}");
        }
    }

    #[test]
    fn a_list_answers_only_those_who_had_reason_to_look_before_it() {
        let now = Instant::now();
        let list = Snapshot { begun: now, took: Duration::ZERO, used: Used::new() };
        assert!(list.answers(now));
        assert!(!list.answers(now + Duration::from_millis(1)), "pods may have come since");
    }
}
