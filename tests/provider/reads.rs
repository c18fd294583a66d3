//! What is asked of AWS, and what its answers become.

use gabion::provider::{
    Validation,
    aws::RetrySettings,
    fake::{FakeEntry, FakeSource, FakeValidation},
    metrics::{CallOutcome, Operation},
};

use super::*;
use support::secrets_manager::{Denial, Fault};

async fn read_version(
    fetcher: &Fetcher,
    source: &Connection,
    version: Version,
) -> Result<String, String> {
    let request = ReadRequest { version, ..request("db") };
    text(&fetcher.fetch(source, request, Lane::Urgent).await)
}

fn versioned() -> SecretsManager {
    let server = SecretsManager::start();
    server.put_version("db", "v1", &["AWSPREVIOUS"], "first");
    server.put_version("db", "v2", &["AWSCURRENT", "stable"], "second");
    server.put_version("db", "v3", &[], "third");
    server
}

#[tokio::test]
async fn versions_are_read_by_stage_and_by_id() {
    let server = versioned();
    let (fetcher, store) = (fetcher(&server), store("a"));
    let stage = |name: &str| Version::Stage(name.to_owned());
    let id = |name: &str| Version::Id(name.to_owned());
    for (version, value) in [
        (Version::Current, "second"),
        (stage("AWSPREVIOUS"), "first"),
        (stage("stable"), "second"),
        (id("v3"), "third"),
    ] {
        assert_eq!(read_version(&fetcher, &store, version).await, Ok(value.to_owned()));
    }
    assert_eq!(server.calls("GetSecretValue"), 4);
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_answered_with_those_that_do() {
    let server = versioned();
    let (fetcher, store) = (fetcher(&server), store("a"));
    let missing = read_version(&fetcher, &store, Version::Stage("AWSPENDING".to_owned())).await;
    assert_eq!(
        missing,
        Err(r#"secret "db" has no version AWSPENDING; it has AWSCURRENT stable (uuid/v2), AWSPREVIOUS (uuid/v1), uuid/v3"#
            .to_owned())
    );
    assert_eq!(server.calls("DescribeSecret"), 1);
}

#[tokio::test]
async fn whether_a_secret_or_a_version_is_missing_does_not_hang_on_the_wording() {
    let server = versioned();
    let (fetcher, store) = (fetcher(&server), store("a"));
    let wording = "Secrets Manager can't find the specified secret.";
    server.fault("GetSecretValue", &Fault::Refuse("ResourceNotFoundException", wording), 1);
    let error = read_version(&fetcher, &store, Version::Stage("AWSPENDING".to_owned())).await;
    assert!(error.expect_err("there is none").contains("has no version AWSPENDING"));
    server.remove("db");
    let error = read_version(&fetcher, &store, Version::Stage("AWSPENDING".to_owned())).await;
    assert_eq!(error, Err(r#"secret "db" does not exist"#.to_owned()));
}

#[tokio::test]
async fn versions_that_may_not_be_listed_are_no_reason_to_hide_the_cause() {
    let server = versioned();
    server.deny(Denial { operation: Some("DescribeSecret"), ..Denial::default() });
    let (fetcher, store) = (fetcher(&server), store("a"));
    let error = read_version(&fetcher, &store, Version::Id("v9".to_owned())).await;
    let error = error.expect_err("there is no v9");
    assert!(error.starts_with(r#"secret "db" has no version v9"#), "{error}");
    assert!(error.contains("secretsmanager:DescribeSecret"), "{error}");
}

#[tokio::test]
async fn a_secret_without_a_current_version_is_told_apart_in_a_batch_too() {
    let server = versioned();
    server.put_version("bare", "b1", &["AWSPENDING"], "not yet");
    let answers = read_all(&fetcher(&server), &store("a"), &["db", "bare"]).await;
    assert_eq!(answers[0], Ok("second".to_owned()));
    let error = answers[1].as_ref().expect_err("nothing is current");
    assert_eq!(error, r#"secret "bare" has no version AWSCURRENT; it has AWSPENDING (uuid/b1)"#);
}

#[tokio::test]
async fn the_prefix_is_put_in_front_verbatim() {
    let server = SecretsManager::start();
    server.put("prod/db", "v");
    let mut settings = settings("AKIA");
    settings.prefix = "prod/".to_owned();
    let store = source_of("prefixed", settings);
    assert_eq!(read(&fetcher(&server), &store, "db").await, Ok("v".to_owned()));
    assert_eq!(server.received()[0].ids, ["prod/db"]);
}

#[tokio::test]
async fn binary_and_text_arrive_as_what_they_are() {
    let server = SecretsManager::start();
    server.put_binary("bytes", &[0, 159, 146, 150]);
    server.put("text", "späße \"quoted\"\n");
    let (fetcher, store) = (fetcher(&server), store("a"));
    for together in [false, true] {
        let keys = vec![request("bytes"), request("text")];
        let answers = if together {
            fetcher.fetch_all(&store, keys, Lane::Urgent).await
        } else {
            let mut answers = Vec::new();
            for key in keys {
                answers.push(fetcher.fetch(&store, key, Lane::Urgent).await);
            }
            answers
        };
        let bytes = answers[0].as_ref().expect("found");
        assert_eq!(bytes.binary.as_ref().expect("binary").expose(), [0, 159, 146, 150]);
        assert!(bytes.text.is_none());
        assert_eq!(text(&answers[1]), Ok("späße \"quoted\"\n".to_owned()));
    }
}

#[tokio::test]
async fn tags_are_a_json_object() {
    let server = SecretsManager::start();
    server.put("db", "v");
    server.tag("db", "team", "a \"b\"");
    server.tag("db", "env", "prod");
    let request = ReadRequest { content: Content::Tags, ..request("db") };
    let answer = fetcher(&server).fetch(&store("a"), request, Lane::Urgent).await;
    assert_eq!(text(&answer), Ok(r#"{"env":"prod","team":"a \"b\""}"#.to_owned()));
    assert_eq!(server.calls("DescribeSecret"), 1);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn a_secret_marked_for_deletion_is_missing() {
    let server = SecretsManager::start();
    server.put("db", "v");
    server.schedule_deletion("db");
    let (fetcher, store) = (fetcher(&server), store("a"));
    let missing = Err(r#"secret "db" does not exist"#.to_owned());
    assert_eq!(read(&fetcher, &store, "db").await, missing);
    let tags = ReadRequest { content: Content::Tags, ..request("db") };
    assert_eq!(text(&fetcher.fetch(&store, tags, Lane::Urgent).await), missing);
    server.restore("db");
    assert_eq!(read(&fetcher, &store, "db").await, Ok("v".to_owned()));
}

#[tokio::test]
async fn a_fault_of_the_provider_is_retried_once_and_then_told() {
    let server = SecretsManager::start();
    server.put("db", "v");
    let (fetcher, store) = (fetcher(&server), store("a"));
    server.fault("GetSecretValue", &Fault::Broken, 1);
    assert_eq!(read(&fetcher, &store, "db").await, Ok("v".to_owned()));
    assert_eq!(server.calls("GetSecretValue"), 2);
    server.reset_counts();
    server.fault("GetSecretValue", &Fault::Broken, 2);
    let error = read(&fetcher, &store, "db").await.expect_err("broken twice");
    assert_eq!(
        error,
        "the provider cannot be reached: secretsmanager in eu-west-1: it answered 500 \
         (InternalServiceError)"
    );
    assert_eq!(server.calls("GetSecretValue"), 2);
    assert_eq!(fetcher.metrics().calls(Operation::GetSecretValue, CallOutcome::Unavailable), 1);
}

#[tokio::test]
async fn retry_settings_replace_the_one_retry() {
    for (max_retries, calls) in [(0, 1), (3, 4)] {
        let server = SecretsManager::start();
        server.put("db", "v");
        server.fault("GetSecretValue", &Fault::Broken, 10);
        let mut settings = settings("AKIA");
        let interval = Duration::from_millis(10);
        settings.retry = Some(RetrySettings { max_retries, interval });
        let store = source_of("retrying", settings);
        assert!(read(&fetcher(&server), &store, "db").await.is_err());
        assert_eq!(server.calls("GetSecretValue"), calls);
    }
}

#[tokio::test]
async fn no_error_tells_anything_of_a_value_or_a_request_id() {
    let faults = [
        (Fault::Garbage, "the answer was not understood"),
        (Fault::Drop, "the connection failed or was closed"),
        (Fault::Broken, "it answered 500 (InternalServiceError)"),
        (Fault::Refuse("ValidationException", "hunter2 in request 0f3b"), "ValidationException"),
        (Fault::Refuse("AccessDeniedException", "hunter2 in request 0f3b"), "access denied"),
        (Fault::Refuse("UnrecognizedClientException", "hunter2"), "UnrecognizedClientException"),
        (Fault::Refuse("InvalidSignatureException", "hunter2"), "InvalidSignatureException"),
    ];
    for (fault, text) in faults {
        let server = SecretsManager::start();
        server.put("db", "hunter2");
        server.standing_fault("GetSecretValue", Some(fault.clone()));
        let answer = fetcher(&server).fetch(&store("a"), request("db"), Lane::Urgent).await;
        let error = answer.expect_err("a fault");
        let everything = format!("{error} {error:?}");
        assert!(error.to_string().contains(text), "{fault:?}: {error}");
        for secret in ["hunter2", "0f3b", "AKIAa"] {
            assert!(!everything.contains(secret), "{fault:?}: {everything}");
        }
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unavailable() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let endpoints = Endpoints { secrets_manager: Some(url), ..Endpoints::default() };
    let fetcher = Fetcher::new(FetcherSettings::default(), Platform::new(endpoints));
    let error = read(&fetcher, &store("a"), "db").await.expect_err("nobody listens");
    assert!(error.contains("secretsmanager in eu-west-1: the connection failed"), "{error}");
}

#[tokio::test]
async fn a_store_is_valid_when_credentials_are_there_and_nothing_is_read_for_it() {
    let server = SecretsManager::start();
    let fetcher = fetcher(&server);
    assert_eq!(fetcher.validate(&store("a")).await.expect("valid"), Validation::Ready);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn the_fake_provider_answers_through_the_plane() {
    let server = SecretsManager::start();
    let fetcher = fetcher(&server);
    let entry = FakeEntry { key: "db".to_owned(), value: "v".to_owned(), version: String::new() };
    let fake = |validation| {
        let source = FakeSource { data: vec![entry.clone()], validation };
        Connection::fake(&Identity::new(format!("{validation:?}"), 1, ""), source)
    };
    assert_eq!(read(&fetcher, &fake(FakeValidation::Ready), "db").await, Ok("v".to_owned()));
    let validate = async |validation| fetcher.validate(&fake(validation)).await;
    assert_eq!(validate(FakeValidation::Ready).await.expect("ready"), Validation::Ready);
    let unknown = validate(FakeValidation::Unknown).await.expect("not an error");
    assert!(matches!(unknown, Validation::Unknown { .. }));
    assert!(validate(FakeValidation::Error).await.is_err());
    assert!(server.received().is_empty());
}
