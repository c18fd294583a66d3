//! `gabion ui`: the state of a cluster as a page on this machine, read with the viewer's own rights.
//!
//! It has no route that changes anything, and reads no Secret.

mod board;
mod feed;
mod history;
mod pages;
mod query;
mod server;
mod slim;
mod stream;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::cluster::{ReadError, Reader, Target};
use crate::survey::Kind;
use board::Board;

/// What is asked.
#[derive(Debug)]
pub struct Ui {
    pub(crate) target: Target,
    pub(crate) port: u16,
    pub(crate) open: bool,
    pub(crate) class: String,
    pub(crate) heartbeat: SignedDuration,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// The cluster gives no answer.
    #[error("{0}")]
    Read(String),
    /// The port is taken.
    #[error("cannot listen on {address}: {source}; free the port or give another with --port")]
    Port {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing can be written to standard output.
    #[error("the address cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<ReadError> for UiError {
    fn from(error: ReadError) -> Self {
        Self::Read(error.to_string())
    }
}

/// What every request shares.
struct App {
    reader: Arc<Reader>,
    board: Arc<Board>,
    streams: Arc<Semaphore>,
}

/// Serves the page until the program is interrupted.
///
/// # Errors
/// If the cluster gives no answer, or the port is taken.
pub async fn serve(ui: Ui, out: &mut dyn Write) -> Result<(), UiError> {
    // Without a provider TLS cannot begin. It fails only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let reader = Arc::new(Reader::connect(&ui.target).await?);
    // Whoever gives wrong credentials learns it here, and not from an empty page.
    match reader.get("/version").await {
        Err(error) if error.is_final() => return Err(error.into()),
        _ => {}
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ui.port));
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|source| UiError::Port { address, source })?;
    let board = Arc::new(Board::new(ui.heartbeat, ui.class));
    for kind in Kind::ALL {
        tokio::spawn(feed::feed(kind, Arc::clone(&reader), Arc::clone(&board)));
    }
    tokio::spawn(feed::pulse(Arc::clone(&reader), Arc::clone(&board)));
    let url = format!("http://{}/", listener.local_addr()?);
    writeln!(out, "The page is at {url} (Ctrl-C ends it)")?;
    out.flush()?;
    if ui.open && !open(&url) {
        writeln!(out, "No browser could be started: open the address yourself")?;
        out.flush()?;
    }
    let streams = Arc::new(Semaphore::new(server::MAX_STREAMS));
    let app = Arc::new(App { reader, board, streams });
    tokio::select! {
        () = server::serve(listener, app) => {}
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
    Ok(())
}

/// SIGTERM.
async fn terminated() {
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// Asks the desktop for a browser.
fn open(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
