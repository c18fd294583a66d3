//! Parameter Store, request by request: batches of ten, versions, labels, tags, hierarchies, refusals.

use gabion::provider::aws::Service;
use gabion::provider::metrics::{CallOutcome, Operation};
use gabion::provider::{Filter, Listing};

use super::*;
use support::secrets_manager::{Denial, Fault};

fn parameters_of(name: &str, prefix: &str) -> Connection {
    let mut settings = settings(&format!("AKIA{name}"));
    settings.service = Service::ParameterStore;
    prefix.clone_into(&mut settings.prefix);
    source_of(name, settings)
}

fn filled(count: usize) -> SecretsManager {
    let server = SecretsManager::start();
    for nth in 0..count {
        server.put_parameter(&format!("/app/p{nth:03}"), &format!("v{nth}"), &[]);
    }
    server
}

fn filter(path: &str, tags: &[(&str, &str)]) -> Filter {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Filter { path: path.to_owned(), tags: tags.collect() }
}

async fn keys(fetcher: &Fetcher, source: &Connection, filter: Filter) -> Vec<String> {
    let listing: Arc<Listing> = fetcher.list(source, filter, Lane::Urgent).await.expect("a list");
    listing.keys.clone()
}

async fn version(fetcher: &Fetcher, source: &Connection, text: &str) -> Result<String, String> {
    let version = Version::Stage(text.to_owned());
    let request = ReadRequest { version, ..request("/app/db") };
    super::text(&fetcher.fetch(source, request, Lane::Urgent).await)
}

#[tokio::test]
async fn ten_parameters_are_one_call_and_each_gets_its_own() {
    let server = filled(25);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    let names: Vec<_> = (0..25).map(|nth| format!("/app/p{nth:03}")).collect();
    let asked: Vec<_> = names.iter().map(String::as_str).collect();
    let answers = read_all(&fetcher, &store, &asked).await;
    for (nth, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, Ok(format!("v{nth}")));
    }
    assert_eq!((server.calls("GetParameters"), server.calls("GetParameter")), (3, 0));
    assert_eq!(fetcher.metrics().calls(Operation::GetParameters, CallOutcome::Success), 3);
    assert_eq!(fetcher.metrics().calls_saved(), 22);
}

