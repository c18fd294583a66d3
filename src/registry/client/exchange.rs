//! One question to a registry: with a token, within bounds, and again where that may help.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::{
    super::{RegistryError, Repository},
    challenge::{Challenge, challenge},
    credentials::Credentials,
    pace::retry_after,
    place::Place,
    realm::{Target, makes_tokens, question, target},
};
use crate::{
    outbound::{Answer, Bounds, Outbound, OutboundError},
    retry::Pauses,
};

/// Requests for one image, those for tokens included.
const REQUESTS: usize = 64;
/// Bytes for one image.
const BYTES: usize = 32 << 20;
/// Bytes of an answer that is no success.
const FAILURE: usize = 8 << 10;
/// Bytes of the answer that holds a token, and of the token.
const TOKEN: usize = 64 << 10;
/// Longest time of one request.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Tries after the first one.
const RETRIES: u32 = 2;
/// Between tries.
const PAUSES: Pauses =
    Pauses { first: Duration::from_millis(200), longest: Duration::from_secs(1) };
/// How long a token lives that does not say so, in seconds.
const TOKEN_LIFE: u64 = 60;
/// Longest life that is believed, in seconds.
const TOKEN_LONGEST: u64 = 3600;

/// What one image may cost.
pub(super) struct Budget {
    deadline: Instant,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    pub(super) fn until(deadline: Instant) -> Self {
        let (requests, bytes) = (AtomicUsize::new(REQUESTS), AtomicUsize::new(BYTES));
        Self { deadline, requests, bytes }
    }

    pub(super) fn requests_made(&self) -> usize {
        REQUESTS - self.requests.load(Ordering::Relaxed)
    }

    fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Takes one request and up to `most` bytes; returns how many bytes.
    fn take(&self, place: &str, most: usize) -> Result<usize, RegistryError> {
        let one = |left: usize| left.checked_sub(1);
        self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one).map_err(|_| {
            let (what, limit) = ("requests for one image", REQUESTS);
            RegistryError::TooMany { place: place.to_owned(), what, limit }
        })?;
        let (order, mut got) = (Ordering::Relaxed, 0);
        let _ = self.bytes.fetch_update(order, order, |left| {
            got = left.min(most);
            Some(left - got)
        });
        match got {
            0 => Err(RegistryError::large(place, "all that belongs to one image", BYTES)),
            _ => Ok(got),
        }
    }

    fn give_back(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sends a request and reads its answer, whatever its status.
    pub(super) async fn send(
        &self,
        via: &Outbound,
        request: Request<Full<Bytes>>,
        (place, what, most): (&str, &str, usize),
    ) -> Result<Answer, RegistryError> {
        let time = self.time_left().min(REQUEST_TIME);
        let unavailable = |why: String| RegistryError::Unavailable { place: place.to_owned(), why };
        if time.is_zero() {
            return Err(unavailable("no time is left to ask it".to_owned()));
        }
        let bytes = self.take(place, most)?;
        let bounds = Bounds { time, bytes, failure: Some(FAILURE.min(bytes)) };
        let answer = via.send(request, bounds, place).await.map_err(|error| match error {
            OutboundError::Internal(_) => RegistryError::Refused {
                place: place.to_owned(),
                why: "its address is, or its name resolves to, one that answers this machine alone or that \
                      only a registry in a private network may lead to"
                    .to_owned(),
            },
            OutboundError::TooLarge(..) if bytes < most => {
                RegistryError::large(place, "all that belongs to one image", BYTES)
            }
            OutboundError::TooLarge(..) => RegistryError::large(place, what, most),
            OutboundError::Late(..) => unavailable("it did not answer in time".to_owned()),
            error => unavailable(error.to_string()),
        })?;
        self.give_back(bytes.saturating_sub(answer.body.len()));
        Ok(answer)
    }
}

/// One question.
pub(super) struct Ask<'a> {
    pub(super) place: &'a Place,
    pub(super) repository: &'a Repository,
    /// Path and query.
    pub(super) at: &'a str,
    /// What is wanted: media types.
    pub(super) accept: &'static str,
    /// What is asked for, in words.
    pub(super) what: &'a str,
    /// Bytes of the answer.
    pub(super) most: usize,
}

