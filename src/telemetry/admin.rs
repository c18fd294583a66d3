//! The servers for metrics and health. They serve nothing that changes anything.
//!
//! Anybody in the cluster may reach them, so each has a bound on its connections, and each connection on its time.
//! When there is no room, the oldest connection makes room: a probe is new and done within a moment, so nobody who
//! holds connections open keeps it out.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::IntoResponse,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time,
};
use tokio_util::sync::CancellationToken;

use super::{Health, Metrics};

/// Connections of one server at once.
const MAX_CONNECTIONS: usize = 64;
/// A client has this long to send the head of a request, from the end of the one before.
const HEADER: Duration = Duration::from_secs(10);
/// Longest life of a connection. Prometheus keeps one open and makes another when it ends.
const CONNECTION: Duration = Duration::from_mins(5);
/// Largest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// A server cannot start.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} ({flag}): {source}; free the port or give another address with {flag}"
)]
pub struct ServeError {
    flag: &'static str,
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Takes the port, so that a port in use is an error at the start and not later.
pub(crate) async fn bind(
    flag: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError { flag, address, source })
}

/// Serves `/metrics` until `stop`.
pub(crate) async fn serve_metrics(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    // Writing them down takes time and memory, however many ask.
    let shown = Arc::new(Semaphore::new(1));
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/", get(|| async { "Gabion: metrics are at /metrics\n" }))
        .with_state((metrics, shown));
    serve(listener, router, stop).await;
}

/// Serves `/healthz` and `/readyz` until `stop`.
pub(crate) async fn serve_health(listener: TcpListener, health: Health, stop: CancellationToken) {
    let router = Router::new()
        .route(
            "/healthz",
            get(|State(health): State<Health>| async move { respond(&health.not_live()) }),
        )
        .route(
            "/readyz",
            get(|State(health): State<Health>| async move { respond(&health.not_ready()) }),
        )
        .with_state(health);
    serve(listener, router, stop).await;
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // No file descriptor is left, for instance.
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MAX_CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(converse(stream, router.clone())));
    }
    for connection in open {
        connection.abort();
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, router: Router) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(MAX_HEAD);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // An error is a client that went away, or one that was too slow.
    let _ = time::timeout(CONNECTION, connection).await;
}

type Shown = (Arc<Metrics>, Arc<Semaphore>);

async fn render(State((metrics, shown)): State<Shown>, headers: HeaderMap) -> impl IntoResponse {
    let _turn = shown.acquire().await;
    let accepted =
        headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    let (text, kind) = if accepted.contains("application/openmetrics-text") {
        (metrics.render(), "application/openmetrics-text; version=1.0.0; charset=utf-8")
    } else {
        (metrics.render_plain(), "text/plain; version=0.0.4; charset=utf-8")
    };
    if let Ok(text) = text {
        (StatusCode::OK, [(CONTENT_TYPE, kind)], text)
    } else {
        let kind = "text/plain; charset=utf-8";
        let text = "metrics cannot be written\n".to_owned();
        (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, kind)], text)
    }
}

fn respond(reasons: &[String]) -> (StatusCode, String) {
    if reasons.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::telemetry::PerObject;

    async fn health() -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(serve_health(listener, Health::default(), stop.clone()));
        (address, stop)
    }

    async fn probe(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }

    async fn scrape(accept: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let metrics = Metrics::new(&Health::default(), PerObject::Off);
        metrics.reconciles.done("Secret", "Synced", Duration::ZERO);
        tokio::spawn(serve_metrics(listener, metrics, stop));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{accept}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn only_who_asks_for_openmetrics_gets_it() {
        for accept in ["", "Accept: */*\r\n", "Accept: text/plain;version=0.0.4\r\n"] {
            let answer = scrape(accept).await;
            assert!(answer.contains("text/plain; version=0.0.4"), "{accept}: {answer}");
            assert!(answer.contains("# TYPE gabion_reconciles_total counter\n"), "{answer}");
            assert!(!answer.contains("# EOF") && !answer.contains("# UNIT"), "{answer}");
        }
        let prometheus =
            "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3\r\n";
        let answer = scrape(prometheus).await;
        assert!(
            answer.contains("application/openmetrics-text") && answer.contains("# EOF"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_probe_is_answered_while_others_hold_connections_open() {
        let (address, _stop) = health().await;
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS * 3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await;
            held.push(stream);
        }
        assert!(probe(address).await.starts_with("HTTP/1.1 200 OK"));
        // The first ones had to make room.
        let mut rest = Vec::new();
        let closed = held[0].read_to_end(&mut rest);
        let _ = time::timeout(Duration::from_secs(5), closed).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_ends_the_connection() {
        let (address, _stop) = health().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
        let mut rest = Vec::new();
        let _ = time::timeout(Duration::from_mins(1), stream.read_to_end(&mut rest)).await.unwrap();
    }

    #[tokio::test]
    async fn one_connection_serves_many_requests_until_the_server_stops() {
        let (address, stop) = health().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for path in ["/healthz", "/readyz", "/elsewhere"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.unwrap();
            let wanted: &[u8] =
                if path == "/elsewhere" { b"HTTP/1.1 404" } else { b"HTTP/1.1 200" };
            assert_eq!(start, wanted);
            let mut rest = [0; 512];
            let _ = stream.read(&mut rest).await.unwrap();
        }
        stop.cancel();
        let mut rest = Vec::new();
        let _ = time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap();
    }
}
