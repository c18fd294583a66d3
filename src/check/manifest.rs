//! Kubernetes manifests: which objects a text holds, and the verdict on each.

use serde_json::Value;

use super::{
    anchor,
    cross_references::{self, CrossReferences},
    eso::{self, Switch},
    kinds,
    object::{Object, objects},
    pipeline, pod_level,
    position::{Lines, Position},
    refused,
    report::{Diagnostic, FileReport, Located, NO_OBJECT},
    rules::Rules,
    scan,
    schemas::{self, Outcome},
    shapes::Shapes,
    suppression::{self, Suppressions},
    template_action,
    yaml::{self, Content, Document, Fault, Node},
};
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Subject;

/// Remarks on one file about what is not evaluated in it.
const MOST_REMARKS: usize = 50;

/// The group of kustomizations, which no API server takes.
const OF_KUSTOMIZE: &str = "kustomize.config.k8s.io";

/// Evaluates every object of a text.
pub(crate) fn check(
    name: &str,
    text: &str,
    rules: &Rules,
    across: &mut CrossReferences,
) -> FileReport {
    evaluate_text(name, text, rules, across, &Role::Whole)
}

/// Evaluates patches: what they leave out stands elsewhere, so that only what they say counts.
pub(crate) fn check_patch(
    name: &str,
    text: &str,
    rules: &Rules,
    across: &mut CrossReferences,
) -> FileReport {
    evaluate_text(name, text, rules, across, &Role::Patch)
}

fn evaluate_text(
    name: &str,
    text: &str,
    rules: &Rules,
    across: &mut CrossReferences,
    role: &Role,
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
                let role = role.clone();
                let mut evaluation =
                    Evaluation { root, lines: &lines, number, suppressions, file, role };
                evaluation.run(rules, across);
                file = evaluation.finish();
            }
        }
    }
    file
}

/// Evaluates objects that are put together from several texts. Each stands where its parts were written, in the texts
/// as one; the comments of all of them count. Beside the report: where each object of it begins.
pub(crate) fn check_rendered(
    name: &str,
    roots: Vec<Node>,
    lines: &Lines<'_>,
    comments: Suppressions,
    rules: &Rules,
    across: &mut CrossReferences,
) -> (FileReport, Vec<Position>) {
    let mut file = FileReport { name: name.to_owned(), ..FileReport::default() };
    let (mut suppressions, mut starts) = (comments, Vec::new());
    for (number, root) in roots.into_iter().enumerate() {
        let start = lines.position(root.span.start);
        let role = Role::Rendered(name.to_owned());
        let mut evaluation = Evaluation { root, lines, number, suppressions, file, role };
        evaluation.run(rules, across);
        (suppressions, file) = (evaluation.suppressions, evaluation.file);
        file.remarks.extend(suppressions.finish_object());
        starts.resize(file.objects.len(), start);
    }
    file.remarks.extend(suppressions.finish());
    (file, starts)
}

/// What a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// What it says, and nothing else.
    Whole,
    /// A patch for what another file holds.
    Patch,
    /// Put together by this kustomization.
    Rendered(String),
}

