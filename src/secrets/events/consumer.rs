//! Reads one queue: receives, wakes, and deletes what is done.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::{FutureExt, StreamExt, stream, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;

use super::served::Served;
use super::wakes::{ReaderId, When};
use crate::cluster::queue::Lane;
use crate::provider::ProviderError;
use crate::provider::aws::QueueArn;
use crate::provider::aws::queue::{BATCH, HIDDEN_SECONDS, Message, MessageQueue};
use crate::provider::fetcher::Connection;
use crate::retry::Pauses;
use crate::secrets::context::Context;
use crate::secrets::index::StoreKey;
use crate::secrets::plan::events::condition::QueueState;
use crate::secrets::plan::events::ledger::Receipt;
use crate::secrets::plan::events::parse::{Event, Parsed, Source, parse};
use crate::secrets::plan::events::recent::{News, Recent};

/// Receives under way at once, while answers are full.
const RECEIVES: usize = 4;
/// Messages that are not deleted yet: no more are received.
const MOST_IN_HAND: usize = 2_000;
/// Messages that are done wait so long for company.
const GATHERING: Duration = Duration::from_millis(200);
/// What is in hand is hidden anew this often.
const RENEW_EVERY: Duration = Duration::from_secs(30);
/// After this long nobody is waited for any more.
const LATE: Duration = Duration::from_mins(5);
/// Messages in a row that are no events: the queue is somebody else's.
const STRANGERS: u32 = 10;
/// Calls for batches under way at once.
const CALLS_AT_ONCE: usize = 8;
/// After an error of the queue.
const PAUSES: Pauses = Pauses { first: Duration::from_secs(5), longest: Duration::from_mins(5) };
/// For what is put back at the end.
const PUT_BACK: Duration = Duration::from_secs(2);

/// One reader of one queue.
pub(super) struct Consumer {
    context: Arc<Context>,
    arn: QueueArn,
    queue: Arc<MessageQueue>,
    served: Arc<Served>,
    id: ReaderId,
    done: Arc<Notify>,
    recent: Recent,
    in_hand: BTreeMap<Receipt, InHand>,
    /// The same by SQS's id: one that is received again is not another one.
    by_id: HashMap<String, Receipt>,
    /// Handles of what is done and not deleted yet.
    deletions: Vec<String>,
    /// When the first of them is deleted at the latest.
    flush_at: Option<Instant>,
    trust: Trust,
    /// An event concerned somebody, here or before this process.
    receives: bool,
    /// The last answer was full.
    is_full: bool,
    failures: u32,
    retry_at: Option<Instant>,
    state: Option<QueueState>,
}

/// Whose the queue is, to judge by what is on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// One message was an event.
    Ours,
    /// So many messages in a row were none.
    Strangers(u32),
    /// Too many.
    Foreign,
}

struct InHand {
    id: String,
    handle: String,
    source: Source,
    since: Instant,
    hidden: Instant,
}

impl Consumer {
    /// Sends nothing yet. `None`: the identity is not one of AWS.
    pub(super) fn new(
        context: &Arc<Context>,
        arn: &QueueArn,
        connection: Option<&Connection>,
        receives: bool,
        served: Arc<Served>,
    ) -> Option<Self> {
        let queue = Arc::new(context.fetcher.queue(connection, arn)?);
        let (id, done) = context.wakes.open();
        Some(Self {
            context: Arc::clone(context),
            arn: arn.clone(),
            queue,
            served,
            id,
            done,
            recent: Recent::default(),
            in_hand: BTreeMap::new(),
            by_id: HashMap::new(),
            deletions: Vec::new(),
            flush_at: None,
            trust: Trust::Strangers(0),
            receives,
            is_full: false,
            failures: 0,
            retry_at: None,
            state: None,
        })
    }

