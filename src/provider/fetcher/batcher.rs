//! One identity's asks: equal ones are joined, different ones gathered, and calls made.
//!
//! An asker holds a [`Slot`] and sleeps on it. The slot waits in a queue, one per lane; while a queue is not
//! empty, one task per lane (the pump) forms calls out of it, and each call is a task of its own. So an asker
//! that goes away takes nothing with it, and a hundred asks cost a handful of tasks.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use super::PlaneSettings;
use crate::provider::{Ask, Fetched, Lane, Provider, ProviderError, metrics::Metrics};

pub(super) type Answer = Result<Arc<Fetched>, ProviderError>;

/// One question and, later, its answer. Dropped with the last asker; then the value is gone.
pub(super) struct Slot {
    ask: Arc<Ask>,
    /// Part of a call already. Changes under the board's lock only.
    sent: AtomicBool,
    /// Waits in the urgent queue. Changes under the board's lock only.
    urgent: AtomicBool,
    answer: OnceLock<Answer>,
    done: Notify,
}

impl Slot {
    fn new(ask: Ask, lane: Lane) -> Self {
        Self {
            ask: Arc::new(ask),
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
    open: HashMap<Arc<Ask>, Arc<Slot>>,
    queues: [Queue; 2],
}

/// What waits in one lane.
#[derive(Default)]
struct Queue {
    /// Asks that are read on their own, at once.
    alone: VecDeque<Arc<Slot>>,
    /// Asks that wait for company, and since when.
    gathered: VecDeque<(Instant, Arc<Slot>)>,
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
pub(super) struct Channel {
    provider: Arc<dyn Provider>,
    board: Mutex<Board>,
    wake: [Notify; 2],
    permits: [Arc<Semaphore>; 2],
    settings: PlaneSettings,
    metrics: Arc<Metrics>,
}

impl Channel {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        settings: PlaneSettings,
        metrics: Arc<Metrics>,
    ) -> Self {
        let permits = || Arc::new(Semaphore::new(settings.concurrency.max(1)));
        Self {
            provider,
            board: Mutex::default(),
            wake: [Notify::new(), Notify::new()],
            permits: [permits(), permits()],
            settings,
            metrics,
        }
    }

    pub(super) fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// Joins an equal ask that is under way, or queues a new one.
    pub(super) fn post(self: &Arc<Self>, ask: Ask, lane: Lane) -> Arc<Slot> {
        let mut board = self.board();
        let slot = if let Some(slot) = board.open.get(&ask) {
            self.metrics.count_joined();
            let passes = lane == Lane::Urgent
                && !slot.sent.load(Ordering::Relaxed)
                && !slot.urgent.swap(true, Ordering::Relaxed);
            if !passes {
                return slot.clone();
            }
            slot.clone()
        } else {
            let slot = Arc::new(Slot::new(ask, lane));
            board.open.insert(slot.ask.clone(), slot.clone());
            slot
        };
        let batch = self.provider.batch(&slot.ask);
        let queue = &mut board.queues[lane as usize];
        if batch > 1 {
            queue.full = batch;
            queue.gathered.push_back((Instant::now(), slot.clone()));
        } else {
            queue.alone.push_back(slot.clone());
        }
        if !queue.pumped {
            queue.pumped = true;
            tokio::spawn(self.clone().pump(lane));
        } else if batch <= 1 || queue.gathered.len() >= queue.full {
            self.wake[lane as usize].notify_one();
        }
        slot
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
                    // While this waits, later asks join the call to come.
                    let permits = self.permits[lane as usize].clone();
                    let Ok(permit) = permits.acquire_owned().await else { return };
                    let slots = self.take(lane);
                    if !slots.is_empty() {
                        tokio::spawn(Call { channel: self.clone(), slots, lane }.make(permit));
                    }
                }
            }
        }
    }

    fn next(&self, lane: Lane) -> Next {
        let window = match lane {
            Lane::Urgent => self.settings.urgent_window,
            Lane::Periodic => self.settings.periodic_window,
        };
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

    /// What goes into the next call: one ask that is read alone, or as many as a batch holds.
    fn take(&self, lane: Lane) -> Vec<Arc<Slot>> {
        let mut board = self.board();
        let Board { open, queues } = &mut *board;
        let queue = &mut queues[lane as usize];
        while let Some(slot) = queue.alone.pop_front() {
            if claim(open, &slot) {
                return vec![slot];
            }
        }
        let mut slots = Vec::with_capacity(queue.full.min(queue.gathered.len()));
        while slots.len() < queue.full
            && let Some((_, slot)) = queue.gathered.pop_front()
        {
            if claim(open, &slot) {
                slots.push(slot);
            }
        }
        slots
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a slot as sent. False when another lane has sent it, or when nobody waits for it any more (only the
/// caller and the map of open slots hold it).
fn claim(open: &mut HashMap<Arc<Ask>, Arc<Slot>>, slot: &Arc<Slot>) -> bool {
    if slot.sent.swap(true, Ordering::Relaxed) {
        return false;
    }
    let wanted = Arc::strong_count(slot) > 2;
    if !wanted {
        open.remove(&slot.ask);
    }
    wanted
}

/// One call to the provider for one or more slots. Dropped early, it answers them with an error.
struct Call {
    channel: Arc<Channel>,
    slots: Vec<Arc<Slot>>,
    lane: Lane,
}

impl Call {
    async fn make(mut self, _permit: OwnedSemaphorePermit) {
        let deadline = self.channel.settings.deadline;
        let answers = timeout(deadline, self.ask()).await.unwrap_or_else(|_| {
            let late = || Err(unavailable("the provider did not answer in time"));
            self.slots.iter().map(|_| late()).collect()
        });
        self.settle(answers);
    }

    async fn ask(&self) -> Vec<Result<Fetched, ProviderError>> {
        let provider = &self.channel.provider;
        if let [slot] = &self.slots[..] {
            return vec![provider.read(&slot.ask, self.lane).await];
        }
        let asks: Vec<&Ask> = self.slots.iter().map(|slot| &*slot.ask).collect();
        provider.read_many(&asks, self.lane).await
    }

    /// Gives every slot its answer. From here on an equal ask is a new call: nothing is cached.
    fn settle(&mut self, answers: Vec<Result<Fetched, ProviderError>>) {
        let slots = std::mem::take(&mut self.slots);
        let mut board = self.channel.board();
        for slot in &slots {
            board.open.remove(&slot.ask);
        }
        drop(board);
        let mut answers = answers.into_iter();
        for slot in slots {
            let answer = answers
                .next()
                .unwrap_or_else(|| Err(unavailable("the provider left this secret out")));
            // A slot is in one call only, so it has no answer yet.
            let _ = slot.answer.set(answer.map(Arc::new));
            slot.done.notify_waiters();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.slots.is_empty() {
            let cut = || Err(unavailable("the call was cut short"));
            self.settle(self.slots.iter().map(|_| cut()).collect());
        }
    }
}

pub(super) fn unavailable(reason: impl Into<String>) -> ProviderError {
    ProviderError::Unavailable { reason: reason.into(), source: None }
}
