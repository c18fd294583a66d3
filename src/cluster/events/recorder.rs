//! Events as the API server takes them. An event that is repeated is counted and not made again.
//!
//! `kube::runtime::events::Recorder` does the same, but names events longer than a name may be, and counts an event
//! with another text as a repetition, so that the new text is lost.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::{Event as ApiEvent, EventSeries},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{Event, EventType};

/// Longest text that the API server takes, in bytes.
const MAX_NOTE: usize = 1024;
/// Longest name of an object.
const MAX_NAME: usize = 253;
/// Longest name of a reporting instance.
const MAX_INSTANCE: usize = 128;
/// An event that comes again within this time is counted.
const SERIES: Duration = Duration::from_mins(6);
/// Events that are remembered to be counted.
const REMEMBERED: usize = 4096;

/// About what, why and in which words.
type Key = (String, &'static str, String);

struct Series {
    name: String,
    count: i32,
    last: Instant,
}

/// Publishes events of one controller.
pub(super) struct Recorder {
    client: Client,
    controller: &'static str,
    replica: String,
    series: HashMap<Key, Series>,
}

impl Recorder {
    pub(super) fn new(client: Client, controller: &'static str, replica: &str) -> Self {
        let replica = replica[..replica.floor_char_boundary(MAX_INSTANCE)].to_owned();
        Self { client, controller, replica, series: HashMap::new() }
    }

    pub(super) async fn publish(&mut self, event: &Event) -> Result<(), kube::Error> {
        let regarding = &event.regarding;
        let namespace = regarding.namespace.as_deref().unwrap_or("default");
        let api: Api<ApiEvent> = Api::namespaced(self.client.clone(), namespace);
        let now = Timestamp::now();
        self.series.retain(|_, series| series.last.elapsed() < SERIES);
        let uid = regarding.uid.clone().unwrap_or_default();
        let key = (uid, event.reason, shortened(&event.message).to_owned());
        if let Some(series) = self.series.get_mut(&key) {
            let count = series.count.saturating_add(1);
            let repeated = EventSeries { count, last_observed_time: MicroTime(now) };
            let patch = Patch::Merge(json!({"series": repeated}));
            match api.patch_metadata(&series.name, &PatchParams::default(), &patch).await {
                Ok(_) => {
                    (series.count, series.last) = (count, Instant::now());
                    return Ok(());
                }
                // The API server forgets events after a while.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let object = self.object(event, namespace, &key.2, now);
        let name = object.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &object).await?;
        if self.series.len() < REMEMBERED {
            self.series.insert(key, Series { name, count: 1, last: Instant::now() });
        }
        Ok(())
    }

    fn object(&self, event: &Event, namespace: &str, note: &str, now: Timestamp) -> ApiEvent {
        let about = event.regarding.name.as_deref().unwrap_or(self.controller);
        let mut object = ApiEvent {
            action: Some(event.reason.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(note.to_owned()),
            reason: Some(event.reason.to_owned()),
            regarding: Some(event.regarding.clone()),
            reporting_controller: Some(self.controller.to_owned()),
            reporting_instance: Some(self.replica.clone()),
            type_: Some(match event.event_type {
                EventType::Warning => "Warning".to_owned(),
                EventType::Done | EventType::Routine | EventType::Hint => "Normal".to_owned(),
            }),
            ..ApiEvent::default()
        };
        object.metadata.namespace = Some(namespace.to_owned());
        object.metadata.name = Some(event_name(about, now));
        object
    }
}

/// As much of a text as the API server takes.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_NOTE)]
}

/// The name of the object, as far as there is room for it, and the time. Each part of a name ends with a letter or
/// a digit.
fn event_name(about: &str, now: Timestamp) -> String {
    let time = format!("{:x}", now.as_nanosecond());
    let room = MAX_NAME - time.len() - ".".len();
    let about = about[..about.floor_char_boundary(room)].trim_end_matches(['.', '-']);
    format!("{about}.{time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_4_the_name_of_an_event_is_one_whatever_the_object_is_called() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for length in 230..=253 {
            let name = event_name(&"a".repeat(length), now);
            assert!(name.len() <= 253, "{length}: {}", name.len());
            assert!(name.ends_with(".18fae27693b40000"), "{name}");
            let cut = format!("{}{}b", "a".repeat(length - 20), ".-".repeat(10));
            assert!(!event_name(&cut, now).contains("-.1"), "{cut}");
        }
        assert_eq!(event_name("db", now), "db.18fae27693b40000");
    }
}
