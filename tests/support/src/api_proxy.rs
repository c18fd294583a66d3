//! Between the operator and the real API server: passes everything on, but for what is to fail, fall silent, break off
//! or come late.

use std::{
    collections::HashMap,
    future::pending,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::Client;
use serde_json::json;
use tokio::sync::Notify;

use crate::{ControlPlane, Result};

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// This status, and nothing was done.
    Refused(u16),
    /// No answer, and nothing was done.
    Hang,
    /// It was done, and the connection is closed without an answer.
    LostReply,
}

/// What becomes of lists and watches of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// They are answered.
    #[default]
    Normal,
    /// They are accepted and get no answer, not even a header.
    Silent,
    /// Those under way break off, and further ones are refused with 503.
    Away,
    /// Everything arrives so much later.
    Late(Duration),
}

/// Why a connection ends.
#[derive(Debug)]
struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn broken(error: impl std::fmt::Display) -> Error {
    Error(error.to_string())
}

type Body = UnsyncBoxBody<Bytes, Error>;

/// What is to fail, and what has been written.
#[derive(Default)]
pub struct Faults {
    namespaces: Mutex<HashMap<String, Namespace>>,
    /// How many lists of which cluster-wide resource are still to fail, and how many have failed.
    lists: Mutex<(HashMap<String, usize>, usize)>,
    /// What becomes of lists and watches by resource; "" stands for every resource.
    readings: Mutex<HashMap<String, Reading>>,
    /// Watches that are still to be refused, and with which code.
    watches: Mutex<HashMap<String, (usize, u16)>>,
    /// Told whenever `readings` changes.
    changed: tokio::sync::watch::Sender<()>,
    /// How many writes may still pass before the connection is cut.
    left: Mutex<Option<usize>>,
    cut: Notify,
}

/// What becomes of a request when the connection is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It passes.
    No,
    /// It is done, and never answered.
    Answer,
    /// It never arrives.
    Request,
}

#[derive(Default)]
struct Namespace {
    fault: Option<(usize, Failing)>,
    /// Method and last parts of the path of each write.
    writes: Vec<String>,
}

impl Faults {
    /// The n-th write (from 1) in a namespace is to fail.
    pub fn fail(&self, namespace: &str, nth: usize, how: Failing) {
        let mut namespaces = self.namespaces.lock().unwrap();
        namespaces.entry(namespace.to_owned()).or_default().fault = Some((nth, how));
    }

    /// The next lists of this resource, of all namespaces or of cluster scope, are to fail with 500.
    pub fn fail_lists(&self, resource: &str, times: usize) {
        self.lists.lock().unwrap().0.insert(resource.to_owned(), times);
    }

    /// How many lists have failed.
    pub fn lists_failed(&self) -> usize {
        self.lists.lock().unwrap().1
    }

    /// Lets `writes` more writes be done; the answer to the last of them gets lost, and everything that comes later.
    /// An operator that is killed then has done exactly that many.
    pub fn cut_after(&self, writes: usize) {
        *self.left.lock().unwrap() = Some(writes);
    }

    /// Waits until the connection is cut.
    pub async fn is_cut(&self) {
        self.cut.notified().await;
    }

    fn cut(&self, method: &str, path: &str) -> Cut {
        let mut left = self.left.lock().unwrap();
        match &mut *left {
            None => Cut::No,
            Some(0) => Cut::Request,
            // Events are no part of the work.
            Some(_) if method == "GET" || path.contains("/events") => Cut::No,
            Some(left) => {
                *left -= 1;
                if *left == 0 { Cut::Answer } else { Cut::No }
            }
        }
    }

    /// What becomes of lists and watches of this resource from now on, of all resources if it is "". If all is
    /// silent, no other request gets an answer either.
    pub fn reading(&self, resource: &str, reading: Reading) {
        self.readings.lock().unwrap().insert(resource.to_owned(), reading);
        self.changed.send_replace(());
    }

    /// The next watches of this resource are to be refused with this code: 410 makes the operator list again.
    pub fn refuse_watches(&self, resource: &str, times: usize, code: u16) {
        self.watches.lock().unwrap().insert(resource.to_owned(), (times, code));
    }

    /// How many of those are still to come.
    pub fn refusals_left(&self, resource: &str) -> usize {
        self.watches.lock().unwrap().get(resource).map_or(0, |(left, _)| *left)
    }

    fn reading_of(&self, resource: &str) -> Reading {
        let readings = self.readings.lock().unwrap();
        let of = |name: &str| readings.get(name).copied().unwrap_or_default();
        if of(resource) == Reading::Normal { of("") } else { of(resource) }
    }

    fn meets_watch(&self, resource: &str) -> Option<u16> {
        let mut watches = self.watches.lock().unwrap();
        let (left, code) = watches.get_mut(resource).filter(|(left, _)| *left > 0)?;
        *left -= 1;
        Some(*code)
    }

    /// Says nothing as long as that is the plan; then the connection breaks off.
    async fn silence(&self, resource: &str) -> std::result::Result<Response<Body>, Error> {
        let mut changed = self.changed.subscribe();
        while self.reading_of(resource) == Reading::Silent {
            if changed.changed().await.is_err() {
                return pending().await;
            }
        }
        Err(broken("it was silent on purpose"))
    }

