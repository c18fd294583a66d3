//! Where a set of policies applies, and who is excused from what.

use std::collections::BTreeSet;

use super::super::selection::{Protected, Selection};

/// The namespaces that a set of policies reaches, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Name of the baseline; part of every object's name.
    pub name: String,
    /// Uid of the baseline: owner mark and owner reference.
    pub uid: String,
    /// The namespaces that the baseline wants.
    pub selection: Selection,
    /// Namespaces that no baseline ever touches.
    pub protected: Protected,
    /// Namespaces that are still behind: left out of the binding that denies.
    pub behind: BTreeSet<String>,
}

/// An exception that is in force: what it excuses, for whom, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Ids of the controls.
    pub controls: BTreeSet<String>,
    /// Namespace of the workload.
    pub namespace: String,
    /// Kind and name of the workload; pods made by it are excused through their controller reference.
    pub target: Option<(String, String)>,
    /// Containers that are excused, each by name and image repository; empty: the whole pod.
    pub containers: Vec<(String, String)>,
    /// When it ends, as an RFC 3339 time; compared with the creation of a pod.
    pub until: Option<String>,
}
