//! `cluster::write`, request by request.

use std::time::{Duration, Instant};

use gabion::api::external_secrets::external_secret::ExternalSecret;
use gabion::cluster::Fence;
use gabion::cluster::ObjectKey;
use gabion::cluster::RequestCounts;
use gabion::cluster::write::ApiError;
use gabion::cluster::write::Part;
use gabion::cluster::write::PatchKind;
use gabion::cluster::write::Writer;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use serde_json::{Value, json};

use crate::script::{Script, Step, metadata, refusal};

fn writer(script: &Script) -> Writer {
    fenced(script, Fence::open())
}

fn fenced(script: &Script, fence: Fence) -> Writer {
    Writer::new(script.client(), fence, 4, RequestCounts::default())
}

fn db() -> ObjectKey {
    ObjectKey::new("t", "db")
}

#[tokio::test]
async fn a_create_names_its_manager_and_asks_for_metadata_only() {
    let script = Script::of([metadata("u", "7")]);

    let meta = writer(&script).create::<Secret>(&db(), &json!({"a": 1}), "m/x").await.unwrap();

    assert_eq!((meta.uid.as_deref(), meta.resource_version.as_deref()), (Some("u"), Some("7")));
    let asked = &script.asked()[0];
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.uri, "/api/v1/namespaces/t/secrets?fieldManager=m%2Fx");
    assert!(asked.accept.contains("PartialObjectMetadata"), "{asked:?}");
    assert_eq!(asked.body, json!({"a": 1}));
}

#[tokio::test]
async fn each_kind_of_patch_has_its_content_type_and_a_status_its_address() {
    let script = Script::of([metadata("u", "1"), metadata("u", "2"), metadata("u", "3")]);
    let writer = writer(&script);
    let body = json!({});

    writer.patch::<Secret>(&db(), Part::Object, PatchKind::Json, &body, "m").await.unwrap();
    let (part, kind) = (Part::Status, PatchKind::Merge);
    writer.patch::<ExternalSecret>(&db(), part, kind, &body, "m").await.unwrap();
    let kind = PatchKind::Apply { force: true };
    writer.patch::<Secret>(&db(), Part::Object, kind, &body, "m").await.unwrap();

    let asked = script.asked();
    let types: Vec<_> = asked.iter().map(|asked| asked.content_type.as_str()).collect();
    assert_eq!(
        types,
        [
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml"
        ]
    );
    assert_eq!(
        asked[1].uri,
        "/apis/external-secrets.io/v1/namespaces/t/externalsecrets/db/status?fieldManager=m"
    );
    assert!(asked[2].uri.ends_with("?fieldManager=m&force=true"));
}

#[tokio::test]
async fn a_delete_names_the_one_object_that_was_looked_at() {
    let script =
        Script::of([metadata("u", "7"), refusal(404, "NotFound"), refusal(409, "Conflict")]);
    let writer = writer(&script);

    writer.delete::<Secret>(&db(), &"u".into(), &"7".into()).await.unwrap();
    writer
        .delete::<Secret>(&db(), &"u".into(), &"7".into())
        .await
        .expect("gone is as good as deleted");
    let error = writer.delete::<Secret>(&db(), &"u".into(), &"7".into()).await.unwrap_err();

    assert!(matches!(error, ApiError::Conflict { .. }));
    let asked = &script.asked()[0];
    assert_eq!((&*asked.method, &*asked.uri), ("DELETE", "/api/v1/namespaces/t/secrets/db"));
    assert_eq!(asked.body["preconditions"], json!({"uid": "u", "resourceVersion": "7"}));
}

