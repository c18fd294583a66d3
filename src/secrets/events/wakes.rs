//! Whom events woke: what waits for a look, what that look should find, and which messages are done by it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::cluster::ObjectKey;
use crate::provider::ReadRequest;
use crate::secrets::plan::collect::{Answer, Ask, Lookup, StoreId};
use crate::secrets::plan::events::asks::Reader;
use crate::secrets::plan::events::ledger::{Ledger, Look, Receipt};
use crate::secrets::plan::events::parse::Event;

/// An object is woken by events once in this time at most.
const PACE: Duration = Duration::from_secs(1);
/// One that may not be concerned at all.
const PACE_OF_GUESSES: Duration = Duration::from_mins(1);
/// A read that is older than the event is asked again after these pauses: AWS lags now and then.
const STALE_PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];
/// Versions that were named in one second for one question.
const MOST_VERSIONS: usize = 32;

/// One reader of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReaderId(u64);

/// When an object is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    At(Instant),
}

/// Whom a message woke.
pub(crate) struct Woken {
    pub(crate) receipt: Receipt,
    /// It waits for nobody.
    pub(crate) is_done: bool,
    pub(crate) objects: Vec<(ObjectKey, When)>,
}

/// The registry. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct Wakes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ledger: Ledger<ObjectKey>,
    pending: HashMap<ObjectKey, Pending>,
    /// When events last woke an object.
    woken: HashMap<ObjectKey, Instant>,
    readers: HashMap<ReaderId, Outbox>,
    by_receipt: HashMap<Receipt, ReaderId>,
    last_reader: u64,
}

struct Outbox {
    done: Vec<Receipt>,
    notify: Arc<Notify>,
}

/// An object that was woken and has not been read since.
struct Pending {
    latest: Receipt,
    expected: Vec<Expected>,
    /// Reads that gave an older version than the event named.
    stale: usize,
}

/// What the answer to a question should be.
struct Expected {
    store: StoreId,
    request: ReadRequest,
    time: Option<Timestamp>,
    versions: Vec<String>,
}

impl Wakes {
    /// A new reader; it is notified when messages of its own are done.
    pub(crate) fn open(&self) -> (ReaderId, Arc<Notify>) {
        let mut state = self.lock();
        state.last_reader += 1;
        let (id, notify) = (ReaderId(state.last_reader), Arc::new(Notify::new()));
        state.readers.insert(id, Outbox { done: Vec::new(), notify: Arc::clone(&notify) });
        (id, notify)
    }

    /// The reader is gone: its messages are another one's.
    pub(crate) fn close(&self, id: ReaderId) {
        let mut state = self.lock();
        state.readers.remove(&id);
        let of_it = state.by_receipt.extract_if(|_, reader| *reader == id);
        let receipts: Vec<_> = of_it.map(|(receipt, _)| receipt).collect();
        for receipt in receipts {
            state.ledger.drop_message(receipt);
        }
    }

    /// A message was received: notes whom its event wakes, and when.
    pub(crate) fn received(
        &self,
        id: ReaderId,
        event: &Event,
        readers: Vec<Reader>,
        now: Instant,
    ) -> Woken {
        let mut state = self.lock();
        // What may not be concerned and was looked at just now holds up no message.
        let (held, later): (Vec<_>, Vec<_>) =
            readers.into_iter().partition(|one| !one.is_guess || state.next(one, now) == When::Now);
        let waits_for = held.iter().map(|reader| reader.object.clone());
        let (receipt, is_done) = state.ledger.received(waits_for);
        if !is_done {
            state.by_receipt.insert(receipt, id);
        }
        let mut objects = Vec::with_capacity(held.len() + later.len());
        for reader in held.into_iter().chain(later) {
            let when = state.next(&reader, now);
            let at = if let When::At(at) = when { at } else { now };
            state.woken.insert(reader.object.clone(), at);
            state.expect(&reader, event, receipt);
            objects.push((reader.object, when));
        }
        Woken { receipt, is_done, objects }
    }

    /// Messages of a reader that are done since it asked last.
    pub(crate) fn done(&self, id: ReaderId) -> Vec<Receipt> {
        let mut state = self.lock();
        state
            .readers
            .get_mut(&id)
            .map(|outbox| std::mem::take(&mut outbox.done))
            .unwrap_or_default()
    }

    /// A message is given up.
    pub(crate) fn give_up(&self, receipt: Receipt) {
        let mut state = self.lock();
        state.by_receipt.remove(&receipt);
        state.ledger.drop_message(receipt);
    }

