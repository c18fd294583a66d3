//! What was asked of the API server, by its own account: the audit log.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use support::Result;

/// A place in the audit log, to count from.
#[derive(Clone)]
pub struct Mark {
    path: PathBuf,
    offset: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
}

/// Requests of one user by verb and resource (`patch externalsecrets/status`).
#[derive(Clone, Debug, Default)]
pub struct Requests(BTreeMap<(String, String), u64>);

impl Mark {
    /// The end of the log as it is now.
    pub fn here(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), offset: std::fs::metadata(path)?.len() })
    }

    /// What `user` has asked since.
    pub fn since(&self, user: &str) -> Result<Requests> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut requests = Requests::default();
        for line in BufReader::new(file).lines() {
            // The last line may be half written.
            let Ok(entry) = serde_json::from_str::<Entry>(&line?) else { continue };
            if entry.user.username != user || entry.stage != "ResponseComplete" {
                continue;
            }
            let resource = entry.object_ref.map(|object| match &*object.subresource {
                "" => object.resource,
                subresource => format!("{}/{subresource}", object.resource),
            });
            *requests.0.entry((entry.verb, resource.unwrap_or_default())).or_default() += 1;
        }
        Ok(requests)
    }
}

impl Requests {
    /// Requests of these verbs for this resource, `*` for any.
    pub fn of(&self, verbs: &[&str], resource: &str) -> u64 {
        let wanted = self.0.iter().filter(|((verb, of), _)| {
            verbs.contains(&verb.as_str()) && (resource == "*" || of == resource)
        });
        wanted.map(|(_, count)| count).sum()
    }

    /// Everything that changes something.
    pub fn writes(&self) -> u64 {
        self.of(&["create", "update", "patch", "delete", "deletecollection"], "*")
    }

    /// Reads of single objects. Lists are counted apart: a watch begins with one. `/version` is no object.
    pub fn gets(&self) -> u64 {
        self.of(&["get"], "*") - self.of(&["get"], "")
    }

    /// All of them, for the reader.
    pub fn describe(&self) -> String {
        let shown = self.0.iter().filter(|((verb, _), _)| verb != "watch");
        let shown = shown.map(|((verb, resource), count)| format!("{count} {verb} {resource}"));
        shown.collect::<Vec<_>>().join(", ")
    }
}
