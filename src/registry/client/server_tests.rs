//! A registry that does whatever a test wants, in this process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{Client, ClientSettings, HostSettings, Session};
use crate::registry::{Digest, Repository};

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) at: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn is(&self, part: &str) -> bool {
        self.at.contains(part)
    }
}

/// What the registry answers.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// An answer in order.
    Plain(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// An answer that says to be of another length.
    Length(usize, Vec<u8>),
    /// An answer without end.
    Endless(u16),
    /// A byte now and then.
    Drip,
    /// The connection closes.
    Reset,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self::Plain(status, Vec::new(), b"{}".to_vec())
    }

    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Plain(200, Vec::new(), body.into())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Plain(_, headers, _) = &mut self {
            headers.push((name, value.into()));
        }
        self
    }

    pub(super) fn moved(to: impl Into<String>) -> Self {
        Self::status(307).with("Location", to)
    }

    pub(super) fn challenge(realm: &str) -> Self {
        let challenge =
            format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:x:push,pull\"");
        Self::status(401).with("WWW-Authenticate", challenge)
    }
}

/// A registry on this machine.
pub(super) struct Server {
    /// Its address and port.
    pub(super) host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers each request by `answer`.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("bound").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                tokio::spawn(serve(stream, all, move |seen| answer(seen)));
            }
        });
        Self { host, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("unpoisoned").clone()
    }

    /// How many requests had this in their path or query.
    pub(super) fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.is(part)).count()
    }

    /// A repository of this registry.
    pub(super) fn repository(&self, path: &str) -> Repository {
        Repository::parse(&format!("{}/{path}", self.host)).expect("a repository")
    }

    pub(super) fn settings(&self) -> ClientSettings {
        let hosts = [(self.host.clone(), HostSettings::default())].into();
        ClientSettings { hosts, insecure: [self.host.clone()].into(), credentials: None }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.settings()).expect("a client")
    }

    pub(super) fn session(&self) -> Session {
        session(&self.client())
    }
}

pub(super) fn session(client: &Client) -> Session {
    client.session(Instant::now() + Duration::from_secs(5))
}

async fn serve(
    mut stream: TcpStream,
    all: Arc<Mutex<Vec<Seen>>>,
    answer: impl Fn(&Seen) -> Reply,
) -> Option<()> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    let head = loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|text| text.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break text;
            }
        }
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
    };
    let (head, body) = head.split_once("\r\n\r\n")?;
    let mut words = head.split(' ');
    let seen = Seen {
        method: words.next()?.to_owned(),
        at: words.next()?.to_owned(),
        authorization: header(head, "authorization"),
        body: body.to_owned(),
    };
    all.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
    write(&mut stream, answer(&seen)).await
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

async fn write(stream: &mut TcpStream, reply: Reply) -> Option<()> {
    match reply {
        Reply::Plain(status, headers, body) => {
            let lines = headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
                body.len(),
                lines.collect::<String>()
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&body).await.ok()
        }
        Reply::Length(length, body) => {
            let head = format!("HTTP/1.1 200 X\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&body).await.ok()
        }
        Reply::Endless(status) => {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            let blank = vec![b' '; 65536];
            loop {
                stream.write_all(&blank).await.ok()?;
            }
        }
        Reply::Drip => {
            let head = "HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            loop {
                stream.write_all(b" ").await.ok()?;
                sleep(Duration::from_millis(20)).await;
            }
        }
        Reply::Reset => None,
    }
}

/// A manifest that belongs to a digest.
pub(super) fn signature(of: &Digest, nth: usize) -> Vec<u8> {
    format!(
        r#"{{"artifactType": "bundle", "layers": [], "nth": {nth}, "subject": {{"digest": "{of}"}}}}"#
    )
    .into_bytes()
}

/// A list of referrers.
pub(super) fn list(of: impl Iterator<Item = usize>) -> Vec<u8> {
    let entries = of.map(|nth| {
        let digest = Digest::of(&nth.to_le_bytes());
        format!(r#"{{"digest": "{digest}", "artifactType": "bundle"}}"#)
    });
    format!(r#"{{"manifests": [{}]}}"#, entries.collect::<Vec<_>>().join(",")).into_bytes()
}
