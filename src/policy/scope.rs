//! Where a set of policies applies, and who is excused from what.

use std::collections::BTreeSet;

use super::subject::WorkloadKind;
use crate::policy::selection::Protected;
use crate::policy::selection::Selection;

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
    /// The workload: its pods are excused through their controller reference. `None`: the whole namespace.
    pub target: Option<(WorkloadKind, String)>,
    /// Containers that are excused; empty: the whole pod.
    pub containers: Vec<WaivedContainer>,
    /// When it ends, as an RFC 3339 time; compared with the creation of the object.
    pub until: Option<String>,
}

/// A container that is excused. Both name and repository must be right: a name alone can be had by anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaivedContainer {
    /// `Container`, `InitContainer` or `Ephemeral`.
    pub(crate) kind: String,
    /// Name of the container.
    pub(crate) name: String,
    /// Repository of its image, without tag or digest.
    pub(crate) repository: String,
}
