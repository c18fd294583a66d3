//! A report for people: grouped by file, worst things in colour, a summary at the end.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use super::super::{
    Fix, Options,
    report::{Accepted, By, Diagnostic, FileReport, KnownBefore, Located, Report},
};
use crate::policy::ControlId;
use crate::policy::Severity;

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Colours, where they are wanted.
#[derive(Clone, Copy)]
struct Paint {
    on: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn severity(self, located: &Located) -> String {
        let (style, word) = match located.finding.severity {
            _ if located.finding.note => (CYAN, "note"),
            Severity::Critical => (RED.bold(), "critical"),
            Severity::High => (RED, "high"),
            Severity::Medium => (AnsiColor::Yellow.on_default(), "medium"),
            Severity::Low => (AnsiColor::Blue.on_default(), "low"),
        };
        self.with(style, &format!("{word:<8}"))
    }
}

/// Writes the report.
pub(crate) fn write(report: &Report, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint { on: options.colour };
    let changed: Vec<_> = report.files.iter().filter(|file| !file.diff.is_empty()).collect();
    match options.fix {
        Fix::DryRun => diffs(&changed, options.terminal || paint.on, paint, out)?,
        Fix::Write => {
            for file in &changed {
                writeln!(out, "{} {}", paint.with(GREEN, "fixed"), plain(&file.name))?;
            }
        }
        Fix::No => {}
    }
    for file in &report.files {
        let findings = file.findings.iter().filter(|located| is_shown(located, options)).count();
        if findings + file.faults.len() + file.remarks.len() > 0 {
            one(file, options, paint, out)?;
        }
    }
    if options.quiet { Ok(()) } else { summary(report, options, paint, out) }
}

fn diffs(changed: &[&FileReport], seen: bool, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    for line in changed.iter().flat_map(|file| file.diff.split_terminator('\n')) {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            Some(b'@') => CYAN,
            _ => Style::new(),
        };
        // A diff that is kept in a file must be exact, one that is inspected must not steer the terminal.
        let line = if seen { &shown(line) } else { line };
        writeln!(out, "{}", paint.with(style, line))?;
    }
    Ok(())
}

fn shown(line: &str) -> String {
    line.split('\t').map(plain).collect::<Vec<_>>().join("\t")
}

/// What stands beside a finding is shown with it. What the project lives with as a whole is counted only.
fn is_shown(located: &Located, options: &Options) -> bool {
    !options.summary && located.suppressed.as_ref().is_none_or(|accepted| accepted.by == By::Author)
}

fn one(file: &FileReport, options: &Options, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", paint.with(BOLD, &plain(&file.name)))?;
    for fault in &file.faults {
        let word = paint.with(RED.bold(), "error   ");
        writeln!(out, "  {:>8}  {word}  {}", place(fault), plain(&fault.message))?;
    }
    let together = |one: &Located, next: &Located| {
        let key = |located: &Located| {
            (
                located.position,
                located.finding.control.id,
                located.finding.note,
                located.suppressed.is_some(),
            )
        };
        key(one) == key(next)
            && one.finding.remedy == next.finding.remedy
            && one.object == next.object
    };
    let shown: Vec<_> =
        file.findings.iter().filter(|located| is_shown(located, options)).cloned().collect();
    for located in shown.chunk_by(together) {
        finding(located, paint, out)?;
    }
    for remark in &file.remarks {
        let word = paint.with(CYAN, "remark  ");
        writeln!(out, "  {:>8}  {word}  {}", place(remark), plain(&remark.message))?;
    }
    writeln!(out)
}

fn place(diagnostic: &Diagnostic) -> String {
    diagnostic.position.map(|place| format!("{}:{}", place.line, place.column)).unwrap_or_default()
}

/// Findings with one control and one position: each has its message, the remedy comes once.
fn finding(group: &[Located], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let at = format!("{}:{}", first.position.line, first.position.column);
    let id = first.finding.control.id.as_str();
    if let Some(Accepted { reason, .. }) = &first.suppressed {
        for Located { finding, .. } in group {
            let line = format!("  {at:>8}  ignored   {id}  {} (reason: {reason})", finding.message);
            writeln!(out, "{}", paint.with(FAINT, &plain(&line)))?;
        }
        return Ok(());
    }
    let (severity, message) = (paint.severity(first), plain(&first.finding.message));
    writeln!(out, "  {at:>8}  {severity}  {}  {message}", paint.with(BOLD, id))?;
    let indent = id.len() + 24;
    for more in group.iter().skip(1) {
        writeln!(out, "{:indent$}{}", "", plain(&more.finding.message))?;
    }
    let object = match group {
        [one] if !one.field().is_empty() => format!("{}, {}", one.object, one.field()),
        _ => first.object.clone(),
    };
    writeln!(out, "{:22}{}", "", paint.with(FAINT, &plain(&object)))?;
    writeln!(out, "{:22}→ {}", "", plain(&first.finding.remedy))
}

