//! Where a set of policies applies.

use std::collections::BTreeSet;

use crate::meta::Uid;
use crate::policy::selection::Protected;
use crate::policy::selection::Selection;
use crate::policy::waivers::Waiver;

/// The namespaces that a set of policies reaches, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Name of the baseline; part of every object's name.
    pub name: String,
    /// Uid of the baseline: owner mark and owner reference.
    pub uid: Uid,
    /// The namespaces that the baseline wants.
    pub selection: Selection,
    /// Namespaces that no baseline ever touches.
    pub protected: Protected,
    /// Namespaces that are still behind: left out of the binding that denies.
    pub behind: BTreeSet<String>,
    /// What approved exceptions excuse, at most [`super::waivers::MAX_WAIVERS`].
    pub waivers: Vec<Waiver>,
}
