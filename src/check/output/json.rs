//! A report for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::{
    Options,
    report::{FileReport, Hit, Notice, Report},
};

/// Writes the report. Fields are added in later versions, never renamed.
pub(crate) fn write(report: &Report, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let files: Vec<_> = report.files.iter().map(file).collect();
    let failing = report.hits().filter(|hit| hit.fails(options.fail_on)).count();
    let document = json!({
        "version": 1,
        "rules": options.rules.name,
        "summary": {
            "objects": report.evaluated(),
            "findings": report.hits().filter(|hit| hit.suppressed.is_none() && !hit.note).count(),
            "failing": failing,
            "notes": report.hits().filter(|hit| hit.suppressed.is_none() && hit.note).count(),
            "suppressed": report.hits().filter(|hit| hit.suppressed.is_some()).count(),
            "errors": report.files.iter().map(|file| file.faults.len()).sum::<usize>(),
        },
        "files": files,
        "unevaluated": report.unevaluated,
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn file(file: &FileReport) -> Value {
    json!({
        "name": file.name,
        "objects": file.objects,
        "findings": file.hits.iter().map(finding).collect::<Vec<_>>(),
        "errors": file.faults.iter().map(notice).collect::<Vec<_>>(),
        "remarks": file.remarks.iter().map(notice).collect::<Vec<_>>(),
    })
}

fn finding(hit: &Hit) -> Value {
    json!({
        "control": hit.control.id,
        "severity": hit.severity.as_str(),
        "verdict": hit.verdict.as_str(),
        "note": hit.note,
        "message": hit.message,
        "remedy": hit.remedy,
        "object": hit.object,
        "field": hit.field(),
        "document": hit.document,
        "line": hit.place.line,
        "column": hit.place.column,
        "suppressed": hit.suppressed,
    })
}

fn notice(notice: &Notice) -> Value {
    json!({
        "line": notice.place.map(|place| place.line),
        "column": notice.place.map(|place| place.column),
        "message": notice.message,
    })
}
