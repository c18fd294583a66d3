//! What the API server noted down of Gabion's requests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use support::{Failure, Result};

/// Who Gabion is to the API server.
const GABION: &str = "system:serviceaccount:gabion-system:gabion";

/// The audit log from some moment on.
pub struct Audit {
    log: PathBuf,
    from: usize,
}

/// One write that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// Resource and name, such as `networkpolicies/gabion-default-deny`.
    pub object: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Response>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    namespace: String,
    name: String,
    subresource: String,
}

#[derive(Deserialize)]
struct Response {
    code: u16,
}

impl Audit {
    /// Reads from here on.
    pub fn from_now(log: &Path) -> Result<Self> {
        Ok(Self { log: log.to_owned(), from: std::fs::read(log)?.len() })
    }

    /// What Gabion wrote in or to a namespace since then, in the order in which the requests came. Its
    /// reports (status and Events) are left out.
    pub fn writes(&self, namespace: &str) -> Result<Vec<Write>> {
        let entries = self.entries()?;
        let writes = entries.iter().filter_map(|entry| entry.write_in(namespace));
        Ok(writes.collect())
    }

    /// From the first request that concerns `resource` to the answer to Gabion's last write in the namespace.
    pub fn took(&self, resource: &str, namespace: &str) -> Result<Duration> {
        let entries = self.entries()?;
        let concerns =
            |entry: &&Entry| entry.object_ref.as_ref().is_some_and(|o| o.resource == resource);
        let cause = entries.iter().filter(|entry| entry.is_a_write()).find(concerns);
        let last = entries.iter().rfind(|entry| entry.write_in(namespace).is_some());
        let (Some(cause), Some(last)) = (cause, last) else {
            return Err(Failure::new(format!("the audit log says nothing of {resource}")));
        };
        let took = last.stage_timestamp.duration_since(cause.request_received_timestamp);
        Ok(Duration::try_from(took).unwrap_or_default())
    }

    /// Everything since then, by the time at which the requests came.
    fn entries(&self) -> Result<Vec<Entry>> {
        let bytes = std::fs::read(&self.log)?;
        let text = String::from_utf8_lossy(bytes.get(self.from..).unwrap_or_default());
        let mut entries: Vec<Entry> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        entries.sort_by_key(|entry| entry.request_received_timestamp);
        Ok(entries)
    }
}

impl Entry {
    /// What was written, if this is a write of Gabion in the namespace and no report.
    fn write_in(&self, namespace: &str) -> Option<Write> {
        let object = self.object_ref.as_ref()?;
        let report = !object.subresource.is_empty()
            || matches!(object.resource.as_str(), "events" | "namespacehardenings");
        let counts = object.namespace == namespace
            && !report
            && self.is_a_write()
            && self.user.username == GABION;
        let object = format!("{}/{}", object.resource, object.name);
        counts.then(|| Write { verb: self.verb.clone(), object })
    }

    fn is_a_write(&self) -> bool {
        let writes = matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete");
        writes && self.response_status.as_ref().is_some_and(|response| response.code < 300)
    }
}
