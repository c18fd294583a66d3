//! One identity's requests: equal ones are joined, different ones gathered, and calls made.
//!
//! An caller holds a [`PendingRead`] and sleeps on it. The read waits in a queue, one per lane; while a queue is not
//! empty, one task per lane (the pump) forms calls out of it, and each call is a task of its own. So an caller
//! that goes away takes nothing with it, and a hundred requests cost a handful of tasks.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::Shared;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::lists::{Lists, Names};
use super::{FetcherSettings, Join};
use crate::lane::Lane;
use crate::provider::{Fetched, Filter, Provider, ProviderError, ReadRequest, metrics::Metrics};

pub(super) type Answer = Result<Arc<Fetched>, ProviderError>;

/// One question and, later, its answer. Dropped with the last caller; then the value is gone.
pub(super) struct PendingRead {
    request: Arc<ReadRequest>,
    /// Part of a call already. Changes under the board's lock only.
    sent: AtomicBool,
    /// Waits in the urgent queue. Changes under the board's lock only.
    urgent: AtomicBool,
    answer: OnceLock<Answer>,
    done: Notify,
}

impl PendingRead {
    fn new(request: ReadRequest, lane: Lane) -> Self {
        Self {
            request: Arc::new(request),
            sent: AtomicBool::new(false),
            urgent: AtomicBool::new(lane == Lane::Urgent),
            answer: OnceLock::new(),
            done: Notify::new(),
        }
    }

    /// Waits for the answer.
    pub(super) async fn answer(&self) -> Answer {
        loop {
            let done = self.done.notified();
            if let Some(answer) = self.answer.get() {
                return answer.clone();
            }
            done.await;
        }
    }
}

#[derive(Default)]
struct Board {
    /// Slots that may still be joined.
    open: HashMap<Arc<ReadRequest>, Arc<PendingRead>>,
    queues: [Queue; Lane::ALL.len()],
}

/// What waits in one lane.
#[derive(Default)]
struct Queue {
    /// Asks that are read on their own, at once.
    alone: VecDeque<Arc<PendingRead>>,
    /// Asks that wait for company, and since when.
    gathered: VecDeque<(Instant, Arc<PendingRead>)>,
    /// A call is full at this many.
    full: usize,
    /// A pump runs.
    pumped: bool,
}

enum Next {
    Idle,
    At(Instant),
    Now,
}

/// One identity's client with its queues.
pub(super) struct Batcher {
    provider: Arc<dyn Provider>,
    board: Mutex<Board>,
    wake: [Notify; Lane::ALL.len()],
    permits: [Arc<Semaphore>; Lane::ALL.len()],
    settings: FetcherSettings,
    metrics: Arc<Metrics>,
    lists: Lists,
}

