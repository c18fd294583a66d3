//! The two requests of a watch, each with deadlines, and their answers in pieces that are not decoded yet.

use std::{fmt::Display, time::Duration};

use futures::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyDataStream, BodyExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Status};
use kube::{
    Client,
    api::{ListParams, WatchParams},
    client::Body,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{self, Instant};

use crate::cluster::Patience;

/// A page is in memory as text, managed fields and all.
const PAGE_SIZE: u32 = 250;
/// Largest refusal that is read.
const MAX_REFUSAL: usize = 64 << 10;

/// Why a list or a watch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WatchError {
    /// The API server refused, in these words.
    Refused { code: u16, message: String },
    /// The version that was asked for is too old (or not known at all): only a list helps.
    Expired,
    /// No answer, or an answer that broke off.
    Connection(String),
    /// The API server sent nothing for so long.
    Silent(Duration),
    /// The watch was over at once, and nothing was said: some proxies answer so for a version that is too old.
    EndedAtOnce,
    /// The watch should have ended, and brought nothing, not even a bookmark.
    NeverEnded(Duration),
    /// An answer that is none of the API server.
    Form(&'static str),
}

impl WatchError {
    /// What is wrong, and what to do about it.
    pub(super) fn explain(&self, kind: &str) -> String {
        match self {
            Self::Refused { code: 404, .. } => format!(
                "the API server does not serve {kind}: install the CRDs (gabion crds | kubectl apply -f -)"
            ),
            Self::Refused { code: 403, message } => {
                format!(
                    "RBAC does not let Gabion list and watch {kind}: apply config/rbac ({message})"
                )
            }
            Self::Refused { code, message } => format!("{message} ({code})"),
            Self::Expired => "the API server no longer has the version to go on from".to_owned(),
            Self::Connection(why) => format!("the connection failed: {why}"),
            Self::Silent(time) => format!("no answer within {} s", time.as_secs()),
            Self::EndedAtOnce => "the watch ends at once, without an event".to_owned(),
            Self::NeverEnded(time) => format!("nothing came for {} s", time.as_secs()),
            Self::Form(what) => (*what).to_owned(),
        }
    }

    fn connection(error: &dyn Display) -> Self {
        Self::Connection(error.to_string())
    }
}

/// Which objects of a kind are followed: all, unless it says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selected {
    /// Those with these labels, as the API server writes a selector.
    pub(crate) labels: Option<String>,
    /// Those with these fields.
    pub(crate) fields: Option<String>,
}

/// Where the objects of a kind are.
pub(super) struct Requests {
    client: Client,
    builder: kube::core::Request,
    selected: Selected,
    /// Ask for metadata only.
    metadata: bool,
    patience: Patience,
}

/// One page of a list.
pub(super) struct Page(String);

/// What is in a page.
#[derive(Deserialize)]
pub(super) struct Contents<'a> {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    /// A list of metadata without objects says `null`.
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'a RawValue>>,
}

impl Page {
    pub(super) fn contents(&self) -> Result<Contents<'_>, WatchError> {
        serde_json::from_str(&self.0).map_err(|_| WatchError::Form("the answer is no list"))
    }
}

impl Requests {
    pub(super) fn new(
        client: Client,
        url: &str,
        selected: Selected,
        metadata: bool,
        patience: Patience,
    ) -> Self {
        Self { client, builder: kube::core::Request::new(url), selected, metadata, patience }
    }

    /// Asks for one page of a list.
    pub(super) async fn page(&self, token: Option<String>) -> Result<Page, WatchError> {
        let mut params = ListParams::default().limit(PAGE_SIZE);
        params.continue_token = token;
        params.label_selector.clone_from(&self.selected.labels);
        params.field_selector.clone_from(&self.selected.fields);
        let request = if self.metadata {
            self.builder.list_metadata(&params)
        } else {
            self.builder.list(&params)
        };
        let mut body = self.send(request).await?.into_body().into_data_stream();
        let mut text = Vec::new();
        while let Some(piece) = within(self.patience.answer(), body.next()).await? {
            text.extend_from_slice(&piece.map_err(|error| WatchError::connection(&error))?);
        }
        String::from_utf8(text).map(Page).map_err(|_| WatchError::Form("the answer is no text"))
    }

