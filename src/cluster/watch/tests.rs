use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, ResourceExt as _, client::Body, core::PartialObjectMeta};
use serde_json::{Value, json};

use super::*;
use crate::api::external_secrets::secret_store::SecretStore;
use crate::cluster::Patience;

/// What the API server does with a request.
enum Answer {
    /// This status and this body.
    Json(u16, Value),
    /// These events; then the stream stays open if `true`, or ends.
    Events(Vec<Value>, bool),
    /// Nothing, for ever.
    Silence,
}

/// Answers one request after the other. At the end of the list it is silent.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(VecDeque<Answer>, Vec<String>)>>);

impl Server {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new()))))
    }

    fn lock(&self) -> MutexGuard<'_, (VecDeque<Answer>, Vec<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> Vec<String> {
        self.lock().1.clone()
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            let uri = request.uri().to_string();
            async move { Ok::<_, Infallible>(server.answer(uri).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, uri: String) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let answer = {
            let mut state = self.lock();
            state.1.push(uri);
            state.0.pop_front().unwrap_or(Answer::Silence)
        };
        match answer {
            Answer::Json(code, body) => Response::builder()
                .status(code)
                .body(Full::new(Bytes::from(body.to_string())).boxed_unsync())
                .unwrap(),
            Answer::Events(events, open) => {
                let lines = events.into_iter().map(|event| {
                    Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{event}\n"))))
                });
                let rest = if open { stream::pending().boxed() } else { stream::empty().boxed() };
                Response::new(StreamBody::new(stream::iter(lines).chain(rest)).boxed_unsync())
            }
            Answer::Silence => std::future::pending().await,
        }
    }
}

/// What a watch delivered.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Follows SecretStores for this long.
async fn follow_for(server: &Server, health: &Arc<WatchHealth>, seen: &Seen, time: Duration) {
    let api: Api<SecretStore> = Api::all(server.client());
    let (reported, delivered) = (seen.clone(), seen.clone());
    let report =
        move |bad: Undecodable| reported.add(format!("! {} {}", bad.identity.key, bad.problem));
    let sink = move |change: Change<SecretStore>| match change {
        Change::Applied(store) => delivered.add(format!("+ {}", store.name_any())),
        Change::Deleted(store) => delivered.add(format!("- {}", store.name_any())),
        Change::Replaced(present) => {
            let mut present: Vec<_> = present.into_iter().map(|key| key.to_string()).collect();
            present.sort();
            delivered.add(format!("= {}", present.join(" ")));
        }
    };
    let work = follow((api, Selected::default()), Arc::clone(health), Refusal::Fails, report, sink);
    let _ = time::timeout(time, work).await;
}

fn store(name: &str, version: u32, interval: i64) -> Value {
    json!({"apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
        "metadata": {"name": name, "namespace": "t", "uid": name,
            "resourceVersion": version.to_string()},
        "spec": {"refreshInterval": interval, "provider": {"fake": {"data": []}}}})
}

const TOO_LARGE: i64 = 2_147_483_648;

fn page(items: &Value, token: &str) -> Answer {
    let metadata = json!({"resourceVersion": "100", "continue": token});
    Answer::Json(200, json!({"kind": "SecretStoreList", "metadata": metadata, "items": items}))
}

fn event(what: &str, object: &Value) -> Value {
    json!({"type": what, "object": object})
}

fn status(code: u16) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "message": "on purpose"})
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn s1_an_object_that_cannot_be_decoded_costs_itself_only() {
    let server = Server::of([
        page(&json!([store("bad", 1, TOO_LARGE), store("a", 2, 60)]), "more"),
        page(&json!([store("b", 3, 60), store("worse", 4, TOO_LARGE)]), ""),
        Answer::Events(
            vec![
                event("MODIFIED", &store("a", 101, TOO_LARGE)),
                event("ADDED", &store("c", 102, 60)),
                event("MODIFIED", &store("bad", 103, 60)),
            ],
            true,
        ),
    ]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE).await;

    let why =
        "spec.refreshInterval: invalid value: integer `2147483648`, expected a 32-bit integer";
    assert_eq!(
        seen.take(),
        [
            format!("! t/bad {why}"),
            "+ a".into(),
            "+ b".into(),
            format!("! t/worse {why}"),
            // What exists is not gone because it cannot be decoded.
            "= t/a t/b t/bad t/worse".into(),
            format!("! t/a {why}"),
            "+ c".into(),
            "+ bad".into(),
        ]
    );
    assert_eq!((health.undecodable(), health.unhealthy_reason()), (2, None));
    assert!(server.asked()[2].contains("resourceVersion=100"), "{:?}", server.asked());
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_decoded_is_reported_once_for_each_version() {
    let list = || page(&json!([store("bad", 1, TOO_LARGE)]), "");
    let gone = || Answer::Json(410, status(410));
    let server = Server::of([list(), gone(), list(), gone(), list()]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE).await;
    let reports = seen.take().into_iter().filter(|line| line.starts_with('!')).count();
    assert_eq!(reports, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_in_a_form_that_cannot_be_decoded_is_known_to_be_gone_within_a_watch() {
    let server = Server::of([
        page(&json!([store("a", 1, 60)]), ""),
        Answer::Events(vec![event("DELETED", &store("a", 101, TOO_LARGE))], false),
        page(&json!([]), ""),
    ]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE).await;
    assert_eq!(seen.take(), ["+ a", "= t/a", "= "]);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_decoded_whatever_else_the_object_holds() {
    let deep = format!("{}1{}", "{\"f:a\":".repeat(140), "}".repeat(140));
    let text = format!(
        r#"{{"metadata":{{"name":"s","namespace":"t","resourceVersion":"7","managedFields":[
            {{"manager":"m","operation":"Update","fieldsV1":{deep}}}]}}}}"#
    );
    let decoded = decode::<PartialObjectMeta<Secret>>(&text).unwrap();
    assert_eq!(decoded.object.name_any(), "s");
}

