//! Between the operator and the real API server: passes everything on, but for what is to fail.

use std::{
    collections::HashMap,
    future::pending,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
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

    fn meets_list(&self, path: &str, query: &str) -> bool {
        if query.contains("watch=true") || path.contains("/namespaces/") {
            return false;
        }
        let resource = path.rsplit('/').next().unwrap_or_default();
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
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if request.method() == "GET" && faults.meets_list(path, query) {
            return Ok(refusal(500));
        }
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
        Ok(Response::from_parts(head, body.map_err(broken).boxed_unsync()))
    })
}

fn refusal(code: u16) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        409 => "Conflict",
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
