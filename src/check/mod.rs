//! `gabion check`: the rules of a baseline over files, before a cluster sees them.
//!
//! [`input`] finds and reads files, [`yaml`] gives their values positions, [`manifest`], [`dockerfile`] and [`scan`]
//! evaluate them, with the same rules as admission where the object is a pod. [`fix`] writes what is mechanical,
//! [`output`] shows the rest.

pub(crate) mod baseline;
mod budget;
pub(crate) mod catalogue;
pub(crate) mod eso;
pub(crate) mod input;
pub(crate) mod known;
pub(crate) mod lsp;
pub(crate) mod output;
pub(crate) mod project;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod schemas;

mod anchor;
mod chart;
mod credentials;
mod cross_references;
mod dockerfile;
mod exposure;
mod fix;
mod held;
mod kinds;
mod kustomize;
mod limit_range;
mod manifest;
mod namespace;
mod network;
mod object;
mod pipeline;
mod pod_level;
mod position;
mod practices;
mod progress;
mod rbac;
mod refused;
mod repair;
mod replace;
mod scan;
mod schema;
mod secret;
mod selectors;
mod shapes;
mod shell;
mod suppression;
mod template_action;
mod watch;
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

use crate::cluster::Target;
use crate::policy::{ControlId, Severity};
use chart::{Outcome, Rendered};
use cross_references::CrossReferences;
use held::{MOST_HELD, MOST_RENDERED, TOO_MUCH, weight};
use input::{FileKind, Input, Inputs, Origin, Text};
use known::Known;
use kustomize::Overlays;
pub use lsp::{LspOptions, serve};
use output::Format;
use position::Position;
use progress::Progress;
use project::Project;
use report::{By, FileReport, Report};
use rules::Rules;
pub use watch::watch;

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
    /// The controls that are evaluated; all, if it is empty.
    pub(crate) only: Vec<ControlId>,
    /// What the project says of itself.
    pub(crate) project: Option<Project>,
    /// The project's rules for single folders do not count, for the command line names rules.
    pub(crate) same_rules: bool,
    /// Findings that were known before.
    pub(crate) known: Option<Known>,
    /// The file into which all findings are written as known.
    pub(crate) write_known: Option<PathBuf>,
    /// It is no error that there is nothing to evaluate.
    pub(crate) allow_empty: bool,
    /// Totals only, in text.
    pub(crate) summary: bool,
    /// Somebody waits at a terminal and wants to know how far it is.
    pub(crate) watched: bool,
    /// Suppressions in files do not count.
    pub(crate) no_suppress: bool,
    /// What becomes of findings with a mechanical remedy.
    pub(crate) fix: Fix,
    /// The cluster whose objects are compared in place of files.
    pub(crate) cluster: Option<Target>,
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

/// Marks the findings that are known, after they are written down if that is asked for.
fn compare_with_known(options: &Options, report: &mut Report) {
    let written = match &options.write_known {
        Some(path) => known::write(path, report).map(Some),
        None => Ok(None),
    };
    match (&written, &options.known) {
        (Ok(Some(known)), _) | (Ok(None), Some(known)) => known.apply(report),
        (Ok(None), None) => {}
        (Err((name, problem)), _) => report.files.push(FileReport::fault(name, problem)),
    }
    if let (Some(known), Ok(Some(_))) = (&mut report.known, &written) {
        known.written = true;
    }
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
    let mut report = match &options.cluster {
        Some(target) => of_cluster(target, options),
        None => of_files(options, stdin),
    };
    compare_with_known(options, &mut report);
    report.files.extend(options.project.as_ref().and_then(Project::remarks));
    report
}

fn of_cluster(target: &Target, options: &Options) -> Report {
    let mut report = eso::report(target, &options.rules);
    report.files.iter_mut().for_each(|file| accept(file, options));
    report
}

fn of_files(options: &Options, stdin: &mut dyn Read) -> Report {
    let mut pass = Pass::of(options, options.fix, stdin);
    if options.fix != Fix::No {
        let Pass { report, inputs, overlays, patches } = &mut pass;
        let (told, written) = repair::rendered(report, inputs, overlays, patches, options);
        if written {
            let before = std::mem::take(&mut pass.report.files);
            pass.report = Pass::of(options, Fix::No, stdin).report;
            for earlier in before.into_iter().filter(|file| !file.diff.is_empty()) {
                let same = |file: &&mut FileReport| file.name == earlier.name;
                if let Some(now) = pass.report.files.iter_mut().find(same) {
                    now.diff = earlier.diff;
                }
            }
        }
        for told in told {
            told.tell(&mut pass.report);
        }
    }
    let mut report = pass.report;
    report.parts = pass.overlays.used;
    report
}

