//! Kubernetes manifests: which objects a text holds, and the verdict on each.

use serde_json::Value;

use super::{
    namespace, network, pipeline,
    place::{Lines, Place},
    references::{self, Ledger},
    report::{FileReport, Hit, Notice},
    rules::Rules,
    scan, secret,
    suppression::{self, Suppressions},
    yaml::{self, Content, Document, Fault, Node},
};
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::Control;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Severity;
use crate::policy::Subject;
use crate::policy::WorkloadKind;
use crate::policy::evaluate;

/// Lists within lists that are searched.
const DEEPEST_LIST: usize = 4;

/// An object of a document.
#[derive(Debug)]
pub(crate) struct Object<'v> {
    /// It.
    pub(crate) value: &'v Value,
    /// Where it stands in the document: the root, or an item of a list.
    pub(crate) at: FieldPath,
    /// `apiVersion`.
    pub(crate) api_version: &'v str,
    /// `kind`.
    pub(crate) kind: &'v str,
}

impl Object<'_> {
    /// Kind, namespace and name, as far as it has them.
    pub(crate) fn title(&self) -> String {
        let metadata = &self.value["metadata"];
        let text = |key: &str| metadata[key].as_str().filter(|text| !text.is_empty()).map(short);
        let name = text("name").or(text("generateName")).unwrap_or("without a name");
        let kind = short(self.kind);
        match text("namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        }
    }

    /// The pod in it, for kinds that make pods.
    pub(crate) fn subject(&self) -> Option<Subject<'_>> {
        let mut kinds = WorkloadKind::TEMPLATES.into_iter().chain([WorkloadKind::Pod]);
        let kind = kinds.find(|kind| kind.as_str() == self.kind && kind.group() == self.group())?;
        Some(Subject::of_kind(kind, self.value))
    }

    /// API group, empty for the core.
    pub(crate) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// What fits into a name; each finding repeats it, and a text of megabytes must not be repeated.
fn short(text: &str) -> &str {
    const LONGEST: usize = 253;
    text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// The objects of a document; lists are opened.
pub(crate) fn objects(root: &Value) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    collect(root, &FieldPath::default(), None, 0, &mut found);
    found
}

fn collect<'v>(
    value: &'v Value,
    at: &FieldPath,
    outer: Option<(&'v str, &'v str)>,
    depth: usize,
    found: &mut Vec<Object<'v>>,
) {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let own = text("apiVersion").zip(text("kind"));
    // The API server leaves out what kind the items of a PodList are.
    let Some((api_version, kind)) = own.or(outer) else { return };
    match (kind.strip_suffix("List"), value.get("items").and_then(Value::as_array)) {
        (Some(item), Some(items)) if depth < DEEPEST_LIST => {
            let implied = (!item.is_empty()).then_some((api_version, item));
            for (index, object) in items.iter().enumerate() {
                collect(object, &at.key("items").index(index), implied, depth + 1, found);
            }
        }
        _ => found.push(Object { value, at: at.clone(), api_version, kind }),
    }
}

/// A finding before it has a place.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The control.
    pub(crate) control: &'static Control,
    /// How bad it is, if not as the control says.
    pub(crate) severity: Severity,
    /// What admission does about it.
    pub(crate) verdict: Verdict,
    /// Said for information only.
    pub(crate) note: bool,
    /// Path from the root of the object.
    pub(crate) path: FieldPath,
    /// What is wrong.
    pub(crate) message: String,
    /// How to put it right.
    pub(crate) remedy: String,
}

impl Draft {
    /// A finding that admission knows nothing of, with the remedy of its control.
    pub(crate) fn new(
        control: &'static Control,
        path: FieldPath,
        message: impl Into<String>,
    ) -> Self {
        Self {
            control,
            severity: control.severity,
            verdict: Verdict::Warn,
            note: false,
            path,
            message: message.into(),
            remedy: control.remedy.to_owned(),
        }
    }

    /// The finding at its place.
    pub(crate) fn hit(self, path: FieldPath, place: Place, document: usize, object: &str) -> Hit {
        let Self { control, severity, verdict, note, message, remedy, .. } = self;
        let object = object.to_owned();
        let suppressed = None;
        Hit {
            control,
            severity,
            verdict,
            note,
            message,
            remedy,
            object,
            path,
            document,
            place,
            suppressed,
        }
    }
}

impl From<Finding> for Draft {
    fn from(finding: Finding) -> Self {
        Self {
            severity: finding.control.severity,
            control: finding.control,
            verdict: finding.verdict,
            note: false,
            path: finding.path,
            message: finding.message,
            remedy: finding.remedy,
        }
    }
}