#[tokio::test]
async fn versions_are_numbers_or_labels() {
    let server = SecretsManager::start();
    server.put_parameter("/app/db", "first", &["stable"]);
    server.put_parameter("/app/db", "second", &[]);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    assert_eq!(read(&fetcher, &store, "/app/db").await, Ok("second".to_owned()));
    assert_eq!(version(&fetcher, &store, "1").await, Ok("first".to_owned()));
    assert_eq!(version(&fetcher, &store, "stable").await, Ok("first".to_owned()));
    let error = version(&fetcher, &store, "9").await.expect_err("there is no version 9");
    assert!(error.contains(r#"secret "/app/db" has no version 9"#), "{error}");
    let error = version(&fetcher, &store, "a:b").await.expect_err("no version");
    assert!(error.contains("neither a number nor a label"), "{error}");
    let id = ReadRequest { version: Version::Id("x".to_owned()), ..request("/app/db") };
    let error = super::text(&fetcher.fetch(&store, id, Lane::Urgent).await).expect_err("no ids");
    assert!(error.contains("a parameter has no version ids"), "{error}");
}

#[tokio::test]
async fn what_is_missing_or_denied_concerns_nobody_else() {
    let server = filled(3);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    let answers = read_all(&fetcher, &store, &["/app/p000", "/app/none", "/app/p001"]).await;
    assert_eq!(answers[0], Ok("v0".to_owned()));
    assert_eq!(answers[1], Err(r#"secret "/app/none" does not exist"#.to_owned()));
    assert_eq!(answers[2], Ok("v1".to_owned()));
    // AWS refuses a call of many for one of them.
    server.deny(Denial { secret: Some("/app/p001".to_owned()), ..Denial::default() });
    let answers = read_all(&fetcher, &store, &["/app/p000", "/app/p001", "/app/p002"]).await;
    assert_eq!(answers[0], Ok("v0".to_owned()));
    let error = answers[1].as_ref().expect_err("denied");
    assert!(error.contains("may not call ssm:GetParameter on \"/app/p001\""), "{error}");
    assert_eq!(answers[2], Ok("v2".to_owned()));
    assert!(fetcher.notes(store.identity()).is_empty(), "the batch itself is allowed");
}

#[tokio::test]
async fn without_the_right_to_read_many_each_is_read_alone_and_the_owner_is_told() {
    let server = filled(3);
    server.deny(Denial { operation: Some("GetParameters"), ..Denial::default() });
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    for round in 1..=2 {
        let answers = read_all(&fetcher, &store, &["/app/p000", "/app/p001", "/app/p002"]).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!((server.calls("GetParameters"), server.calls("GetParameter")), (1, 3 * round));
    }
    let note = fetcher.notes(store.identity()).remove(0).to_string();
    assert!(note.contains("ssm:GetParameters"), "{note}");
}

#[tokio::test]
async fn an_empty_step_of_a_hierarchy_is_refused_before_anything_is_sent() {
    let server = filled(2);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", "/app/"));
    let answers = read_all(&fetcher, &store, &["/p000", "p001"]).await;
    let error = answers[0].as_ref().expect_err("two slashes");
    assert!(error.contains("\"/app//p000\"") && error.contains("two slashes in a row"), "{error}");
    assert_eq!(answers[1], Ok("v1".to_owned()));
    assert_eq!(server.calls("GetParameter"), 0);
    let error = fetcher.list(&store, filter("/x", &[]), Lane::Urgent).await.expect_err("two");
    assert!(error.to_string().contains("two slashes in a row"), "{error}");
}

#[tokio::test]
async fn tags_are_a_json_object() {
    let server = filled(1);
    server.tag_parameter("/app/p000", "team", "a \"b\"");
    let request = ReadRequest { content: Content::Tags, ..request("/app/p000") };
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    let answer = fetcher.fetch(&store, request, Lane::Urgent).await;
    assert_eq!(text(&answer), Ok(r#"{"team":"a \"b\""}"#.to_owned()));
    assert_eq!(server.calls("ListTagsForResource"), 1);
}

#[tokio::test]
async fn names_are_listed_by_hierarchy_tags_and_prefix() {
    let server = filled(23);
    for name in ["/app-old/p", "/other/db", "/app/deep/er/x", "plain"] {
        server.put_parameter(name, "v", &[]);
    }
    server.tag_parameter("/app/p001", "env", "prod");
    server.tag_parameter("/app/p002", "env", "production");
    server.tag_parameter("/other/db", "env", "prod");
    let (fetcher, all) = (fetcher(&server), parameters_of("a", ""));
    assert_eq!(keys(&fetcher, &all, filter("/app", &[])).await.len(), 24);
    assert_eq!(server.calls("GetParametersByPath"), 3);
    assert_eq!(keys(&fetcher, &all, filter("/app/deep/", &[])).await, ["/app/deep/er/x"]);
    let prod = [("env", "prod")];
    assert_eq!(keys(&fetcher, &all, filter("", &prod)).await, ["/app/p001", "/other/db"]);
    assert_eq!(keys(&fetcher, &all, filter("/other", &prod)).await, ["/other/db"]);
    assert_eq!(
        keys(&fetcher, &all, filter("", &[])).await.len(),
        26,
        "the hierarchy from its root"
    );
    let below = parameters_of("b", "/app/");
    assert_eq!(keys(&fetcher, &below, filter("deep", &[])).await, ["deep/er/x"]);
    assert_eq!(keys(&fetcher, &below, filter("/app/deep", &[])).await, ["deep/er/x"]);
    assert_eq!(keys(&fetcher, &below, filter("", &prod)).await, ["p001"]);
    let begun = parameters_of("c", "/app-");
    assert_eq!(keys(&fetcher, &begun, filter("", &[])).await, ["old/p"]);
    let outside = parameters_of("d", "pl");
    assert_eq!(keys(&fetcher, &outside, filter("", &[])).await, ["ain"]);
    assert_eq!(read(&fetcher, &below, "deep/er/x").await, Ok("v".to_owned()));
}

#[tokio::test]
async fn without_the_right_to_a_path_parameters_are_found_by_their_descriptions() {
    let server = filled(12);
    server.deny(Denial { operation: Some("GetParametersByPath"), ..Denial::default() });
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    assert_eq!(keys(&fetcher, &store, filter("/app", &[])).await.len(), 12);
    server.deny(Denial { operation: Some("DescribeParameters"), ..Denial::default() });
    let denied = async |tags: &[(&str, &str)]| {
        let names = fetcher.list(&store, filter("/app", tags), Lane::Urgent).await;
        names.expect_err("denied").to_string()
    };
    // The smaller of the two rights that would help.
    let error = denied(&[]).await;
    assert!(error.contains("may not call ssm:GetParametersByPath on \"/app\""), "{error}");
    let error = denied(&[("env", "prod")]).await;
    assert!(error.contains("ssm:DescribeParameters"), "{error}");
}

#[tokio::test]
async fn throttling_of_parameters_slows_nobody_who_reads_secrets() {
    let server = filled(1);
    server.put("db", "v");
    server.standing_fault("GetParameter", Some(Fault::Throttle));
    let fetcher = fetcher(&server);
    let error = read(&fetcher, &parameters_of("a", ""), "/app/p000").await.expect_err("throttled");
    assert_eq!(error, "the provider is throttling requests");
    assert!(fetcher.metrics().slowdowns() > 0);
    assert_eq!(read(&fetcher, &store("a"), "db").await, Ok("v".to_owned()));
}

#[tokio::test]
async fn a_version_in_a_key_is_never_taken_for_the_current_one() {
    let server = SecretsManager::start();
    server.put_parameter("/app/db", "first", &["stable"]);
    server.put_parameter("/app/db", "second", &[]);
    server.put_parameter("/app/other", "other", &[]);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    let arn = "arn:aws:ssm:eu-west-1:000000000000:parameter/app/other";
    let asked = ["/app/db", "/app/db:1", "/app/db:stable", "/app/other", arn];
    let answers = read_all(&fetcher, &store, &asked).await;
    for (name, (answer, text)) in
        asked.iter().zip(answers.iter().zip(["second", "first", "first", "other", "other"]))
    {
        assert_eq!(*answer, Ok(text.to_owned()), "{name}");
    }
    let error = read(&fetcher, &store, "/app/db:9").await.expect_err("there is no version 9");
    assert!(error.contains(r#"secret "/app/db:9" has no version 9; it has those"#), "{error}");
}

#[tokio::test]
async fn only_a_single_read_proves_that_a_parameter_does_not_exist() {
    let server = filled(2);
    server.put_parameter("/app/later", "v", &[]);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    server.omit_from_batches("/app/later");
    let answers = read_all(&fetcher, &store, &["/app/p000", "/app/later", "/app/none"]).await;
    assert_eq!(answers[0], Ok("v0".to_owned()));
    assert_eq!(answers[1], Ok("v".to_owned()), "AWS does not say why a name is not valid");
    assert_eq!(answers[2], Err(r#"secret "/app/none" does not exist"#.to_owned()));
    assert_eq!(server.calls("GetParameter"), 2);
}

#[tokio::test]
async fn a_name_that_no_parameter_has_costs_nobody_a_call() {
    let server = filled(2);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    let answers =
        read_all(&fetcher, &store, &["/app/p000", "/app/", "/app/*", "/app/a b", "/app/p001"])
            .await;
    for (nth, text) in [(1, "dataFrom[].find.path"), (2, "letters, digits"), (3, "letters, digits")]
    {
        let error = answers[nth].as_ref().expect_err("no name");
        assert!(error.contains(text), "{error}");
    }
    assert_eq!((&answers[0], &answers[4]), (&Ok("v0".to_owned()), &Ok("v1".to_owned())));
    assert_eq!((server.calls("GetParameters"), server.calls("GetParameter")), (1, 0));
    // AWS would say that it does not exist.
    for name in ["/app/p000:1", "arn:aws:ssm:eu-west-1:000000000000:parameter/app/p000"] {
        let request = ReadRequest { content: Content::Tags, ..request(name) };
        let answer = text(&fetcher.fetch(&store, request, Lane::Urgent).await);
        let error = answer.expect_err("no name");
        assert!(error.contains("without an ARN and without a version"), "{error}");
    }
    let empty = fetcher.list(&store, filter("/app", &[("env", "")]), Lane::Urgent).await;
    let error = empty.expect_err("no such search").to_string();
    assert!(error.contains("a tag whose value is empty"), "{error}");
    assert_eq!((server.calls("ListTagsForResource"), server.calls("DescribeParameters")), (0, 0));
}

#[tokio::test]
async fn a_page_that_is_throttled_does_not_cost_the_pages_before_it() {
    let server = filled(25);
    // The client's own second attempt is throttled, too.
    server.fault("GetParametersByPath", &Fault::Delay(Duration::ZERO), 2);
    server.fault("GetParametersByPath", &Fault::Throttle, 2);
    let (fetcher, store) = (fetcher(&server), parameters_of("a", ""));
    assert_eq!(keys(&fetcher, &store, filter("/app", &[])).await.len(), 25);
    assert_eq!(server.calls("GetParametersByPath"), 5);
}
