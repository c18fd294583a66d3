//! `gabion check`: the rules of a baseline over files, before a cluster sees them.
//!
//! [`input`] finds and reads files, [`yaml`] gives their values places, [`manifest`], [`dockerfile`] and [`scan`]
//! judge them, with the same rules as admission where the object is a pod. [`fix`] writes what is mechanical,
//! [`output`] shows the rest.

pub mod baseline;
pub mod input;
pub mod output;
pub mod report;
pub mod rules;

mod age;
mod manifest;
mod namespace;
mod network;
mod place;
mod references;
mod schema;
mod secret;
mod suppression;
mod table;
mod yaml;

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use crate::hardening::plan::policy::Severity;
use input::{Source, Text};
use output::Format;
use references::Ledger;
use report::{FileReport, Report};
use rules::Rules;

/// What a run is asked to do.
#[derive(Debug)]
pub struct Options {
    /// Files and folders; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// What they are judged by.
    pub rules: Rules,
    /// How the result is shown.
    pub format: Format,
    /// Findings from this severity on fail the run; `None`: none does.
    pub fail_on: Option<Severity>,
    /// Only findings and what could not be judged, without the summary.
    pub quiet: bool,
    /// Colour in text.
    pub colour: bool,
    /// When it is run: reports have an age.
    pub now: jiff::Timestamp,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was judged and is in order.
    Clean,
    /// Something is wrong that fails the run.
    Findings,
    /// Nothing that fails the run was found, but something, or everything, could not be judged.
    Unjudged,
}

impl Outcome {
    /// The exit code for it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Unjudged => 2,
        }
    }
}

/// Judges all files and shows the result.
pub fn run(options: &Options, stdin: &mut dyn Read, out: &mut dyn Write) -> io::Result<Outcome> {
    let report = judge(options, stdin);
    output::write(&report, options, out)?;
    Ok(outcome(&report, options.fail_on))
}

fn outcome(report: &Report, fail_on: Option<Severity>) -> Outcome {
    if report.hits().any(|hit| hit.fails(fail_on)) {
        Outcome::Findings
    } else if report.has_faults() {
        Outcome::Unjudged
    } else {
        Outcome::Clean
    }
}

/// Judges all files.
pub fn judge(options: &Options, stdin: &mut dyn Read) -> Report {
    let sources = input::sources(&options.paths);
    let mut ledger = Ledger::default();
    let mut report = Report::default();
    for source in &sources {
        report.files.push(file(source, options, stdin, &mut ledger));
        ledger.next_file();
    }
    ledger.finish(&mut report);
    if sources.is_empty() {
        let names: Vec<_> = options.paths.iter().map(|path| path.display().to_string()).collect();
        let message = "holds no manifest, Dockerfile or report: check the path";
        report.files.push(FileReport::fault(&names.join(", "), message));
    }
    for file in &mut report.files {
        file.hits.sort_by_key(|hit| hit.place);
        file.remarks.sort_by_key(|remark| remark.place);
    }
    report
}

fn file(
    source: &Source,
    options: &Options,
    stdin: &mut dyn Read,
    ledger: &mut Ledger,
) -> FileReport {
    let text = match &source.origin {
        Ok(origin) => input::read(origin, stdin),
        Err(problem) => Err(problem.clone()),
    };
    match text {
        Ok(Text { text, .. }) => manifest::check(&source.name, &text, &options.rules, ledger),
        Err(problem) => FileReport::fault(&source.name, problem),
    }
}
