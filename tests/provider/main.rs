//! The fetch fetcher and Secrets Manager, request by request, against a server that counts.
#![allow(clippy::expect_used, clippy::unwrap_in_result)]

mod credentials;
mod fetcher;
mod lists;
mod parameters;
mod races;
mod reads;

use std::{sync::Arc, time::Duration};

use gabion::lane::Lane;
use gabion::provider::Content;
use gabion::provider::Fetched;
use gabion::provider::ProviderError;
use gabion::provider::ReadRequest;
use gabion::provider::Version;
use gabion::provider::aws::AwsSettings;
use gabion::provider::aws::AwsSource;
use gabion::provider::aws::BaseCredentials;
use gabion::provider::aws::Endpoints;
use gabion::provider::aws::Platform;
use gabion::provider::fetcher::Connection;
use gabion::provider::fetcher::Fetcher;
use gabion::provider::fetcher::FetcherSettings;
use gabion::provider::fetcher::Identity;
use support::secrets_manager::SecretsManager;

/// Long enough for anything that works.
const PATIENCE: Duration = Duration::from_secs(20);

fn endpoints(server: &SecretsManager) -> Endpoints {
    Endpoints {
        secrets_manager: Some(server.url()),
        parameter_store: Some(server.url()),
        sts: Some(server.url()),
        ..Endpoints::default()
    }
}

fn plane_with(server: &SecretsManager, settings: FetcherSettings) -> Fetcher {
    Fetcher::new(settings, Platform::new(endpoints(server)))
}

fn fetcher(server: &SecretsManager) -> Fetcher {
    plane_with(server, FetcherSettings::default())
}

fn settings(access_key: &str) -> AwsSettings {
    let mut settings = AwsSettings::new("eu-west-1");
    settings.credentials = BaseCredentials::Static {
        access_key_id: access_key.to_owned().into(),
        secret_access_key: "secret".to_owned().into(),
        session_token: None,
    };
    settings
}

fn source_of(store: &str, settings: AwsSettings) -> Connection {
    let source = AwsSource::new(settings).expect("valid settings");
    Connection::aws(&Identity::new(store, 1, "auth"), source)
}

/// A store with keys of its own: `AKIA` and its name.
fn store(name: &str) -> Connection {
    source_of(name, settings(&format!("AKIA{name}")))
}

fn request(key: &str) -> ReadRequest {
    ReadRequest { key: key.to_owned(), version: Version::Current, content: Content::Value }
}

fn text(answer: &Result<Arc<Fetched>, ProviderError>) -> Result<String, String> {
    match answer {
        Ok(fetched) => {
            let bytes = fetched.text.as_ref().expect("a text").expose();
            Ok(String::from_utf8(bytes.to_vec()).expect("UTF-8"))
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn read(fetcher: &Fetcher, source: &Connection, key: &str) -> Result<String, String> {
    let answer =
        tokio::time::timeout(PATIENCE, fetcher.fetch(source, request(key), Lane::Urgent)).await;
    text(&answer.expect("an answer in time"))
}

async fn read_all(
    fetcher: &Fetcher,
    source: &Connection,
    keys: &[&str],
) -> Vec<Result<String, String>> {
    let requests = keys.iter().map(|key| request(key)).collect();
    let answers = fetcher.fetch_all(source, requests, Lane::Urgent);
    let answers = tokio::time::timeout(PATIENCE, answers).await.expect("answers in time");
    answers.iter().map(text).collect()
}

/// Waits for something that another task brings about.
async fn eventually(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time");
}
