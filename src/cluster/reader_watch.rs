//! Following a list for people: what changes after it was read.

use std::time::Duration;

use futures::TryStreamExt as _;
use kube::{Client, core::WatchEvent};
use serde_json::Value;
use tokio::time;

use super::reader::{ReadError, Reader};

/// A watch ends after so many seconds, and the next one begins where it ended.
const LIFE: u64 = 240;
/// The API server sends a bookmark every minute. A watch that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(100);

/// What a watch brings.
pub(crate) enum News {
    /// An object is new or different.
    Applied(Value),
    /// An object is gone.
    Deleted(Value),
}

/// A connection for watches.
pub(crate) struct Follower<'a> {
    reader: &'a Reader,
    client: Client,
}

impl Reader {
    /// Opens a connection for watches: their answers take as long as they like.
    pub(crate) fn follower(&self) -> Result<Follower<'_>, ReadError> {
        let mut config = self.config.clone();
        config.read_timeout = None;
        let client = Client::try_from(config).map_err(|error| self.meaning("", &error))?;
        Ok(Follower { reader: self, client })
    }
}

impl Follower<'_> {
    /// Tells what changes after `version`, until the watch ends. Returns the version from which the next one goes on;
    /// `None` if only a new list helps.
    pub(crate) async fn follow(
        &self,
        path: &str,
        version: &str,
        on: &mut (dyn FnMut(News) + Send),
    ) -> Result<Option<String>, ReadError> {
        let uri = format!(
            "{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={LIFE}&resourceVersion={version}"
        );
        let request = http::Request::builder().uri(&uri).body(Vec::new());
        let request =
            request.map_err(|error| ReadError::Refused { code: 0, message: error.to_string() })?;
        let opening = self.client.request_events::<Value>(request);
        let stream = time::timeout(self.reader.timeout, opening)
            .await
            .map_err(|_| self.reader.stalled())?
            .map_err(|error| self.reader.meaning(path, &error))?;
        futures::pin_mut!(stream);
        let mut version = version.to_owned();
        loop {
            let next = time::timeout(SILENCE, stream.try_next())
                .await
                .map_err(|_| self.reader.stalled())?
                .map_err(|error| self.reader.meaning(path, &error))?;
            let object = match next {
                None => return Ok(Some(version)),
                Some(WatchEvent::Error(_)) => return Ok(None),
                Some(WatchEvent::Bookmark(mark)) => {
                    version = mark.metadata.resource_version;
                    continue;
                }
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    News::Applied(object)
                }
                Some(WatchEvent::Deleted(object)) => News::Deleted(object),
            };
            let (News::Applied(whole) | News::Deleted(whole)) = &object;
            if let Some(seen) = whole["metadata"]["resourceVersion"].as_str() {
                seen.clone_into(&mut version);
            }
            on(object);
        }
    }
}
