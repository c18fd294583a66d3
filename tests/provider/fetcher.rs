//! Single-flight, batches, lanes, budgets, isolation.

use gabion::provider::Note;
use gabion::provider::metrics::CallOutcome;
use gabion::provider::metrics::Operation;
use gabion::provider::rate_limit::Limit;
use gabion::provider::rate_limit::Limits;
use gabion::provider::rotate::Effect;

use super::*;
use support::secrets_manager::{Denial, Fault};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("secret-{index}")).collect()
}

fn filled(names: &[String]) -> SecretsManager {
    let server = SecretsManager::start();
    for name in names {
        server.put(name, &format!("value of {name}"));
    }
    server
}

#[tokio::test]
async fn equal_asks_are_one_call() {
    let server = filled(&names(1));
    let (fetcher, store) = (fetcher(&server), store("a"));
    let requests: Vec<_> = (0..100).map(|_| read(&fetcher, &store, "secret-0")).collect();
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer, Ok("value of secret-0".to_owned()));
    }
    assert_eq!(server.calls("GetSecretValue"), 1);
    assert_eq!(server.calls("BatchGetSecretValue"), 0);
    assert_eq!(fetcher.metrics().requests(), 100);
    assert_eq!(fetcher.metrics().calls_saved(), 99);
}

#[tokio::test]
async fn an_ask_that_arrives_while_its_equal_is_under_way_joins_it() {
    let server = filled(&names(1));
    server.fault("GetSecretValue", &Fault::Delay(Duration::from_millis(200)), 1);
    let (fetcher, store) = (fetcher(&server), store("a"));
    let late = async {
        eventually(|| server.calls("GetSecretValue") >= 1).await;
        read(&fetcher, &store, "secret-0").await
    };
    let (first, second) = tokio::join!(read(&fetcher, &store, "secret-0"), late);
    assert_eq!(first, second);
    assert_eq!(server.calls("GetSecretValue"), 1);
}

#[tokio::test]
async fn a_version_that_a_former_try_made_is_made_once() {
    let server = filled(&names(1));
    let (fetcher, store) = (fetcher(&server), store("a"));
    let token = "00000000-0000-0000-0000-0000000000ff";
    for text in ["first", "made anew after a restart"] {
        let effect = Effect::Put { token, label: "GABION-1", value: &text.to_owned().into() };
        let answer = fetcher.effect(&store, "secret-0", effect, Lane::Urgent).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(server.versions_of("secret-0"), 2);
    server.move_stage("secret-0", "AWSCURRENT", Some(token));
    assert_eq!(server.value_of("secret-0"), Some("first".to_owned()));
}

#[tokio::test]
async fn nothing_is_remembered_once_everybody_has_an_answer() {
    let server = filled(&names(1));
    let (fetcher, store) = (fetcher(&server), store("a"));
    assert!(read(&fetcher, &store, "secret-0").await.is_ok());
    server.put("secret-0", "rotated");
    assert_eq!(read(&fetcher, &store, "secret-0").await, Ok("rotated".to_owned()));
    server.fault("GetSecretValue", &Fault::Refuse("AccessDeniedException", "no"), 1);
    assert!(read(&fetcher, &store, "secret-0").await.is_err());
    assert_eq!(read(&fetcher, &store, "secret-0").await, Ok("rotated".to_owned()));
    assert_eq!(server.calls("GetSecretValue"), 4);
}

#[tokio::test]
async fn a_failure_is_shared_by_equal_asks() {
    let server = SecretsManager::start();
    let (fetcher, store) = (fetcher(&server), store("a"));
    let requests: Vec<_> = (0..10).map(|_| read(&fetcher, &store, "absent")).collect();
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer, Err(r#"secret "absent" does not exist"#.to_owned()));
    }
    assert_eq!(server.calls("GetSecretValue"), 1);
}

#[tokio::test]
async fn an_asker_that_goes_away_takes_nothing_from_the_others() {
    let server = filled(&names(2));
    let delay = Fault::Delay(Duration::from_millis(200));
    server.fault("BatchGetSecretValue", &delay, 1);
    let (fetcher, store) = (fetcher(&server), store("a"));
    let start = |key: &'static str| {
        let (fetcher, store) = (fetcher.clone(), store.clone());
        tokio::spawn(async move { read(&fetcher, &store, key).await })
    };
    let first = start("secret-0");
    let others = [start("secret-0"), start("secret-1"), start("secret-1")];
    eventually(|| server.calls("BatchGetSecretValue") >= 1).await;
    first.abort();
    for other in others {
        assert!(other.await.expect("no panic").is_ok());
    }
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn an_ask_that_nobody_waits_for_any_more_is_not_sent() {
    let server = filled(&names(2));
    let settings = FetcherSettings {
        periodic_window: Duration::from_millis(300),
        ..FetcherSettings::default()
    };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let given_up = fetcher.fetch(&store, request("secret-0"), Lane::Periodic);
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    assert!(fetcher.fetch(&store, request("secret-1"), Lane::Periodic).await.is_ok());
    let received = server.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].ids, ["secret-1"]);
}

