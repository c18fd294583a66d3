//! A plain-HTTP proxy before the API server that lets the answer to the n-th write get lost, and everything
//! after it: an operator that is killed then has done exactly n writes.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{body::Body, extract::State, response::Response};
use http::{Method, Request};
use kube::Client;
use serde_json::Value;
use support::{Cluster, ControlPlane, Result};
use tokio::{sync::Notify, task::JoinHandle};

/// The proxy. It ends when this is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    /// A kubeconfig that leads through it.
    pub kubeconfig: PathBuf,
}

struct Shared {
    upstream: Client,
    /// Writes that may still pass.
    left: AtomicUsize,
    reached: Notify,
}

impl Proxy {
    /// Starts one for the user of `kubeconfig`. Until [`Self::cut_after`] it lets everything pass.
    pub async fn start(plane: &ControlPlane, kubeconfig: &Path) -> Result<Self> {
        let mut config = plane.config().await?;
        // The caller's own token goes through.
        config.auth_info = kube::config::AuthInfo::default();
        config.read_timeout = None;
        let shared = Arc::new(Shared {
            upstream: Client::try_from(config)?,
            left: AtomicUsize::new(usize::MAX),
            reached: Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = axum::Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        let mut file: Value = serde_json::from_str(&std::fs::read_to_string(kubeconfig)?)?;
        let cluster = &mut file["clusters"][0]["cluster"];
        *cluster = serde_json::json!({"server": format!("http://{address}")});
        let path = plane.dir().join(format!("proxy-{}.kubeconfig", address.port()));
        std::fs::write(&path, file.to_string())?;
        Ok(Self { shared, task, kubeconfig: path })
    }

    /// Lets `writes` more writes be done; the answer to the last of them and all that comes later get lost.
    pub fn cut_after(&self, writes: usize) {
        self.shared.left.store(writes, Ordering::SeqCst);
    }

    /// Waits until that has happened; false if the baseline is gone before.
    pub async fn is_cut(&self, cluster: &Cluster, baseline: &str) -> Result<bool> {
        tokio::select! {
            () = self.shared.reached.notified() => Ok(true),
            gone = cluster.gone("HardeningBaseline", "", baseline) => {
                gone?;
                Ok(false)
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    // Events are no part of the work.
    let counts = request.method() != Method::GET && !request.uri().path().contains("/events");
    let mut last = false;
    if counts {
        let take = |left: usize| match left {
            usize::MAX => Some(usize::MAX),
            left => left.checked_sub(1),
        };
        match shared.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(left) => last = left == 1,
            Err(_) => return std::future::pending().await,
        }
    } else if shared.left.load(Ordering::SeqCst) == 0 {
        return std::future::pending().await;
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    let answer = shared.upstream.send(request).await;
    if last {
        shared.reached.notify_one();
        return std::future::pending().await;
    }
    match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => {
            let mut refusal = Response::new(Body::from(error.to_string()));
            *refusal.status_mut() = http::StatusCode::BAD_GATEWAY;
            refusal
        }
    }
}
