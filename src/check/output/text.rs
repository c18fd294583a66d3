//! A report for people: grouped by file, worst things in colour, a summary at the end.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use super::super::{
    Fix, Options,
    report::{Diagnostic, FileReport, Located, Report},
};
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
        let shown = file.findings.len() + file.faults.len() + file.remarks.len();
        if shown > 0 {
            one(file, paint, out)?;
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

fn one(file: &FileReport, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
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
    for located in file.findings.chunk_by(together) {
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
    if let Some(reason) = &first.suppressed {
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
    text.chars().map(|c| if steers(c) { '\u{FFFD}' } else { c }).collect()
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn summary(
    report: &Report,
    options: &Options,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    let (mut suppressed, mut notes) = (0, 0);
    for located in report.findings() {
        if located.suppressed.is_some() {
            suppressed += 1;
        } else if located.finding.note {
            notes += 1;
        } else {
            *counts.entry(located.finding.severity).or_default() += 1;
        }
    }
    let worst_first = counts.iter().rev().map(|(severity, count)| format!("{count} {severity}"));
    let by_severity: Vec<_> = worst_first.collect();
    let total: usize = counts.values().sum();
    let evaluated = count(report.evaluated(), "object");
    let rules = &options.rules.name;
    let line = if total == 0 {
        format!("No findings in {evaluated}, evaluated by {rules}")
    } else {
        let by_severity = by_severity.join(", ");
        format!("{} ({by_severity}) in {evaluated}, evaluated by {rules}", count(total, "finding"))
    };
    let faults = report.files.iter().map(|file| file.faults.len()).sum::<usize>();
    let mut extras = Vec::new();
    for (number, word) in [(notes, "note"), (suppressed, "ignored finding"), (faults, "error")] {
        if number > 0 {
            extras.push(count(number, word));
        }
    }
    let extras = if extras.is_empty() { String::new() } else { format!("; {}", extras.join(", ")) };
    writeln!(out, "{}", paint.with(BOLD, &plain(&format!("{line}{extras}"))))?;
    if !report.hidden.is_empty() {
        let names = plain(&report.hidden.join(", "));
        let line = format!(
            "Not searched, as their names start with a dot: {names}. Name them to check them"
        );
        writeln!(out, "{}", paint.with(FAINT, &line))?;
    }
    if !report.unevaluated.is_empty() {
        let kinds = report.unevaluated.iter().map(|(kind, number)| format!("{number} × {kind}"));
        let kinds = plain(&kinds.collect::<Vec<_>>().join(", "));
        writeln!(out, "{}", paint.with(FAINT, &format!("No checks exist for: {kinds}")))?;
    }
    Ok(())
}

/// A number with its word.
fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