#[tokio::test]
async fn different_asks_share_batches_of_at_most_twenty() {
    let names = names(45);
    let server = filled(&names);
    let (fetcher, store) = (fetcher(&server), store("a"));
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    for (name, answer) in names.iter().zip(read_all(&fetcher, &store, &keys).await) {
        assert_eq!(answer, Ok(format!("value of {name}")));
    }
    let mut sizes: Vec<usize> = server.received().iter().map(|call| call.ids.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 20, 20]);
    assert_eq!(server.calls("BatchGetSecretValue"), 3);
    assert_eq!(fetcher.metrics().calls(Operation::BatchGetSecretValue, CallOutcome::Success), 3);
    assert_eq!(fetcher.metrics().calls_saved(), 42);
}

#[tokio::test]
async fn one_ask_alone_is_a_single_read() {
    let server = filled(&names(1));
    assert!(read(&fetcher(&server), &store("a"), "secret-0").await.is_ok());
    assert_eq!(server.calls("GetSecretValue"), 1);
    assert_eq!(server.calls("BatchGetSecretValue"), 0);
}

#[tokio::test]
async fn periodic_asks_that_trickle_in_share_a_batch() {
    let server = filled(&names(3));
    let settings =
        FetcherSettings { periodic_window: Duration::from_secs(1), ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let trickle = (0..3_u64).map(|index| {
        let (fetcher, store) = (fetcher.clone(), store.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(30 * index)).await;
            fetcher.fetch(&store, request(&format!("secret-{index}")), Lane::Periodic).await
        }
    });
    for answer in futures::future::join_all(trickle).await {
        assert!(answer.is_ok());
    }
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn an_urgent_ask_takes_an_equal_periodic_one_along() {
    let server = filled(&names(1));
    let settings =
        FetcherSettings { periodic_window: Duration::from_hours(1), ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let periodic = fetcher.fetch(&store, request("secret-0"), Lane::Periodic);
    let both = async { tokio::join!(periodic, read(&fetcher, &store, "secret-0")) };
    let (periodic, urgent) = tokio::time::timeout(PATIENCE, both).await.expect("both at once");
    assert_eq!(text(&periodic), urgent);
    assert_eq!(server.calls("GetSecretValue"), 1);
}

#[tokio::test]
async fn an_error_of_one_item_reaches_its_asker_and_nobody_else() {
    let server = filled(&names(4));
    server.schedule_deletion("secret-1");
    server.deny(Denial { secret: Some("secret-2".to_owned()), ..Denial::default() });
    let (fetcher, store) = (fetcher(&server), store("a"));
    let keys = ["secret-0", "secret-1", "secret-2", "secret-3", "absent"];
    let answers = read_all(&fetcher, &store, &keys).await;
    assert_eq!(answers[0], Ok("value of secret-0".to_owned()));
    assert_eq!(answers[1], Err(r#"secret "secret-1" does not exist"#.to_owned()));
    let denied = answers[2].as_ref().expect_err("denied");
    assert!(denied.contains("may not call secretsmanager:"), "{denied}");
    assert!(denied.ends_with(r#"on "secret-2""#), "{denied}");
    assert_eq!(answers[3], Ok("value of secret-3".to_owned()));
    assert_eq!(answers[4], Err(r#"secret "absent" does not exist"#.to_owned()));
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn a_batch_answers_names_arns_and_partial_arns() {
    let server = SecretsManager::start();
    let arn = server.put("prod/a", "a");
    let other = server.put("prod/b", "b");
    let partial = &other[..other.len() - 7];
    let answers =
        read_all(&fetcher(&server), &store("a"), &["prod/a", &arn, partial, "prod/b"]).await;
    let texts: Vec<_> = answers.into_iter().map(|answer| answer.expect("found")).collect();
    assert_eq!(texts, ["a", "a", "b", "b"]);
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_read_on_its_own() {
    let server = filled(&names(3));
    server.omit_from_batches("secret-1");
    let answers =
        read_all(&fetcher(&server), &store("a"), &["secret-0", "secret-1", "secret-2"]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    let singles: Vec<_> =
        server.received().into_iter().filter(|call| call.operation == "GetSecretValue").collect();
    assert_eq!(singles.len(), 1);
    assert_eq!(singles[0].ids, ["secret-1"]);
}

#[tokio::test]
async fn all_pages_of_a_large_answer_are_followed() {
    let server = SecretsManager::start();
    let large = "x".repeat(60_000);
    let names = names(20);
    for name in &names {
        server.put(name, &large);
    }
    server.page_bytes(250_000);
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let answers = read_all(&fetcher(&server), &store("a"), &keys).await;
    assert!(answers.iter().all(|answer| answer.as_deref() == Ok(large.as_str())));
    assert_eq!(server.calls("BatchGetSecretValue"), 5);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn one_impossible_name_does_not_spoil_a_batch() {
    let server = filled(&names(2));
    let answers =
        read_all(&fetcher(&server), &store("a"), &["secret-0", "not a name", "secret-1"]).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(answers[1].is_err());
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 3);
}

#[tokio::test]
async fn a_refused_batch_operation_falls_back_to_single_reads_and_says_so() {
    let server = filled(&names(3));
    let batch = Some("BatchGetSecretValue");
    let key = Some("AKIAa".to_owned());
    server.deny(Denial { operation: batch, access_key: key, secret: None });
    let (fetcher, first, other) = (fetcher(&server), store("a"), store("b"));
    let keys = ["secret-0", "secret-1", "secret-2"];
    assert!(fetcher.notes(first.identity()).is_empty());
    for round in 1..=2 {
        let answers = read_all(&fetcher, &first, &keys).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(server.calls("BatchGetSecretValue"), 1, "it is not tried again at once");
        assert_eq!(server.calls("GetSecretValue"), 3 * round);
    }
    assert_eq!(
        fetcher.notes(first.identity()),
        [Note::SingleReads {
            identity: "arn:aws:iam::000000000000:user/AKIAa".to_owned(),
            action: "secretsmanager:BatchGetSecretValue",
        }]
    );
    assert!(read_all(&fetcher, &other, &keys).await.iter().all(Result::is_ok));
    assert_eq!(
        server.calls_of("BatchGetSecretValue", "AKIAb"),
        1,
        "another identity still batches"
    );
    assert!(fetcher.notes(other.identity()).is_empty());
}

#[tokio::test]
async fn a_refused_batch_operation_is_tried_again_after_a_while() {
    let server = filled(&names(2));
    let batch = Some("BatchGetSecretValue");
    server.deny(Denial { operation: batch, ..Denial::default() });
    let settings =
        FetcherSettings { batch_pause: Duration::from_millis(100), ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let keys = ["secret-0", "secret-1"];
    assert!(read_all(&fetcher, &store, &keys).await.iter().all(Result::is_ok));
    server.allow_everything();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(read_all(&fetcher, &store, &keys).await.iter().all(Result::is_ok));
    assert_eq!(server.calls("BatchGetSecretValue"), 2);
    assert_eq!(server.calls("GetSecretValue"), 2);
    assert!(fetcher.notes(store.identity()).is_empty());
}

#[tokio::test]
async fn when_a_batch_denies_every_item_one_single_read_tells_whether_it_is_the_batch() {
    let server = filled(&names(3));
    let keys = ["secret-0", "secret-1", "secret-2"];
    for key in keys {
        let operation = Some("BatchGetSecretValue");
        server.deny(Denial { operation, access_key: None, secret: Some(key.to_owned()) });
    }
    let (fetcher, store) = (fetcher(&server), store("a"));
    assert!(read_all(&fetcher, &store, &keys).await.iter().all(Result::is_ok));
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 3);
    assert_eq!(fetcher.notes(store.identity()).len(), 1);
}

#[tokio::test]
async fn when_every_item_is_denied_in_truth_one_more_call_is_all_it_costs() {
    let server = filled(&names(3));
    let keys = ["secret-0", "secret-1", "secret-2"];
    for key in keys {
        server.deny(Denial { secret: Some(key.to_owned()), ..Denial::default() });
    }
    let (fetcher, store) = (fetcher(&server), store("a"));
    for (key, answer) in keys.iter().zip(read_all(&fetcher, &store, &keys).await) {
        let error = answer.expect_err("denied");
        assert!(error.starts_with("access denied") && error.contains(key), "{error}");
    }
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 1);
    assert!(fetcher.notes(store.identity()).is_empty());
}

#[tokio::test]
async fn no_value_crosses_identities_although_keys_are_equal() {
    let server = filled(&names(1));
    let key = Some("AKIAb".to_owned());
    server.deny(Denial { access_key: key, ..Denial::default() });
    let fetcher = fetcher(&server);
    let (a, b, c) = (store("a"), store("b"), store("c"));
    let (of_a, of_b, of_c) = tokio::join!(
        read(&fetcher, &a, "secret-0"),
        read(&fetcher, &b, "secret-0"),
        read(&fetcher, &c, "secret-0"),
    );
    assert!(of_a.is_ok() && of_c.is_ok());
    let denied = of_b.expect_err("only b is denied");
    assert!(denied.contains("user/AKIAb"), "{denied}");
    for key in ["AKIAa", "AKIAb", "AKIAc"] {
        assert_eq!(server.calls_of("GetSecretValue", key), 1, "{key}");
    }
}

#[tokio::test]
async fn credentials_tell_identities_apart_even_if_callers_name_them_alike() {
    let server = filled(&names(1));
    let fetcher = fetcher(&server);
    let (a, b) = (source_of("same", settings("AKIA1")), source_of("same", settings("AKIA2")));
    assert_ne!(a.identity(), b.identity());
    let both = tokio::join!(read(&fetcher, &a, "secret-0"), read(&fetcher, &b, "secret-0"));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(server.calls_of("GetSecretValue", "AKIA1"), 1);
    assert_eq!(server.calls_of("GetSecretValue", "AKIA2"), 1);
}

#[tokio::test]
async fn a_hanging_identity_delays_no_other_and_ends_at_the_deadline() {
    let server = filled(&names(1));
    server.fault("GetSecretValue", &Fault::Hang, 1);
    let settings =
        FetcherSettings { deadline: Duration::from_secs(5), ..FetcherSettings::default() };
    let fetcher = plane_with(&server, settings);
    let (stuck, healthy) = (store("stuck"), store("healthy"));
    let hanging = {
        let (fetcher, stuck) = (fetcher.clone(), stuck.clone());
        tokio::spawn(async move { read(&fetcher, &stuck, "secret-0").await })
    };
    eventually(|| server.calls("GetSecretValue") >= 1).await;
    assert!(read(&fetcher, &healthy, "secret-0").await.is_ok());
    assert!(!hanging.is_finished());
    let error = hanging.await.expect("no panic").expect_err("no answer ever comes");
    assert!(error.starts_with("the provider cannot be reached"), "{error}");
}

#[tokio::test]
async fn urgent_asks_pass_periodic_ones_when_calls_are_scarce() {
    let names = names(200);
    let server = filled(&names);
    server.put("urgent", "now");
    let scarce = Limit { per_second: 5.0, burst: 1.0 };
    let limits = Limits { get: scarce, batch: scarce, ..Limits::default() };
    let settings = FetcherSettings { limits, concurrency: 2, ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let periodic = {
        let (fetcher, store) = (fetcher.clone(), store.clone());
        let requests = names.iter().map(|name| request(name)).collect();
        tokio::spawn(async move { fetcher.fetch_all(&store, requests, Lane::Periodic).await })
    };
    eventually(|| server.calls("BatchGetSecretValue") >= 1).await;
    assert_eq!(read(&fetcher, &store, "urgent").await, Ok("now".to_owned()));
    assert!(!periodic.is_finished());
    let answers = periodic.await.expect("no panic");
    assert!(answers.iter().all(Result::is_ok));
    let order = server.received();
    let place = order.iter().position(|call| call.ids == ["urgent"]).expect("it was read");
    assert!(place < 6, "of {} calls the urgent one was number {place}", order.len());
}

#[tokio::test]
async fn throttling_is_told_and_slows_the_account_down() {
    let server = filled(&names(1));
    server.fault("GetSecretValue", &Fault::Throttle, 2);
    let slow = Limit { per_second: 100.0, burst: 100.0 };
    let limits = Limits { get: slow, ..Limits::default() };
    let settings = FetcherSettings { limits, ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let error = read(&fetcher, &store, "secret-0").await.expect_err("throttled twice");
    assert_eq!(error, "the provider is throttling requests");
    assert_eq!(server.calls("GetSecretValue"), 2, "one retry, no more");
    assert_eq!(fetcher.metrics().calls(Operation::GetSecretValue, CallOutcome::Throttled), 1);
    assert!(fetcher.metrics().slowdowns() >= 1);
    assert!(read(&fetcher, &store, "secret-0").await.is_ok());
}

#[tokio::test]
async fn throttling_that_a_retry_makes_good_slows_the_account_down_too() {
    let server = filled(&names(2));
    server.fault("BatchGetSecretValue", &Fault::Throttle, 1);
    let (fetcher, store) = (fetcher(&server), store("a"));
    let answers = read_all(&fetcher, &store, &["secret-0", "secret-1"]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.calls("BatchGetSecretValue"), 2);
    assert_eq!(fetcher.metrics().slowdowns(), 1);
}

#[tokio::test]
async fn when_batches_are_used_up_single_reads_go_on() {
    let names = names(60);
    let server = filled(&names);
    let batch = Limit { per_second: 0.01, burst: 1.0 };
    let limits = Limits { batch, ..Limits::default() };
    let settings = FetcherSettings { limits, ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(read_all(&fetcher, &store, &keys).await.iter().all(Result::is_ok));
    assert_eq!(server.calls("BatchGetSecretValue"), 1);
    assert_eq!(server.calls("GetSecretValue"), 40);
}

#[tokio::test]
async fn ten_thousand_asks_at_once_are_five_hundred_calls() {
    let names = names(10_000);
    let server = filled(&names);
    let much = Limit { per_second: 100_000.0, burst: 100_000.0 };
    let limits = Limits { get: much, batch: much, ..Limits::default() };
    let settings = FetcherSettings { limits, ..FetcherSettings::default() };
    let (fetcher, store) = (plane_with(&server, settings), store("a"));
    let requests: Vec<_> =
        names.iter().map(|name| fetcher.fetch(&store, request(name), Lane::Urgent)).collect();
    assert!(
        std::mem::size_of_val(&requests[0]) < 1024,
        "a request is {} bytes",
        size_of_val(&requests[0])
    );
    let answers = futures::future::join_all(requests).await;
    for (name, answer) in names.iter().zip(&answers) {
        assert_eq!(text(answer), Ok(format!("value of {name}")));
    }
    assert_eq!(server.calls("BatchGetSecretValue"), 500);
    assert_eq!(server.calls("GetSecretValue"), 0);
}

#[tokio::test]
async fn all_stores_share_one_pool_of_connections() {
    let server = filled(&names(1));
    let fetcher = fetcher(&server);
    for index in 0..20 {
        assert!(read(&fetcher, &store(&format!("s{index}")), "secret-0").await.is_ok());
    }
    assert!(server.connections() <= 2, "{} connections", server.connections());
}

#[tokio::test]
async fn a_forced_refresh_never_takes_the_answer_of_a_call_that_was_sent_before() {
    let server = SecretsManager::start();
    server.put("db", "old");
    server.fault("GetSecretValue", &Fault::Delay(Duration::from_millis(600)), 1);
    server.fault("BatchGetSecretValue", &Fault::Delay(Duration::from_millis(600)), 1);
    let fetcher = fetcher(&server);
    let store = store("forced");
    let first = tokio::spawn({
        let (fetcher, store) = (fetcher.clone(), store.clone());
        async move { fetcher.fetch_all(&store, vec![request("db")], Lane::Periodic).await }
    });
    eventually(|| !server.received().is_empty()).await;
    server.put("db", "new");

    let forced = fetcher.fetch_all_anew(&store, vec![request("db")], Lane::Urgent).await;

    assert_eq!(text(&forced[0]).as_deref(), Ok("new"));
    assert!(first.await.expect("no panic")[0].is_ok());
    assert_eq!(server.calls("GetSecretValue"), 2, "it joined the call that was under way");
    assert_eq!(read(&fetcher, &store, "db").await.as_deref(), Ok("new"));
}

#[tokio::test]
async fn a_hundred_stores_of_an_endpoint_that_is_away_cost_it_a_few_calls_a_second() {
    let server = SecretsManager::start();
    server.put("db", "x");
    for operation in ["GetSecretValue", "BatchGetSecretValue"] {
        server.standing_fault(operation, Some(Fault::Broken));
    }
    let fetcher = fetcher(&server);
    let stores: Vec<_> = (0..100).map(|nth| store(&format!("away{nth}"))).collect();
    let begun = std::time::Instant::now();
    let until = begun + Duration::from_secs(4);
    let tasks = stores.iter().map(|store| {
        let (fetcher, store) = (fetcher.clone(), store.clone());
        tokio::spawn(async move {
            while std::time::Instant::now() < until {
                assert!(read(&fetcher, &store, "db").await.is_err());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let (calls, took) = (server.received().len(), begun.elapsed());
    // The first call of each store goes out before anybody knows; then it is one in half a second, and its retry. Each
    // store asking for itself would make thousands; on a busy machine a few more go out before the first answer.
    let probes = usize::try_from(took.as_millis() / 500).expect("a number") + 25;
    assert!(calls <= 2 * (100 + probes), "{calls} calls in {took:?}");
    server.reset_counts();
    tokio::time::sleep(Duration::from_secs(1)).await;

    for operation in ["GetSecretValue", "BatchGetSecretValue"] {
        server.standing_fault(operation, None);
    }
    let back = std::time::Instant::now();
    let recovered = fetcher.recovered();
    tokio::pin!(recovered);
    while tokio::time::timeout(Duration::from_millis(50), &mut recovered).await.is_err() {
        let _ = read(&fetcher, &stores[0], "db").await;
    }
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    for store in &stores {
        assert_eq!(read(&fetcher, store, "db").await.as_deref(), Ok("x"));
    }
}
