//! Kubernetes Events. Publishing never delays or fails the work that an event is about.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
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

/// One thing worth telling.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Whom it concerns.
    pub about: ObjectReference,
    /// From the reasons table.
    pub reason: &'static str,
    /// Safe text: names and fixed words only.
    pub text: String,
    /// How it is told.
    pub tone: Tone,
}

/// How a notice is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something was done: always told.
    Done,
    /// Something is worth knowing: told once an hour.
    Hint,
    /// Something is wrong: told once an hour.
    Warning,
}

/// Where controllers put their notices.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Notice>);

impl Events {
    /// Hands a notice over without waiting.
    pub fn tell(&self, notice: Notice) {
        if self.0.try_send(notice).is_err() {
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
    let (sender, mut receiver) = mpsc::channel::<Notice>(CAPACITY);
    let recorder = Recorder::new(client, Reporter::from(controller));
    let publish = async move {
        let mut told: HashMap<(String, &'static str, String), Instant> = HashMap::new();
        loop {
            let notice = tokio::select! {
                () = stop.cancelled() => return,
                notice = receiver.recv() => notice,
            };
            let Some(notice) = notice else { return };
            if fence.is_open() && is_news(&mut told, &notice) {
                post(&recorder, &notice).await;
            }
        }
    };
    (Events(sender), publish)
}

/// Hints and warnings are told once per object, text and hour; what was done is always told.
fn is_news(told: &mut HashMap<(String, &'static str, String), Instant>, notice: &Notice) -> bool {
    if notice.tone == Tone::Done {
        return true;
    }
    if told.len() >= REMEMBERED {
        told.retain(|_, at| at.elapsed() < REPEAT_AFTER);
        if told.len() >= REMEMBERED {
            told.clear();
        }
    }
    let uid = notice.about.uid.clone().unwrap_or_default();
    let key = (uid, notice.reason, notice.text.clone());
    if told.get(&key).is_some_and(|at| at.elapsed() < REPEAT_AFTER) {
        return false;
    }
    told.insert(key, Instant::now());
    true
}

/// As much as fits into what the API server takes.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_NOTE)]
}

async fn post(recorder: &Recorder, notice: &Notice) {
    let event = Event {
        type_: match notice.tone {
            Tone::Warning => EventType::Warning,
            Tone::Done | Tone::Hint => EventType::Normal,
        },
        reason: notice.reason.to_owned(),
        note: Some(shortened(&notice.text).to_owned()),
        action: notice.reason.to_owned(),
        secondary: None,
    };
    let publish = recorder.publish(&event, &notice.about);
    match tokio::time::timeout(Duration::from_secs(10), publish).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "an event was not published"),
        Err(_) => tracing::warn!("an event was not published: no answer within 10 s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str, tone: Tone) -> Notice {
        let about = ObjectReference { uid: Some("u".into()), ..ObjectReference::default() };
        Notice { about, reason: "UpdateFailed", text: text.into(), tone }
    }

    #[test]
    fn the_same_warning_is_told_once_and_another_one_at_once() {
        let mut told = HashMap::new();
        assert!(is_news(&mut told, &notice("a", Tone::Warning)));
        assert!(!is_news(&mut told, &notice("a", Tone::Warning)));
        assert!(is_news(&mut told, &notice("b", Tone::Hint)));
        assert!(is_news(&mut told, &notice("done", Tone::Done)));
        assert!(is_news(&mut told, &notice("done", Tone::Done)));
    }
}