    /// Reads until `stop`, then puts back what is in hand.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut receives = FuturesUnordered::new();
        let done = Arc::clone(&self.done);
        loop {
            self.collect();
            self.flush().await;
            self.renew().await;
            while self.may_receive(receives.len()) {
                // The first answer, and the first after an error, should not take long.
                let (queue, waits) = (Arc::clone(&self.queue), self.is_well());
                receives.push(async move { queue.receive(waits).await });
            }
            let wake = self.next_turn();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(answer) = receives.next() => self.received(answer).await,
                () = done.notified() => {}
                () = time::sleep_until(wake.into()) => {}
            }
        }
        drop(receives);
        self.put_back().await;
        self.context.wakes.close(self.id);
    }

    fn is_well(&self) -> bool {
        matches!(self.state, Some(QueueState::Receiving(_) | QueueState::Unproven(_)))
    }

    fn may_receive(&self, under_way: usize) -> bool {
        let most = if self.is_full { RECEIVES } else { 1 };
        self.trust != Trust::Foreign
            && under_way < most
            && self.in_hand.len() + self.deletions.len() + under_way * BATCH < MOST_IN_HAND
            && self.retry_at.is_none_or(|at| at <= Instant::now())
            && self.context.writer.may_write().is_ok()
    }

    fn next_turn(&self) -> Instant {
        let now = Instant::now();
        let renewal = self.in_hand.values().map(|message| message.hidden + RENEW_EVERY).min();
        let turns = [self.flush_at, self.retry_at.filter(|at| *at > now), renewal];
        let turn = turns.into_iter().flatten().min().unwrap_or(now + RENEW_EVERY);
        // The fence, and a hand that is full, are asked about again.
        turn.min(now + RENEW_EVERY).max(now + Duration::from_millis(5))
    }

    async fn received(&mut self, answer: Result<Vec<Message>, ProviderError>) {
        let messages = match answer {
            Ok(messages) => messages,
            Err(error) => return self.failed(&error),
        };
        (self.failures, self.retry_at) = (0, None);
        self.is_full = messages.len() == BATCH;
        self.set_well();
        let mut strange = Vec::new();
        for message in messages {
            strange.extend(self.read(message));
        }
        if !strange.is_empty() {
            self.hide(&strange, 0).await;
            if self.trust != Trust::Foreign {
                self.retry_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }

    fn set_well(&mut self) {
        if self.trust == Trust::Foreign {
            return;
        }
        let arn = self.arn.to_string();
        let state = if self.receives { QueueState::Receiving } else { QueueState::Unproven };
        self.set_state(&state(arn));
    }

    fn failed(&mut self, error: &ProviderError) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + PAUSES.after(&self.arn, self.failures));
        let state = match error {
            ProviderError::NotFound { .. } => QueueState::NotFound(self.arn.to_string()),
            ProviderError::Denied { .. } => QueueState::Denied(error.to_string()),
            // Silence sounds different each time: the first text stands.
            _ if matches!(self.state, Some(QueueState::Unreachable(_))) => return,
            other => QueueState::Unreachable(other.to_string()),
        };
        self.set_state(&state);
    }

    fn set_state(&mut self, state: &QueueState) {
        if self.state.as_ref() != Some(state) {
            self.state = Some(state.clone());
        }
        for owner in self.served.owners() {
            self.context.note_queue(&owner, Some(&self.arn), state);
        }
    }

    /// Reads one message. Returns its handle if it is to be put back.
    fn read(&mut self, message: Message) -> Option<String> {
        if let Some(receipt) = self.by_id.get(&message.id) {
            // The same again: what hid it came too late. Only the new handle counts from now on.
            if let Some(known) = self.in_hand.get_mut(receipt) {
                known.handle = message.handle;
                known.hidden = Instant::now();
            }
            return None;
        }
        if self.trust == Trust::Foreign {
            return Some(message.handle);
        }
        match parse(&message.body) {
            Parsed::Malformed | Parsed::Unknown => return self.stranger(message),
            Parsed::Quiet(source) => {
                self.trust = Trust::Ours;
                self.count(source, "unused");
                self.delete(message.handle);
            }
            Parsed::Event(event) => {
                self.trust = Trust::Ours;
                self.wake(&event, message);
            }
        }
        None
    }

    /// What is no event is deleted from a queue that is ours, and put back into any other.
    fn stranger(&mut self, message: Message) -> Option<String> {
        let Message { id, handle, body, receives, .. } = message;
        let strangers = match self.trust {
            Trust::Ours => {
                let (queue, bytes) = (self.arn.to_string(), body.len());
                tracing::warn!(
                    queue,
                    message = id,
                    bytes,
                    receives,
                    "a message is no event: deleted"
                );
                self.count(Source::Other, "malformed");
                self.delete(handle);
                return None;
            }
            Trust::Strangers(before) => before + 1,
            Trust::Foreign => return Some(handle),
        };
        self.count(Source::Other, "foreign");
        self.trust = Trust::Strangers(strangers);
        if strangers >= STRANGERS {
            self.trust = Trust::Foreign;
            self.set_state(&QueueState::Foreign);
        }
        Some(handle)
    }

    fn wake(&mut self, event: &Event, message: Message) {
        let now = Timestamp::now();
        let outcome = match self.recent.judge(event, now) {
            News::Duplicate => Some("duplicate"),
            News::Stale => Some("stale"),
            News::Fresh => None,
        };
        if let Some(outcome) = outcome {
            self.count(event.source, outcome);
            return self.delete(message.handle);
        }
        let counts = |store: &StoreKey| self.served.covers(store);
        let mut readers = self.context.readers((&event.secret, &event.change), counts);
        readers.retain(|reader| reader.heeds);
        if readers.is_empty() {
            self.count(event.source, "unused");
            return self.delete(message.handle);
        }
        self.count(event.source, "woke");
        if let Some(sent) = message.sent.and_then(since) {
            self.context.metrics.events.seconds("transit", sent);
        }
        let clock = Instant::now();
        let woken = self.context.wakes.received(self.id, event, readers, clock);
        for (object, when) in &woken.objects {
            match when {
                When::Now => self.context.wake(object, Lane::Event),
                When::At(at) => self.context.wake_at(object, *at),
            }
        }
        if woken.is_done {
            self.delete(message.handle);
        } else {
            let Message { id, handle, .. } = message;
            self.by_id.insert(id.clone(), woken.receipt);
            let message = InHand { id, handle, source: event.source, since: clock, hidden: clock };
            self.in_hand.insert(woken.receipt, message);
        }
        if !self.receives {
            self.receives = true;
            self.set_well();
        }
    }

    fn count(&self, source: Source, outcome: &'static str) {
        self.context.metrics.events.count(source.name(), outcome);
    }

    fn delete(&mut self, handle: String) {
        self.deletions.push(handle);
        self.flush_at.get_or_insert(Instant::now() + GATHERING);
    }

    /// Takes what is done out of the hand, and what nobody is waited for any more.
    fn collect(&mut self) {
        for receipt in self.context.wakes.done(self.id) {
            if let Some(message) = self.in_hand.remove(&receipt) {
                self.by_id.remove(&message.id);
                self.context.metrics.events.seconds("sync", message.since.elapsed());
                self.delete(message.handle);
            }
        }
        let late = self.in_hand.extract_if(.., |_, message| message.since.elapsed() >= LATE);
        for (receipt, message) in late.collect::<Vec<_>>() {
            self.by_id.remove(&message.id);
            self.context.wakes.give_up(receipt);
            self.count(message.source, "late");
            self.delete(message.handle);
        }
    }

    /// Deletes what is done, once there is a batch of it or the first has waited long enough.
    async fn flush(&mut self) {
        let is_due = self.flush_at.is_some_and(|at| at <= Instant::now());
        if self.deletions.is_empty() || !(is_due || self.deletions.len() >= BATCH) {
            return;
        }
        // Another leader may have these messages by now.
        if self.context.writer.may_write().is_err() {
            self.flush_at = Some(Instant::now() + GATHERING);
            return;
        }
        let handles = std::mem::take(&mut self.deletions);
        self.flush_at = None;
        let queue = &self.queue;
        let calls: Vec<_> =
            handles.chunks(BATCH).map(|chunk| queue.delete(chunk).boxed()).collect();
        let answers: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
        for (chunk, answer) in handles.chunks(BATCH).zip(answers) {
            // What is not deleted is there again in a minute, and is no news then.
            if let Err(error) = answer
                && !chunk.is_empty()
            {
                self.failed(&error);
            }
        }
    }

    /// Hides what is in hand for longer.
    async fn renew(&mut self) {
        let due = |message: &InHand| message.hidden.elapsed() >= RENEW_EVERY;
        let handles: Vec<_> = self
            .in_hand
            .values_mut()
            .filter(|message| due(message))
            .map(|message| {
                message.hidden = Instant::now();
                message.handle.clone()
            })
            .collect();
        if !handles.is_empty() && self.context.writer.may_write().is_ok() {
            self.hide(&handles, HIDDEN_SECONDS).await;
        }
    }

    async fn hide(&self, handles: &[String], seconds: i32) {
        let queue = &self.queue;
        let calls: Vec<_> =
            handles.chunks(BATCH).map(|chunk| queue.hide(chunk, seconds).boxed()).collect();
        let answers: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
        for error in answers.into_iter().filter_map(Result::err) {
            let queue = self.arn.to_string();
            tracing::debug!(queue, %error, "the visibility of messages was not changed");
        }
    }

    /// The next reader has at once what is in hand.
    async fn put_back(&mut self) {
        self.collect();
        self.flush_at = Some(Instant::now());
        let handles: Vec<_> = self.in_hand.values().map(|message| message.handle.clone()).collect();
        let work = async {
            self.flush().await;
            if !handles.is_empty() && self.context.writer.may_write().is_ok() {
                self.hide(&handles, 0).await;
            }
        };
        if time::timeout(PUT_BACK, work).await.is_err() {
            tracing::debug!("messages in hand were not put back in time");
        }
    }
}

/// Time since a moment in milliseconds since 1970; nothing if clocks differ.
fn since(milliseconds: i64) -> Option<Duration> {
    let sent = UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).ok()?);
    SystemTime::now().duration_since(sent).ok()
}