/// One evaluation of all files.
struct Pass {
    report: Report,
    inputs: Vec<Input>,
    overlays: Overlays,
    /// Files that are patches.
    patches: BTreeSet<PathBuf>,
}

impl Pass {
    fn of(options: &Options, fix: Fix, stdin: &mut dyn Read) -> Self {
        let Inputs { found: inputs, hidden, charts } =
            input::inputs(&options.paths, &|path| leaves_out(path, options));
        let overlays = kustomize::overlays(&inputs);
        let patches = kustomize::patches(&inputs);
        let mut across = CrossReferences::default();
        let mut report = Report { hidden, ..Report::default() };
        let mut progress = Progress::of(inputs.len(), options.watched);
        let mut starts = Vec::new();
        for overlay in &overlays.made {
            let (whole, own) = overlay.evaluate(rules(&overlay.file, options), &mut across);
            report.files.push(whole);
            starts.push(own);
            across.next_file();
        }
        let mut held = report.files.iter().map(weight).sum::<usize>();
        for input in inputs.iter().filter(|input| !is_part(input, &overlays)) {
            if held > MOST_HELD {
                report.files.push(FileReport::fault(&input.name, TOO_MUCH));
                across.next_file();
                break;
            }
            let mut evaluated = file(input, (options, fix), &patches, stdin, &mut across);
            only_wanted(&mut evaluated, options);
            held += weight(&evaluated);
            report.files.push(evaluated);
            across.next_file();
            progress.step();
        }
        let (charts, mut broken) = evaluate_charts(&charts, options, &mut report, &mut across);
        drop(progress);
        let (scans, of_eso) = (across.scans(), across.of_eso());
        across.finish(&mut report);
        for rendered in charts.iter().rev() {
            let whole = report.files.pop().unwrap_or_default();
            broken.extend(rendered.split(whole));
        }
        broken.retain(|file| !leaves_out(Path::new(&file.name), options));
        split(&mut report, &overlays, &starts, options);
        report.files.extend(broken);
        if let Some(problem) = nothing(&inputs, &report, options, (scans, of_eso)) {
            report.files.push(FileReport::fault(&names(options), problem));
        }
        report.files.iter_mut().for_each(|file| accept(file, options));
        Self { report, inputs, overlays, patches }
    }
}

fn leaves_out(path: &Path, options: &Options) -> bool {
    let name = input::shown(path);
    options.exclude.iter().any(|pattern| pattern.is_match(&name))
        || options.project.as_ref().is_some_and(|project| project.leaves_out(path))
        || options.known.as_ref().is_some_and(|known| known.is_at(path))
        || options.write_known.as_ref().is_some_and(|known| known.as_path() == path)
}

/// Charts, as helm renders them, each with a report at the end of all others; and those that it cannot render.
fn evaluate_charts(
    charts: &[PathBuf],
    options: &Options,
    report: &mut Report,
    across: &mut CrossReferences,
) -> (Vec<Rendered>, Vec<FileReport>) {
    let helm = if charts.is_empty() { None } else { chart::helm() };
    let (mut all, mut broken) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for folder in charts {
        if bytes > MOST_RENDERED {
            let file = input::shown(&folder.join("Chart.yaml"));
            broken.push(FileReport::fault(&file, TOO_MUCH));
            break;
        }
        match chart::render(folder, helm.as_deref()) {
            Outcome::Rendered(rendered) => {
                let rules = rules(&input::shown(&folder.join("Chart.yaml")), options);
                report.files.push(rendered.evaluate(rules, across));
                bytes += rendered.size();
                across.next_file();
                all.push(rendered);
            }
            Outcome::Broken(fault) => broken.push(fault),
            Outcome::Not(why) => report.not_evaluated.push(why),
        }
    }
    (all, broken)
}

/// The rules for a file.
fn rules<'o>(name: &str, options: &'o Options) -> &'o Rules {
    let project = options.project.as_ref().filter(|_| !options.same_rules);
    project.and_then(|project| project.rules_for(name)).unwrap_or(&options.rules)
}

