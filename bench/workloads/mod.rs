//! The workloads, by name.

mod admit;
mod cold;
mod drift;
mod events;
mod floor;
mod harden;
mod newcomer;
mod outage;
mod push;
mod refresh;
mod restart;
mod rotation;
mod status;

use std::fmt;

use support::{Failure, Result};

/// Name, default number of objects, and what it is.
pub const LIST: [(&str, usize, &str); 14] = [
    ("floor", 1_000, "the API server's own limit: a plain loop of creates and status patches"),
    ("cold", 1_000, "the operator starts and has to synchronise everything"),
    ("restart", 1_000, "the operator restarts and everything is in sync"),
    ("refresh", 1_000, "refreshes every 30 s without changes, one remote secret per object"),
    ("refresh-shared", 1_000, "the same with ten objects per remote secret"),
    ("rotation", 1_000, "all remote secrets change at once, read every 10 s"),
    ("newcomer", 5_000, "a new object while as many refreshes are due"),
    ("drift", 100, "edited and deleted Secrets are restored; refreshes are forced"),
    ("events", 1_000, "changes that a queue tells of: one by one, and ten thousand events at once"),
    ("outage", 1_000, "the provider is unavailable for a minute"),
    ("push", 1_000, "PushSecrets for the first time, and comparisons with nothing changed"),
    (
        "harden",
        1_000,
        "one baseline over that many namespaces; then idle; then one change at a time",
    ),
    ("status", 1_000, "what a status write costs the API server, by verb and by schema"),
    ("admit", 1_000, "pods with and without the admission policies of a baseline"),
];

/// Everything, in the order of `docs/performance.md`.
pub const ALL: [&str; 19] = [
    "floor",
    "cold:1000",
    "cold:5000",
    "cold:10000",
    "restart:1000",
    "restart:10000",
    "refresh",
    "refresh-shared",
    "rotation",
    "newcomer",
    "drift",
    "events",
    "outage:1000",
    "push",
    "harden:1000",
    "harden:5000",
    "status",
    "admit",
    "floor",
];

/// One workload and its size.
#[derive(Clone, Debug)]
pub struct Workload {
    name: &'static str,
    objects: usize,
}

impl Workload {
    /// From `NAME` or `NAME:OBJECTS`.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, objects) = text.split_once(':').map_or((text, None), |(n, o)| (n, Some(o)));
        let known = LIST.iter().find(|(known, _, _)| *known == name);
        let Some((name, default, _)) = known else {
            return Err(Failure::new(format!("no workload {name:?}: `help` lists them")));
        };
        Ok(Self { name, objects: objects.map_or(Ok(*default), str::parse)? })
    }

    /// Runs it and prints its table.
    pub async fn run(&self) -> Result<()> {
        match self.name {
            "admit" => admit::run(self.objects).await,
            "cold" => cold::run(self.objects).await,
            "restart" => restart::run(self.objects).await,
            "refresh" => refresh::run(self.objects, 1).await,
            "refresh-shared" => refresh::run(self.objects, 10).await,
            "rotation" => rotation::run(self.objects).await,
            "newcomer" => newcomer::run(self.objects).await,
            "drift" => drift::run(self.objects).await,
            "events" => events::run(self.objects).await,
            "status" => status::run(self.objects).await,
            "outage" => outage::run(self.objects).await,
            "push" => push::run(self.objects).await,
            "harden" => harden::run(self.objects).await,
            _ => floor::run(self.objects).await,
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} objects", self.name, self.objects)
    }
}
