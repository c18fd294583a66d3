//! A text that is open in an editor: what is wrong with it, and what puts that right.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::super::{
    cross_references::CrossReferences,
    dockerfile, fix,
    input::{self, FileKind, Input, LARGEST, Origin},
    known::Known,
    kustomize, manifest,
    position::{Lines, Position},
    project::Project,
    report::{FileReport, Located, Report},
    rules::Rules,
};
use crate::policy::Severity;

/// What texts are evaluated by.
pub(super) struct Setting<'s> {
    pub(super) rules: &'s Rules,
    pub(super) project: Option<&'s Project>,
    pub(super) known: Option<&'s Known>,
    /// The command line names rules, and the project's do not count.
    pub(super) same_rules: bool,
}

/// A text that is open in an editor.
pub(super) struct OpenText {
    /// Where it is kept; of a text that was never saved, nowhere.
    path: Option<PathBuf>,
    /// What its editor takes it for.
    is_dockerfile: bool,
    pub(super) text: String,
}

impl OpenText {
    pub(super) fn new(uri: &str, language: &str, text: String) -> Self {
        Self { path: path(uri), is_dockerfile: language == "dockerfile", text }
    }

    /// What is wrong with it.
    pub(super) fn report(&self, setting: &Setting<'_>) -> FileReport {
        let name = self.path.as_deref().map_or_else(|| "untitled".to_owned(), input::shown);
        if self
            .path
            .as_deref()
            .is_some_and(|path| setting.project.is_some_and(|p| p.leaves_out(path)))
        {
            return FileReport { name, ..FileReport::default() };
        }
        if self.text.len() as u64 > LARGEST {
            return FileReport::fault(
                &name,
                format!("larger than {} MiB, which is more than is read", LARGEST >> 20),
            );
        }
        let own = setting.project.filter(|_| !setting.same_rules);
        let rules = own.and_then(|project| project.rules_for(&name)).unwrap_or(setting.rules);
        let kind = self.path.as_deref().map_or(FileKind::Nothing, FileKind::of);
        let across = &mut CrossReferences::default();
        let mut file = if self.is_dockerfile || kind == FileKind::Dockerfile {
            dockerfile::check(&name, &self.text, rules)
        } else if self.is_patch() {
            manifest::check_patch(&name, &self.text, rules, across)
        } else {
            manifest::check(&name, &self.text, rules, across)
        };
        if let Some(project) = setting.project {
            project.accept(&name, &mut file.findings);
        }
        let mut report = Report { files: vec![file], ..Report::default() };
        if let Some(known) = setting.known {
            known.apply(&mut report);
        }
        report.files.pop().unwrap_or_default()
    }

    fn is_patch(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let name = input::shown(path);
        let input = Input { name, origin: Ok(Origin::File(path.clone())), folder: None };
        let patches = kustomize::patches(&[input]);
        std::fs::canonicalize(path).is_ok_and(|path| patches.contains(&path))
    }

    /// The same as the protocol has it.
    pub(super) fn diagnostics(&self, setting: &Setting<'_>) -> Vec<Value> {
        let report = self.report(setting);
        let places = Places::of(&self.text);
        let counting = report.findings.iter().filter(|located| located.suppressed.is_none());
        let findings = counting.map(|located| {
            let finding = &located.finding;
            json!({
                "range": places.rest_of_line(located.position),
                "severity": severity(located),
                "code": finding.control.id.as_str(),
                "source": "gabion",
                "message": format!("{}\n{}", finding.message, finding.remedy),
            })
        });
        let others = report.faults.iter().map(|fault| (1, fault));
        let others = others.chain(report.remarks.iter().map(|remark| (3, remark)));
        let others = others.map(|(severity, diagnostic)| {
            let position = diagnostic.position.unwrap_or(Position { line: 1, column: 1 });
            json!({
                "range": places.rest_of_line(position),
                "severity": severity,
                "source": "gabion",
                "message": diagnostic.message,
            })
        });
        findings.chain(others).collect()
    }

