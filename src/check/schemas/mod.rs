//! Whether objects are what an API server takes: kinds and versions that it serves, and fields that it knows.

mod cluster;
mod given;
mod types;
mod versions;
mod walk;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::LazyLock;

use super::{object::Object, schema};
use crate::api::crds::all;
use crate::cluster::Target;
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Segment;
use crate::policy::Severity;
use given::Definitions;
use types::TYPES;
use walk::{MOST, Walk};

/// The word that stands for the cluster in place of a folder of definitions.
pub(crate) const CLUSTER: &str = "cluster";

/// What objects are compared with.
#[derive(Debug)]
pub(crate) struct Schemas {
    /// The minor version of the API server that the files are for.
    minor: u32,
    given: Definitions,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { minor: TYPES.newest, given: Definitions::default() }
    }
}

/// The definitions of Gabion and External Secrets.
static OURS: LazyLock<Definitions> = LazyLock::new(|| {
    let mut definitions = Definitions::default();
    for crd in all().unwrap_or_default() {
        if let Ok(crd) = serde_json::to_value(crd) {
            definitions.add(&crd);
        }
    }
    definitions
});

/// What became of an object.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// What is wrong with it.
    Evaluated(Vec<Finding>),
    /// Nothing is known of its kind.
    Unknown,
    /// A definition cannot be read.
    Broken(String),
}

impl Schemas {
    /// The schemas for a version of Kubernetes, and more from folders and from a cluster.
    pub(crate) fn new(
        minor: Option<u32>,
        given: &[PathBuf],
        target: &Target,
    ) -> Result<Self, String> {
        let (of_cluster, folders): (Vec<_>, Vec<_>) =
            given.iter().partition(|given| given.as_os_str() == CLUSTER);
        let mut definitions = Definitions::of_folders(&folders)?;
        if !of_cluster.is_empty() {
            cluster::read(target, &mut definitions)?;
        }
        Ok(Self { minor: minor.unwrap_or(TYPES.newest), given: definitions })
    }

    /// What is wrong with the fields of an object and with its version.
    pub(crate) fn evaluate(&self, object: &Object<'_>) -> Outcome {
        let key = versions::key(object);
        let version = versions::evaluate(object, self.minor);
        if let Some(kind) = TYPES.kinds.get(key.as_str()) {
            let mut walk = Walk::new(self.minor);
            if !TYPES.fields(kind.number).is_empty() {
                walk.run(kind.number, None, object.value);
            }
            return Outcome::Evaluated(without_marks(version.into_iter().chain(walk.found)));
        }
        let definition = match self.given.get(&key) {
            Ok(given) => given.or_else(|| OURS.get(&key).ok().flatten()),
            Err(problem) => return Outcome::Broken(problem),
        };
        match (definition, version) {
            (Some(definition), _) => {
                let mut walk = Walk::new(self.minor);
                let given = &object.value["metadata"];
                if !given.is_null() {
                    walk.run(TYPES.metadata, Some("metadata"), given);
                }
                let misfits = schema::misfits_of(&definition, object.value).into_iter().take(MOST);
                let misfits = misfits.map(|misfit| {
                    let finding = Finding::new(ControlId::HbSchema, misfit.path, misfit.problem);
                    if misfit.unknown {
                        finding
                    } else {
                        Finding { severity: Severity::High, ..finding }
                    }
                });
                Outcome::Evaluated(without_marks(walk.found.into_iter().chain(misfits)))
            }
            (None, Some(version)) => Outcome::Evaluated(vec![version]),
            (None, None) => Outcome::Unknown,
        }
    }
}

/// Without what the API server never looks at: SOPS keeps what it knows of an encrypted file beside the object and takes
/// it out again, and what a client says of the status is dropped.
fn without_marks(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let kept = findings.filter(|finding| match finding.path.0.as_slice() {
        [Segment::Key(key)] => key != "sops",
        [Segment::Key(key), ..] => key != "status",
        _ => true,
    });
    kept.collect()
}

/// Whether an API server serves the kind of an object, in this version, as one of its own.
pub(crate) fn is_known(object: &Object<'_>) -> bool {
    TYPES.kinds.contains_key(versions::key(object).as_str())
}

/// The minor version in the text of a flag.
pub(crate) fn minor_version(text: &str) -> Result<u32, String> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let mut parts = bare.split('.');
    let minor = match (parts.next(), parts.next()) {
        (Some("1"), Some(minor)) => minor.parse().ok(),
        _ => None,
    };
    minor
        .filter(|minor| (TYPES.oldest..=TYPES.newest).contains(minor))
        .ok_or_else(|| format!("versions from 1.{} to 1.{} are known", TYPES.oldest, TYPES.newest))
}