/// What to say about a document that cannot be read.
fn unreadable(fault: &Fault, text: &str, lines: &Lines<'_>) -> Diagnostic {
    let first =
        fault.first.map(|first| format!(" (the first is on line {})", lines.position(first).line));
    let mut message = format!("{}{}", fault.message, first.unwrap_or_default());
    let start = lines.start(lines.index(fault.at));
    if text.get(start..lines.end(fault.at)).is_some_and(template_action::holds_action) {
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
    role: Role,
}

impl Evaluation<'_> {
    fn run(&mut self, rules: &Rules, across: &mut CrossReferences) {
        let value = self.root.to_value();
        let found = objects(&value);
        if found.is_empty() {
            self.other(&value, rules, across);
        }
        for object in found {
            match &rules.switch {
                Some(switch) => self.of_eso(&object, switch, across),
                None => self.object(&object, rules, across),
            }
        }
    }

    /// Evaluates a document that holds no object.
    fn other(&mut self, value: &Value, rules: &Rules, across: &mut CrossReferences) {
        match scan::read(value).filter(|_| rules.switch.is_none()) {
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
            None if pipeline::is_workflow(value) && rules.switch.is_none() => {
                self.whole(pipeline::evaluate(value), pipeline::title(value));
            }
            None if value.get("items").and_then(Value::as_array).is_some_and(Vec::is_empty) => {
                self.file.objects.push("an empty list".to_owned());
            }
            None if self.role == Role::Patch => self.file.objects.push("a patch".to_owned()),
            None => match kinds::half_an_object(value) {
                Some(message) => {
                    let position = Some(self.lines.position(self.root.span.start));
                    self.file.faults.push(Diagnostic { position, message });
                }
                None => across.unevaluated(NO_OBJECT),
            },
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
        if self.role != Role::Patch {
            across.note(object);
        }
        let subject = object.subject();
        let Some(findings) = self.findings(object, subject.as_ref(), rules, across) else { return };
        let title = self.title(object);
        self.annotations(object, subject.as_ref());
        let located = self.located(findings, object, &title);
        for (wanted, finding) in cross_references::of(object) {
            across.ask(&wanted, self.located(vec![finding], object, &title));
        }
        if self.role != Role::Patch {
            for (unless, finding) in kinds::conditional(object, subject.as_ref(), rules) {
                across.ask_at_the_end(object, unless, self.located(vec![finding], object, &title));
            }
        }
        self.file.objects.push(title);
        self.file.findings.extend(located);
    }

    /// The findings of an object by itself; nothing if it cannot be evaluated, which is said.
    fn findings(
        &mut self,
        object: &Object<'_>,
        subject: Option<&Subject<'_>>,
        rules: &Rules,
        across: &mut CrossReferences,
    ) -> Option<Vec<Finding>> {
        let mut own = kinds::evaluate(object, subject, rules);
        let at = object.at.key("kind");
        if let Some(message) = kinds::misnamed(object).filter(|_| own.is_none()) {
            self.fault(&at, message);
            return None;
        }
        // A patch is a part of an object.
        if self.role != Role::Patch {
            let refused = refused::evaluate(object, subject);
            own = if refused.is_empty() {
                own
            } else {
                Some([own.unwrap_or_default(), refused].concat())
            };
        }
        let pods = self.of_shapes(object, rules, own.is_none());
        let has_pods = pods.is_some();
        own = own.or(pods);
        match rules.schemas.evaluate(object) {
            Outcome::Evaluated(findings) => own.get_or_insert_default().extend(findings),
            Outcome::Broken(message) => self.fault(&at, message),
            Outcome::Unknown if has_pods => self.unknown(object, "only the pods of ", " are"),
            // What kustomize is to do is no object of a cluster.
            Outcome::Unknown if object.group() == OF_KUSTOMIZE => {}
            Outcome::Unknown if own.is_none() => {
                across.unevaluated(&kinds::unevaluated(object.group(), object.kind));
                self.unknown(object, "", " is not");
            }
            Outcome::Unknown => {}
        }
        own
    }

    /// The findings of the pods in an object of a kind that another program brings.
    fn of_shapes(
        &mut self,
        object: &Object<'_>,
        rules: &Rules,
        is_foreign: bool,
    ) -> Option<Vec<Finding>> {
        if !is_foreign || schemas::is_known(object) {
            return None;
        }
        let shapes = Shapes::of(object);
        if let Some(unread) = &shapes.unread {
            let message = format!(
                "the container at {unread} is not evaluated, as it is not in the spec of a pod"
            );
            let path = FieldPath(object.at.0.iter().chain(&unread.0).cloned().collect());
            self.remark(&path, message);
        }
        kinds::of_shapes(&shapes, rules)
    }

    fn fault(&mut self, at: &FieldPath, message: String) {
        let position = Some(self.lines.position(self.root.offset(at)));
        self.file.faults.push(Diagnostic { position, message });
    }

    /// Says once in a file that the schema of a kind is not known.
    fn unknown(&mut self, object: &Object<'_>, before: &str, after: &str) {
        if self.file.remarks.len() >= MOST_REMARKS {
            return;
        }
        let name = kinds::unevaluated(object.group(), object.kind);
        let message = format!(
            "{before}{name}{after} evaluated, as its schema is not known: give it by --schema"
        );
        if self.file.remarks.iter().all(|remark| remark.message != message) {
            self.remark(&object.at.key("kind"), message);
        }
    }

    fn remark(&mut self, at: &FieldPath, message: String) {
        if self.file.remarks.len() >= MOST_REMARKS {
            return;
        }
        let position = Some(self.lines.position(self.root.offset(at)));
        self.file.remarks.push(Diagnostic { position, message });
    }

    /// Compares an object of External Secrets Operator.
    fn of_eso(&mut self, object: &Object<'_>, switch: &Switch, across: &mut CrossReferences) {
        let Some(findings) = eso::evaluate(switch, object) else {
            return across.unevaluated(&kinds::unevaluated(object.group(), object.kind));
        };
        let title = self.title(object);
        self.annotations(object, None);
        let located = self.located(findings, object, &title);
        if self.role != Role::Patch {
            across.note_eso(object);
            for asked in eso::asked(object) {
                let located = self.located(vec![asked.finding.clone()], object, &title);
                across.ask_eso(asked, located);
            }
            for pushed in eso::pushes(object) {
                let located = self.located(vec![pushed.finding.clone()], object, &title);
                across.push_eso(pushed, located);
            }
        }
        self.file.objects.push(title);
        self.file.findings.extend(located);
    }

    fn title(&self, object: &Object<'_>) -> String {
        match &self.role {
            Role::Whole => object.title(),
            Role::Patch => format!("patch of {}", object.title()),
            Role::Rendered(by) => format!("{} of {by}", object.title()),
        }
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
                anchor: anchor::of(object.value, &finding),
                position: self.lines.position(self.root.offset(&path)),
                finding: Finding { path, ..finding },
                object: title.to_owned(),
                document: self.number,
                suppressed: None,
            }
        };
        let mut located: Vec<_> = findings.into_iter().map(place).collect();
        if self.role == Role::Patch {
            located.retain(|located| self.root.at(&located.finding.path).is_some());
        }
        self.suppressions.apply(&mut located);
        pod_level::once(&mut located, &self.root, self.lines);
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
