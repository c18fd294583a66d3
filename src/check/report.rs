//! What was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::position::Position;
use crate::policy::Finding;
use crate::policy::Segment;
use crate::policy::Severity;

/// A finding with its place among the files.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// What is wrong; its path begins at the root of the document.
    pub(crate) finding: Finding,
    /// The object, such as `Deployment shop/web`, or the stage of a Dockerfile.
    pub(crate) object: String,
    /// Number of the document in its file, from 0.
    pub(crate) document: usize,
    /// Where in the file.
    pub(crate) position: Position,
    /// Where in the object, in words that stay when lines move and items are added: what is known by it today is known
    /// by it tomorrow.
    pub(crate) anchor: String,
    /// Why it does not count.
    pub(crate) suppressed: Option<Accepted>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The reason, as somebody wrote it.
    pub(crate) reason: String,
    /// Who says so.
    pub(crate) by: By,
}

/// Who says that a finding does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// A comment or an annotation beside it.
    Author,
    /// The configuration of the project.
    Project,
    /// The file of known findings.
    Known,
}

impl By {
    /// The word for it in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Author => "file",
            Self::Project => "configuration",
            Self::Known => "baseline-file",
        }
    }
}

impl Located {
    /// The field as people write it; empty where there are no fields, as in a Dockerfile, whose path is the number
    /// of an instruction.
    pub(crate) fn field(&self) -> String {
        match self.finding.path.0.as_slice() {
            [Segment::Index(_)] => String::new(),
            _ => self.finding.path.to_string(),
        }
    }

    /// Whether it fails a run that fails on this severity.
    pub(crate) fn fails(&self, threshold: Option<Severity>) -> bool {
        let counts = self.suppressed.is_none() && !self.finding.note;
        counts && threshold.is_some_and(|threshold| self.finding.severity >= threshold)
    }
}

/// Something to say about a file or a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub(crate) position: Option<Position>,
    pub(crate) message: String,
}

/// What was found in one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileReport {
    /// Its name as messages show it.
    pub(crate) name: String,
    /// The objects, or stages, that were evaluated.
    pub(crate) objects: Vec<String>,
    /// What is wrong with them.
    pub(crate) findings: Vec<Located>,
    /// Why parts of it, or all, could not be evaluated.
    pub(crate) faults: Vec<Diagnostic>,
    /// What its author may want to know.
    pub(crate) remarks: Vec<Diagnostic>,
    /// What `--fix` changes, as a unified diff.
    pub(crate) diff: String,
}

impl FileReport {
    /// A report on a file that cannot be evaluated.
    pub(crate) fn fault(name: &str, message: impl Into<String>) -> Self {
        let diagnostic = Diagnostic { position: None, message: message.into() };
        Self { name: name.to_owned(), faults: vec![diagnostic], ..Self::default() }
    }
}

/// How documents are counted that are no object.
pub(crate) const NO_OBJECT: &str = "documents without apiVersion and kind";

/// What was found in all files.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Each file, in the order of the command line.
    pub(crate) files: Vec<FileReport>,
    /// Kinds for which there are no checks, with the number of their objects.
    pub(crate) unevaluated: BTreeMap<String, usize>,
    /// Folders that were not searched, because their names start with a dot.
    pub(crate) hidden: Vec<String>,
    /// Kustomizations whose objects were evaluated as they are deployed.
    pub(crate) rendered: Vec<String>,
    /// The files that they are put together from, by their real paths.
    pub(crate) parts: BTreeSet<PathBuf>,
    /// Charts that were not evaluated, each with the reason.
    pub(crate) not_evaluated: Vec<String>,
    /// What became of the findings that were known before.
    pub(crate) known: Option<KnownBefore>,
}

/// What became of the findings that were known before.
#[derive(Debug, Default)]
pub(crate) struct KnownBefore {
    /// The file that lists them.
    pub(crate) name: String,
    /// Those that are no more.
    pub(crate) gone: Vec<String>,
    /// It was written by this run.
    pub(crate) written: bool,
}

impl Report {
    /// Every finding.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Located> {
        self.files.iter().flat_map(|file| &file.findings)
    }

    /// How many objects were evaluated.
    pub(crate) fn evaluated(&self) -> usize {
        self.files.iter().map(|file| file.objects.len()).sum()
    }

    /// Whether there was nothing in any file, neither to evaluate nor to list nor to complain about.
    pub(crate) fn is_empty(&self) -> bool {
        let mut kinds = self.unevaluated.keys();
        self.evaluated() == 0 && kinds.all(|kind| kind == NO_OBJECT) && !self.has_faults()
    }

    /// Whether anything could not be evaluated.
    pub(crate) fn has_faults(&self) -> bool {
        self.files.iter().any(|file| !file.faults.is_empty())
    }
}
