//! `cluster::events`, request by request.

use std::time::Duration;

use gabion::cluster::{
    Fence,
    events::{Event, EventType, events},
};
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::json;
use support::eventually;
use tokio_util::sync::CancellationToken;

use crate::script::{Script, Step, metadata, refusal};

fn event(text: &str, event_type: EventType) -> Event {
    let regarding = ObjectReference {
        api_version: Some("external-secrets.io/v1".into()),
        kind: Some("ExternalSecret".into()),
        namespace: Some("t".into()),
        name: Some("db".into()),
        uid: Some("u".into()),
        ..ObjectReference::default()
    };
    Event { regarding, reason: "UpdateFailed", message: text.into(), event_type }
}

fn accepted() -> Step {
    Step::Answer(
        201,
        json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "e", "namespace": "t"}, "eventTime": "2026-01-01T00:00:00.000000Z"}),
    )
}

async fn asked(script: &Script, count: usize) {
    let waited = eventually(Duration::from_secs(20), "the events", || async {
        if script.asked().len() >= count { Ok(()) } else { Err("not yet") }
    });
    waited.await.expect("the events are sent");
}

#[tokio::test]
async fn an_event_fits_into_what_the_api_server_takes() {
    let script = Script::of([accepted()]);
    let stop = CancellationToken::new();
    let (events, publish) = events(script.client(), Fence::open(), "external-secrets", "me", stop);
    tokio::spawn(publish);

    events.record(event(&"\u{fc}".repeat(5000), EventType::Warning));

    asked(&script, 1).await;
    let sent = &script.asked()[0];
    assert_eq!(sent.uri, "/apis/events.k8s.io/v1/namespaces/t/events?");
    assert!(sent.body["note"].as_str().is_some_and(|note| note.len() <= 1024), "too long");
    assert_eq!(
        (&sent.body["type"], &sent.body["reason"]),
        (&json!("Warning"), &json!("UpdateFailed"))
    );
    assert_eq!(sent.body["reportingController"], "external-secrets");
}

#[tokio::test]
async fn a_repeated_warning_is_sent_once_and_a_refused_event_stops_no_other() {
    let script = Script::of([refusal(403, "Forbidden"), accepted()]);
    let stop = CancellationToken::new();
    let (events, publish) = events(script.client(), Fence::open(), "external-secrets", "me", stop);
    tokio::spawn(publish);

    for text in ["a", "a", "a", "b"] {
        events.record(event(text, EventType::Warning));
    }

    asked(&script, 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let notes: Vec<_> = script.asked().iter().map(|asked| asked.body["note"].clone()).collect();
    assert_eq!(notes, ["a", "b"]);
}

#[tokio::test]
async fn a_warning_that_was_lost_is_told_when_it_comes_again() {
    let script = Script::of([refusal(500, "InternalError"), accepted(), accepted()]);
    let stop = CancellationToken::new();
    let (events, publish) = events(script.client(), Fence::open(), "external-secrets", "me", stop);
    tokio::spawn(publish);

    for text in ["a", "a", "a", "b"] {
        events.record(event(text, EventType::Warning));
    }

    asked(&script, 3).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let notes: Vec<_> = script.asked().iter().map(|asked| asked.body["note"].clone()).collect();
    assert_eq!(notes, ["a", "a", "b"]);
}

#[tokio::test]
async fn who_does_not_lead_tells_nothing() {
    let script = Script::default();
    let stop = CancellationToken::new();
    let (events, publish) =
        events(script.client(), Fence::closed(), "external-secrets", "me", stop);
    tokio::spawn(publish);

    events.record(event("a", EventType::Done));

    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn shutdown_publishes_the_events_that_still_wait() {
    let script = Script::of((0..20).map(|_| accepted()));
    let stop = CancellationToken::new();
    let (events, publish) =
        events(script.client(), Fence::open(), "external-secrets", "me", stop.clone());
    for nth in 0..20 {
        events.record(event(&format!("{nth}"), EventType::Done));
    }
    stop.cancel();

    publish.await;

    assert_eq!(script.asked().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_a_second_for_events_and_no_longer() {
    let script = Script::of([Step::Silence]);
    let stop = CancellationToken::new();
    let (events, publish) =
        events(script.client(), Fence::open(), "external-secrets", "me", stop.clone());
    events.record(event("a", EventType::Done));
    stop.cancel();
    let start = tokio::time::Instant::now();

    publish.await;

    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn an_event_that_is_repeated_is_counted_and_another_text_is_another_event() {
    let script = Script::of([accepted(), metadata("u", "2"), accepted()]);
    let stop = CancellationToken::new();
    let (events, publish) = events(script.client(), Fence::open(), "external-secrets", "me", stop);
    tokio::spawn(publish);

    for text in ["a", "a", "b"] {
        events.record(event(text, EventType::Done));
    }

    asked(&script, 3).await;
    let asked = script.asked();
    let methods: Vec<_> = asked.iter().map(|asked| &*asked.method).collect();
    assert_eq!(methods, ["POST", "PATCH", "POST"]);
    assert_eq!(asked[1].body["series"]["count"], 2);
    let name = asked[0].body["metadata"]["name"].as_str().unwrap();
    assert!(asked[1].uri.contains(name), "{}", asked[1].uri);
    assert_eq!(asked[0].body["reportingInstance"], "me");
}
