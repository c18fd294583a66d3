//! Listing names: exact filters, pages, sharing, refusals.

use std::collections::BTreeMap;

use gabion::provider::metrics::{CallOutcome, Operation};
use gabion::provider::{Filter, Listing, MOST_LISTED};

use super::*;
use support::secrets_manager::{Denial, Fault};

fn filter(path: &str, tags: &[(&str, &str)]) -> Filter {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Filter { path: path.to_owned(), tags: tags.collect() }
}

async fn list(fetcher: &Fetcher, source: &Connection, filter: Filter) -> Result<Listing, String> {
    let listing = tokio::time::timeout(PATIENCE, fetcher.list(source, filter, Lane::Urgent)).await;
    match listing.expect("an answer in time") {
        Ok(listing) => Ok((*listing).clone()),
        Err(error) => Err(error.to_string()),
    }
}

async fn keys(fetcher: &Fetcher, source: &Connection, filter: Filter) -> Vec<String> {
    list(fetcher, source, filter).await.expect("a list").keys
}

fn tagged() -> SecretsManager {
    let server = SecretsManager::start();
    for (name, tags) in [
        ("app/db", &[("env", "prod"), ("team", "a")][..]),
        ("app/swapped", &[("env", "a"), ("team", "prod")]),
        ("app/longer", &[("environment", "prod"), ("env", "production")]),
        ("other/db", &[("env", "prod")]),
        ("app/untagged", &[]),
        ("!odd", &[("env", "!prod")]),
    ] {
        server.put(name, "v");
        for (key, value) in tags {
            server.tag(name, key, value);
        }
    }
    server
}

#[tokio::test]
async fn tags_match_key_with_value_and_paths_by_their_beginning() {
    let server = tagged();
    let (fetcher, store) = (fetcher(&server), store("a"));
    let found = async |path, tags| keys(&fetcher, &store, filter(path, tags)).await;
    assert_eq!(found("", &[("env", "prod")]).await, ["app/db", "other/db"]);
    assert_eq!(found("app/", &[("env", "prod")]).await, ["app/db"]);
    assert_eq!(found("", &[("env", "prod"), ("team", "a")]).await, ["app/db"]);
    assert_eq!(found("", &[("env", "pro")]).await, [""; 0]);
    assert_eq!(found("app/", &[]).await, ["app/db", "app/longer", "app/swapped", "app/untagged"]);
    // AWS takes "!" in front for "not".
    assert_eq!(found("!odd", &[]).await, ["!odd"]);
    assert_eq!(found("", &[("env", "!prod")]).await, ["!odd"]);
}

#[tokio::test]
async fn more_tags_than_aws_has_filters_still_match_exactly() {
    let server = tagged();
    let many: Vec<_> = (0..50).map(|nth| (format!("k{nth}"), format!("v{nth}"))).collect();
    for name in ["app/db", "other/db"] {
        for (key, value) in &many {
            server.tag(name, key, value);
        }
    }
    server.tag("other/db", "k49", "another");
    let (fetcher, store) = (fetcher(&server), store("a"));
    let filter = Filter { tags: many.into_iter().collect(), ..Filter::default() };
    assert_eq!(keys(&fetcher, &store, filter).await, ["app/db"]);
}

#[tokio::test]
async fn all_pages_are_read_and_secrets_marked_for_deletion_left_out() {
    let server = SecretsManager::start();
    for nth in 0..250 {
        server.put(&format!("s{nth:03}"), "v");
    }
    server.schedule_deletion("s100");
    let (fetcher, store) = (fetcher(&server), store("a"));
    let found = keys(&fetcher, &store, Filter::default()).await;
    assert_eq!((found.len(), server.calls("ListSecrets")), (249, 3));
    assert!(!found.contains(&"s100".to_owned()));
    assert_eq!(fetcher.metrics().calls(Operation::ListSecrets, CallOutcome::Success), 3);
}

#[tokio::test]
async fn a_store_with_a_prefix_knows_nothing_else() {
    let server = tagged();
    let mut settings = settings("AKIA");
    settings.prefix = "app/".to_owned();
    let (fetcher, store) = (fetcher(&server), source_of("prefixed", settings));
    let all = list(&fetcher, &store, filter("", &[("env", "prod")])).await.expect("a list");
    assert_eq!(all, Listing { prefix: "app/".to_owned(), keys: vec!["db".to_owned()] });
    assert_eq!(read(&fetcher, &store, "db").await, Ok("v".to_owned()));
    // With the prefix or without it, a path is below it.
    for path in ["app/d", "d"] {
        assert_eq!(keys(&fetcher, &store, filter(path, &[])).await, ["db"]);
    }
    assert_eq!(keys(&fetcher, &store, filter("other/", &[])).await, [""; 0]);
}

#[tokio::test]
async fn equal_lists_are_one_and_others_are_not() {
    let server = tagged();
    server.fault("ListSecrets", &Fault::Delay(Duration::from_millis(200)), 10);
    let (fetcher, a, b) = (fetcher(&server), store("a"), store("b"));
    let wanted = || filter("app/", &[]);
    let late = async {
        eventually(|| server.calls("ListSecrets") >= 1).await;
        keys(&fetcher, &a, wanted()).await
    };
    let other_path = keys(&fetcher, &a, filter("other/", &[]));
    let other_identity = keys(&fetcher, &b, wanted());
    let first = keys(&fetcher, &a, wanted());
    let (first, late, other, _) = tokio::join!(first, late, other_path, other_identity);
    assert_eq!(first, late);
    assert_eq!(other, ["other/db"]);
    assert_eq!(server.calls("ListSecrets"), 3);
    assert_eq!(server.calls_of("ListSecrets", "AKIAb"), 1, "nothing is shared between identities");
    assert_eq!(fetcher.metrics().calls_saved(), 1);
}

