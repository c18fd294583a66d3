//! `gabion check`: the rules of a baseline over files, before a cluster sees them.
//!
//! [`input`] finds and reads files, [`yaml`] gives their values places, [`manifest`], [`dockerfile`] and [`scan`]
//! evaluate them, with the same rules as admission where the object is a pod. [`fix`] writes what is mechanical,
//! [`output`] shows the rest.

pub(crate) mod baseline;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod report;
pub(crate) mod rules;

mod credentials;
mod cross_references;
mod dockerfile;
mod fix;
mod kustomize;
mod limit_range;
mod manifest;
mod namespace;
mod network;
mod object;
mod pipeline;
mod position;
mod replace;
mod scan;
mod schema;
mod secret;
mod shell;
mod suppression;
mod yaml;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod test_random;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use regex::Regex;

use crate::policy::{ControlId, Severity};
use cross_references::CrossReferences;
use input::{FileKind, Input, Inputs, Origin, Text};
use output::Format;
use report::{Diagnostic, FileReport, Report};
use rules::Rules;

/// What a run is asked to do.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct Options {
    /// Files and folders; `-` is standard input.
    pub(crate) paths: Vec<PathBuf>,
    /// What they are evaluated by.
    pub(crate) rules: Rules,
    /// How the result is shown.
    pub(crate) format: Format,
    /// A scanner's report must be among the files: thresholds for one were given.
    pub(crate) expects_scan: bool,
    /// Findings from this severity on fail the run; `None`: none does.
    pub(crate) fail_on: Option<Severity>,
    /// Only findings and what could not be evaluated, without the summary.
    pub(crate) quiet: bool,
    /// Colour in text.
    pub(crate) colour: bool,
    /// A terminal shows the result, so that nothing in it may steer one.
    pub(crate) terminal: bool,
    /// Files and folders that are left out.
    pub(crate) exclude: Vec<Regex>,
    /// Controls that are not evaluated.
    pub(crate) skip: Vec<ControlId>,
    /// Suppressions in files do not count.
    pub(crate) no_suppress: bool,
    /// What becomes of findings with a mechanical remedy.
    pub(crate) fix: Fix,
}

/// What becomes of findings with a mechanical remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// They are shown.
    No,
    /// The change that puts them right is shown.
    DryRun,
    /// The file is changed.
    Write,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was evaluated and is in order.
    Clean,
    /// Something is wrong that fails the run.
    Findings,
    /// Nothing that fails the run was found, but something, or everything, could not be evaluated.
    Unevaluated,
}

impl ExitStatus {
    /// The exit code for it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Unevaluated => 2,
        }
    }
}

/// Evaluates all files and shows the result.
pub fn run(options: &Options, stdin: &mut dyn Read, out: &mut dyn Write) -> io::Result<ExitStatus> {
    let report = evaluate(options, stdin);
    output::write(&report, options, out)?;
    Ok(exit_status(&report, options.fail_on))
}

fn exit_status(report: &Report, fail_on: Option<Severity>) -> ExitStatus {
    if report.findings().any(|located| located.fails(fail_on)) {
        ExitStatus::Findings
    } else if report.has_faults() {
        ExitStatus::Unevaluated
    } else {
        ExitStatus::Clean
    }
}

/// Evaluates all files.
pub(crate) fn evaluate(options: &Options, stdin: &mut dyn Read) -> Report {
    let Inputs { found: inputs, hidden } = input::inputs(&options.paths, &options.exclude);
    let patches = kustomize::patches(&inputs);
    let mut across = CrossReferences::default();
    let mut report = Report { hidden, ..Report::default() };
    for input in &inputs {
        report.files.push(file(input, options, &patches, stdin, &mut across));
        across.next_file();
    }
    let scans = across.scans();
    across.finish(&mut report);
    let names = names(options);
    if inputs.is_empty() {
        let message = "holds no manifest, Dockerfile or report: check the path";
        report.files.push(FileReport::fault(&names, message));
    } else if report.is_empty() {
        let message =
            "holds nothing to evaluate: there is no object, with apiVersion and kind, in it";
        report.files.push(FileReport::fault(&names, message));
    } else if options.expects_scan && scans == 0 {
        let message =
            "holds no report of a scanner, to which --max-critical and --max-high apply: name one";
        report.files.push(FileReport::fault(&names, message));
    }
    for file in &mut report.files {
        file.findings.retain(|located| !options.skip.contains(&located.finding.control.id));
        for located in file.findings.iter_mut().filter(|_| options.no_suppress) {
            located.suppressed = None;
        }
        file.findings.sort_by_key(|located| located.position);
        file.remarks.sort_by_key(|remark| remark.position);
    }
    report
}

