//! `--fix` on files: what is repaired in each, and what the report says of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Fix, Options, accept,
    cross_references::CrossReferences,
    fix,
    input::{self, Input, Origin, Text},
    kustomize::Overlays,
    manifest, replace,
    report::{Diagnostic, FileReport, Report},
    rules::Rules,
};

/// Evaluates a manifest, puts right what can be, and evaluates what was written.
pub(super) fn fixed(
    name: &str,
    (path, folder): (&Path, Option<&Path>),
    before: &Text,
    (options, rules): (&Options, &Rules),
    across: &mut CrossReferences,
) -> FileReport {
    // Nothing of this first pass is counted: what counts is what the file holds in the end.
    let mut first = manifest::check(name, &before.text, rules, &mut CrossReferences::default());
    accept(&mut first, options);
    let change = Change::of(name, (path, folder), before, &first, (options.fix, rules));
    let mut report = manifest::check(name, &change.end, rules, across);
    change.tell(&mut report);
    report
}

/// Repairs files that kustomizations are put together from: only what is still wrong where they are deployed, and
/// never a patch. Whether anything was written.
pub(super) fn rendered(
    report: &mut Report,
    inputs: &[Input],
    overlays: &Overlays,
    patches: &BTreeSet<PathBuf>,
    options: &Options,
) -> (Vec<Told>, bool) {
    let mut all = Vec::new();
    for input in inputs {
        let Ok(Origin::File(path)) = &input.origin else { continue };
        let Ok(real) = fs::canonicalize(path) else { continue };
        let Some(file) = report.files.iter().find(|file| file.name == input.name) else { continue };
        if !overlays.plain.contains(&real) || patches.contains(&real) || file.findings.is_empty() {
            continue;
        }
        let Ok(text) = input::read(&Origin::File(path.clone()), &mut std::io::empty()) else {
            continue;
        };
        let rules = super::rules(&input.name, options);
        let mut first =
            manifest::check(&input.name, &text.text, rules, &mut CrossReferences::default());
        let counting = file.findings.iter().filter(|located| located.suppressed.is_none());
        let counting: BTreeSet<_> =
            counting.map(|located| (located.position, located.finding.control.id)).collect();
        first.findings.retain(|l| counting.contains(&(l.position, l.finding.control.id)));
        let place = (path.as_path(), input.folder.as_deref());
        let change = Change::of(&input.name, place, &text, &first, (options.fix, rules));
        all.push(Told { name: input.name.clone(), change });
    }
    let written = options.fix == Fix::Write && all.iter().any(|told| !told.change.diff.is_empty());
    (all, written)
}

/// What became of one file of a kustomization.
pub(super) struct Told {
    name: String,
    change: Change,
}

impl Told {
    /// Adds it to a report.
    pub(super) fn tell(self, report: &mut Report) {
        if let Some(file) = report.files.iter_mut().find(|file| file.name == self.name) {
            return self.change.tell(file);
        }
        let mut file = FileReport { name: self.name, ..FileReport::default() };
        self.change.tell(&mut file);
        report.files.push(file);
    }
}

/// What is changed in one file.
struct Change {
    /// The text that the file holds in the end.
    end: String,
    diff: String,
    refused: Vec<Diagnostic>,
    failed: Option<String>,
}

impl Change {
    fn of(
        name: &str,
        (path, folder): (&Path, Option<&Path>),
        before: &Text,
        first: &FileReport,
        (fix, rules): (Fix, &Rules),
    ) -> Self {
        let fixed = fix::fix(&before.text, &first.findings, rules);
        let text = fix::apply(&before.text, &fixed);
        let mark = if before.mark { "\u{FEFF}" } else { "" };
        let written = match fix {
            Fix::Write if !fixed.edits.is_empty() => {
                replace::replace(path, folder, &format!("{mark}{text}"))
            }
            _ => Ok(()),
        };
        let failed = written.err();
        let diff = match &failed {
            None => fix::unified(name, &before.text, &text),
            Some(_) => String::new(),
        };
        let end = if fix == Fix::Write && failed.is_none() { text } else { before.text.clone() };
        Self { end, diff, refused: fixed.refused, failed }
    }

    fn tell(self, report: &mut FileReport) {
        let failed = self.failed.map(|message| Diagnostic { position: None, message });
        report.faults.extend(failed);
        report.remarks.extend(self.refused);
        report.diff = self.diff;
    }
}
