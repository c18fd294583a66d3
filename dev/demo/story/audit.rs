//! What the API server noted down of Gabion's requests.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::Result;

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
    request_received_timestamp: String,
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
        let bytes = std::fs::read(&self.log)?;
        let text = String::from_utf8_lossy(bytes.get(self.from..).unwrap_or_default());
        let mut entries: Vec<_> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok())
            .filter(|entry| entry.is_a_write_of_gabion())
            .filter_map(|entry| {
                let object = entry.object_ref?;
                let inside = object.namespace == namespace && object.subresource.is_empty();
                let counts = inside && object.resource != "events"
                    && object.resource != "namespacehardenings";
                let name = format!("{}/{}", object.resource, object.name);
                let write = Write { verb: entry.verb, object: name };
                counts.then_some((entry.request_received_timestamp, write))
            })
            .collect();
        // RFC 3339 with six digits in each: the order of the texts is that of the times.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entries.into_iter().map(|(_, write)| write).collect())
    }
}

impl Entry {
    fn is_a_write_of_gabion(&self) -> bool {
        let writes = matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete");
        let worked = self.response_status.as_ref().is_some_and(|response| response.code < 300);
        writes && worked && self.user.username == GABION
    }
}