    /// A look at an object begins.
    pub(crate) fn begin(&self) -> Look {
        self.lock().ledger.begin()
    }

    /// Whether an event woke an object that has not been read since.
    pub(crate) fn is_pending(&self, object: &ObjectKey) -> bool {
        self.lock().pending.contains_key(object)
    }

    /// How long to wait before an object is read again, because an answer is older than an event. `None`: the answers are
    /// as new as they should be, or it was asked often enough.
    pub(crate) fn stale(
        &self,
        object: &ObjectKey,
        lookups: &[Lookup],
        answers: &[Answer],
    ) -> Option<Duration> {
        let mut state = self.lock();
        let pending = state.pending.get_mut(object)?;
        let is_stale = lookups.iter().zip(answers).any(|(lookup, answer)| {
            let (Ask::Read(request), Answer::Read { result: Ok(fetched), .. }) =
                (&lookup.ask, answer)
            else {
                return false;
            };
            let expected = pending.expected.iter().find(|it| it.is_about(&lookup.store, request));
            let version = fetched.version.as_ref();
            expected.zip(version).is_some_and(|(it, version)| !it.versions.contains(version))
        });
        let pause = STALE_PAUSES.get(pending.stale).copied().filter(|_| is_stale)?;
        pending.stale += 1;
        Some(pause)
    }

    /// A look at an object is finished. `was_read`: otherwise it is still to be read, when its window opens.
    pub(crate) fn finish(&self, object: &ObjectKey, look: Look, was_read: bool) {
        let mut state = self.lock();
        if was_read && state.pending.get(object).is_some_and(|it| look.is_after(it.latest)) {
            state.pending.remove(object);
        }
        let done = state.ledger.finish(object, look);
        state.tell(done);
    }

    /// The object is gone.
    pub(crate) fn forget(&self, object: &ObjectKey) {
        let mut state = self.lock();
        state.pending.remove(object);
        state.woken.remove(object);
        let done = state.ledger.forget(object);
        state.tell(done);
    }

    /// Drops what is too old to count.
    pub(crate) fn tidy(&self, now: Instant) {
        let keeps = |at: &mut Instant| now.saturating_duration_since(*at) < PACE_OF_GUESSES;
        self.lock().woken.retain(|_, at| keeps(at));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&self, reader: &Reader, now: Instant) -> When {
        let pace = if reader.is_guess { PACE_OF_GUESSES } else { PACE };
        match self.woken.get(&reader.object) {
            // That is planned already.
            Some(at) if *at > now => When::At(*at),
            Some(at) if *at + pace > now => When::At(*at + pace),
            _ => When::Now,
        }
    }

    fn expect(&mut self, reader: &Reader, event: &Event, receipt: Receipt) {
        let new = || Pending { latest: receipt, expected: Vec::new(), stale: 0 };
        let pending = self.pending.entry(reader.object.clone()).or_insert_with(new);
        pending.latest = receipt;
        pending.stale = 0;
        let Some(version) = &event.version else { return };
        for (store, request) in &reader.reads {
            let known = pending.expected.iter_mut().find(|it| it.is_about(store, request));
            match known {
                Some(known) if known.time > event.time => {}
                // The clock of events has whole seconds: any of them may be the last.
                Some(known) if known.time == event.time => {
                    if known.versions.len() < MOST_VERSIONS {
                        known.versions.push(version.clone());
                    }
                }
                Some(known) => {
                    known.time = event.time;
                    known.versions = vec![version.clone()];
                }
                None => pending.expected.push(Expected {
                    store: store.clone(),
                    request: request.clone(),
                    time: event.time,
                    versions: vec![version.clone()],
                }),
            }
        }
    }

    fn tell(&mut self, done: Vec<Receipt>) {
        for receipt in done {
            let reader = self.by_receipt.remove(&receipt);
            if let Some(outbox) = reader.and_then(|reader| self.readers.get_mut(&reader)) {
                outbox.done.push(receipt);
                outbox.notify.notify_one();
            }
        }
    }
}