/// Without what could steer a terminal or turn the order of letters around: names and messages hold what stands
/// in the file.
fn plain(text: &str) -> String {
    text.chars().map(|c| if super::steers(c) { '\u{FFFD}' } else { c }).collect()
}

/// Numbers of what was found.
#[derive(Default)]
struct Counts {
    by_severity: BTreeMap<Severity, usize>,
    by_control: BTreeMap<ControlId, (usize, Option<Severity>)>,
    notes: usize,
    accepted: BTreeMap<By, usize>,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let mut counts = Self::default();
        for located in report.findings() {
            if let Some(accepted) = &located.suppressed {
                *counts.accepted.entry(accepted.by).or_default() += 1;
            } else if located.finding.note {
                counts.notes += 1;
            } else {
                let severity = located.finding.severity;
                *counts.by_severity.entry(severity).or_default() += 1;
                let (number, worst) =
                    counts.by_control.entry(located.finding.control.id).or_default();
                (*number, *worst) = (*number + 1, Some(severity).max(*worst));
            }
        }
        counts
    }
}

fn summary(
    report: &Report,
    options: &Options,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let counts = Counts::of(report);
    let worst_first = counts.by_severity.iter().rev();
    let by_severity: Vec<_> =
        worst_first.map(|(severity, count)| format!("{count} {severity}")).collect();
    let total: usize = counts.by_severity.values().sum();
    let evaluated = count(report.evaluated(), "object");
    let rules = &options.rules.name;
    by_control(&counts, options.summary, paint, out)?;
    let line = if total == 0 {
        format!("No findings in {evaluated}, evaluated by {rules}")
    } else {
        let by_severity = by_severity.join(", ");
        format!("{} ({by_severity}) in {evaluated}, evaluated by {rules}", count(total, "finding"))
    };
    let faults = report.files.iter().map(|file| file.faults.len()).sum::<usize>();
    let accepted = |by: By| counts.accepted.get(&by).copied().unwrap_or_default();
    let mut extras = Vec::new();
    for (number, word) in [
        (counts.notes, "note"),
        (accepted(By::Author), "ignored finding"),
        (accepted(By::Project), "skipped finding"),
        (accepted(By::Known), "known finding"),
        (faults, "error"),
    ] {
        if number > 0 {
            extras.push(count(number, word));
        }
    }
    let extras = if extras.is_empty() { String::new() } else { format!("; {}", extras.join(", ")) };
    writeln!(out, "{}", paint.with(BOLD, &plain(&format!("{line}{extras}"))))?;
    for line in footer(report) {
        writeln!(out, "{}", paint.with(FAINT, &plain(&line)))?;
    }
    Ok(())
}

/// Totals by control, most frequent first, where there are so many findings that nobody counts them.
fn by_control(counts: &Counts, always: bool, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    const FEW: usize = 10;
    let total: usize = counts.by_control.values().map(|(number, _)| number).sum();
    if counts.by_control.len() < 2 || (total <= FEW && !always) {
        return Ok(());
    }
    let mut rows: Vec<_> = counts.by_control.iter().collect();
    rows.sort_by_key(|(id, (number, _))| (std::cmp::Reverse(*number), **id));
    for (id, (number, worst)) in rows {
        let worst = worst.map(|severity| severity.to_string()).unwrap_or_default();
        let title = id.control().title;
        writeln!(
            out,
            "{number:>8}  {worst:<8}  {}  {title}",
            paint.with(BOLD, &format!("{id:<34}"))
        )?;
    }
    writeln!(out)
}

/// What else there is to say at the end.
fn footer(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(known) = &report.known {
        lines.extend(about_known(known));
    }
    if !report.rendered.is_empty() {
        let folders = report.rendered.join(", ");
        lines.push(format!("Kustomizations evaluated as they are deployed: {folders}"));
    }
    lines.extend(report.not_evaluated.iter().map(|what| format!("Not evaluated: {what}")));
    if !report.hidden.is_empty() {
        let names = report.hidden.join(", ");
        lines.push(format!(
            "Not searched, as their names start with a dot: {names}. Name them to check them"
        ));
    }
    if !report.unevaluated.is_empty() {
        let kinds = report.unevaluated.iter().map(|(kind, number)| format!("{number} × {kind}"));
        lines.push(format!("No checks exist for: {}", kinds.collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn about_known(known: &KnownBefore) -> Vec<String> {
    const SHOWN: usize = 10;
    if known.written {
        return vec![format!("Wrote {}: these findings count as known from now on", known.name)];
    }
    if known.gone.is_empty() {
        return Vec::new();
    }
    let gone = count(known.gone.len(), "finding");
    let mut lines = vec![format!(
        "Gone since {} was written: {gone}. Write it anew with --write-baseline-file",
        known.name
    )];
    lines.extend(known.gone.iter().take(SHOWN).map(|gone| format!("  {gone}")));
    let more = known.gone.len().saturating_sub(SHOWN);
    lines.extend((more > 0).then(|| format!("  and {more} more")));
    lines
}

/// A number with its word.
fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