#[tokio::test]
async fn a_refusal_is_told_apart_and_quotes_nothing_that_was_sent() {
    let many = [
        (409, "AlreadyExists"),
        (409, "Conflict"),
        (404, "NotFound"),
        (413, "RequestEntityTooLarge"),
        (422, "Invalid"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ];
    let script = Script::of(many.map(|(code, reason)| refusal(code, reason)));
    let writer = writer(&script);
    for (code, reason) in many {
        let body = json!({"data": {"k": "hunter2"}});
        let error = writer.create::<Secret>(&db(), &body, "m").await.unwrap_err();
        let right = match (code, reason) {
            (409, "AlreadyExists") => matches!(error, ApiError::AlreadyExists { .. }),
            (409, _) => matches!(error, ApiError::Conflict { .. }),
            (404, _) => matches!(error, ApiError::NotFound { .. }),
            (413, _) => matches!(error, ApiError::TooLarge { .. }),
            (422, _) => matches!(error, ApiError::Invalid { .. }),
            _ => matches!(error, ApiError::Unavailable { .. }),
        };
        assert!(right, "{code} {reason}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn one_failed_request_is_one_request() {
    let script = Script::of([refusal(500, "InternalError"), metadata("u", "1")]);

    writer(&script).create::<Secret>(&db(), &json!({}), "m").await.unwrap_err();

    assert_eq!(script.asked().len(), 1, "no retry below the one place that decides about them");
}

#[tokio::test]
async fn behind_a_closed_fence_nothing_is_sent_but_reads() {
    let script = Script::of([Step::Answer(200, json!({"metadata": {"name": "db"}}))]);
    let fence = Fence::closed();
    let writer = fenced(&script, fence.clone());

    let body = json!({});
    for error in [
        writer.create::<Secret>(&db(), &body, "m").await.unwrap_err(),
        writer
            .patch::<Secret>(&db(), Part::Object, PatchKind::Merge, &body, "m")
            .await
            .unwrap_err(),
        writer.delete::<Secret>(&db(), &"u".into(), &"1".into()).await.unwrap_err(),
    ] {
        assert!(matches!(error, ApiError::Fenced));
    }
    assert!(script.asked().is_empty());

    let read: Option<Secret> = writer.read::<Secret, _>(&db()).await.unwrap();
    assert!(read.is_some());
    fence.extend(Instant::now(), Duration::from_mins(1));
    script.then(metadata("u", "1"));
    writer.create::<Secret>(&db(), &body, "m").await.unwrap();
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn a_write_that_waited_for_a_permit_checks_the_fence_again() {
    let script = Script::of([Step::Silence, metadata("u", "1")]);
    let fence = Fence::open();
    let writer = Writer::new(script.client(), fence.clone(), 1, RequestCounts::default());
    let first = writer.clone();
    let slow = tokio::spawn(async move { first.create::<Secret>(&db(), &json!({}), "m").await });
    while script.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = writer.clone();
    let waiting =
        tokio::spawn(async move { second.create::<Secret>(&db(), &json!({}), "m").await });
    tokio::time::sleep(Duration::from_millis(50)).await;

    fence.close();
    slow.abort();

    let outcome = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(ApiError::Fenced)));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_is_given_up_on() {
    let script = Script::of([Step::Silence]);
    let start = tokio::time::Instant::now();

    let error = writer(&script).create::<Secret>(&db(), &json!({}), "m").await.unwrap_err();

    assert!(matches!(error, ApiError::Unavailable { .. }));
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_success_and_is_not_quoted() {
    let script =
        Script::of([Step::Text(200, "{\"metadata\": hunter2"), Step::Text(200, "hunter2")]);
    let writer = writer(&script);

    let error = writer.create::<Secret>(&db(), &json!({}), "m").await.unwrap_err();
    let other = writer.read::<Secret, Secret>(&db()).await.unwrap_err();

    for error in [error, other] {
        assert!(matches!(error, ApiError::Unavailable { .. }));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_token_is_asked_for_at_its_subresource() {
    let script = Script::of([Step::Answer(201, json!({"status": {"token": "t"}}))]);
    let key = ObjectKey::new("t", "app");

    let answer: Value = writer(&script)
        .post_subresource::<ServiceAccount, _>(&key, "token", &json!({"spec": {}}))
        .await
        .unwrap();

    assert_eq!(answer["status"]["token"], "t");
    assert_eq!(script.asked()[0].uri, "/api/v1/namespaces/t/serviceaccounts/app/token");
}

#[tokio::test]
async fn a_write_does_not_outlive_the_fence_behind_which_it_was_sent() {
    let script = Script::of([Step::Silence]);
    let fence = Fence::closed();
    fence.extend(Instant::now(), Duration::from_millis(300));
    let start = Instant::now();

    let error = fenced(&script, fence).create::<Secret>(&db(), &json!({}), "m").await.unwrap_err();

    assert!(matches!(error, ApiError::Unavailable { .. }));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_read_that_can_be_understood_in_part_is_understood() {
    let deep = format!("{}1{}", "{\"f:a\":".repeat(140), "}".repeat(140));
    let text = format!(
        r#"{{"metadata":{{"name":"db","managedFields":[{{"manager":"m","fieldsV1":{deep}}}]}},
            "data":{{"k":"dg=="}}}}"#
    );
    let script = Script::of([Step::Text(200, Box::leak(text.into_boxed_str()))]);

    let secret: Secret = writer(&script).read::<Secret, _>(&db()).await.unwrap().unwrap();

    assert_eq!(secret.data.unwrap()["k"].0, b"v");
}