/// Evaluates every object of a text.
pub(crate) fn check(name: &str, text: &str, rules: &Rules, ledger: &mut Ledger) -> FileReport {
    let mut file = FileReport { name: name.to_owned(), ..FileReport::default() };
    let lines = Lines::of(text);
    for (number, document) in yaml::read(text).into_iter().enumerate() {
        match document {
            Err(fault) => file.faults.push(unreadable(&fault, text, &lines)),
            Ok(Document { root: None, .. }) => {}
            Ok(Document { root: Some(root), comments }) => {
                let mut suppressions = Suppressions::default();
                suppression::of_comments(&mut suppressions, &root, &comments, text, &lines);
                let mut sheet = Sheet { root, lines: &lines, number, suppressions, file };
                sheet.evaluate(rules, ledger);
                file = sheet.finish();
            }
        }
    }
    file
}

/// What to say about a document that cannot be read.
fn unreadable(fault: &Fault, text: &str, lines: &Lines<'_>) -> Notice {
    let first =
        fault.first.map(|first| format!(" (the first is on line {})", lines.place(first).line));
    let mut message = format!("{}{}", fault.message, first.unwrap_or_default());
    let start = lines.start(lines.index(fault.at));
    if text.get(start..lines.end(fault.at)).is_some_and(|line| line.contains("{{")) {
        message +=
            "; this looks like a template: render it, as in `helm template . | gabion check -`";
    }
    Notice { place: Some(lines.place(fault.at)), message }
}

/// One document that is being evaluated.
struct Sheet<'a> {
    root: Node,
    lines: &'a Lines<'a>,
    number: usize,
    suppressions: Suppressions,
    file: FileReport,
}

impl Sheet<'_> {
    fn evaluate(&mut self, rules: &Rules, ledger: &mut Ledger) {
        let value = self.root.to_value();
        let found = objects(&value);
        if found.is_empty() {
            self.other(&value, rules, ledger);
        }
        for object in found {
            self.object(&object, rules, ledger);
        }
    }

    /// Evaluates a document that holds no object.
    fn other(&mut self, value: &Value, rules: &Rules, ledger: &mut Ledger) {
        match scan::read(value) {
            Some(Ok(scan)) => {
                ledger.scanned();
                let drafts = scan::evaluate(&scan, rules);
                self.whole(drafts, scan.title);
            }
            Some(Err(wrong)) => {
                ledger.scanned();
                let place = Some(self.lines.place(self.root.place(&wrong.path)));
                self.file.faults.push(Notice { place, message: wrong.problem });
            }
            None if pipeline::is_workflow(value) => {
                self.whole(pipeline::evaluate(value), pipeline::title(value));
            }
            None if value.get("items").and_then(Value::as_array).is_some_and(Vec::is_empty) => {
                self.file.objects.push("an empty list".to_owned());
            }
            None => ledger.unevaluated("documents without apiVersion and kind"),
        }
    }

    /// Adds what is wrong with a document as a whole.
    fn whole(&mut self, drafts: Vec<Draft>, title: String) {
        let own =
            Object { value: &Value::Null, at: FieldPath::default(), api_version: "", kind: "" };
        let mut hits = self.hits(drafts, &own, &title);
        self.suppressions.apply(&mut hits);
        self.file.objects.push(title);
        self.file.hits.extend(hits);
    }

    fn object(&mut self, object: &Object<'_>, rules: &Rules, ledger: &mut Ledger) {
        ledger.note(object);
        let subject = object.subject();
        let drafts = match (&subject, object.group(), object.kind) {
            (Some(subject), ..) => {
                evaluate(&rules.settings, subject).into_iter().map(Draft::from).collect()
            }
            (_, "networking.k8s.io", "NetworkPolicy") => network::evaluate(object.value),
            (_, "", "Secret") => secret::evaluate(object.value),
            (_, "", "Namespace") => namespace::evaluate(object.value, &rules.settings),
            (_, references::GROUP, _) => Vec::new(),
            (_, group, kind) => return ledger.unevaluated(&unevaluated(group, kind)),
        };
        let title = object.title();
        self.annotations(object, subject.as_ref());
        let mut hits = self.hits(drafts, object, &title);
        self.suppressions.apply(&mut hits);
        for (wanted, draft) in references::of(object) {
            let mut hits = self.hits(vec![draft], object, &title);
            self.suppressions.apply(&mut hits);
            ledger.ask(&wanted, hits);
        }
        self.file.objects.push(title);
        self.file.hits.extend(hits);
    }

    fn hits(&self, drafts: Vec<Draft>, object: &Object<'_>, title: &str) -> Vec<Hit> {
        let placed = drafts.into_iter().map(|draft| {
            let path = FieldPath(object.at.0.iter().chain(&draft.path.0).cloned().collect());
            let place = self.lines.place(self.root.place(&path));
            draft.hit(path, place, self.number, title)
        });
        placed.collect()
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
                let place = self.lines.place(entry.key_span.start);
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
