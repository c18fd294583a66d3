//! Kubernetes Events. Publishing never delays or fails the work that an event is about.

mod recorder;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;

use super::Fence;
use recorder::Recorder;

/// Waiting events beyond this number are dropped (and counted in the log): events are a courtesy.
const CAPACITY: usize = 1024;
/// What went as it should is told only while so much room is left: it must not be in the way of what did not.
const ROUTINE_NEEDS: usize = CAPACITY - CAPACITY / 16;
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
    routine: bool,
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
        if self.sender.try_send(event).is_err() {
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
    let mut publisher = Publisher { recorder, fence, published_at: HashMap::new(), receiver };
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
    (Events { sender, routine: true }, publish)
}

struct Publisher {
    recorder: Recorder,
    fence: Fence,
    /// When a warning was last published.
    published_at: HashMap<(String, &'static str, String), Instant>,
    receiver: mpsc::Receiver<Event>,
}

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
            if !self.fence.is_open() || !is_news(&mut self.published_at, &event) {
                continue;
            }
            match time::timeout(PUBLISH, self.recorder.publish(&event)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "an event was not published"),
                Err(_) => tracing::warn!("an event was not published: no answer within 10 s"),
            }
        }
    }
}

/// Hints and warnings are published once per object, text and hour; what was done is always published.
fn is_news(
    published_at: &mut HashMap<(String, &'static str, String), Instant>,
    event: &Event,
) -> bool {
    if matches!(event.event_type, EventType::Done | EventType::Routine) {
        return true;
    }
    if published_at.len() >= REMEMBERED {
        published_at.retain(|_, at| at.elapsed() < REPEAT_AFTER);
        if published_at.len() >= REMEMBERED {
            published_at.clear();
        }
    }
    let uid = event.regarding.uid.clone().unwrap_or_default();
    let key = (uid, event.reason, event.message.clone());
    if published_at.get(&key).is_some_and(|at| at.elapsed() < REPEAT_AFTER) {
        return false;
    }
    published_at.insert(key, Instant::now());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, event_type: EventType) -> Event {
        let regarding = ObjectReference { uid: Some("u".into()), ..ObjectReference::default() };
        Event { regarding, reason: "UpdateFailed", message: message.into(), event_type }
    }

    #[test]
    fn what_went_as_it_should_never_takes_the_room_of_what_did_not() {
        let (sender, mut receiver) = mpsc::channel(CAPACITY);
        let events = Events { sender, routine: true };
        for _ in 0..CAPACITY {
            events.record(event("fine", EventType::Routine));
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