/// Whether a file is a part of objects that are evaluated as a whole.
fn is_part(input: &Input, overlays: &Overlays) -> bool {
    match &input.origin {
        Ok(Origin::File(path)) if !overlays.used.is_empty() => {
            fs::canonicalize(path).is_ok_and(|path| overlays.used.contains(&path))
        }
        _ => false,
    }
}

/// Puts what was found in kustomizations, whose reports come first, to the files in which it is written.
fn split(report: &mut Report, overlays: &Overlays, starts: &[Vec<Position>], options: &Options) {
    let others = report.files.split_off(overlays.made.len().min(report.files.len()));
    let whole = std::mem::take(&mut report.files).into_iter();
    let parts = overlays.made.iter().zip(whole).zip(starts);
    let parts = parts.flat_map(|((overlay, mut whole), starts)| {
        if let Some(project) = &options.project {
            project.accept(&overlay.file, &mut whole.findings);
        }
        overlay.split(whole, starts)
    });
    report.files = kustomize::joined(parts.collect());
    report.files.retain(|file| !leaves_out(Path::new(&file.name), options));
    report.files.extend(overlays.refused.iter().cloned());
    report.files.extend(others);
    report.rendered = overlays.made.iter().map(|overlay| overlay.name.clone()).collect();
}

/// What is wrong with all of the input together.
fn nothing(
    inputs: &[Input],
    report: &Report,
    options: &Options,
    (scans, of_eso): (usize, usize),
) -> Option<&'static str> {
    if options.allow_empty && (inputs.is_empty() || report.is_empty()) {
        None
    } else if inputs.is_empty() {
        Some("holds no manifest, Dockerfile or report: check the path")
    } else if report.is_empty() {
        Some("holds nothing to evaluate: there is no object, with apiVersion and kind, in it")
    } else if options.rules.switch.is_some() && of_eso == 0 && !options.allow_empty {
        Some("holds no object of External Secrets Operator: check the path")
    } else if options.expects_scan && scans == 0 {
        Some("holds no report of a scanner, to which --max-critical and --max-high apply: name one")
    } else {
        None
    }
}

/// Takes out of a file's findings what is not asked for.
fn only_wanted(file: &mut FileReport, options: &Options) {
    file.findings.retain(|located| {
        let id = located.finding.control.id;
        !options.skip.contains(&id) && (options.only.is_empty() || options.only.contains(&id))
    });
}

/// Takes out of a file's findings what is not asked for, and marks what somebody lives with.
fn accept(file: &mut FileReport, options: &Options) {
    only_wanted(file, options);
    for located in file.findings.iter_mut().filter(|_| options.no_suppress) {
        located.suppressed.take_if(|accepted| accepted.by == By::Author);
    }
    if let Some(project) = &options.project {
        project.accept(&file.name, &mut file.findings);
    }
    file.findings.sort_by_key(|located| located.position);
    file.remarks.sort_by_key(|remark| remark.position);
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
    (options, fix): (&Options, Fix),
    patches: &BTreeSet<PathBuf>,
    stdin: &mut dyn Read,
    across: &mut CrossReferences,
) -> FileReport {
    let text = match &input.origin {
        Ok(origin) => input::read(origin, stdin),
        Err(problem) => Err(problem.clone()),
    };
    let (name, rules) = (&input.name, rules(&input.name, options));
    match text {
        Ok(Text { text, .. }) if is_dockerfile(input, &text) => {
            if rules.switch.is_some() {
                return FileReport { name: name.clone(), ..FileReport::default() };
            }
            dockerfile::check(name, &text, rules)
        }
        Ok(text) => match (&input.origin, fix) {
            (Ok(Origin::File(path)), _)
                if fs::canonicalize(path).is_ok_and(|path| patches.contains(&path)) =>
            {
                manifest::check_patch(name, &text.text, rules, across)
            }
            (Ok(Origin::File(path)), Fix::DryRun | Fix::Write) => {
                let place = (path.as_path(), input.folder.as_deref());
                repair::fixed(name, place, &text, (options, rules), across)
            }
            _ => manifest::check(name, &text.text, rules, across),
        },
        Err(problem) => FileReport::fault(&input.name, problem),
    }
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