#[tokio::test]
async fn nothing_of_a_list_is_remembered_and_who_wants_the_state_of_now_gets_it() {
    let server = tagged();
    let (fetcher, store) = (fetcher(&server), store("a"));
    assert_eq!(keys(&fetcher, &store, filter("other/", &[])).await, ["other/db"]);
    server.put("other/new", "v");
    assert_eq!(keys(&fetcher, &store, filter("other/", &[])).await, ["other/db", "other/new"]);
    server.reset_counts();
    server.fault("ListSecrets", &Fault::Delay(Duration::from_millis(200)), 1);
    let anew = async {
        eventually(|| server.calls("ListSecrets") >= 1).await;
        fetcher.list_anew(&store, filter("other/", &[]), Lane::Urgent).await
    };
    let (_, anew) = tokio::join!(keys(&fetcher, &store, filter("other/", &[])), anew);
    assert!(anew.is_ok());
    assert_eq!(server.calls("ListSecrets"), 2);
}

#[tokio::test]
async fn who_goes_away_takes_no_list_from_others() {
    let server = tagged();
    server.fault("ListSecrets", &Fault::Delay(Duration::from_millis(200)), 1);
    let (fetcher, store) = (fetcher(&server), store("a"));
    let gone = tokio::time::timeout(
        Duration::from_millis(100),
        fetcher.list(&store, filter("app/", &[]), Lane::Urgent),
    );
    let stays = async {
        eventually(|| server.calls("ListSecrets") >= 1).await;
        keys(&fetcher, &store, filter("app/", &[])).await
    };
    let (gone, stays) = tokio::join!(gone, stays);
    assert!(gone.is_err());
    assert_eq!((stays.len(), server.calls("ListSecrets")), (4, 1));
}

#[tokio::test]
async fn a_refusal_names_who_may_not_list() {
    let server = tagged();
    server.deny(Denial { operation: Some("ListSecrets"), ..Denial::default() });
    let (fetcher, store) = (fetcher(&server), store("a"));
    let error = list(&fetcher, &store, filter("", &[("env", "prod")])).await.expect_err("denied");
    assert_eq!(
        error,
        "access denied: arn:aws:iam::000000000000:user/AKIAa may not call \
         secretsmanager:ListSecrets on \"*\""
    );
}

#[tokio::test]
async fn a_fault_on_a_later_page_is_no_shorter_list() {
    let server = SecretsManager::start();
    for nth in 0..150 {
        server.put(&format!("s{nth:03}"), "v");
    }
    let (fetcher, store) = (fetcher(&server), store("a"));
    server.fault("ListSecrets", &Fault::Delay(Duration::ZERO), 1);
    server.fault("ListSecrets", &Fault::Garbage, 1);
    let error = list(&fetcher, &store, Filter::default()).await.expect_err("half a list");
    assert!(error.contains("the answer was not understood"), "{error}");
}

#[tokio::test]
async fn more_names_than_a_list_holds_are_refused_with_a_remedy() {
    let server = SecretsManager::start();
    for nth in 0..=MOST_LISTED {
        server.put(&format!("a/{nth}"), "v");
    }
    server.put("b/1", "v");
    server.page_names(5_000);
    let (fetcher, store) = (fetcher(&server), store("a"));
    // The server honours MaxResults, so this takes as many pages as with AWS.
    let error = list(&fetcher, &store, Filter::default()).await.expect_err("too many");
    assert!(error.contains("more than 20000 secrets") && error.contains("find.path"), "{error}");
    assert_eq!(keys(&fetcher, &store, filter("b/", &[])).await, ["b/1"]);
    let none = Filter { tags: BTreeMap::from([("a".into(), "b".into())]), ..Filter::default() };
    assert_eq!(keys(&fetcher, &store, none).await, [""; 0]);
}

#[tokio::test]
async fn an_urgent_list_does_not_wait_for_periodic_ones() {
    let server = tagged();
    server.fault("ListSecrets", &Fault::Delay(Duration::from_secs(5)), 1);
    let settings = FetcherSettings { concurrency: 1, ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let periodic = fetcher.list(&store, filter("app/", &[]), Lane::Periodic);
    let urgent = async {
        eventually(|| server.calls("ListSecrets") >= 1).await;
        keys(&fetcher, &store, filter("other/", &[])).await
    };
    let urgent = tokio::time::timeout(Duration::from_secs(4), urgent);
    let (found, periodic) = tokio::join!(urgent, periodic);
    assert_eq!(found.expect("it does not wait for the slow one"), ["other/db"]);
    assert!(periodic.is_ok());
}

#[tokio::test]
async fn a_list_that_does_not_end_in_time_says_what_shortens_it() {
    let server = tagged();
    server.fault("ListSecrets", &Fault::Delay(Duration::from_secs(2)), 1);
    let deadline = Duration::from_millis(200);
    let settings = FetcherSettings { deadline, ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let error = list(&fetcher, &store, filter("app/", &[])).await.expect_err("late");
    assert!(error.contains("not complete within 0.2 s") && error.contains("find.path"), "{error}");
}