impl Batcher {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        settings: FetcherSettings,
        metrics: Arc<Metrics>,
    ) -> Self {
        let permits = || Arc::new(Semaphore::new(settings.concurrency.max(1)));
        Self {
            provider,
            board: Mutex::default(),
            wake: Lane::ALL.map(|_| Notify::new()),
            permits: Lane::ALL.map(|_| permits()),
            settings,
            metrics,
            lists: Lists::new(settings.concurrency),
        }
    }

    /// Joins an equal list that is under way, or begins a new one.
    pub(super) fn list(self: &Arc<Self>, filter: Filter, lane: Lane, join: Join) -> Shared<Names> {
        let (names, joined) = self.lists.ask(filter, lane, join, |filter, sent| {
            let batcher = self.clone();
            Box::pin(async move {
                sleep(batcher.window(lane)).await;
                let permit = batcher.lists.permits[lane as usize].clone().acquire_owned().await;
                sent.store(true, Ordering::Relaxed);
                // A task of its own, so that whoever waits survives a panic in it.
                let list = tokio::spawn(async move { batcher.provider.list(&filter, lane).await });
                let listing = AbortOnDropHandle::new(list).await;
                drop(permit);
                listing.unwrap_or_else(|_| Err(unavailable("the call was cut short"))).map(Arc::new)
            })
        });
        if joined {
            self.metrics.count_joined();
        }
        names
    }

    /// How long requests of a lane wait for company.
    fn window(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Urgent | Lane::Event => self.settings.urgent_window,
            Lane::Periodic => self.settings.periodic_window,
        }
    }

    pub(super) fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// Joins an equal request that is under way, or queues a new one.
    pub(super) fn post(
        self: &Arc<Self>,
        request: ReadRequest,
        lane: Lane,
        join: Join,
    ) -> Arc<PendingRead> {
        let mut board = self.board();
        let may_join =
            |read: &&Arc<PendingRead>| join == Join::Any || !read.sent.load(Ordering::Relaxed);
        let read = if let Some(read) = board.open.get(&request).filter(may_join) {
            self.metrics.count_joined();
            let passes = lane == Lane::Urgent
                && !read.sent.load(Ordering::Relaxed)
                && !read.urgent.swap(true, Ordering::Relaxed);
            if !passes {
                return read.clone();
            }
            read.clone()
        } else {
            let read = Arc::new(PendingRead::new(request, lane));
            board.open.insert(read.request.clone(), read.clone());
            read
        };
        let batch = self.provider.batch(&read.request);
        let queue = &mut board.queues[lane as usize];
        if batch > 1 {
            queue.full = batch;
            queue.gathered.push_back((Instant::now(), read.clone()));
        } else {
            queue.alone.push_back(read.clone());
        }
        if !queue.pumped {
            queue.pumped = true;
            tokio::spawn(self.clone().pump(lane));
        } else if batch <= 1 || queue.gathered.len() >= queue.full {
            self.wake[lane as usize].notify_one();
        }
        read
    }

    /// Forms calls until the lane's queue is empty.
    async fn pump(self: Arc<Self>, lane: Lane) {
        loop {
            match self.next(lane) {
                Next::Idle => return,
                Next::At(due) => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.wake[lane as usize].notified() => {}
                    }
                }
                Next::Now => {
                    // While this waits, later requests join the call to come.
                    let permits = self.permits[lane as usize].clone();
                    let Ok(permit) = permits.acquire_owned().await else { return };
                    let reads = self.take(lane);
                    if !reads.is_empty() {
                        tokio::spawn(Call { batcher: self.clone(), reads, lane }.make(permit));
                    }
                }
            }
        }
    }

    fn next(&self, lane: Lane) -> Next {
        let window = self.window(lane);
        let mut board = self.board();
        let queue = &mut board.queues[lane as usize];
        if !queue.alone.is_empty() || (queue.full > 0 && queue.gathered.len() >= queue.full) {
            return Next::Now;
        }
        let Some((since, _)) = queue.gathered.front() else {
            queue.pumped = false;
            return Next::Idle;
        };
        let due = *since + window;
        if due <= Instant::now() { Next::Now } else { Next::At(due) }
    }

    /// What goes into the next call: one request that is read alone, or as many as a batch holds.
    fn take(&self, lane: Lane) -> Vec<Arc<PendingRead>> {
        let mut board = self.board();
        let Board { open, queues } = &mut *board;
        let queue = &mut queues[lane as usize];
        while let Some(read) = queue.alone.pop_front() {
            if claim(open, &read) {
                return vec![read];
            }
        }
        let mut reads = Vec::with_capacity(queue.full.min(queue.gathered.len()));
        while reads.len() < queue.full
            && let Some((_, read)) = queue.gathered.pop_front()
        {
            if claim(open, &read) {
                reads.push(read);
            }
        }
        reads
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a read as sent. False when another lane has sent it, or when nobody waits for it any more (only the
/// caller and the map of open reads hold it).
fn claim(open: &mut HashMap<Arc<ReadRequest>, Arc<PendingRead>>, read: &Arc<PendingRead>) -> bool {
    if read.sent.swap(true, Ordering::Relaxed) {
        return false;
    }
    let wanted = Arc::strong_count(read) > 2;
    if !wanted {
        open.remove(&read.request);
    }
    wanted
}

/// One call to the provider for one or more reads. Dropped early, it answers them with an error.
struct Call {
    batcher: Arc<Batcher>,
    reads: Vec<Arc<PendingRead>>,
    lane: Lane,
}

impl Call {
    async fn make(mut self, _permit: OwnedSemaphorePermit) {
        let deadline = self.batcher.settings.deadline;
        let answers = timeout(deadline, self.send()).await.unwrap_or_else(|_| {
            let late = || Err(unavailable("the provider did not answer in time"));
            self.reads.iter().map(|_| late()).collect()
        });
        self.settle(answers);
    }

    async fn send(&self) -> Vec<Result<Fetched, ProviderError>> {
        let provider = &self.batcher.provider;
        if let [read] = &self.reads[..] {
            return vec![provider.read(&read.request, self.lane).await];
        }
        let requests: Vec<&ReadRequest> = self.reads.iter().map(|read| &*read.request).collect();
        provider.read_many(&requests, self.lane).await
    }

    /// Gives every read its answer. From here on an equal request is a new call: nothing is cached.
    fn settle(&mut self, answers: Vec<Result<Fetched, ProviderError>>) {
        let reads = std::mem::take(&mut self.reads);
        let mut board = self.batcher.board();
        for read in &reads {
            // One that did not want to join this one may stand there by now.
            if board.open.get(&read.request).is_some_and(|open| Arc::ptr_eq(open, read)) {
                board.open.remove(&read.request);
            }
        }
        drop(board);
        let mut answers = answers.into_iter();
        for read in reads {
            let answer = answers
                .next()
                .unwrap_or_else(|| Err(unavailable("the provider left this secret out")));
            // A read is in one call only, so it has no answer yet.
            let _ = read.answer.set(answer.map(Arc::new));
            read.done.notify_waiters();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.reads.is_empty() {
            let cut = || Err(unavailable("the call was cut short"));
            self.settle(self.reads.iter().map(|_| cut()).collect());
        }
    }
}

pub(super) fn unavailable(reason: impl Into<String>) -> ProviderError {
    ProviderError::Unavailable { reason: reason.into(), source: None }
}