impl Ask<'_> {
    /// The error that an answer without success is.
    pub(super) fn refusal(&self, answer: &Answer) -> RegistryError {
        let place = self.place.host.clone();
        match answer.status.as_u16() {
            status @ (401 | 403) => RegistryError::Denied { place, status, who: self.place.who() },
            404 => RegistryError::NotFound { place, what: self.what.to_owned() },
            429 => RegistryError::Throttled { place, seconds: 1 },
            status @ 300..=399 => self.place.refused(format!(
                "it redirects (status {status}) the request for the {}, which only blobs may be",
                self.what
            )),
            status => RegistryError::Unavailable {
                place,
                why: format!("it answered status {status} for the {}", self.what),
            },
        }
    }

    /// Asks until there is an answer: a success, or a failure that asking again does not change.
    pub(super) async fn answer(&self, budget: &Budget) -> Result<Answer, RegistryError> {
        for tries in 1.. {
            self.place.admit(Instant::now())?;
            let permit = timeout(budget.time_left(), self.place.permits.acquire()).await;
            let Ok(Ok(permit)) = permit else {
                let why = "requests of others took all the time".to_owned();
                return Err(RegistryError::Unavailable { place: self.place.host.clone(), why });
            };
            let outcome = self.authorized(budget).await;
            drop(permit);
            let Some(pause) = self.pause_after(&outcome, tries) else { return outcome };
            if tries > RETRIES || pause >= budget.time_left() {
                return outcome.and_then(|answer| Err(self.gave_up(&answer, pause)));
            }
            sleep(pause).await;
        }
        Err(self.place.refused("it was asked too often"))
    }

    fn gave_up(&self, answer: &Answer, pause: Duration) -> RegistryError {
        match self.refusal(answer) {
            RegistryError::Throttled { place, .. } => {
                RegistryError::Throttled { place, seconds: pause.as_secs().max(1) }
            }
            other => other,
        }
    }

    /// After which time it is worth to ask again. Tells the registry's pace what happened.
    fn pause_after(&self, outcome: &Result<Answer, RegistryError>, tries: u32) -> Option<Duration> {
        let now = Instant::now();
        let failed = || {
            self.place.failed(now);
            Some(PAUSES.after(&(&self.place.host, self.at), tries))
        };
        match outcome {
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                let after = self.place.throttled(now, wish(&answer.headers));
                Some(after + PAUSES.after(self.at, 1))
            }
            Ok(answer) if answer.status.is_server_error() => failed(),
            Err(RegistryError::Unavailable { .. }) => failed(),
            // By the server of its tokens, which set the pace.
            Err(RegistryError::Throttled { .. }) => None,
            _ => {
                self.place.answered();
                None
            }
        }
    }

    /// Asks once, with what the registry wants to know of who asks.
    async fn authorized(&self, budget: &Budget) -> Result<Answer, RegistryError> {
        let (mut who, mut again) = (self.authorization(budget, false).await?, false);
        loop {
            let url = format!("{}{}", self.place.base, self.at);
            let mut request = Request::get(url).header(header::ACCEPT, self.accept);
            if let Some(who) = &who {
                request = request.header(header::AUTHORIZATION, who);
            }
            let request = request.body(Full::default());
            let request = request.map_err(|_| self.place.refused("its name makes no URL"))?;
            let asked = (self.place.host.as_str(), self.what, self.most);
            let answer = budget.send(&self.place.near, request, asked).await?;
            self.place.seen_at(answer.from);
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            self.place.forget_token(self.repository.path());
            let named = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
            let challenge = challenge(named.filter_map(|value| value.to_str().ok()));
            let (Some(challenge), false) = (challenge, again) else { return Ok(answer) };
            self.place.learn(challenge);
            // What was believed to be right is read again: it may have been replaced.
            again = who.is_some();
            who = self.authorization(budget, again).await?;
            if who.is_none() {
                return Ok(answer);
            }
        }
    }

    /// The header that says who asks, as far as it is known what the registry wants.
    async fn authorization(
        &self,
        budget: &Budget,
        again: bool,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let Some(challenge) = self.place.challenge() else { return Ok(None) };
        let path = self.repository.path();
        if let Some(token) = self.place.token(path, Instant::now()) {
            return Ok(Some(token));
        }
        let credentials = match &self.place.credentials {
            Some(source) => source.read(self.repository, again).await?,
            None => None,
        };
        match (&challenge, credentials) {
            (Challenge::Basic, Some(Credentials::Password { user, password })) => {
                Ok(basic(&user, password.expose()))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, .. }, credentials) => {
                let made = self.token(budget, &challenge, realm, credentials.as_ref()).await;
                let (token, life) = match (made, &self.place.credentials) {
                    // A password may have been replaced since it was read.
                    (Err(error @ RegistryError::Denied { .. }), Some(source)) if !again => {
                        let newer = source.read(self.repository, true).await?;
                        if newer == credentials {
                            return Err(error);
                        }
                        self.token(budget, &challenge, realm, newer.as_ref()).await?
                    }
                    (made, _) => made?,
                };
                // Not to the last moment: clocks differ, and a request takes its time.
                let now = Instant::now();
                self.place.keep_token(path, token.clone(), now + life * 4 / 5, now);
                Ok(Some(token))
            }
        }
    }

    /// Asks for a token to read the repository, where the registry's word and our rules allow.
    async fn token(
        &self,
        budget: &Budget,
        challenge: &Challenge,
        realm: &str,
        credentials: Option<&Credentials>,
    ) -> Result<(HeaderValue, Duration), RegistryError> {
        let place = self.place;
        let base = place.base.parse().unwrap_or_default();
        let api = place.base.split_once("://").map_or("", |(_, api)| api);
        let target = target(realm, &base)
            .map_err(|why| place.refused(format!("it makes its tokens at {why}")))?;
        if !makes_tokens(&place.host, api, &place.token_hosts, &target.host) {
            return Err(place.refused(format!(
                "it wants a token of another host, {:?}: list that in tokenHosts of the registry if it is right",
                crate::text::shortened(&target.host, 128)
            )));
        }
        let via = place.far(&target)?;
        let question = question(challenge, self.repository.path()).unwrap_or_default();
        let request = token_request(&target, &question, credentials)
            .map_err(|_| place.refused("where it makes its tokens is no URL"))?;
        let answer = budget.send(via, request, (&target.host, "token", TOKEN)).await?;
        self.token_of(&answer, &target.host)
    }

    fn token_of(
        &self,
        answer: &Answer,
        host: &str,
    ) -> Result<(HeaderValue, Duration), RegistryError> {
        if answer.status == StatusCode::OK {
            let read = read_token(&answer.body);
            let why = "its answer holds no token";
            return read.ok_or_else(|| RegistryError::malformed(host, "token", &why));
        }
        let place = host.to_owned();
        Err(match answer.status.as_u16() {
            status @ (400 | 401 | 403 | 404) => {
                RegistryError::Denied { place, status, who: self.place.who() }
            }
            429 => {
                let pause = self.place.throttled(Instant::now(), wish(&answer.headers));
                RegistryError::Throttled { place, seconds: pause.as_secs().max(1) }
            }
            status @ 300..=399 => self.place.refused(format!(
                "{host}, which makes its tokens, redirects the request (status {status})"
            )),
            status => {
                let why = format!("it answered status {status} for a token");
                RegistryError::Unavailable { place, why }
            }
        })
    }
}

