//! Where credentials come from, how often they are asked for, and what happens when they fail.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use futures::future::BoxFuture;
use gabion::provider::{
    SecretBytes, TokenSource,
    aws::AssumedRole,
    metrics::{CallOutcome, Operation},
};

use super::*;
use support::secrets_manager::Denial;

const ROLE: &str = "arn:aws:iam::000000000000:role/reader";

fn with_role(arn: &str) -> AwsSettings {
    let mut settings = settings("AKIAbase");
    settings.role = Some(AssumedRole { arn: arn.to_owned(), ..AssumedRole::default() });
    settings
}

fn filled(count: usize) -> (SecretsManager, Vec<String>) {
    let server = SecretsManager::start();
    let names: Vec<String> = (0..count).map(|index| format!("secret-{index}")).collect();
    for name in &names {
        server.put(name, "v");
    }
    (server, names)
}

#[tokio::test]
async fn a_hundred_reads_with_a_role_are_one_call_to_sts() {
    let (server, names) = filled(100);
    let (fetcher, store) = (fetcher(&server), source_of("a", with_role(ROLE)));
    let reads = names.iter().map(|name| read(&fetcher, &store, name));
    assert!(futures::future::join_all(reads).await.iter().all(Result::is_ok));
    for name in &names[..3] {
        assert!(read(&fetcher, &store, name).await.is_ok());
    }
    assert_eq!(server.calls("AssumeRole"), 1);
    assert_eq!(server.calls_of("AssumeRole", "AKIAbase"), 1);
    assert_eq!(fetcher.metrics().calls(Operation::AssumeRole, CallOutcome::Success), 1);
    let reads = server.received();
    let reads = reads.iter().filter(|call| call.operation.ends_with("GetSecretValue"));
    assert!(reads.clone().count() >= 8);
    assert!(reads.clone().all(|call| call.access_key.starts_with("ASIA")), "{reads:?}");
}

#[tokio::test]
async fn roles_are_assumed_in_order_and_only_the_last_gets_tags_and_external_id() {
    let (server, _) = filled(1);
    let role = |name: &str| format!("arn:aws:iam::000000000000:role/{name}");
    let mut settings = settings("AKIAbase");
    settings.additional_roles = vec![role("one"), role("two")];
    settings.role = Some(AssumedRole {
        arn: role("three"),
        external_id: Some("outside".to_owned()),
        session_tags: vec![("team".to_owned(), "a b".to_owned())],
        transitive_tag_keys: vec!["team".to_owned()],
    });
    let store = source_of("chain", settings);
    assert!(read(&fetcher(&server), &store, "secret-0").await.is_ok());
    let received = server.received();
    assert_eq!(received.len(), 4, "{received:?}");
    let special = ["ExternalId", "Tags.member.1.Key", "TransitiveTagKeys.member.1"];
    for (call, name) in received[..3].iter().zip(["one", "two", "three"]) {
        assert_eq!(call.operation, "AssumeRole");
        assert_eq!(call.parameters["RoleArn"], role(name));
        assert_eq!(call.parameters["RoleSessionName"], "external-secrets-provider-aws");
        for parameter in special {
            assert_eq!(call.parameters.contains_key(parameter), name == "three", "{parameter}");
        }
    }
    assert_eq!(received[2].parameters["Tags.member.1.Value"], "a b");
    assert_eq!(received[0].access_key, "AKIAbase");
    for (call, before) in received[1..].iter().zip(1..) {
        assert_eq!(call.access_key, format!("ASIA{:016}", before + 1), "signed by the link before");
    }
}

struct Tokens(AtomicUsize);

impl TokenSource for Tokens {
    fn token(&self) -> BoxFuture<'_, Result<SecretBytes, ProviderError>> {
        Box::pin(async {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok("header.payload.signature".to_owned().into())
        })
    }
}

#[tokio::test]
async fn a_service_account_token_is_exchanged_once_and_unsigned() {
    let (server, names) = filled(30);
    let tokens = Arc::new(Tokens(AtomicUsize::new(0)));
    let mut settings = AwsSettings::new("eu-west-1");
    let role_arn = ROLE.to_owned();
    settings.credentials = BaseCredentials::WebIdentity { role_arn, token: tokens.clone() };
    let (fetcher, store) = (fetcher(&server), source_of("irsa", settings));
    let reads = names.iter().map(|name| read(&fetcher, &store, name));
    assert!(futures::future::join_all(reads).await.iter().all(Result::is_ok));
    assert_eq!(tokens.0.load(Ordering::Relaxed), 1);
    assert_eq!(server.calls("AssumeRoleWithWebIdentity"), 1);
    let exchange = &server.received()[0];
    assert_eq!(exchange.access_key, "", "no signature");
    assert_eq!(exchange.parameters["WebIdentityToken"], "header.payload.signature");
    assert_eq!(exchange.parameters["RoleArn"], ROLE);
    assert_eq!(exchange.parameters["RoleSessionName"], "external-secrets-provider-aws");
}