#[tokio::test(start_paused = true)]
async fn q5_one_hiccup_on_a_quiet_kind_is_over_when_the_watch_is_accepted() {
    // No object changes; before the API server ends a watch it says how far that came.
    let quiet = |version: u32| {
        let bookmark = json!({"metadata": {"resourceVersion": version.to_string()}});
        Answer::Events(vec![event("BOOKMARK", &bookmark)], true)
    };
    let server = Server::of([
        page(&json!([store("a", 1, 60)]), ""),
        Answer::Json(500, status(500)),
        quiet(101),
        quiet(102),
        quiet(103),
    ]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE * 3).await;
    assert_eq!((health.failures(), health.unhealthy_reason()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_accepts_and_says_nothing_is_noticed() {
    // First the list, then the start of the watch.
    let listed = page(&json!([store("a", 1, 60)]), "");
    let server = Server::of([Answer::Silence, listed, Answer::Silence, Answer::Silence]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, Duration::from_secs(29)).await;
    assert_eq!(
        health.unhealthy_reason().as_deref(),
        Some("the watch on SecretStore has not listed yet")
    );

    let server = Server::of([Answer::Silence, page(&json!([store("a", 1, 60)]), "")]);
    follow_for(&server, &health, &seen, MINUTE * 3).await;
    assert_eq!(seen.take(), ["+ a", "= t/a"]);
    let reason = health.unhealthy_reason().unwrap_or_default();
    assert!(reason.ends_with("no answer within 30 s"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_connection_is_dead_is_begun_again_where_it_was() {
    let server = Server::of([
        page(&json!([]), ""),
        Answer::Events(vec![event("ADDED", &store("a", 101, 60))], true),
        Answer::Events(vec![event("ADDED", &store("b", 102, 60))], true),
    ]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE * 2).await;
    assert_eq!(seen.take(), ["= ", "+ a", "+ b"]);
    assert!(server.asked()[2].contains("resourceVersion=101"), "{:?}", server.asked());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_is_mended_by_a_list() {
    let server = Server::of([
        page(&json!([store("a", 1, 60), store("b", 2, 60)]), ""),
        Answer::Events(vec![event("ERROR", &status(410))], false),
        page(&json!([store("b", 2, 60)]), ""),
    ]);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE).await;
    assert_eq!(seen.take(), ["+ a", "+ b", "= t/a t/b", "+ b", "= t/b"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_the_api_server_never_had_is_mended_by_a_list() {
    // As after a restore from a backup: "Too large resource version".
    let mut answers = vec![page(&json!([store("a", 1, 60)]), "")];
    answers.extend((0..RELIST_AFTER).map(|_| Answer::Json(504, status(504))));
    answers.push(page(&json!([]), ""));
    let server = Server::of(answers);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE * 2).await;
    assert_eq!(seen.take(), ["+ a", "= t/a", "= "]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_do_and_is_asked_again_slowly() {
    let refusals = (0..100).map(|_| Answer::Json(403, status(403)));
    let server = Server::of(refusals);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, MINUTE).await;
    let asked = server.asked().len();
    assert!((12..=24).contains(&asked), "{asked} requests in a minute");
    let reason = health.unhealthy_reason().unwrap_or_default();
    assert!(reason.contains("apply config/rbac (on purpose)"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn something_that_ends_each_watch_at_once_is_not_asked_without_a_pause() {
    let mut answers = vec![page(&json!([]), "")];
    answers.extend((0..1000).map(|_| Answer::Events(Vec::new(), false)));
    let server = Server::of(answers);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, Duration::from_secs(10)).await;
    assert!(server.asked().len() <= 52, "{}", server.asked().len());
}

/// Some proxies close the connection instead of saying that a version is too old.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_refused_without_a_word_is_mended_by_a_list() {
    let mut answers = vec![page(&json!([]), "")];
    answers.extend((0..RELIST_AFTER).map(|_| Answer::Events(Vec::new(), false)));
    answers.push(page(&json!([store("later", 1, 60)]), ""));
    let server = Server::of(answers);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, Duration::from_mins(1)).await;
    assert_eq!(seen.take(), ["= ", "+ later", "= t/later"]);
}

/// Each watch is accepted, and whoever is in between passes nothing on.
#[tokio::test(start_paused = true)]
async fn q5_what_no_watch_ever_tells_is_found_by_a_list() {
    let open = || Answer::Events(Vec::new(), true);
    let answers =
        [page(&json!([]), ""), open(), open(), page(&json!([store("later", 1, 60)]), ""), open()];
    let server = Server::of(answers);
    let (health, seen) = (WatchHealth::new("SecretStore", Patience::default()), Seen::default());
    follow_for(&server, &health, &seen, Duration::from_secs(150)).await;
    assert_eq!(seen.take(), ["= ", "+ later", "= t/later"]);
}