fn token_request(
    target: &Target,
    question: &str,
    credentials: Option<&Credentials>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let url = &target.url;
    let separator = if url.query().is_some() { '&' } else { '?' };
    let get = || Request::get(format!("{url}{separator}{question}"));
    match credentials {
        Some(Credentials::Identity(token)) => {
            let secret = percent_encode(token.expose(), NON_ALPHANUMERIC);
            let form = format!(
                "grant_type=refresh_token&client_id=gabion&{question}&refresh_token={secret}"
            );
            Request::post(url)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::from(form))
        }
        Some(Credentials::Password { user, password }) => {
            let who = basic(user, password.expose());
            let request = who.map_or_else(get, |who| get().header(header::AUTHORIZATION, who));
            request.body(Full::default())
        }
        None => get().body(Full::default()),
    }
}

/// For how long a host wants to be left alone.
fn wish(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    retry_after(text, jiff::Timestamp::now())
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(user: &str, password: &[u8]) -> Option<HeaderValue> {
    let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
    plain.extend_from_slice(user.as_bytes());
    plain.push(b':');
    plain.extend_from_slice(password);
    let encoded = Zeroizing::new(STANDARD.encode(&plain));
    sensitive(&Zeroizing::new(format!("Basic {}", *encoded)))
}

/// A token and how long it lives.
pub(super) fn read_token(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    #[derive(Deserialize)]
    struct Made {
        #[serde(default)]
        token: Option<Zeroizing<String>>,
        #[serde(default)]
        access_token: Option<Zeroizing<String>>,
        #[serde(default)]
        expires_in: Option<u64>,
    }
    let made: Made = serde_json::from_slice(body).ok()?;
    let is_token = |token: &Zeroizing<String>| !token.is_empty();
    let token = made.token.filter(is_token).or(made.access_token).filter(is_token)?;
    let life = made.expires_in.filter(|life| *life > 0).unwrap_or(TOKEN_LIFE).min(TOKEN_LONGEST);
    let value = sensitive(&Zeroizing::new(format!("Bearer {}", *token)))?;
    Some((value, Duration::from_secs(life)))
}
