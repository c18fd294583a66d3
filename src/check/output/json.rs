//! A report for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::{
    Options,
    report::{Diagnostic, FileReport, Located, Report},
};

/// Writes the report. Fields are added in later versions, never renamed.
pub(crate) fn write(report: &Report, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let files: Vec<_> = report.files.iter().map(file).collect();
    let failing = report.findings().filter(|located| located.fails(options.fail_on)).count();
    let document = json!({
        "version": 1,
        "rules": options.rules.name,
        "summary": {
            "objects": report.evaluated(),
            "findings": report.findings().filter(|located| located.suppressed.is_none() && !located.finding.note).count(),
            "failing": failing,
            "notes": report.findings().filter(|located| located.suppressed.is_none() && located.finding.note).count(),
            "suppressed": report.findings().filter(|located| located.suppressed.is_some()).count(),
            "errors": report.files.iter().map(|file| file.faults.len()).sum::<usize>(),
        },
        "files": files,
        "unevaluated": report.unevaluated,
        "notSearched": report.hidden,
        "rendered": report.rendered,
        "notEvaluated": report.not_evaluated,
        "gone": report.known.as_ref().map(|known| &known.gone),
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn file(file: &FileReport) -> Value {
    json!({
        "name": file.name,
        "objects": file.objects,
        "findings": file.findings.iter().map(finding).collect::<Vec<_>>(),
        "errors": file.faults.iter().map(diagnostic).collect::<Vec<_>>(),
        "remarks": file.remarks.iter().map(diagnostic).collect::<Vec<_>>(),
    })
}

fn finding(located: &Located) -> Value {
    json!({
        "control": located.finding.control.id.as_str(),
        "severity": located.finding.severity.as_str(),
        "verdict": located.finding.verdict.as_str(),
        "note": located.finding.note,
        "message": located.finding.message,
        "remedy": located.finding.remedy,
        "object": located.object,
        "field": located.field(),
        "document": located.document,
        "line": located.position.line,
        "column": located.position.column,
        "suppressed": located.suppressed.as_ref().map(|accepted| &accepted.reason),
        "suppressedBy": located.suppressed.as_ref().map(|accepted| accepted.by.as_str()),
        "anchor": located.anchor,
    })
}

fn diagnostic(diagnostic: &Diagnostic) -> Value {
    json!({
        "line": diagnostic.position.map(|place| place.line),
        "column": diagnostic.position.map(|place| place.column),
        "message": diagnostic.message,
    })
}
