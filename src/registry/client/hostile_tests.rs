//! What a registry may try, rule by rule.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    Client, ClientSettings, CredentialSource, Credentials, DockerConfig, Found, HostSettings,
    server_tests::{Reply, Seen, Server, list, session, signature},
};
use crate::{
    outbound::Names,
    registry::{Artifacts as _, Descriptor, Digest, RegistryError, Repository},
};

fn image() -> Digest {
    Digest::of(b"image")
}

type Listed = Result<Vec<Descriptor>, RegistryError>;

/// Lists the referrers of the image in `x`, at a registry that answers so.
async fn listed(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Server, Listed) {
    let server = Server::start(answer).await;
    let found = server.session().referrers(&server.repository("x"), &image()).await;
    (server, found)
}

/// Asks for a tag.
async fn tagged(
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Server, RegistryError) {
    let server = Server::start(answer).await;
    let found = server.session().resolve(&server.repository("x"), "v1").await;
    (server, found.expect_err("an error"))
}

fn refused(error: &RegistryError, part: &str) {
    assert!(matches!(error, RegistryError::Refused { .. }), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

/// Those of nobody who is asked here.
fn roots() -> Vec<CertificateDer<'static>> {
    let pem = include_bytes!("../../../tests/fixtures/other-authority.pem");
    CertificateDer::pem_slice_iter(pem).map(|one| one.expect("a certificate")).collect()
}

struct Fixed(&'static str, &'static str);

impl CredentialSource for Fixed {
    fn name(&self) -> String {
        "Secret gabion/read".to_owned()
    }

    fn read<'a>(&'a self, _: &'a Repository, again: bool) -> Found<'a> {
        let password = if again { self.1 } else { self.0 };
        let credentials =
            Credentials::Password { user: "u".into(), password: password.to_owned().into() };
        Box::pin(std::future::ready(Ok(Some(credentials))))
    }
}

/// A registry that gives a token `t-PATH` to whom has the password `new`, or to all.
fn with_tokens(host: &str, seen: &Seen, is_open: bool) -> Option<Reply> {
    if seen.is("/token?") {
        // u:new
        if !is_open && seen.authorization.as_deref() != Some("Basic dTpuZXc=") {
            return Some(Reply::status(401));
        }
        let path = seen.at.split("repository:").nth(1)?.split(":pull").next()?;
        return Some(Reply::ok(format!(r#"{{"token": "t-{path}", "expires_in": 300}}"#)));
    }
    let path = seen.at.strip_prefix("/v2/")?.split('/').next()?;
    let right = seen.authorization.as_deref() == Some(&format!("Bearer t-{path}"));
    (!right).then(|| Reply::challenge(&format!("http://{host}/token")))
}

/// Starts a server that knows its own address.
async fn own(answer: impl Fn(&str, &Seen) -> Reply + Send + Sync + 'static) -> Server {
    let host = Arc::new(std::sync::OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let server = Server::start(move |seen| answer(own.get().expect("an address"), seen)).await;
    host.set(server.host.clone()).expect("once");
    server
}

#[tokio::test]
async fn a_signed_image_costs_few_requests_and_its_token_is_used_for_all_of_them() {
    let bundle = b"bundle".to_vec();
    let digest = Digest::of(&bundle);
    let signed = signature(&image(), 0);
    let manifest = Digest::of(&signed);
    let server = own(move |host, seen| {
        with_tokens(host, seen, true).unwrap_or_else(|| {
            if seen.is("/referrers/") {
                Reply::ok(format!(r#"{{"manifests": [{{"digest": "{manifest}"}}]}}"#))
            } else if seen.is("/manifests/") {
                Reply::ok(signed.clone()).with("Content-Type", "application/x")
            } else {
                Reply::ok(bundle.clone())
            }
        })
    })
    .await;
    let client = server.client();
    for (path, requests) in [("x", 5), ("x", 3), ("y", 4)] {
        let (session, repository) = (session(&client), server.repository(path));
        let all = session.referrers(&repository, &image()).await.expect("a list");
        let read = session.manifest(&repository, &all[0].digest).await.expect("a manifest");
        assert!(read.document().expect("readable").is_about(&image()));
        assert_eq!(read.media_type, "application/x");
        let blob = session.blob(&repository, &digest, 10).await.expect("a blob");
        assert_eq!(Digest::of(&blob), digest);
        assert_eq!(session.requests(), requests, "{path}");
    }
    let tokens: Vec<_> = server.seen().into_iter().filter(|seen| seen.is("/token")).collect();
    let asked: Vec<_> = tokens.iter().map(|seen| seen.at.as_str()).collect();
    assert_eq!(
        asked,
        [
            "/token?service=reg&scope=repository:x:pull",
            "/token?service=reg&scope=repository:y:pull"
        ]
    );
}

#[tokio::test]
async fn a_registry_that_no_policy_names_is_not_asked() {
    let server = Server::start(|_| Reply::ok("{}")).await;
    let client = Client::new(&ClientSettings::default()).expect("a client");
    let error = session(&client).resolve(&server.repository("x"), "v1").await.expect_err("refused");
    refused(&error, "no TrustPolicy names this registry");
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused_whatever_a_header_says() {
    let server =
        Server::start(|_| Reply::ok("{}").with("Docker-Content-Digest", image().to_string())).await;
    let (session, repository) = (server.session(), server.repository("x"));
    let mismatch = RegistryError::DigestMismatch {
        place: server.host.clone(),
        expected: image(),
        found: Digest::of(b"{}"),
    };
    assert_eq!(session.manifest(&repository, &image()).await, Err(mismatch.clone()));
    assert_eq!(session.blob(&repository, &image(), 9).await, Err(mismatch));
    // A tag is what its content is.
    assert_eq!(session.resolve(&repository, "v1").await, Ok(Digest::of(b"{}")));
}

#[tokio::test]
async fn reading_stops_at_its_bound_whatever_is_declared() {
    for (reply, kind) in [
        (Reply::Endless(200), "TooLarge"),
        (Reply::Length(5 << 20, vec![b' '; 5 << 20]), "TooLarge"),
        (Reply::Length(10, b"{}".to_vec()), "Unavailable"),
        (Reply::Drip, "Unavailable"),
        (Reply::Reset, "Unavailable"),
        // Of a failure little is read, and it is no error that there is more.
        (Reply::Endless(404), "NotFound"),
    ] {
        let server = Server::start({
            let reply = reply.clone();
            move |_| reply.clone()
        })
        .await;
        let start = Instant::now();
        let session = server.client().session(start + Duration::from_secs(2));
        let error = session.resolve(&server.repository("x"), "v1").await.expect_err("an error");
        assert!(format!("{error:?}").starts_with(kind), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
    let server = Server::start(|_| Reply::ok([0; 11])).await;
    let error = server.session().blob(&server.repository("x"), &image(), 10).await;
    assert!(matches!(error, Err(RegistryError::TooLarge { limit: 10, .. })), "{error:?}");
}

#[tokio::test]
async fn where_there_is_no_api_the_tag_that_stands_in_for_it_is_asked() {
    for status in [404, 405, 303, 307] {
        let tag = image().tag("");
        let found = listed(move |seen| {
            if seen.is("/referrers/") {
                return Reply::status(status).with("Location", "http://127.0.0.1:1/");
            }
            assert!(seen.at.ends_with(&tag), "{}", seen.at);
            Reply::ok(list(0..3))
        });
        let (server, found) = found.await;
        assert_eq!(found.expect("a list").len(), 3, "{status}");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn that_there_is_no_api_is_remembered_only_if_the_tag_proves_it() {
    let server = Server::start(|seen| {
        if seen.is("/manifests/") && seen.is("/known/") {
            Reply::ok(list(0..1))
        } else {
            Reply::status(404)
        }
    })
    .await;
    let client = server.client();
    for (path, asked) in [("known", 1), ("unknown", 2)] {
        for _ in 0..2 {
            let repository = server.repository(path);
            session(&client).referrers(&repository, &image()).await.expect("a list");
        }
        assert_eq!(server.count(&format!("/{path}/referrers/")), asked, "{path}");
    }
}

#[tokio::test]
async fn an_empty_list_is_not_the_last_word() {
    let (_, found) =
        listed(
            |seen| {
                if seen.is("/referrers/") { Reply::ok(list(0..0)) } else { Reply::ok(list(0..2)) }
            },
        )
        .await;
    assert_eq!(found.expect("a list").len(), 2);
    let (server, found) =
        listed(
            |seen| if seen.is("/referrers/") { Reply::ok(list(0..2)) } else { Reply::status(500) },
        )
        .await;
    assert_eq!((found.expect("a list").len(), server.seen().len()), (2, 1));
}

#[tokio::test]
async fn nothing_is_there_only_if_each_place_says_so() {
    let (_, found) = listed(|_| Reply::status(404)).await;
    assert_eq!(found, Ok(Vec::new()));
    for status in [400, 401, 403, 429, 500, 503, 302] {
        let (_, found) = listed(move |seen| {
            if seen.is("/referrers/") {
                Reply::status(404)
            } else {
                Reply::status(status).with("Retry-After", "60")
            }
        })
        .await;
        assert!(found.is_err(), "{status} for the tag: {found:?}");
        if status == 302 {
            continue;
        }
        let (server, found) =
            listed(move |_| Reply::status(status).with("Retry-After", "60")).await;
        assert!(found.is_err(), "{status} for the list: {found:?}");
        assert_eq!(server.count("/manifests/"), 0, "{status}");
    }
    for body in ["<html>", "[]", r#"{"manifests": [], "layers": []}"#, r#"{"manifests": [3]}"#] {
        let (_, found) = listed(move |_| Reply::ok(body)).await;
        assert!(matches!(found, Err(RegistryError::Malformed { .. })), "{body}: {found:?}");
    }
}

fn next(seen: &Seen, nth: usize) -> String {
    let path = seen.at.split('?').next().unwrap_or_default();
    format!("<{path}?page={nth}>; rel=\"next\"")
}

#[tokio::test]
async fn all_pages_are_read_and_no_page_of_another_host() {
    let page = |seen: &Seen| -> Option<usize> {
        seen.at.split("page=").nth(1).and_then(|nth| nth.parse().ok())
    };
    let pages = move |last: usize, each: usize| {
        move |seen: &Seen| {
            let nth = page(seen).unwrap_or(0);
            let reply = Reply::ok(list(nth * each..(nth + 1) * each));
            if nth == last { reply } else { reply.with("Link", next(seen, nth + 1)) }
        }
    };
    let (_, found) = listed(pages(9, 20)).await;
    assert_eq!(found.expect("a list").len(), 200);
    for (last, each, requests) in [(usize::MAX, 1, 10), (usize::MAX, 100, 3), (3, 51, 4)] {
        let (server, found) = listed(pages(last, each)).await;
        assert!(matches!(found, Err(RegistryError::TooMany { .. })), "{found:?}");
        assert_eq!(server.seen().len(), requests);
    }
    for link in ["<http://evil.test/v2/x?page=1>", "<https://169.254.169.254/>", "<ftp://x/>"] {
        let (_, found) =
            listed(move |_| Reply::ok(list(0..1)).with("Link", format!("{link}; rel=next"))).await;
        refused(&found.expect_err(link), "next page of referrers");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_only_where_a_rule_allows() {
    let evil = Server::start(|_| Reply::ok(r#"{"token": "t"}"#)).await;
    let other = evil.host.clone();
    for realm in [
        "https://169.254.169.254/latest".to_owned(),
        format!("http://{other}/token"),
        format!("https://{other}/token"),
        "https://u:p@127.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "https://metadata.google.internal/".to_owned(),
        String::new(),
    ] {
        let server = Server::start({
            let realm = realm.clone();
            move |_| Reply::challenge(&realm)
        })
        .await;
        let mut settings = server.settings();
        settings.insecure.insert(other.clone());
        settings.credentials = Some(Arc::new(Fixed("hunter2", "hunter2")));
        let client = Client::new(&settings).expect("a client");
        let found = session(&client).resolve(&server.repository("x"), "v1").await;
        let error = found.expect_err(&realm);
        assert!(matches!(error, RegistryError::Refused { .. }), "{realm}: {error}");
        assert_eq!(server.seen().len(), 1);
    }
    assert_eq!(evil.seen(), []);
}

#[tokio::test]
async fn a_host_that_is_listed_makes_tokens_but_is_not_followed_elsewhere() {
    let tokens = Server::start(|_| Reply::ok(r#"{"access_token": "t"}"#)).await;
    let realm = format!("http://{}/auth?a=b", tokens.host);
    let server = Server::start(move |seen| match seen.authorization.as_deref() {
        Some("Bearer t") => Reply::ok("{}"),
        _ => Reply::challenge(&realm),
    })
    .await;
    let mut settings = server.settings();
    settings.insecure.insert(tokens.host.clone());
    settings.hosts.entry(server.host.clone()).or_default().token_hosts = vec![tokens.host.clone()];
    let identity = format!(r#"{{"auths": {{"{}": {{"identitytoken": "a&b"}}}}}}"#, server.host);
    let file = DockerConfig::parse("the file", identity.as_bytes()).expect("a file");
    settings.credentials = Some(Arc::new(file));
    let client = Client::new(&settings).expect("a client");
    session(&client).resolve(&server.repository("x"), "v1").await.expect("a digest");
    let seen = tokens.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].at.as_str()), ("POST", "/auth?a=b"));
    assert!(seen[0].body.ends_with("&scope=repository:x:pull&refresh_token=a%26b"), "{seen:?}");

    let (_, error) = tagged(|_| Reply::challenge("/token")).await;
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    let (_, error) = tagged(|seen| {
        if seen.is("/token") {
            Reply::moved("http://127.0.0.1:1/")
        } else {
            Reply::challenge("/token")
        }
    })
    .await;
    refused(&error, "redirects");
}

#[tokio::test]
async fn a_refused_password_is_read_once_more_and_named_in_words_only() {
    for (again, is_right) in [("new", true), ("old", false)] {
        let server =
            own(|host, seen| with_tokens(host, seen, false).unwrap_or_else(|| Reply::ok("{}")))
                .await;
        let mut settings = server.settings();
        settings.hosts.entry(server.host.clone()).or_default().credentials =
            Some(Arc::new(Fixed("old", again)));
        let client = Client::new(&settings).expect("a client");
        let found = session(&client).resolve(&server.repository("x"), "v1").await;
        assert_eq!(found.is_ok(), is_right, "{found:?}");
        if let Err(error) = found {
            let text = format!("{error} {error:?}");
            assert!(matches!(error, RegistryError::Denied { status: 401, .. }), "{text}");
            assert!(text.contains("Secret gabion/read") && !text.contains("old"), "{text}");
        }
        assert!(server.seen().len() <= 4, "{:?}", server.seen());
    }
}

#[tokio::test]
async fn a_password_goes_to_the_registry_itself_if_it_asks_for_one() {
    let (server, error) =
        tagged(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=x")).await;
    assert!(error.to_string().contains("without credentials"), "{error}");
    assert_eq!(server.seen().len(), 1);
    let server = Server::start(|seen| match &seen.authorization {
        Some(_) => Reply::ok("{}"),
        None => Reply::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })
    .await;
    let mut settings = server.settings();
    settings.credentials = Some(Arc::new(Fixed("p", "p")));
    let client = Client::new(&settings).expect("a client");
    session(&client).resolve(&server.repository("x"), "v1").await.expect("a digest");
    assert_eq!(server.seen()[1].authorization.as_deref(), Some("Basic dTpw"));
}

#[tokio::test]
async fn only_blobs_are_redirected_and_nobody_there_learns_who_asks() {
    let (_, error) = tagged(|_| Reply::moved("/v2/y/manifests/v1")).await;
    refused(&error, "which only blobs may be");
    let store = Server::start(|_| Reply::ok("blob")).await;
    let blob = Digest::of(b"blob");
    let to = store.host.clone();
    let server = own(move |host, seen| {
        with_tokens(host, seen, true).unwrap_or_else(|| Reply::moved(format!("http://{to}/b?s=1")))
    })
    .await;
    let mut settings = server.settings();
    settings.insecure.insert(store.host.clone());
    let client = Client::new(&settings).expect("a client");
    let repository = server.repository("x");
    let found = session(&client).blob(&repository, &blob, 9).await.expect("a blob");
    assert_eq!(&found[..], b"blob");
    let seen = store.seen();
    assert_eq!((seen.len(), &seen[0].authorization, &*seen[0].at), (1, &None, "/b?s=1"));
    // The same server, where no administrator lists it as one without TLS.
    let client = server.client();
    let error = session(&client).blob(&repository, &blob, 9).await.expect_err("refused");
    refused(&error, "without TLS");
    assert_eq!(store.seen().len(), 1);
}

#[tokio::test]
async fn a_redirect_leads_to_no_address_that_a_registry_may_not_have() {
    for (to, part) in [
        ("https://169.254.169.254/", "answers this machine alone"),
        ("https://127.0.0.1:1/", "answers this machine alone"),
        ("https://[::1]:1/", "answers this machine alone"),
        ("https://localhost:1/", "answers this machine alone"),
        ("http://example.test/", "without TLS"),
        ("ftp://example.test/", "does not begin with https"),
        ("//example.test/", "does not begin with https"),
        ("https://u@example.test/", "with a user"),
        ("", "redirects a blob to"),
        ("/v2/x/again", "more than 3 times"),
    ] {
        let server = Server::start(move |_| Reply::moved(to)).await;
        let error = server.session().blob(&server.repository("x"), &image(), 9).await;
        refused(&error.expect_err(to), part);
    }
}

#[tokio::test]
async fn a_host_that_has_had_enough_is_left_alone() {
    let count = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&count);
    let server = Server::start(move |_| match times.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(429).with("Retry-After", "1"),
        1 => Reply::ok("{}"),
        _ => Reply::status(429).with("Retry-After", "30"),
    })
    .await;
    let client = server.client();
    let repository = server.repository("x");
    let start = Instant::now();
    session(&client).resolve(&repository, "v1").await.expect("a digest");
    assert!(start.elapsed() >= Duration::from_secs(1));
    for _ in 0..2 {
        let error = session(&client).resolve(&repository, "v1").await.expect_err("throttled");
        assert!(matches!(error, RegistryError::Throttled { seconds: 29..=31, .. }), "{error}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_failure_is_tried_again_and_many_open_the_breaker() {
    let count = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&count);
    let server = Server::start(move |_| match times.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(503),
        1 => Reply::Reset,
        2 => Reply::ok("{}"),
        _ => Reply::status(500),
    })
    .await;
    let client = server.client();
    let repository = server.repository("x");
    session(&client).resolve(&repository, "v1").await.expect("a digest");
    for _ in 0..4 {
        let error = session(&client).resolve(&repository, "v1").await.expect_err("unavailable");
        assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
    }
    let error = session(&client).resolve(&repository, "v1").await.expect_err("unavailable");
    assert!(error.to_string().contains("did not answer several times"), "{error}");
    // Three that end well, five that open the breaker, and nothing more.
    assert_eq!(count.load(Ordering::SeqCst), 3 + 5);
}

#[tokio::test]
async fn one_image_has_an_end_in_requests_and_bytes() {
    let big = vec![b' '; 4 << 20];
    let server =
        Server::start(
            move |seen| {
                if seen.is("/blobs/") { Reply::ok(big.clone()) } else { Reply::status(404) }
            },
        )
        .await;
    let (session, repository) = (server.session(), server.repository("x"));
    for _ in 0..64 {
        assert_eq!(session.tagged(&repository, "v1").await, Ok(None));
    }
    let error = session.tagged(&repository, "v1").await.expect_err("an end");
    assert!(matches!(error, RegistryError::TooMany { limit: 64, .. }), "{error}");
    let session = server.session();
    let mut last = None;
    for _ in 0..9 {
        last = session.blob(&repository, &image(), 4 << 20).await.err();
    }
    assert!(
        matches!(&last, Some(RegistryError::TooLarge { what, .. }) if what.contains("one image")),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_mirror_is_asked_in_place_of_the_registry_that_is_written() {
    let server = Server::start(|_| Reply::ok("{}")).await;
    let mut settings = server.settings();
    let mirror = Some(format!("{}/cache", server.host));
    let own = HostSettings { mirror, ..HostSettings::default() };
    settings.hosts.insert("docker.io".to_owned(), own);
    let client = Client::new(&settings).expect("a client");
    let nginx = Repository::parse("nginx").expect("a repository");
    session(&client).resolve(&nginx, "v1").await.expect("a digest");
    assert_eq!(server.seen()[0].at, "/v2/cache/library/nginx/manifests/v1");
}

#[tokio::test]
async fn what_is_no_tag_makes_no_url() {
    let server = Server::start(|_| Reply::ok("{}")).await;
    for tag in ["", "..", "a/b", "a?b", "a%2f", "a b", "-a", &"a".repeat(129)] {
        let error = server.session().resolve(&server.repository("x"), tag).await;
        refused(&error.expect_err(tag), "no tag");
    }
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn a_name_that_comes_to_mean_this_machine_is_not_connected_to() {
    let asked = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&asked);
    let names = Names::Fixed(Arc::new(move |_: &str| {
        let first = times.fetch_add(1, Ordering::SeqCst) == 0;
        let address = if first { Ipv4Addr::new(192, 0, 2, 1) } else { Ipv4Addr::LOCALHOST };
        vec![IpAddr::V4(address)]
    }));
    let server = Server::start(|_| Reply::ok("{}")).await;
    let port = server.host.rsplit_once(':').expect("a port").1;
    let host = format!("reg.test:{port}");
    let own = HostSettings { roots: roots(), ..HostSettings::default() };
    let settings = ClientSettings { hosts: [(host.clone(), own)].into(), ..Default::default() };
    let client = Client::with_names(&settings, &names).expect("a client");
    let repository = Repository::parse(&format!("{host}/x")).expect("a repository");
    let short = || client.session(Instant::now() + Duration::from_millis(500));
    short().resolve(&repository, "v1").await.expect_err("nobody there");
    let error = short().resolve(&repository, "v1").await.expect_err("refused");
    refused(&error, "answers this machine alone");
    assert!(asked.load(Ordering::SeqCst) >= 2);
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn only_a_registry_in_a_private_network_leads_into_one() {
    let tls_only = |seen_at: Option<IpAddr>| async move {
        let names =
            Names::Fixed(Arc::new(|_: &str| vec![IpAddr::V4(Ipv4Addr::new(10, 255, 255, 1))]));
        let settings = ClientSettings {
            hosts: [("reg.test".to_owned(), HostSettings { roots: roots(), ..Default::default() })]
                .into(),
            ..ClientSettings::default()
        };
        let client = Client::with_names(&settings, &names).expect("a client");
        let repository = Repository::parse("reg.test/x").expect("a repository");
        let (place, _) = client.route(&repository).expect("a route");
        place.seen_at(seen_at);
        let target =
            super::target("https://store.test/b", &http::Uri::default()).expect("a target");
        let request = http::Request::get(&target.url).body(http_body_util::Full::default());
        let via = place.far(&target).expect("over TLS");
        let session = client.session(Instant::now() + Duration::from_millis(300));
        let sent = session.budget.send(via, request.expect("a request"), ("store.test", "blob", 9));
        sent.await.map(|answer| answer.status).expect_err("nobody there")
    };
    let public = Some(IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34)));
    let private = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    refused(&tls_only(public).await, "private network");
    refused(&tls_only(None).await, "private network");
    let error = tls_only(private).await;
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
}