    /// Ends when watches of this resource are to break off.
    async fn breaks_off(&self, resource: &str) {
        let mut changed = self.changed.subscribe();
        while self.reading_of(resource) != Reading::Away {
            if changed.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    fn meets_list(&self, resource: &str) -> bool {
        let mut lists = self.lists.lock().unwrap();
        let (left, failed) = &mut *lists;
        match left.get_mut(resource) {
            Some(times) if *times > 0 => {
                *times -= 1;
                *failed += 1;
                true
            }
            _ => false,
        }
    }

    /// The writes in a namespace so far.
    pub fn writes(&self, namespace: &str) -> Vec<String> {
        let namespaces = self.namespaces.lock().unwrap();
        namespaces.get(namespace).map(|of| of.writes.clone()).unwrap_or_default()
    }

    fn meets(&self, method: &str, path: &str) -> Option<Failing> {
        let (_, rest) = path.split_once("/namespaces/")?;
        let (namespace, rest) = rest.split_once('/')?;
        let counts = !matches!(method, "GET" | "HEAD")
            && !rest.starts_with("events")
            && !rest.ends_with("/token");
        if !counts {
            return None;
        }
        let mut namespaces = self.namespaces.lock().unwrap();
        let of = namespaces.entry(namespace.to_owned()).or_default();
        of.writes.push(format!("{method} {rest}"));
        of.fault.filter(|(nth, _)| *nth == of.writes.len()).map(|(_, how)| how)
    }
}

/// Starts it on a thread of its own, which ends with the process. Makes a kubeconfig that leads there.
pub fn start(direct: &Path, faults: Arc<Faults>) -> Result<PathBuf> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let kubeconfig = direct.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut config = ControlPlane::config_of(&kubeconfig).await.expect("a kubeconfig");
            config.read_timeout = None;
            let client = Client::try_from(config).expect("a client");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, client.clone(), faults.clone()));
            }
        });
    });
    let mut config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(direct)?)?;
    config["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
    let path = direct.with_extension(format!("through-{}", address.port()));
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

async fn serve(stream: tokio::net::TcpStream, client: Client, faults: Arc<Faults>) {
    let service = service_fn(move |request| pass(request, client.clone(), faults.clone()));
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // An error is a client that went away, or a reply that was lost on purpose.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

type Answer<'a> =
    Pin<Box<dyn Future<Output = std::result::Result<Response<Body>, Error>> + Send + 'a>>;

fn pass(request: Request<Incoming>, client: Client, faults: Arc<Faults>) -> Answer<'static> {
    Box::pin(async move {
        if faults.reading_of("") == Reading::Silent {
            return faults.silence("").await;
        }
        let reads = collection(&request);
        if let Some((resource, watches)) = &reads {
            match faults.reading_of(resource) {
                Reading::Silent => return faults.silence(resource).await,
                Reading::Away => return Ok(refusal(503)),
                Reading::Normal | Reading::Late(_) => {}
            }
            if !watches && faults.meets_list(resource) {
                return Ok(refusal(500));
            }
            if let Some(code) = watches.then(|| faults.meets_watch(resource)).flatten() {
                return Ok(refusal(code));
            }
        }
        let path = request.uri().path();
        let cut = faults.cut(request.method().as_str(), path);
        if cut == Cut::Request {
            return pending().await;
        }
        let fault = faults.meets(request.method().as_str(), path);
        match fault {
            Some(Failing::Refused(code)) => {
                let _ = request.into_body().collect().await;
                return Ok(refusal(code));
            }
            Some(Failing::Hang) => {
                return pending().await;
            }
            _ => {}
        }
        let (mut head, body) = request.into_parts();
        // The client has an address and a token of its own.
        for header in ["host", "authorization", "connection", "transfer-encoding"] {
            head.headers.remove(header);
        }
        head.version = http::Version::HTTP_11;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path.parse().map_err(broken)?;
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        let request = Request::from_parts(head, kube::client::Body::from(bytes.to_vec()));
        let response = client.send(request).await.map_err(broken)?;
        if fault == Some(Failing::LostReply) {
            return Err(broken("lost on purpose"));
        }
        if cut == Cut::Answer {
            faults.cut.notify_one();
            return pending().await;
        }
        let (mut head, body) = response.into_parts();
        for header in ["connection", "transfer-encoding", "content-length"] {
            head.headers.remove(header);
        }
        head.version = http::Version::HTTP_11;
        let body = match reads {
            Some((resource, true)) => watched(body, resource, faults),
            _ => body.map_err(broken).boxed_unsync(),
        };
        Ok(Response::from_parts(head, body))
    })
}

/// The resource, of all namespaces or of cluster scope, that a request lists or watches, and whether it watches.
fn collection(request: &Request<Incoming>) -> Option<(String, bool)> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let mut parts = path.trim_start_matches('/').split('/');
    let depth = if parts.next() == Some("api") { 3 } else { 4 };
    let is_collection = path.trim_start_matches('/').split('/').count() == depth;
    let resource = path.rsplit('/').next().unwrap_or_default();
    (request.method() == "GET" && is_collection)
        .then(|| (resource.to_owned(), query.contains("watch=true")))
}

/// A watch whose events come late, and which breaks off, when that is the plan.
fn watched(body: kube::client::Body, resource: String, faults: Arc<Faults>) -> Body {
    let (of, waiting) = (resource.clone(), faults.clone());
    let frames = BodyStream::new(body).then(move |frame| {
        let late = match waiting.reading_of(&of) {
            Reading::Late(late) => late,
            _ => Duration::ZERO,
        };
        async move {
            tokio::time::sleep(late).await;
            frame.map_err(broken)
        }
    });
    let ends = async move { faults.breaks_off(&resource).await };
    StreamBody::new(frames.take_until(Box::pin(ends))).boxed_unsync()
}

fn refusal(code: u16) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "code": code, "message": "failed on purpose",
        "details": {"retryAfterSeconds": 1}});
    let body = Full::new(Bytes::from(status.to_string()));
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(body.map_err(|never| match never {}).boxed_unsync()).expect("an answer")
}
