//! What was found.

use std::collections::BTreeMap;

use super::place::Place;
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::Control;
use crate::policy::FieldPath;
use crate::policy::Segment;
use crate::policy::Severity;

/// A control that is broken at one place.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    /// The control.
    pub(crate) control: &'static Control,
    /// How bad it is; of most controls always the same.
    pub(crate) severity: Severity,
    /// What admission does about it.
    pub(crate) verdict: Verdict,
    /// Said for information: it never fails a run.
    pub(crate) note: bool,
    /// What is wrong: one line.
    pub(crate) message: String,
    /// How to put it right: one line.
    pub(crate) remedy: String,
    /// The object, such as `Deployment shop/web`, or the stage of a Dockerfile.
    pub(crate) object: String,
    /// Path of the field from the root of the document; empty where there are no fields.
    pub(crate) path: FieldPath,
    /// Number of the document in its file, from 0.
    pub(crate) document: usize,
    /// Where in the file.
    pub(crate) place: Place,
    /// Why it does not count.
    pub(crate) suppressed: Option<String>,
}

impl Hit {
    /// The field as people write it; empty where there are no fields, as in a Dockerfile, whose path is the number
    /// of an instruction.
    pub(crate) fn field(&self) -> String {
        match self.path.0.as_slice() {
            [Segment::Index(_)] => String::new(),
            _ => self.path.to_string(),
        }
    }

    /// Whether it fails a run that fails on this severity.
    pub(crate) fn fails(&self, threshold: Option<Severity>) -> bool {
        let counts = self.suppressed.is_none() && !self.note;
        counts && threshold.is_some_and(|threshold| self.severity >= threshold)
    }
}

/// Something to say about a file or a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Where, if it has a place.
    pub(crate) place: Option<Place>,
    /// What.
    pub(crate) message: String,
}

/// What was found in one file.
#[derive(Debug, Default)]
pub(crate) struct FileReport {
    /// Its name as messages show it.
    pub(crate) name: String,
    /// The objects, or stages, that were evaluated.
    pub(crate) objects: Vec<String>,
    /// What is wrong with them.
    pub(crate) hits: Vec<Hit>,
    /// Why parts of it, or all, could not be evaluated.
    pub(crate) faults: Vec<Notice>,
    /// What its author may want to know.
    pub(crate) remarks: Vec<Notice>,
    /// What `--fix` changes, as a unified diff.
    pub(crate) diff: String,
}

impl FileReport {
    /// A report on a file that cannot be evaluated.
    pub(crate) fn fault(name: &str, message: impl Into<String>) -> Self {
        let notice = Notice { place: None, message: message.into() };
        Self { name: name.to_owned(), faults: vec![notice], ..Self::default() }
    }
}

/// What was found in all files.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Each file, in the order of the command line.
    pub(crate) files: Vec<FileReport>,
    /// Kinds for which there are no checks, with the number of their objects.
    pub(crate) unevaluated: BTreeMap<String, usize>,
}

impl Report {
    /// Every finding.
    pub(crate) fn hits(&self) -> impl Iterator<Item = &Hit> {
        self.files.iter().flat_map(|file| &file.hits)
    }

    /// How many objects were evaluated.
    pub(crate) fn evaluated(&self) -> usize {
        self.files.iter().map(|file| file.objects.len()).sum()
    }

    /// Whether there was nothing in any file, neither to evaluate nor to list nor to complain about.
    pub(crate) fn is_empty(&self) -> bool {
        self.evaluated() == 0 && self.unevaluated.is_empty() && !self.has_faults()
    }

    /// Whether anything could not be evaluated.
    pub(crate) fn has_faults(&self) -> bool {
        self.files.iter().any(|file| !file.faults.is_empty())
    }
}
