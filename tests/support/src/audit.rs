//! What the operator asked of the API server, from the audit log.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ControlPlane;

/// The user that the operator is.
pub const OPERATOR: &str = "system:serviceaccount:gabion-system:gabion";

/// One request of the operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// API group, "" for the core.
    pub group: String,
    /// Plural, with `/subresource` if there is one.
    pub resource: String,
    pub verb: String,
    pub namespace: String,
    pub name: String,
    /// The answer's status code.
    pub code: i64,
    /// Whether roles allow it; what is refused all the same, as in a namespace that is being deleted, is no matter of
    /// rights.
    pub authorized: bool,
    /// Whether it only asked what would become of it.
    pub dry_run: bool,
}

/// Every request of the operator so far, in the order in which they were answered.
pub fn requests(plane: &ControlPlane) -> Vec<Request> {
    requests_of(plane, OPERATOR)
}

/// Every request of a user so far.
pub fn requests_of(plane: &ControlPlane, user: &str) -> Vec<Request> {
    matching(plane, user, user)
}

/// Requests of a user on lines with this text.
fn matching(plane: &ControlPlane, user: &str, text: &str) -> Vec<Request> {
    let path = plane.audit_log().expect("an audit log");
    let log = std::fs::read_to_string(path).expect("a readable log");
    log.lines()
        // Cheaper than to parse what others did.
        .filter(|line| line.contains(text) && line.contains(user))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|entry| entry["user"]["username"] == user)
        .filter_map(|entry| request(&entry))
        .collect()
}

/// Every request of the operator so far that was answered with this code.
pub fn requests_with_code(plane: &ControlPlane, code: u16) -> Vec<Request> {
    matching(plane, OPERATOR, &format!("\"code\":{code}"))
}

fn request(entry: &Value) -> Option<Request> {
    let object = entry.get("objectRef")?;
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (resource, part) = (text("resource"), text("subresource"));
    let resource = if part.is_empty() { resource } else { format!("{resource}/{part}") };
    // A namespace is its own namespace in the log.
    let namespace = if resource == "namespaces" { String::new() } else { text("namespace") };
    Some(Request {
        group: text("apiGroup"),
        resource,
        verb: entry["verb"].as_str().unwrap_or_default().to_owned(),
        namespace,
        name: text("name"),
        code: entry["responseStatus"]["code"].as_i64().unwrap_or_default(),
        authorized: entry["annotations"]["authorization.k8s.io/decision"] == "allow",
        dry_run: entry["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun=All")),
    })
}

impl Request {
    /// True for anything but reads and the making of a token or an event.
    pub fn is_write(&self) -> bool {
        let reads = matches!(self.verb.as_str(), "get" | "list" | "watch");
        let makes_nothing = matches!(self.resource.as_str(), "serviceaccounts/token" | "events");
        !reads && !makes_nothing && !self.dry_run
    }

    /// Verb, resource and name, for messages and comparisons.
    pub fn text(&self) -> String {
        format!("{} {} {}", self.verb, self.resource, self.name)
    }

    /// True for the read of one Secret.
    pub fn is_secret_read(&self) -> bool {
        self.resource == "secrets" && self.verb == "get"
    }
}

/// What was used on one control plane, denied requests aside.
pub fn used_on(plane: &ControlPlane) -> BTreeSet<(String, String, String)> {
    requests(plane)
        .into_iter()
        .filter(|request| !matches!(request.code, 401 | 403))
        .map(|request| (request.group, request.resource, request.verb))
        .collect()
}
