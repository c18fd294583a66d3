//! Kubernetes Events. Publishing never delays or fails the work that an event is about.

mod recorder;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time,
};
use tokio_util::sync::CancellationToken;

use super::Fence;
use recorder::Recorder;

/// Waiting events beyond this number are dropped (and counted in the log): events are a courtesy.
const CAPACITY: usize = 1024;
/// What went as it should is told only while so much room is left: it must not be in the way of what did not.
const ROUTINE_NEEDS: usize = CAPACITY - CAPACITY / 16;
/// Of one namespace, so that one that causes many leaves room for the others.
const PER_NAMESPACE: usize = CAPACITY / 8;
/// The same warning about the same object is repeated at most this often.
const REPEAT_AFTER: Duration = Duration::from_hours(1);
/// Different (object, reason, text) triples that are remembered.
const REMEMBERED: usize = 4096;
/// How long one event may take.
const PUBLISH: Duration = Duration::from_secs(10);
/// How long the events that still wait at the end may take.
const FLUSH: Duration = Duration::from_secs(1);

/// What a controller records.
#[derive(Clone, Debug)]
pub struct Event {
    /// The object that it is about.
    pub regarding: ObjectReference,
    /// From the reasons table.
    pub reason: &'static str,
    /// Safe text: names and fixed words only.
    pub message: String,
    /// How it is published.
    pub event_type: EventType,
}

/// How an event is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Something was done: always published.
    Done,
    /// Something went as it should: published unless many others wait, or nobody wants to know.
    Routine,
    /// Something is worth knowing: published once an hour.
    Hint,
    /// Something is wrong: published once an hour.
    Warning,
}

/// Where controllers record events.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<Event>,
    waiting: Waiting,
    routine: bool,
}

/// Events of each namespace that wait to be published.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<String, usize>>>);

impl Waiting {
    /// Takes a place. False if the namespace has none left.
    fn enter(&self, event: &Event) -> bool {
        let mut counts = self.lock();
        let namespace = event.regarding.namespace.clone().unwrap_or_default();
        let count = counts.entry(namespace).or_default();
        let is_free = *count < PER_NAMESPACE;
        *count += usize::from(is_free);
        is_free
    }

    fn leave(&self, event: &Event) {
        let mut counts = self.lock();
        let namespace = event.regarding.namespace.as_deref().unwrap_or_default();
        if let Some(count) = counts.get_mut(namespace) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(namespace);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// The same, that tells of what went as it should, or does not.
    pub(crate) fn routine(self, routine: bool) -> Self {
        Self { routine, ..self }
    }

    /// Hands an event over without waiting.
    pub fn record(&self, event: Event) {
        if event.event_type == EventType::Routine
            && (!self.routine || self.sender.capacity() <= ROUTINE_NEEDS)
        {
            return;
        }
        if !self.waiting.enter(&event) {
            tracing::debug!("an event was dropped: too many of its namespace are waiting");
            return;
        }
        let sent = self.sender.try_send(event);
        if let Err(TrySendError::Full(event) | TrySendError::Closed(event)) = sent {
            self.waiting.leave(&event);
            tracing::debug!("an event was dropped: too many are waiting");
        }
    }
}

/// The sender, and the task that publishes. At `stop` it publishes what still waits, for a second at most.
pub fn events(
    client: Client,
    fence: Fence,
    controller: &'static str,
    replica: &str,
    stop: CancellationToken,
) -> (Events, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::channel::<Event>(CAPACITY);
    let recorder = Recorder::new(client, controller, replica);
    let (waiting, published_at) = (Waiting::default(), HashMap::new());
    let mut publisher =
        Publisher { recorder, fence, published_at, receiver, waiting: waiting.clone() };
    let publish = async move {
        let too_late = async {
            stop.cancelled().await;
            time::sleep(FLUSH).await;
        };
        tokio::select! {
            () = publisher.run(&stop) => {}
            () = too_late => tracing::warn!("the last events were not published within a second"),
        }
    };
    (Events { sender, waiting, routine: true }, publish)
}

struct Publisher {
    recorder: Recorder,
    fence: Fence,
    /// When a warning was last published.
    published_at: Published,
    receiver: mpsc::Receiver<Event>,
    waiting: Waiting,
}

/// What is told once an hour: object, reason and text.
type Published = HashMap<(String, &'static str, String), Instant>;

impl Publisher {
    /// Publishes until nobody can record any more, or until `stop` and nothing waits.
    async fn run(&mut self, stop: &CancellationToken) {
        loop {
            let event = tokio::select! {
                biased;
                event = self.receiver.recv() => event,
                () = stop.cancelled() => None,
            };
            let Some(event) = event else { return };
            self.waiting.leave(&event);
            if !self.fence.is_open() || !is_news(&mut self.published_at, &event) {
                continue;
            }
            match time::timeout(PUBLISH, self.recorder.publish(&event)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "an event was not published");
                    // The same answer would come again.
                    if is_refusal(&error) {
                        continue;
                    }
                }
                Err(_) => tracing::warn!("an event was not published: no answer within 10 s"),
            }
            // Nobody has heard of it: it is news when it happens again.
            self.published_at.remove(&key_of(&event));
        }
    }
}