/// What the command line names, for what is wrong with all of it.
fn names(options: &Options) -> String {
    const SHOWN: usize = 3;
    let shown = options.paths.iter().take(SHOWN).map(|path| match path.to_str() {
        Some("-") => "<stdin>".to_owned(),
        _ => path.display().to_string(),
    });
    let names = shown.collect::<Vec<_>>().join(", ");
    let more = options.paths.len().saturating_sub(SHOWN);
    if more > 0 { format!("{names} and {more} more") } else { names }
}

fn file(
    input: &Input,
    options: &Options,
    patches: &BTreeSet<PathBuf>,
    stdin: &mut dyn Read,
    across: &mut CrossReferences,
) -> FileReport {
    let text = match &input.origin {
        Ok(origin) => input::read(origin, stdin),
        Err(problem) => Err(problem.clone()),
    };
    match text {
        Ok(Text { text, .. }) if is_dockerfile(input, &text) => {
            dockerfile::check(&input.name, &text, &options.rules)
        }
        Ok(text) => {
            let (name, rules) = (&input.name, &options.rules);
            match (&input.origin, options.fix) {
                (Ok(Origin::File(path)), _)
                    if fs::canonicalize(path).is_ok_and(|path| patches.contains(&path)) =>
                {
                    manifest::check_patch(name, &text.text, rules, across)
                }
                (Ok(Origin::File(path)), Fix::DryRun | Fix::Write) => {
                    let place = (path.as_path(), input.folder.as_deref());
                    fixed(name, place, &text, options, across)
                }
                _ => manifest::check(name, &text.text, rules, across),
            }
        }
        Err(problem) => FileReport::fault(&input.name, problem),
    }
}

/// Evaluates a manifest, puts right what can be, and evaluates what was written.
fn fixed(
    name: &str,
    (path, folder): (&Path, Option<&Path>),
    before: &Text,
    options: &Options,
    across: &mut CrossReferences,
) -> FileReport {
    let rules = &options.rules;
    // Nothing of this first pass is counted: what counts is what the file holds in the end.
    let first = manifest::check(name, &before.text, rules, &mut CrossReferences::default());
    let fixed = fix::fix(&before.text, &first.findings, rules);
    let text = fix::apply(&before.text, &fixed);
    let changed = !fixed.edits.is_empty();
    let mark = if before.mark { "\u{FEFF}" } else { "" };
    let written = match options.fix {
        Fix::Write if changed => replace::replace(path, folder, &format!("{mark}{text}")),
        _ => Ok(()),
    };
    let end = if options.fix == Fix::Write && written.is_ok() { &text } else { &before.text };
    let mut report = manifest::check(name, end, rules, across);
    let kept = written.is_ok();
    if let Err(message) = written {
        report.faults.push(Diagnostic { position: None, message });
    }
    report.remarks.extend(fixed.refused);
    if kept {
        report.diff = fix::unified(name, &before.text, &text);
    }
    report
}

/// By its name; without one that tells, by its first instruction.
fn is_dockerfile(input: &Input, text: &str) -> bool {
    let kind = match &input.origin {
        Ok(Origin::File(path)) => FileKind::of(path),
        _ => FileKind::Nothing,
    };
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    let word = first.split_whitespace().next().unwrap_or_default();
    let builds = ["FROM", "ARG"].iter().any(|known| word.eq_ignore_ascii_case(known));
    kind == FileKind::Dockerfile || (kind == FileKind::Nothing && builds)
}
