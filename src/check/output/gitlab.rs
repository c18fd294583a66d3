//! A report as GitLab Code Quality reads it: one entry for each finding, with a fingerprint by which GitLab tells old
//! ones from new ones.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde_json::{Value, json};

use super::super::{
    Options,
    report::{Diagnostic, Located, Report},
};
use crate::digest::digest_text;
use crate::policy::Severity;

/// Writes the report. What is suppressed is left out; what cannot be read is an entry too.
pub(crate) fn write(report: &Report, _: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut entries = Vec::new();
    for file in &report.files {
        // One place can break one control several times, and GitLab drops entries with one fingerprint.
        let mut before: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        entries.extend(file.faults.iter().map(|fault| entry_of_fault(&file.name, fault)));
        for located in file.findings.iter().filter(|located| located.suppressed.is_none()) {
            let key = vec![
                file.name.as_str(),
                located.finding.control.id.as_str(),
                &located.object,
                &located.anchor,
            ];
            let nth = before.entry(key.clone()).or_default();
            entries.push(entry(&file.name, located, &digest_text(&(key, *nth))));
            *nth += 1;
        }
    }
    serde_json::to_writer_pretty(&mut *out, &entries)?;
    writeln!(out)
}

fn entry(file: &str, located: &Located, fingerprint: &str) -> Value {
    let severity = match located.finding.severity {
        _ if located.finding.note => "info",
        Severity::Critical => "blocker",
        Severity::High => "critical",
        Severity::Medium => "major",
        Severity::Low => "minor",
    };
    json!({
        "description": format!(
            "{}: {}. To put it right: {}", located.object, located.finding.message, located.finding.remedy
        ),
        "check_name": located.finding.control.id.as_str(),
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": file, "lines": {"begin": located.position.line}},
    })
}

fn entry_of_fault(file: &str, fault: &Diagnostic) -> Value {
    let line = fault.position.map_or(1, |place| place.line);
    json!({
        "description": fault.message,
        "check_name": "unreadable",
        "fingerprint": digest_text(&(file, &fault.message)),
        "severity": "blocker",
        "location": {"path": file, "lines": {"begin": line}},
    })
}