impl Expected {
    fn is_about(&self, store: &StoreId, request: &ReadRequest) -> bool {
        self.store == *store && self.request == *request
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::provider::{Content, Fetched, Version};
    use crate::secrets::plan::events::parse::{Change, Source};
    use crate::secrets::plan::events::secret::{EventSecret, Holder};

    fn object() -> ObjectKey {
        ObjectKey::new("shop", "db")
    }

    fn store() -> StoreId {
        StoreId { cluster: false, name: "aws".into() }
    }

    fn request() -> ReadRequest {
        ReadRequest { key: "db".into(), version: Version::Current, content: Content::Value }
    }

    fn event(second: i64, version: &str) -> Event {
        Event {
            source: Source::Native,
            id: String::new(),
            time: Timestamp::from_second(second).ok(),
            secret: EventSecret {
                holder: Holder::SecretsManager,
                region: "eu-west-1".into(),
                account: None,
                arn: None,
                names: vec!["db".into()],
            },
            change: Change::Label("AWSCURRENT".into()),
            version: Some(version.into()),
        }
    }

    fn reader(is_guess: bool) -> Vec<Reader> {
        let reads = vec![(store(), request())];
        vec![Reader { object: object(), reads, is_guess, heeds: true }]
    }

    fn stale(wakes: &Wakes, version: &str) -> Option<Duration> {
        let ask = Ask::Read(request());
        let lookups = [Lookup { field: String::new(), store: store(), ask }];
        let fetched = Fetched { version: Some(version.into()), ..Fetched::default() };
        let result = Ok(Arc::new(fetched));
        let answers = [Answer::Read { result, absent_property_is_missing: false }];
        wakes.stale(&object(), &lookups, &answers)
    }

    #[test]
    fn e13_an_older_version_is_asked_again_three_times_and_then_taken_as_it_is() {
        let (wakes, now) = (Wakes::default(), Instant::now());
        let (id, _) = wakes.open();
        assert_eq!(stale(&wakes, "v1"), None, "nobody expects anything");
        wakes.received(id, &event(1, "v2"), reader(false), now);
        for pause in STALE_PAUSES {
            assert_eq!(stale(&wakes, "v1"), Some(pause));
        }
        assert_eq!(stale(&wakes, "v1"), None);
        // Of one second either may be the last; of a later one only that.
        wakes.received(id, &event(1, "v3"), reader(false), now);
        assert_eq!((stale(&wakes, "v2"), stale(&wakes, "v3")), (None, None));
        wakes.received(id, &event(2, "v4"), reader(false), now);
        assert!(stale(&wakes, "v3").is_some() && stale(&wakes, "v4").is_none());
    }

    #[test]
    fn e2_an_object_is_woken_once_a_second_and_no_event_is_lost_by_that() {
        let (wakes, now) = (Wakes::default(), Instant::now());
        let (id, _) = wakes.open();
        let first = wakes.received(id, &event(1, "v1"), reader(false), now);
        assert_eq!(first.objects, [(object(), When::Now)]);
        let second = wakes.received(id, &event(2, "v2"), reader(false), now);
        assert_eq!(second.objects, [(object(), When::At(now + PACE))]);
        // The look of the first does not end the second, if it began before.
        let look = wakes.begin();
        let third = wakes.received(id, &event(3, "v3"), reader(false), now);
        wakes.finish(&object(), look, true);
        assert_eq!(wakes.done(id), [first.receipt, second.receipt]);
        assert!(wakes.is_pending(&object()));
        wakes.finish(&object(), wakes.begin(), true);
        assert_eq!(wakes.done(id), [third.receipt]);
        assert!(!wakes.is_pending(&object()));
    }

    #[test]
    fn who_may_not_be_concerned_is_woken_once_a_minute_and_holds_up_no_message_meanwhile() {
        let (wakes, now) = (Wakes::default(), Instant::now());
        let (id, _) = wakes.open();
        assert!(!wakes.received(id, &event(1, "v1"), reader(true), now).is_done);
        let later = wakes.received(id, &event(2, "v2"), reader(true), now);
        assert!(later.is_done && later.objects == [(object(), When::At(now + PACE_OF_GUESSES))]);
    }

    #[test]
    fn a_reader_that_is_gone_leaves_nothing_behind() {
        let (wakes, now) = (Wakes::default(), Instant::now());
        let (id, _) = wakes.open();
        wakes.received(id, &event(1, "v1"), reader(false), now);
        wakes.close(id);
        wakes.finish(&object(), wakes.begin(), true);
        wakes.tidy(now + Duration::from_secs(61));
        let state = wakes.lock();
        assert!(state.pending.is_empty() && state.by_receipt.is_empty() && state.woken.is_empty());
        assert_eq!(state.ledger.len(), 0);
    }
}
