//! Kubernetes manifests: which objects a text holds, and the verdict on each.

use serde_json::Value;

use super::{
    cross_references::{self, CrossReferences},
    namespace, network,
    object::{Object, objects, short},
    pipeline,
    position::Lines,
    report::{Diagnostic, FileReport, Located},
    rules::Rules,
    scan, secret,
    suppression::{self, Suppressions},
    yaml::{self, Content, Document, Fault, Node},
};
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Subject;
use crate::policy::evaluate;

/// Evaluates every object of a text.
pub(crate) fn check(
    name: &str,
    text: &str,
    rules: &Rules,
    across: &mut CrossReferences,
) -> FileReport {
    let mut file = FileReport { name: name.to_owned(), ..FileReport::default() };
    let lines = Lines::of(text);
    for (number, document) in yaml::read(text).into_iter().enumerate() {
        match document {
            Err(fault) => file.faults.push(unreadable(&fault, text, &lines)),
            Ok(Document { root: None, .. }) => {}
            Ok(Document { root: Some(root), comments }) => {
                let mut suppressions = Suppressions::default();
                suppression::of_comments(&mut suppressions, &root, &comments, text, &lines);
                let mut evaluation = Evaluation { root, lines: &lines, number, suppressions, file };
                evaluation.run(rules, across);
                file = evaluation.finish();
            }
        }
    }
    file
}

/// What to say about a document that cannot be read.
fn unreadable(fault: &Fault, text: &str, lines: &Lines<'_>) -> Diagnostic {
    let first =
        fault.first.map(|first| format!(" (the first is on line {})", lines.position(first).line));
    let mut message = format!("{}{}", fault.message, first.unwrap_or_default());
    let start = lines.start(lines.index(fault.at));
    if text.get(start..lines.end(fault.at)).is_some_and(|line| line.contains("{{")) {
        message +=
            "; this looks like a template: render it, as in `helm template . | gabion check -`";
    }
    Diagnostic { position: Some(lines.position(fault.at)), message }
}

/// One document that is being evaluated.
struct Evaluation<'a> {
    root: Node,
    lines: &'a Lines<'a>,
    number: usize,
    suppressions: Suppressions,
    file: FileReport,
}

impl Evaluation<'_> {
    fn run(&mut self, rules: &Rules, across: &mut CrossReferences) {
        let value = self.root.to_value();
        let found = objects(&value);
        if found.is_empty() {
            self.other(&value, rules, across);
        }
        for object in found {
            self.object(&object, rules, across);
        }
    }

    /// Evaluates a document that holds no object.
    fn other(&mut self, value: &Value, rules: &Rules, across: &mut CrossReferences) {
        match scan::read(value) {
            Some(Ok(scan)) => {
                across.scanned();
                let findings = scan::evaluate(&scan, rules);
                self.whole(findings, scan.title);
            }
            Some(Err(wrong)) => {
                across.scanned();
                let position = Some(self.lines.position(self.root.offset(&wrong.path)));
                self.file.faults.push(Diagnostic { position, message: wrong.problem });
            }
            None if pipeline::is_workflow(value) => {
                self.whole(pipeline::evaluate(value), pipeline::title(value));
            }
            None if value.get("items").and_then(Value::as_array).is_some_and(Vec::is_empty) => {
                self.file.objects.push("an empty list".to_owned());
            }
            None => across.unevaluated("documents without apiVersion and kind"),
        }
    }

    /// Adds what is wrong with a document as a whole.
    fn whole(&mut self, findings: Vec<Finding>, title: String) {
        let own =
            Object { value: &Value::Null, at: FieldPath::default(), api_version: "", kind: "" };
        let located = self.located(findings, &own, &title);
        self.file.objects.push(title);
        self.file.findings.extend(located);
    }

    fn object(&mut self, object: &Object<'_>, rules: &Rules, across: &mut CrossReferences) {
        across.note(object);
        let subject = object.subject();
        let findings = match (&subject, object.group(), object.kind) {
            (Some(subject), ..) => evaluate(&rules.settings, subject),
            (_, "networking.k8s.io", "NetworkPolicy") => network::evaluate(object.value),
            (_, "", "Secret") => secret::evaluate(object.value),
            (_, "", "Namespace") => namespace::evaluate(object.value, &rules.settings),
            (_, cross_references::GROUP, _) => Vec::new(),
            (_, group, kind) => return across.unevaluated(&unevaluated(group, kind)),
        };
        let title = object.title();
        self.annotations(object, subject.as_ref());
        let located = self.located(findings, object, &title);
        for (wanted, finding) in cross_references::of(object) {
            across.ask(&wanted, self.located(vec![finding], object, &title));
        }
        self.file.objects.push(title);
        self.file.findings.extend(located);
    }

    fn located(
        &mut self,
        findings: Vec<Finding>,
        object: &Object<'_>,
        title: &str,
    ) -> Vec<Located> {
        let place = |finding: Finding| {
            let path = FieldPath(object.at.0.iter().chain(&finding.path.0).cloned().collect());
            Located {
                position: self.lines.position(self.root.offset(&path)),
                finding: Finding { path, ..finding },
                object: title.to_owned(),
                document: self.number,
                suppressed: None,
            }
        };
        let mut located: Vec<_> = findings.into_iter().map(place).collect();
        self.suppressions.apply(&mut located);
        located
    }

    /// Suppressions in the annotations of an object and of its pod template.
    fn annotations(&mut self, object: &Object<'_>, subject: Option<&Subject<'_>>) {
        let own = FieldPath::default();
        let template = subject.map(|subject| &subject.at).filter(|at| !at.0.is_empty());
        for holder in std::iter::once(&own).chain(template) {
            let mut path = object.at.clone();
            path.0.extend(holder.0.iter().cloned());
            let path = path.keys(&["metadata", "annotations"]);
            let Some(Content::Mapping(entries)) = self.root.at(&path).map(|node| &node.content)
            else {
                continue;
            };
            for entry in entries {
                let place = self.lines.position(entry.key_span.start);
                self.suppressions.annotation(&entry.key, entry.value.as_str(), &object.at, place);
            }
        }
    }

    fn finish(self) -> FileReport {
        let mut file = self.file;
        file.remarks.extend(self.suppressions.finish());
        file
    }
}

/// How a kind for which there are no checks is listed.
fn unevaluated(group: &str, kind: &str) -> String {
    let (group, kind) = (short(group), short(kind));
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}
