//! Kubernetes Events. Publishing never delays or fails the work that an event is about.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{self as published, Recorder, Reporter},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Fence;

/// Waiting events beyond this number are dropped (and counted in the log): events are a courtesy.
const CAPACITY: usize = 1024;
/// The same warning about the same object is repeated at most this often.
const REPEAT_AFTER: Duration = Duration::from_hours(1);
/// Different (object, reason, text) triples that are remembered.
const REMEMBERED: usize = 4096;

/// Longest note that the API server takes, in bytes.
const MAX_NOTE: usize = 1024;

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
    /// Something is worth knowing: published once an hour.
    Hint,
    /// Something is wrong: published once an hour.
    Warning,
}

/// Where controllers record events.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Event>);

impl Events {
    /// Hands an event over without waiting.
    pub fn record(&self, event: Event) {
        if self.0.try_send(event).is_err() {
            tracing::debug!("an event was dropped: too many are waiting");
        }
    }
}

/// The sending half, and the task that publishes until `stop`.
pub fn events(
    client: Client,
    fence: Fence,
    controller: &str,
    stop: CancellationToken,
) -> (Events, impl Future<Output = ()> + Send + 'static) {
    let (sender, mut receiver) = mpsc::channel::<Event>(CAPACITY);
    let recorder = Recorder::new(client, Reporter::from(controller));
    let publish = async move {
        let mut published_at: HashMap<(String, &'static str, String), Instant> = HashMap::new();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = receiver.recv() => event,
            };
            let Some(event) = event else { return };
            if fence.is_open() && is_news(&mut published_at, &event) {
                post(&recorder, &event).await;
            }
        }
    };
    (Events(sender), publish)
}

/// Hints and warnings are published once per object, text and hour; what was done is always published.
fn is_news(
    published_at: &mut HashMap<(String, &'static str, String), Instant>,
    event: &Event,
) -> bool {
    if event.event_type == EventType::Done {
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

/// As much as fits into what the API server takes.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_NOTE)]
}

async fn post(recorder: &Recorder, event: &Event) {
    let published = published::Event {
        type_: match event.event_type {
            EventType::Warning => published::EventType::Warning,
            EventType::Done | EventType::Hint => published::EventType::Normal,
        },
        reason: event.reason.to_owned(),
        note: Some(shortened(&event.message).to_owned()),
        action: event.reason.to_owned(),
        secondary: None,
    };
    let publish = recorder.publish(&published, &event.regarding);
    match tokio::time::timeout(Duration::from_secs(10), publish).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "an event was not published"),
        Err(_) => tracing::warn!("an event was not published: no answer within 10 s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, event_type: EventType) -> Event {
        let regarding = ObjectReference { uid: Some("u".into()), ..ObjectReference::default() };
        Event { regarding, reason: "UpdateFailed", message: message.into(), event_type }
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
