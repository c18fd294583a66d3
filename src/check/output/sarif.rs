//! A report as SARIF 2.1.0 (OASIS), which code scanning of forges reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::super::{
    Options,
    report::{Accepted, By, Diagnostic, FileReport, Located, Report},
};
use crate::policy::Control;
use crate::policy::ControlId;
use crate::policy::Severity;
use crate::policy::controls;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the report: one result for each control that an object breaks, with every place at which it does.
pub(crate) fn write(report: &Report, _: &Options, out: &mut dyn Write) -> io::Result<()> {
    let broken: BTreeSet<_> = report.findings().map(|located| located.finding.control.id).collect();
    let used: Vec<_> = controls::all().filter(|control| broken.contains(&control.id)).collect();
    let numbers = used.iter().enumerate().map(|(i, control)| (control.id, i)).collect();
    let notifications: Vec<_> = report.files.iter().flat_map(notifications).collect();
    let run = Run {
        tool: json!({ "driver": {
            "name": "gabion",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "informationUri": "https://github.com/gabion-dev/gabion",
            "rules": used.into_iter().map(rule).collect::<Vec<_>>(),
        }}),
        column_kind: "unicodeCodePoints",
        invocations: json!([{
            "executionSuccessful": !report.has_faults(),
            "toolExecutionNotifications": notifications,
        }]),
        results: Results { report, numbers },
    };
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: [run] };
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Value,
    column_kind: &'static str,
    invocations: Value,
    results: Results<'a>,
}

/// Made while they are written: a large input breaks a control a hundred thousand times.
struct Results<'a> {
    report: &'a Report,
    numbers: BTreeMap<ControlId, usize>,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let files = self.report.files.iter();
        serializer.collect_seq(files.flat_map(|file| {
            groups(file).into_iter().filter_map(|group| result(file, &group, &self.numbers))
        }))
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// The number by which GitHub sorts and gates, from 0 to 10.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn rule(control: &Control) -> Value {
    let cis = control.cis.iter().map(|section| format!("CIS-{section}"));
    let nsa = control.nsa.iter().map(|topic| format!("NSA: {topic}"));
    let tags: Vec<_> = std::iter::once("security".to_owned()).chain(cis).chain(nsa).collect();
    json!({
        "id": control.id.as_str(),
        "shortDescription": { "text": format!("{}.", control.title) },
        "fullDescription": { "text": format!("{}. Looks at {}.", control.title, control.looks_at) },
        "help": { "text": format!("To put it right: {}.", control.remedy) },
        "defaultConfiguration": { "level": level(control.severity) },
        "properties": { "tags": tags, "security-severity": score(control.severity), "precision": "high" },
    })
}

/// The findings of a file, by result.
fn groups(file: &FileReport) -> Vec<Vec<&Located>> {
    // What makes findings one result, with the number of that result, which keeps the order of the file.
    let mut known = BTreeMap::new();
    let mut groups: Vec<Vec<&Located>> = Vec::new();
    for located in &file.findings {
        let reason =
            located.suppressed.as_ref().map(|accepted| (accepted.by, accepted.reason.as_str()));
        let key = (
            located.document,
            located.object.as_str(),
            located.finding.control.id,
            reason,
            located.finding.note,
        );
        let number = *known.entry(key).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(located),
            None => groups.push(vec![located]),
        }
    }
    groups
}

fn result(
    file: &FileReport,
    group: &[&Located],
    numbers: &BTreeMap<ControlId, usize>,
) -> Option<Value> {
    let first = *group.first()?;
    let mut messages: Vec<&str> =
        group.iter().map(|located| located.finding.message.as_str()).collect();
    messages.dedup();
    let severity = group.iter().map(|located| located.finding.severity).max()?;
    let mut result = json!({
        "ruleId": first.finding.control.id.as_str(),
        "level": if first.finding.note { "note" } else { level(severity) },
        "message": { "text": format!("{}: {}. {}.", first.object, messages.join("; "), capital(&first.finding.remedy)) },
        "locations": group.iter().map(|located| location(&file.name, located)).collect::<Vec<_>>(),
        "partialFingerprints": {
            "controlObject/v1": format!("{} {} {}", first.finding.control.id, file.name, first.object),
        },
    });
    if let Some(index) = numbers.get(&first.finding.control.id) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(Accepted { reason, by }) = &first.suppressed {
        let kind = if *by == By::Author { "inSource" } else { "external" };
        result["suppressions"] = json!([{ "kind": kind, "justification": reason }]);
    }
    Some(result)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn location(file: &str, located: &Located) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": { "startLine": located.position.line, "startColumn": located.position.column },
        },
        "logicalLocations": [{ "fullyQualifiedName": format!("{} {}", located.object, located.field()).trim_end() }],
    })
}

fn notifications(file: &FileReport) -> Vec<Value> {
    let all = file.faults.iter().map(|fault| ("error", fault));
    let all = all.chain(file.remarks.iter().map(|remark| ("note", remark)));
    all.map(|(level, diagnostic)| notification(&file.name, level, diagnostic)).collect()
}

fn notification(file: &str, level: &str, diagnostic: &Diagnostic) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(file) } });
    if let Some(place) = diagnostic.position {
        physical["region"] = json!({ "startLine": place.line, "startColumn": place.column });
    }
    json!({
        "level": level,
        "message": { "text": diagnostic.message },
        "locations": [{ "physicalLocation": physical }],
    })
}

/// What a reference may hold as it is; the rest is written in hexadecimal.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A file name as a reference: relative where it is.
fn uri(name: &str) -> String {
    let name = if name == "<stdin>" { "stdin" } else { name };
    let scheme = if name.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", utf8_percent_encode(&name.replace('\\', "/"), KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_references() {
        assert_eq!(uri("deploy/web app.yaml"), "deploy/web%20app.yaml");
        assert_eq!(uri("/a/ü.yaml"), "file:///a/%C3%BC.yaml");
        assert_eq!(uri("<stdin>"), "stdin");
    }
}