    /// Asks for what happens after `version`. Returns once the API server has accepted.
    pub(super) async fn watch(&self, version: &str) -> Result<Lines, WatchError> {
        let mut params = WatchParams::default().timeout(self.patience.watch_seconds());
        params.label_selector.clone_from(&self.selected.labels);
        params.field_selector.clone_from(&self.selected.fields);
        let ends = Instant::now() + self.patience.watch();
        let request = if self.metadata {
            self.builder.watch_metadata(&params, version)
        } else {
            self.builder.watch(&params, version)
        };
        let body = self.send(request).await?.into_body().into_data_stream();
        Ok(Lines { body, ends, buffer: Vec::new(), read: 0, timed_out: false })
    }

    async fn send(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Response<Body>, WatchError> {
        let request = request.map_err(|error| WatchError::connection(&error))?;
        let deadline = self.patience.answer();
        let answer = within(deadline, self.client.send(request.map(Body::from))).await?;
        let answer = answer.map_err(|error| WatchError::connection(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), MAX_REFUSAL).collect();
        let body = within(deadline, body)
            .await?
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        Err(refusal(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }
}

fn refusal(code: StatusCode, status: &Status) -> WatchError {
    if code == StatusCode::GONE {
        return WatchError::Expired;
    }
    let stated = status.message.as_deref().filter(|message| !message.is_empty());
    let message = stated.or(code.canonical_reason()).unwrap_or("refused").to_owned();
    WatchError::Refused { code: code.as_u16(), message }
}

/// The events of a watch, a line each.
pub(super) struct Lines {
    body: BodyDataStream<Body>,
    ends: Instant,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    read: usize,
    /// It was not the API server that ended it.
    pub(super) timed_out: bool,
}

impl Lines {
    /// The next line. `None` when the API server, or the time, has ended the watch.
    pub(super) async fn next(&mut self) -> Result<Option<&str>, WatchError> {
        let mut searched = self.read;
        let end = loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                break searched + length;
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            searched = self.buffer.len();
            match time::timeout_at(self.ends, self.body.next()).await {
                Ok(Some(Ok(piece))) => self.buffer.extend_from_slice(&piece),
                Ok(Some(Err(error))) => return Err(WatchError::connection(&error)),
                // An event that is not complete comes again: its version was not noted.
                Ok(None) => return Ok(None),
                Err(_) => {
                    self.timed_out = true;
                    return Ok(None);
                }
            }
        };
        let line = &self.buffer[self.read..end];
        self.read = end + 1;
        std::str::from_utf8(line).map(Some).map_err(|_| WatchError::Form("an event is no text"))
    }
}

/// One event of a watch.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "type")]
    pub(super) what: &'a str,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

impl<'a> Line<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, WatchError> {
        if let Ok(line) = serde_json::from_str::<Self>(text) {
            return if line.what == "ERROR" { Err(ended(line.object.get())) } else { Ok(line) };
        }
        Err(ended(text))
    }
}

/// Why the API server ends a watch.
fn ended(text: &str) -> WatchError {
    let Ok(status) = serde_json::from_str::<Status>(text) else {
        return WatchError::Form("an event is none of a watch");
    };
    let code = status.code.and_then(|code| u16::try_from(code).ok());
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    refusal(code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &status)
}

async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> Result<T, WatchError> {
    time::timeout(deadline, work).await.map_err(|_| WatchError::Silent(deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nothing_is_a_list() {
        for items in ["null", "[]"] {
            let page = Page(format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":{items}}}"#));
            let contents = page.contents().unwrap();
            assert_eq!(contents.metadata.resource_version.as_deref(), Some("7"));
            assert!(contents.items.unwrap_or_default().is_empty());
        }
    }
}