#[tokio::test]
async fn white_space_around_credentials_is_not_sent() {
    let (server, _) = filled(1);
    let store = source_of("a", settings(" AKIAspace\r\n"));
    assert!(read(&fetcher(&server), &store, "secret-0").await.is_ok());
    assert_eq!(server.calls_of("GetSecretValue", "AKIAspace"), 1);
}

#[tokio::test]
async fn sessions_are_renewed_before_they_expire() {
    let (server, _) = filled(1);
    let life = Duration::from_secs(10);
    server.session_life(life);
    let (fetcher, store) = (fetcher(&server), source_of("a", with_role(ROLE)));
    assert!(read(&fetcher, &store, "secret-0").await.is_ok());
    assert!(read(&fetcher, &store, "secret-0").await.is_ok());
    assert_eq!(server.calls("AssumeRole"), 1);
    let begun = Instant::now();
    while server.calls("AssumeRole") < 2 {
        assert!(read(&fetcher, &store, "secret-0").await.is_ok());
        assert!(begun.elapsed() < life, "the session has expired");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_one_call_however_many_wait() {
    let (server, names) = filled(40);
    server.deny(Denial {
        operation: Some("AssumeRole"),
        access_key: None,
        secret: Some(ROLE.to_owned()),
    });
    let (fetcher, store) = (fetcher(&server), source_of("a", with_role(ROLE)));
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    for answer in read_all(&fetcher, &store, &keys).await {
        assert_eq!(
            answer,
            Err(format!(
                "access denied: arn:aws:iam::000000000000:user/AKIAbase may not call \
                 sts:AssumeRole on {ROLE:?}"
            ))
        );
    }
    assert_eq!(server.calls("AssumeRole"), 1);
    assert_eq!(server.calls("BatchGetSecretValue"), 0);
    let invalid = fetcher.validate(&store).await.expect_err("no credentials");
    assert!(matches!(invalid, ProviderError::Denied { action: "sts:AssumeRole", .. }));
    server.allow_everything();
    assert!(fetcher.validate(&store).await.is_ok());
    assert!(read(&fetcher, &store, "secret-0").await.is_ok());
}

#[tokio::test]
async fn a_session_that_aws_refuses_is_replaced_for_the_next_ask() {
    let (server, _) = filled(1);
    let (fetcher, store) = (fetcher(&server), source_of("a", with_role(ROLE)));
    assert!(read(&fetcher, &store, "secret-0").await.is_ok());
    let session = server.received().pop().expect("a read").access_key;
    server.reject_key(&session, "ExpiredTokenException");
    let error = read(&fetcher, &store, "secret-0").await.expect_err("refused");
    assert!(error.contains("ExpiredTokenException"), "{error}");
    assert_eq!(read(&fetcher, &store, "secret-0").await, Ok("v".to_owned()));
    assert_eq!(server.calls("AssumeRole"), 2);
}

#[tokio::test]
async fn a_store_that_is_gone_or_changed_loses_its_session() {
    let (server, _) = filled(1);
    let fetcher = fetcher(&server);
    let (gone, kept) = (source_of("gone", with_role(ROLE)), source_of("kept", with_role(ROLE)));
    let both = async || {
        assert!(read(&fetcher, &gone, "secret-0").await.is_ok());
        assert!(read(&fetcher, &kept, "secret-0").await.is_ok());
    };
    both().await;
    assert_eq!(server.calls("AssumeRole"), 2);
    fetcher.retain(&|identity| &**identity.store_uid() == "kept");
    both().await;
    assert_eq!(server.calls("AssumeRole"), 3);
    fetcher.forget(kept.identity());
    both().await;
    assert_eq!(server.calls("AssumeRole"), 4);
}

/// Runs itself again with other variables, because a process must not change its own.
#[test]
fn a_store_without_credentials_uses_those_of_the_process() {
    const URL: &str = "GABION_TEST_SECRETS_MANAGER";
    if let Ok(url) = std::env::var(URL) {
        let endpoints = Endpoints { secrets_manager: Some(url), ..Endpoints::default() };
        let fetcher = Fetcher::new(FetcherSettings::default(), Platform::new(endpoints));
        let store = source_of("a", AwsSettings::new("eu-west-1"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.expect("a runtime").block_on(read(&fetcher, &store, "secret-0"));
        assert_eq!(answer, Ok("v".to_owned()));
        return;
    }
    let (server, _) = filled(1);
    let own = std::env::current_exe().expect("this test's binary");
    let status = std::process::Command::new(own)
        .args(["--exact", "credentials::a_store_without_credentials_uses_those_of_the_process"])
        .env(URL, server.url())
        .env("AWS_ACCESS_KEY_ID", "AKIAprocess")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdout(std::process::Stdio::null())
        .status()
        .expect("it runs");
    assert!(status.success());
    assert_eq!(server.calls_of("GetSecretValue", "AKIAprocess"), 1);
}
