//! The table of controls: what is checked, why it matters, how to put it right.
//!
//! Messages, the pages of documentation, the rules of a SARIF file and the ids in exceptions all come from here.

mod elsewhere;
mod guide;
mod id;
mod objects;
mod standards;
mod why;

use std::fmt;

pub use id::ControlId;

use crate::api::gabion::hardening_baseline::Level;

/// How bad it is to break a control; later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good practice.
    Low,
    /// Makes an attack easier or an outage likelier.
    Medium,
    /// Removes a layer of defence.
    High,
    /// Opens the node.
    Critical,
}

impl Severity {
    /// The word for it, in lower case.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who evaluates or keeps a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Admission and the offline checker, by the same rule over the pod.
    Pod,
    /// The offline checker alone: files that the API server never sees, and objects without an admission policy.
    File,
    /// The controller, by what it makes and keeps in the cluster.
    Cluster,
    /// Nobody yet: the id is taken, and the control not in force.
    None,
}

/// One control.
#[derive(Debug, PartialEq, Eq)]
pub struct Control {
    /// Its id.
    pub id: ControlId,
    /// Id of the Pod Security check that it is.
    pub check: Option<&'static str>,
    /// Level of the Pod Security Standards that it belongs to.
    pub(crate) level: Option<Level>,
    /// What holds where it is kept, in a few words.
    pub(crate) title: &'static str,
    /// How bad it is to break it.
    pub(crate) severity: Severity,
    /// The fields that it reads.
    pub(crate) looks_at: &'static str,
    /// How to put it right, in one short line.
    pub(crate) remedy: &'static str,
    /// Sections of the CIS Kubernetes Benchmark.
    pub(crate) cis: &'static [&'static str],
    /// Topics of the NSA and CISA Kubernetes Hardening Guidance.
    pub(crate) nsa: &'static [&'static str],
    /// Who evaluates or keeps it.
    pub target: Target,
}

impl Control {
    /// The level of the Pod Security Standards that it belongs to, which is also the profile that asks for it.
    pub fn level_name(&self) -> Option<&'static str> {
        self.level.map(Level::as_str)
    }
}

/// Every control, in the order of [`ControlId`].
static CONTROLS: [&Control; ControlId::ALL.len()] = table();

/// Fails to compile when an id has no row, or a row stands elsewhere than its id.
const fn table() -> [&'static Control; ControlId::ALL.len()] {
    let parts: [&[Control]; 4] =
        [&standards::CONTROLS, &guide::CONTROLS, &elsewhere::CONTROLS, &objects::CONTROLS];
    let mut table = [&standards::CONTROLS[0]; ControlId::ALL.len()];
    let (mut part, mut row, mut at) = (0, 0, 0);
    while part < parts.len() {
        while row < parts[part].len() {
            assert!(parts[part][row].id as usize == at);
            table[at] = &parts[part][row];
            (row, at) = (row + 1, at + 1);
        }
        (part, row) = (part + 1, 0);
    }
    assert!(at == ControlId::ALL.len());
    table
}

/// Every control in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Control> {
    CONTROLS.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_control_has_its_own_id_and_says_what_to_do() {
        let ids: BTreeSet<_> = all().map(|c| c.id).collect();
        assert_eq!(ids.len(), all().count());
        for c in all() {
            assert_eq!(ControlId::parse(c.id.as_str()), Some(c.id));
            assert!(
                c.id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            );
            assert!(c.title.len() > 10 && c.looks_at.len() >= 3, "{}", c.id);
            assert!((10..=160).contains(&c.remedy.len()), "{}: {}", c.id, c.remedy.len());
            assert!(c.id.why().len() > 20 && c.id.why().ends_with('.'), "{}", c.id);
            // Messages are joined by "; ".
            assert!(!c.remedy.contains(['\n', ';']) && !c.title.ends_with('.'), "{}", c.id);
            assert_eq!(c.check.is_some(), c.level.is_some(), "{}", c.id);
            if let Some(check) = c.check {
                assert_eq!(c.id.as_str(), format!("PSS-{check}"));
            }
        }
    }
}
