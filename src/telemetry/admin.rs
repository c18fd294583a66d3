//! The servers for metrics and health. They serve nothing that changes anything.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Health, Metrics};

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
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/", get(|| async { "Gabion: metrics are at /metrics\n" }))
        .with_state(metrics);
    serve(listener, router, stop).await;
}

/// Serves `/healthz` and `/readyz` until `stop`.
pub(crate) async fn serve_health(listener: TcpListener, health: Health, stop: CancellationToken) {
    let router = Router::new()
        .route(
            "/healthz",
            get(|State(health): State<Health>| async move { say(&health.not_live()) }),
        )
        .route(
            "/readyz",
            get(|State(health): State<Health>| async move { say(&health.not_ready()) }),
        )
        .with_state(health);
    serve(listener, router, stop).await;
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(error = %error, "an admin server ended");
    }
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    if let Ok(text) = metrics.render() {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        (StatusCode::OK, [(CONTENT_TYPE, kind)], text)
    } else {
        let kind = "text/plain; charset=utf-8";
        let text = "metrics cannot be written\n".to_owned();
        (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, kind)], text)
    }
}

fn say(complaints: &[String]) -> (StatusCode, String) {
    if complaints.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, complaints.join("\n") + "\n")
    }
}
