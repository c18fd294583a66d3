//! The server of the page: reads only, and answers nobody whom it was not made for.
//!
//! A page of another origin may send requests to this machine, and by DNS rebinding under a name of its own. So the name
//! that is asked for must be the loopback's, and the browser must say that the request comes from the page itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::pages::{self, Answer};
use super::{App, stream};

/// Connections at once.
const MAX_CONNECTIONS: usize = 64;
/// Connections that are told at once that there is no room.
const MAX_REFUSALS: usize = 16;
/// Live streams at once.
pub(super) const MAX_STREAMS: usize = 32;
/// Largest head of a request.
const MAX_HEAD: usize = 16 << 10;
/// A request and its answer take so long at most; a client has as long to send the head of the next one.
const REQUEST: Duration = Duration::from_secs(10);
/// Longest life of a connection. A browser makes another.
const CONNECTION: Duration = Duration::from_mins(30);

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const CROWDED: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Cache-Control: no-store\r\nConnection: close\r\nRetry-After: 5\r\n\r\n\
    Too many connections are open: close a window of this page, or wait a moment.\n";

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let router = Router::new().fallback(answer).with_state(app);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptor is left, for instance.
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            tokio::spawn(converse(stream, router.clone(), permit));
        } else if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
            tokio::spawn(refuse(stream, permit));
        }
    }
}

async fn converse(stream: TcpStream, router: Router, _permit: OwnedSemaphorePermit) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REQUEST).max_buf_size(MAX_HEAD);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // An error is a client that went away, or one that was too slow.
    let _ = time::timeout(CONNECTION, connection).await;
}

async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let told = async {
        // Closing with something unread would take the answer back.
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(CROWDED.as_bytes()).await;
        let _ = stream.shutdown().await;
    };
    let _ = time::timeout(Duration::from_secs(1), told).await;
}

/// Whether a name is the loopback's, with any port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(("::1", rest)) => ("::1", rest),
        Some(_) => return false,
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let named = name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "::1";
    let digits = port.strip_prefix(':').map(str::as_bytes);
    let ported = port.is_empty()
        || digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    named && ported
}

/// Why a request is not answered.
fn refused(
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let one = |name: header::HeaderName| {
        let mut all = headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let absolute = uri.authority().is_none_or(|authority| is_loopback(authority.as_str()));
    if !absolute || !one(header::HOST).is_some_and(is_loopback) {
        let text = "This page answers to localhost, 127.0.0.1 and [::1] only.";
        return Some((StatusCode::FORBIDDEN, text));
    }
    let site = headers.get_all("sec-fetch-site");
    if !site.iter().all(|site| site == "none" || site == "same-origin") {
        let text = "Another site asked for this page. Open it yourself: type its address.";
        return Some((StatusCode::FORBIDDEN, text));
    }
    if *method != Method::GET && *method != Method::HEAD {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "This page only reads: ask with GET."));
    }
    None
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut response = match refused(&parts.method, &parts.uri, &parts.headers) {
        Some((code, text)) => plain(code, text),
        None if parts.uri.path() == "/events" => events(&app),
        None => {
            let page = pages::answer(&app, parts.uri.path(), parts.uri.query().unwrap_or_default());
            match time::timeout(REQUEST, page).await {
                Ok(answer) => whole(answer),
                Err(_) => plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The answer took too long. Try again in a moment.",
                ),
            }
        }
    };
    protect(response.headers_mut());
    response
}

fn events(app: &Arc<App>) -> Response {
    let Ok(permit) = Arc::clone(&app.streams).try_acquire_owned() else {
        let text =
            "Too many windows follow this page. It still works, and is as new as when you load it.";
        return plain(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let mut response = Response::new(Body::from_stream(stream::versions(&app.board, permit)));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn whole(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    response
}

fn plain(code: StatusCode, text: &'static str) -> Response {
    let kind = "text/plain; charset=utf-8";
    whole(Answer { code, kind, body: format!("{text}\n") })
}

/// The headers of every answer.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_are_answered() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8090", "[::1]", "[::1]:8090"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io:8090",
            "localhost:",
            "localhost:x",
            "[::2]",
            "[::1]x",
            "::1",
            "0.0.0.0",
            "127.0.0.2",
            "localhost:80@evil",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_request_of_another_site_or_with_another_method_is_refused() {
        let code = |method: Method, headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            refused(&method, &http::Uri::from_static("/"), &map).map(|(code, _)| code.as_u16())
        };
        let host = ("host", "localhost");
        assert_eq!(code(Method::GET, &[host]), None);
        assert_eq!(code(Method::HEAD, &[host, ("sec-fetch-site", "same-origin")]), None);
        assert_eq!(code(Method::GET, &[host, ("sec-fetch-site", "none")]), None);
        for site in ["cross-site", "same-site", "", "None"] {
            assert_eq!(code(Method::GET, &[host, ("sec-fetch-site", site)]), Some(403), "{site}");
        }
        assert_eq!(code(Method::GET, &[]), Some(403));
        assert_eq!(code(Method::GET, &[host, ("host", "evil.example")]), Some(403));
        for method in [Method::POST, Method::DELETE, Method::OPTIONS, Method::CONNECT] {
            assert_eq!(code(method.clone(), &[host]), Some(405), "{method}");
        }
    }
}