    /// What puts right what is wrong on some lines, counted from 0; and all of it, where that is more.
    pub(super) fn actions(
        &self,
        uri: &str,
        lines: (u64, u64),
        setting: &Setting<'_>,
    ) -> Vec<Value> {
        if self.is_patch() {
            return Vec::new();
        }
        let report = self.report(setting);
        let own = setting.project.filter(|_| !setting.same_rules);
        let rules =
            own.and_then(|project| project.rules_for(&report.name)).unwrap_or(setting.rules);
        let here = |located: &&Located| {
            let line = located.position.line as u64;
            located.suppressed.is_none() && (lines.0 + 1..=lines.1 + 1).contains(&line)
        };
        let places = Places::of(&self.text);
        let action = |title: String, located: &[Located]| {
            let edits = fix::fix(&self.text, located, rules).edits;
            (!edits.is_empty()).then(|| {
                let changes: Vec<_> = edits.iter().map(|edit| places.edit(edit)).collect();
                json!({"title": title, "kind": "quickfix", "edit": {"changes": {uri: changes}}})
            })
        };
        let each = report.findings.iter().filter(here);
        let mut actions: Vec<_> = each
            .filter_map(|located| {
                let finding = &located.finding;
                action(
                    format!("{}: {}", finding.control.id, finding.remedy),
                    std::slice::from_ref(located),
                )
            })
            .collect();
        actions.dedup();
        if !actions.is_empty() {
            let all = "Put right everything in this file that has one right answer";
            actions.extend(action(all.to_owned(), &report.findings));
        }
        actions
    }
}

const fn severity(located: &Located) -> u8 {
    match located.finding.severity {
        _ if located.finding.note => 4,
        Severity::Critical | Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
    }
}

/// The path of a file's address; other addresses have none.
pub(super) fn path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let path = rest.get(rest.find('/')?..)?;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    Some(Path::new(path.as_ref()).to_owned())
}

/// Places as the protocol counts them: lines from 0, columns in units of UTF-16.
struct Places<'t> {
    text: &'t str,
    lines: Lines<'t>,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, lines: Lines::of(text) }
    }

    fn at(&self, byte: usize) -> Value {
        let line = self.lines.index(byte);
        let before = self.text.get(self.lines.start(line)..byte).unwrap_or_default();
        json!({"line": line, "character": before.encode_utf16().count()})
    }

    /// From a place to the end of what is written on its line.
    fn rest_of_line(&self, place: Position) -> Value {
        let start = self.lines.start(place.line.saturating_sub(1));
        let end = self.lines.end(start);
        let line = self.text.get(start..end).unwrap_or_default();
        let before: usize =
            line.chars().take(place.column.saturating_sub(1)).map(char::len_utf8).sum();
        json!({"start": self.at(start + before), "end": self.at(start + line.trim_end().len().max(before))})
    }

    fn edit(&self, edit: &fix::Edit) -> Value {
        let range = json!({"start": self.at(edit.range.start), "end": self.at(edit.range.end)});
        json!({"range": range, "newText": edit.text})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_paths() {
        assert_eq!(path("file:///a/b%20c.yaml").as_deref(), Some(Path::new("/a/b c.yaml")));
        assert_eq!(path("file://host/a").as_deref(), Some(Path::new("/a")));
        assert_eq!((path("untitled:x"), path("file://"), path("file:///%FF")), (None, None, None));
    }

    #[test]
    fn columns_are_units_of_utf_16() {
        let places = Places::of("a: \u{1F600}é x  \r\nb\n");
        let range = places.rest_of_line(Position { line: 1, column: 7 });
        assert_eq!(range["start"], json!({"line": 0, "character": 7}));
        assert_eq!(range["end"], json!({"line": 0, "character": 8}));
        assert_eq!(places.at("a: \u{1F600}é x  \r\n".len()), json!({"line": 1, "character": 0}));
        let beyond = places.rest_of_line(Position { line: 9, column: 9 });
        assert_eq!(beyond["start"], beyond["end"]);
    }
}