/// Hints and warnings are published once per object, text and hour; what was done is always published.
fn is_news(published_at: &mut Published, event: &Event) -> bool {
    if matches!(event.event_type, EventType::Done | EventType::Routine) {
        return true;
    }
    if published_at.len() >= REMEMBERED {
        published_at.retain(|_, at| at.elapsed() < REPEAT_AFTER);
        if published_at.len() >= REMEMBERED {
            published_at.clear();
        }
    }
    let key = key_of(event);
    if published_at.get(&key).is_some_and(|at| at.elapsed() < REPEAT_AFTER) {
        return false;
    }
    published_at.insert(key, Instant::now());
    true
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400..=499) && status.code != 429)
}

fn key_of(event: &Event) -> (String, &'static str, String) {
    let uid = event.regarding.uid.clone().unwrap_or_default();
    (uid, event.reason, event.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_leaves_room_for_the_others_and_gets_its_own_back() {
        let (sender, mut receiver) = mpsc::channel(CAPACITY);
        let events = Events { sender, waiting: Waiting::default(), routine: true };
        let of = |namespace: &str| {
            let mut event = event("not fine", EventType::Warning);
            event.regarding.namespace = Some(namespace.to_owned());
            event
        };
        for _ in 0..2 * CAPACITY {
            events.record(of("loud"));
        }
        assert_eq!(receiver.len(), PER_NAMESPACE);
        events.record(of("quiet"));
        assert_eq!(receiver.len(), PER_NAMESPACE + 1);
        while let Ok(event) = receiver.try_recv() {
            events.waiting.leave(&event);
        }
        assert!(events.waiting.lock().is_empty());
        events.record(of("loud"));
        assert_eq!(receiver.len(), 1);
    }

    fn event(message: &str, event_type: EventType) -> Event {
        let regarding = ObjectReference { uid: Some("u".into()), ..ObjectReference::default() };
        Event { regarding, reason: "UpdateFailed", message: message.into(), event_type }
    }

    #[test]
    fn what_went_as_it_should_never_takes_the_room_of_what_did_not() {
        let (sender, mut receiver) = mpsc::channel(CAPACITY);
        let events = Events { sender, waiting: Waiting::default(), routine: true };
        for nth in 0..CAPACITY {
            let mut event = event("fine", EventType::Routine);
            event.regarding.namespace = Some(format!("ns-{}", nth % 16));
            events.record(event);
        }
        assert_eq!(receiver.len(), CAPACITY / 16);
        events.record(event("not fine", EventType::Warning));
        assert_eq!(receiver.len(), CAPACITY / 16 + 1);
        while receiver.try_recv().is_ok() {}
        let quiet = events.routine(false);
        quiet.record(event("fine", EventType::Routine));
        quiet.record(event("done", EventType::Done));
        assert_eq!(receiver.len(), 1);
    }

    #[test]
    fn the_same_warning_is_told_once_and_another_one_at_once() {
        let mut published_at = HashMap::new();
        assert!(is_news(&mut published_at, &event("a", EventType::Warning)));
        assert!(!is_news(&mut published_at, &event("a", EventType::Warning)));
        assert!(is_news(&mut published_at, &event("b", EventType::Hint)));
        assert!(is_news(&mut published_at, &event("done", EventType::Done)));
        assert!(is_news(&mut published_at, &event("done", EventType::Done)));
    }
}
